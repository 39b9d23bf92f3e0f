// ZMTP 3.0 as a DEALER without security (mechanism NULL): bytes in, messages out. It knows no
// socket.
//
//     greeting --theirs came--> handshake --READY came--> ready
//
// A frame is a byte of flags, a length of 1 or 8 bytes, and a body; a message is one frame.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "diegetic/msgpack.hpp"

namespace diegetic {

/// One connection's transport. What is to be sent is appended to the `out` of each call.
class Zmtp {
public:
    /// A server that sends a longer frame than this is none of ours.
    static constexpr std::uint64_t MAX_FRAME = 4 * 1024 * 1024;

    /// `identity`: 1 to 255 bytes, unique among the server's peers.
    explicit Zmtp(std::string identity) : identity_(std::move(identity)) {}

    /// Say what comes first on a new connection.
    static void greet(Bytes& out) {
        Bytes greeting(GREETING, 0);
        greeting[0] = 0xFF;
        greeting[9] = 0x7F;
        greeting[10] = 3;
        std::copy(NULL_MECHANISM.begin(), NULL_MECHANISM.end(), greeting.begin() + MECHANISM_AT);
        out.insert(out.end(), greeting.begin(), greeting.end());
    }

    /// Append `message` as a frame.
    static void frame(const Bytes& message, Bytes& out) { frame(0, message, out); }

    /// Take in what came, in pieces of any size; `next` gives out the messages in it.
    void feed(const std::uint8_t* data, std::size_t size) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(read_));
        read_ = 0;
        buffer_.insert(buffer_.end(), data, data + size);
    }

    /// Move the next whole message to `message`; return false when there is none (yet).
    bool next(Bytes& message, Bytes& out) {
        while (fault_.empty()) {
            if (stage_ == Stage::greeting) {
                if (!read_greeting(out)) return false;
                continue;
            }
            std::uint8_t flags = 0;
            std::string_view body;
            if (!read_frame(flags, body)) return false;
            if ((flags & COMMAND) != 0) {
                obey(body, out);
            } else if (stage_ != Stage::ready) {
                fault_ = "a message before the handshake";
            } else {
                message.assign(body.begin(), body.end());
                return true;
            }
        }
        return false;
    }

    /// True once the handshake is done.
    bool ready() const { return stage_ == Stage::ready; }

    /// Why this connection is of no use any more; empty while it is.
    const std::string& fault() const { return fault_; }

private:
    enum class Stage { greeting, handshake, ready };

    static constexpr std::size_t GREETING = 64;
    static constexpr std::ptrdiff_t MECHANISM_AT = 12;
    static constexpr std::string_view NULL_MECHANISM = "NULL";
    static constexpr std::uint8_t LONG = 2, COMMAND = 4;

    std::string_view unread() const {
        return {reinterpret_cast<const char*>(buffer_.data()) + read_, buffer_.size() - read_};
    }

    static std::uint8_t byte(std::string_view text, std::size_t at) {
        return static_cast<std::uint8_t>(text[at]);
    }

    static std::uint64_t big(std::string_view text, std::size_t at, std::size_t bytes) {
        std::uint64_t value = 0;
        for (std::size_t k = 0; k < bytes; ++k) value = value << 8 | byte(text, at + k);
        return value;
    }

    bool read_greeting(Bytes& out) {
        const std::string_view theirs = unread();
        const bool odd = (!theirs.empty() && byte(theirs, 0) != 0xFF) ||
                         (theirs.size() > 9 && (byte(theirs, 9) & 1) == 0) ||
                         (theirs.size() > 10 && byte(theirs, 10) < 3);
        if (odd) fault_ = "expected a ZeroMQ server of ZMTP 3.0 or later";
        if (odd || theirs.size() < GREETING) return false;
        std::string mechanism(NULL_MECHANISM);
        mechanism.resize(20, '\0');
        if (theirs.substr(MECHANISM_AT, mechanism.size()) != mechanism) {
            fault_ = "expected a server without security (NULL)";
            return false;
        }
        read_ += GREETING;
        stage_ = Stage::handshake;
        std::string ready = named("READY") + named("Socket-Type") + long_text("DEALER");
        ready += named("Identity") + long_text(identity_);
        command(ready, out);
        return true;
    }

    bool read_frame(std::uint8_t& flags, std::string_view& body) {
        const std::string_view rest = unread();
        if (rest.empty()) return false;
        flags = byte(rest, 0);
        if ((flags & ~(LONG | COMMAND)) != 0) {
            fault_ = "a message in parts, or no frame";
            return false;
        }
        const std::size_t head = (flags & LONG) != 0 ? 9 : 2;
        if (rest.size() < head) return false;
        const std::uint64_t size = big(rest, 1, head - 1);
        if (size > MAX_FRAME) {
            fault_ = "a frame of more than 4 MiB";
            return false;
        }
        if (rest.size() - head < size) return false;
        body = rest.substr(head, static_cast<std::size_t>(size));
        read_ += head + body.size();
        return true;
    }

    void obey(std::string_view body, Bytes& out) {
        const std::size_t size = body.empty() ? 0 : byte(body, 0);
        if (size == 0 || body.size() < 1 + size) {
            fault_ = "a command without a name";
            return;
        }
        const std::string_view name = body.substr(1, size);
        const std::string_view rest = body.substr(1 + size);
        if (name == "READY" && stage_ == Stage::handshake) {
            // Anything else that answers, our own echo on a free port included, is no server.
            if (property(rest, "Socket-Type") == "ROUTER") stage_ = Stage::ready;
            else fault_ = "expected a ROUTER at the other end";
        } else if (name == "PING" && rest.size() >= 2) {
            command(named("PONG") + std::string(rest.substr(2, 16)), out);
        } else if (name == "ERROR") {
            fault_ = "the server refused the connection";
        }
    }

    /// Find a property of a READY; empty if it has none.
    static std::string_view property(std::string_view rest, std::string_view wanted) {
        while (!rest.empty()) {
            const std::size_t name = byte(rest, 0);
            if (rest.size() < 1 + name + 4) break;
            const std::uint64_t value = big(rest, 1 + name, 4);
            if (rest.size() - (1 + name + 4) < value) break;
            const auto size = static_cast<std::size_t>(value);
            const std::string_view found = rest.substr(1 + name + 4, size);
            if (rest.substr(1, name) == wanted) return found;
            rest.remove_prefix(1 + name + 4 + found.size());
        }
        return {};
    }

    static std::string named(std::string_view name) {
        return std::string(1, static_cast<char>(name.size())) + std::string(name);
    }

    static std::string long_text(std::string_view text) {
        return std::string(3, '\0') + named(text);
    }

    static void command(const std::string& body, Bytes& out) { frame(COMMAND, body, out); }

    template <typename Body>
    static void frame(std::uint8_t flags, const Body& body, Bytes& out) {
        const std::uint64_t size = body.size();
        const bool is_long = size > 0xFF;
        out.push_back(static_cast<std::uint8_t>(flags | (is_long ? LONG : 0)));
        for (int k = is_long ? 7 : 0; k >= 0; --k) {
            out.push_back(static_cast<std::uint8_t>(size >> (8 * k) & 0xFF));
        }
        out.insert(out.end(), body.begin(), body.end());
    }

    std::string identity_;
    Stage stage_ = Stage::greeting;
    Bytes buffer_;
    std::size_t read_ = 0;  // bytes of `buffer_` that are done with
    std::string fault_;
};

}  // namespace diegetic
