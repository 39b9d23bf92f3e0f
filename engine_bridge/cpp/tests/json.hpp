// Just enough JSON to read the golden vectors, which are well formed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

/// A value; what it is not is empty.
struct Json {
    bool is_true = false, is_null = false;
    double number = 0;
    std::string text;
    std::vector<std::pair<std::string, Json>> entries;  // of a list: without keys

    bool has(const std::string& key) const { return find(key) != nullptr; }

    const Json& operator[](const std::string& key) const {
        static const Json none{};
        const Json* found = find(key);
        return found == nullptr ? none : *found;
    }

private:
    const Json* find(const std::string& key) const {
        for (const auto& [name, value] : entries) {
            if (name == key) return &value;
        }
        return nullptr;
    }
};

class JsonReader {
public:
    explicit JsonReader(const std::string& text) : at_(text.c_str()) {}

    Json value() {
        Json value;
        switch (look()) {
            case '{':
            case '[': list(value); break;
            case '"': value.text = text(); break;
            case 't': value.is_true = word(4); break;
            case 'f': word(5); break;
            case 'n': value.is_null = word(4); break;
            default: {
                char* end = nullptr;
                value.number = std::strtod(at_, &end);
                if (end == at_) stop("a number");
                at_ = end;
            }
        }
        return value;
    }

private:
    [[noreturn]] void stop(const char* wanted) {
        std::fprintf(stderr, "json: expected %s at %.20s\n", wanted, at_);
        std::exit(2);
    }

    char look() {
        while (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t') ++at_;
        return *at_;
    }

    bool word(int length) {
        at_ += length;
        return true;
    }

    void list(Json& value) {
        const char close = *at_ == '{' ? '}' : ']';
        do {
            ++at_;
            if (look() == close) break;
            std::string key = close == '}' ? text() : "";
            if (close == '}' && look() != ':') stop("a colon");
            if (close == '}') ++at_;
            Json item = this->value();
            value.entries.emplace_back(std::move(key), std::move(item));
        } while (look() == ',');
        if (*at_++ != close) stop("an end");
    }

    std::string text() {
        if (look() != '"') stop("a text");
        std::string out;
        for (++at_; *at_ != '"'; ++at_) {
            if (*at_ == '\0') stop("the end of a text");
            if (*at_ == '\\') escape(out);
            else out += *at_;
        }
        ++at_;
        return out;
    }

    void escape(std::string& out) {
        switch (*++at_) {
            case 'n': out += '\n'; break;
            case 't': out += '\t'; break;
            case 'r': out += '\r'; break;
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'u': utf8(out, point()); break;
            default: out += *at_;
        }
    }

    std::uint32_t unit() {
        const std::string digits(at_ + 1, 4);
        at_ += 4;
        return static_cast<std::uint32_t>(std::strtoul(digits.c_str(), nullptr, 16));
    }

    std::uint32_t point() {
        const std::uint32_t first = unit();
        if (first < 0xD800 || first > 0xDBFF || at_[1] != '\\') return first;
        at_ += 2;
        return 0x10000 + ((first - 0xD800) << 10) + (unit() - 0xDC00);
    }

    static void utf8(std::string& out, std::uint32_t point) {
        const int more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
        constexpr std::uint32_t leads[] = {0, 0xC0, 0xE0, 0xF0};
        out += static_cast<char>(leads[more] | point >> (6 * more));
        for (int k = more - 1; k >= 0; --k) {
            out += static_cast<char>(0x80 | (point >> (6 * k) & 0x3F));
        }
    }

    const char* at_;
};

/// The whole file, or an exit.
inline std::string read_file(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (file == nullptr) {
        std::fprintf(stderr, "cannot read %s\n", path);
        std::exit(2);
    }
    std::string text;
    char piece[65536];
    std::size_t got = 0;
    while ((got = std::fread(piece, 1, sizeof piece, file)) > 0) text.append(piece, got);
    std::fclose(file);
    return text;
}

inline std::vector<std::uint8_t> from_hex(const std::string& hex) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t k = 0; k + 1 < hex.size(); k += 2) {
        const std::string digits = hex.substr(k, 2);
        bytes.push_back(static_cast<std::uint8_t>(std::strtoul(digits.c_str(), nullptr, 16)));
    }
    return bytes;
}
