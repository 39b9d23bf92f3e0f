// The fields of a message on their way out: each is held against its limits and written, in one go.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diegetic/msgpack.hpp"

namespace diegetic {

/// Something was not used: `field` of it was wrong, and `message` says what was expected. `code` is
/// the server's (PROTOCOL.md lists them), or the client's own: "invalid", and "full" when it had to
/// give up events.
struct Error {
    std::string code, field, message;

    template <typename Visitor>
    void fields(Visitor& take) {
        take.field("code", code);
        take.field("field", field);
        take.field("message", message);
    }
};

/// What a number may be: from `least` (or just above it) to `most`.
struct Range {
    double least, most;
    bool above = false;
};

constexpr Range TIME{0, 1e10}, RAMP{0, 60}, GAIN{-96, 24}, VALUE{-1e9, 1e9}, WEIGHT{0, 1e9, true};
constexpr std::size_t NAME = 64;  // characters

/// A position in metres or a direction: right-handed, y up, -z ahead.
struct Vector {
    double x = 0, y = 0, z = 0;

    bool operator==(const Vector& b) const { return x == b.x && y == b.y && z == b.z; }

    double length() const { return std::hypot(x, y, z); }

    Vector cross(const Vector& b) const {
        return {y * b.z - z * b.y, z * b.x - x * b.z, x * b.y - y * b.x};
    }
};

using Weights = std::vector<std::pair<std::string, double>>;

inline std::string shown(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

/// Writes one map, field by field; `problem` keeps the first thing that is out of its limits.
class Fields {
public:
    Fields(Bytes& out, std::optional<Error>& problem, std::string path = {})
        : out_(out), writer_(out), problem_(problem), path_(std::move(path)), head_(out.size()) {
        writer_.map(0);
    }

    void refuse(const char* field, std::string why) {
        if (!problem_) problem_ = Error{"invalid", path_ + field, std::move(why)};
    }

    void number(const char* name, double value, Range range) {
        limit(name, value, range);
        key(name);
        writer_.number(value);
    }

    /// The same, left out if it is `usual`.
    void number(const char* name, double value, Range range, double usual) {
        if (value != usual) number(name, value, range);
    }

    void number(const char* name, const std::optional<double>& value, Range range) {
        if (value) number(name, *value, range);
    }

    void integer(const char* name, std::int64_t value, Range range) {
        limit(name, static_cast<double>(value), range);
        key(name);
        writer_.integer(static_cast<std::uint64_t>(value));
    }

    void integer(const char* name, std::int64_t value, Range range, std::int64_t usual) {
        if (value != usual) integer(name, value, range);
    }

    void boolean(const char* name, const std::optional<bool>& value) {
        if (!value) return;
        key(name);
        writer_.boolean(*value);
    }

    void text(const char* name, std::string_view value, std::size_t least, std::size_t most) {
        limit(name, value, least, most);
        key(name);
        writer_.text(value);
    }

    void text(const char* name, std::string_view value, std::size_t least, std::size_t most,
              std::string_view usual) {
        if (value != usual) text(name, value, least, most);
    }

    void vector(const char* name, const Vector& value) {
        constexpr Range metres{-1e6, 1e6};
        key(name);
        writer_.array(3);
        for (const double coordinate : {value.x, value.y, value.z}) {
            limit(name, coordinate, metres);
            writer_.number(coordinate);
        }
    }

    void binary(const char* name, const std::uint8_t* data, std::size_t size) {
        key(name);
        writer_.binary(data, size);
    }

    void names(const char* name, const std::vector<std::string>& values, std::size_t least,
               std::size_t most) {
        list(name, values, least, most, [&](const std::string& value, const std::string&) {
            plain(name, value);
        });
    }

    /// Texts of up to `longest` characters, each with a number.
    void weights(const char* name, const Weights& values, std::size_t most, std::size_t longest,
                 Range range) {
        if (values.size() > most) refuse(name, size_wish(0, most, values.size(), "entries"));
        key(name);
        writer_.map(values.size());
        for (const auto& [text, value] : values) {
            limit(name, text, 1, longest);
            limit(name, value, range);
            writer_.text(text);
            writer_.number(value);
        }
    }

    /// Each of `items` is written by `write(item, its path)`.
    template <typename Item, typename Write>
    void list(const char* name, const std::vector<Item>& items, std::size_t least,
              std::size_t most, Write&& write) {
        if (items.size() < least || items.size() > most) {
            refuse(name, size_wish(least, most, items.size(), "entries"));
        }
        key(name);
        writer_.array(items.size());
        for (std::size_t k = 0; k < items.size(); ++k) {
            write(items[k], path_ + name + '[' + std::to_string(k) + "].");
        }
    }

    /// A list of maps; left out if it is empty.
    template <typename Spec>
    void specs(const char* name, const std::vector<Spec>& items, std::size_t most) {
        if (items.empty()) return;
        list(name, items, 1, most, [&](const Spec& item, const std::string& path) {
            nested(item, path);
        });
    }

    template <typename Spec>
    void spec(const char* name, const std::optional<Spec>& item) {
        if (!item) return;
        key(name);
        nested(*item, path_ + name + '.');
    }

    /// An entry of a list that is a map.
    template <typename Spec>
    void nested(const Spec& item, const std::string& path) {
        Fields fields(out_, problem_, path);
        item.fields(fields);
    }

    /// An entry of the list `name` that is a name.
    void plain(const char* name, std::string_view value) {
        limit(name, value, 1, NAME);
        writer_.text(value);
    }

private:
    void key(const char* name) {
        ++out_[head_];  // a map of up to 15 entries: none has more
        writer_.text(name);
    }

    void limit(const char* name, double value, Range range) {
        const bool high_enough = range.above ? value > range.least : value >= range.least;
        if (high_enough && value <= range.most) return;
        const char* from = range.above ? "expected more than " : "expected ";
        const char* to = range.above ? " and at most " : " to ";
        refuse(name, from + shown(range.least) + to + shown(range.most) + ", got " + shown(value));
    }

    void limit(const char* name, std::string_view value, std::size_t least, std::size_t most) {
        const std::ptrdiff_t length = utf8_length(value);
        if (length < 0) return refuse(name, "expected a text in UTF-8, got other bytes");
        const auto size = static_cast<std::size_t>(length);
        if (size < least || size > most) refuse(name, size_wish(least, most, size, "characters"));
    }

    static std::string size_wish(std::size_t least, std::size_t most, std::size_t got,
                                 const char* of) {
        return "expected " + std::to_string(least) + " to " + std::to_string(most) + ' ' + of +
               ", got " + std::to_string(got);
    }

    Bytes& out_;
    Writer writer_;
    std::optional<Error>& problem_;
    std::string path_;
    std::size_t head_;
};

/// Append `message` to `out`; the error says what is out of its limits: then it must not be sent.
template <typename Message>
std::optional<Error> encode(const Message& message, Bytes& out) {
    std::optional<Error> problem;
    Fields fields(out, problem);
    fields.text("type", Message::TYPE, 1, NAME);
    message.fields(fields);
    return problem;
}

}  // namespace diegetic
