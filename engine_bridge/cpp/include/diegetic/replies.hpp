// What a server says, and how its bytes are read; what is no message of this version is passed
// over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "diegetic/fields.hpp"
#include "diegetic/msgpack.hpp"

namespace diegetic {

/// The session is open: sound at `rate` Hz, heard about `latency_ms` after it was asked for.
struct Welcome {
    std::int64_t version = 0;
    std::string session;
    std::int64_t rate = 0;
    double latency_ms = 0;
    bool pcm = false;  ///< it comes to Client::read_pcm

    template <typename Visitor>
    void fields(Visitor& take) {
        take.field("version", version);
        take.field("session", session);
        take.field("rate", rate);
        take.field("latency_ms", latency_ms);
        take.field("pcm", pcm, false);
    }
};

/// These events have arrived.
struct Ack {
    std::vector<std::int64_t> events;

    template <typename Visitor>
    void fields(Visitor& take) {
        take.field("events", events);
    }
};

/// Counts since the server started, and how it is doing; about once a second. PROTOCOL.md says
/// more.
struct Status {
    std::int64_t frames = 0, frames_conflated = 0, prompts = 0, layers = 0, parameters = 0,
                 switches = 0, events = 0, buses = 0, snapshots = 0, listeners = 0, errors = 0,
                 dropped = 0, unsent = 0;
    double rtf = 0;
    std::int64_t underruns = 0, bank_ready = 0, bank_wanted = 0, events_missed = 0,
                 events_late = 0;
    double heard = 0;  ///< time of the newest hello or ping that the figures from rtf on know of

    template <typename Visitor>
    void fields(Visitor& take) {
        take.field("frames", frames, false);
        take.field("frames_conflated", frames_conflated, false);
        take.field("prompts", prompts, false);
        take.field("layers", layers, false);
        take.field("parameters", parameters, false);
        take.field("switches", switches, false);
        take.field("events", events, false);
        take.field("buses", buses, false);
        take.field("snapshots", snapshots, false);
        take.field("listeners", listeners, false);
        take.field("errors", errors, false);
        take.field("dropped", dropped, false);
        take.field("unsent", unsent, false);
        take.field("rtf", rtf, false);
        take.field("underruns", underruns, false);
        take.field("bank_ready", bank_ready, false);
        take.field("bank_wanted", bank_wanted, false);
        take.field("events_missed", events_missed, false);
        take.field("events_late", events_late, false);
        take.field("heard", heard, false);
    }
};

/// Answers the ping of engine time `time`.
struct Pong {
    double time = 0, server_time = 0;

    template <typename Visitor>
    void fields(Visitor& take) {
        take.field("time", time);
        take.field("server_time", server_time);
    }
};

/// A piece of the sound: frames of left and right, float32, little-endian.
struct Pcm {
    static constexpr std::size_t FRAME = 8;  // bytes

    std::int64_t number = 0;
    Bytes samples;

    template <typename Visitor>
    void fields(Visitor& take) {
        take.field("number", number);
        take.field("samples", samples);
    }
};

/// Client::poll gives out all but pongs and sound.
using Reply = std::variant<Welcome, Ack, Error, Status, Pong, Pcm>;

namespace detail {

/// Reads the value of one key into the field of that name.
class Intake {
public:
    explicit Intake(Reader& reader) : reader_(reader) {}

    /// Take one entry of the map; an unknown one is passed over.
    template <typename Message>
    bool entry(Message& message) {
        if (!reader_.text(key_)) return false;
        index_ = 0;
        taken_ = false;
        good_ = true;
        message.fields(*this);
        return good_ && (taken_ || reader_.skip());
    }

    /// True if no needed field is missing.
    bool complete() const { return (needed_ & ~seen_) == 0; }

    template <typename Value>
    void field(const char* name, Value& value, bool needed = true) {
        const std::uint32_t bit = std::uint32_t{1} << index_++;
        if (needed) needed_ |= bit;
        if (taken_ || key_ != name) return;
        taken_ = true;
        seen_ |= bit;
        good_ = read(value);
    }

private:
    bool read(std::int64_t& value) { return reader_.integer(value); }
    bool read(double& value) { return reader_.number(value); }
    bool read(bool& value) { return reader_.boolean(value); }
    bool read(Bytes& value) { return reader_.binary(value); }

    bool read(std::string& value) {
        std::string_view text;
        if (!reader_.text(text)) return false;
        value = text;
        return true;
    }

    bool read(std::vector<std::int64_t>& values) {
        std::size_t count = 0;
        if (!reader_.array(count)) return false;
        values.assign(count, 0);
        for (std::int64_t& value : values) {
            if (!reader_.integer(value)) return false;
        }
        return true;
    }

    Reader& reader_;
    std::string_view key_;
    std::uint32_t index_ = 0, needed_ = 0, seen_ = 0;
    bool taken_ = false, good_ = true;
};

template <typename Message>
std::optional<Reply> decode_as(const Bytes& data) {
    Reader reader(data.data(), data.size());
    Intake intake(reader);
    Message message;
    std::size_t count = 0;
    if (!reader.map(count)) return std::nullopt;
    for (std::size_t k = 0; k < count; ++k) {
        if (!intake.entry(message)) return std::nullopt;
    }
    if (!reader.finished() || !intake.complete()) return std::nullopt;
    return Reply(std::move(message));
}

/// What a map's "type" says; it need not come first.
struct Kind {
    std::string type;

    template <typename Visitor>
    void fields(Visitor& take) {
        take.field("type", type);
    }
};

inline std::string type_of(const Bytes& data) {
    Reader reader(data.data(), data.size());
    Intake intake(reader);
    Kind kind;
    std::size_t count = 0;
    if (!reader.map(count)) return {};
    for (std::size_t k = 0; k < count; ++k) {
        if (!intake.entry(kind)) return {};
    }
    return kind.type;
}

}  // namespace detail

/// Read what a server sent; nothing if it is no message that this version knows.
inline std::optional<Reply> decode_reply(const Bytes& data) {
    const std::string type = detail::type_of(data);
    if (type == "welcome") return detail::decode_as<Welcome>(data);
    if (type == "ack") return detail::decode_as<Ack>(data);
    if (type == "error") return detail::decode_as<Error>(data);
    if (type == "status") return detail::decode_as<Status>(data);
    if (type == "pong") return detail::decode_as<Pong>(data);
    if (type != "pcm") return std::nullopt;
    std::optional<Reply> piece = detail::decode_as<Pcm>(data);
    const Pcm* pcm = piece ? std::get_if<Pcm>(&*piece) : nullptr;
    const bool whole = pcm != nullptr && pcm->number >= 0 && pcm->samples.size() % Pcm::FRAME == 0;
    return whole ? piece : std::nullopt;
}

}  // namespace diegetic
