// The game's half of one connection: what to send next, what has not arrived. It knows no socket.
//
//     away --connected--> knocking --welcome--> open --disconnected--> away
//                           ^ `--error, silence: again after a while
//                           `--------------"no-hello"------'
//
// What the game says is kept in the order of saying. A state (the prompt, the layers, a parameter,
// a switch, a bus, whether a snapshot is in, the listener) is kept for good, its newest value only;
// an event until it is acknowledged. All up to `told_` has been sent in this session. Whenever a
// session opens, everything kept is sent again: a restarted server is up to date at once, and one
// that was there all along knows an event by its id. A frame is kept only until a newer one comes.
//
// Which sounds the bank is to have depends on hello, on switches, and on names that are posted
// undeclared. Once all of that has been sent, a ping follows (or the hello was enough): a status
// that has `heard` it tells of the bank that is wanted now, and none before it does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include "diegetic/replies.hpp"
#include "diegetic/said.hpp"
#include "diegetic/specs.hpp"

namespace diegetic {

enum class Phase { away, knocking, open };

/// How the client is doing; counts are since it was made.
struct Stats {
    bool connected = false;            ///< a server is in reach
    bool welcomed = false;             ///< a session is open
    std::uint64_t sent = 0;            ///< messages
    std::uint64_t frames_sent = 0;     ///< of those, pictures
    std::uint64_t frames_dropped = 0;  ///< that made way for a newer one
    std::uint64_t events_unacked = 0;  ///< that the server has not acknowledged yet
    std::uint64_t events_acked = 0;
    std::uint64_t events_expired = 0;  ///< given up: no server in time, or too many were waiting
    std::uint64_t reconnects = 0;
    std::uint64_t errors = 0;          ///< the server's, and wrong arguments
    std::optional<double> round_trip;  ///< seconds from the last ping to its pong
    std::optional<Status> status;      ///< the session's latest
};

/// State of one game's connection; all times are seconds of the game's clock.
class Link {
public:
    static constexpr double HELLO_AGAIN = 2;  // s without an answer
    static constexpr double PING_INTERVAL = 1;
    static constexpr std::size_t MAX_EVENTS = 16384;
    static constexpr std::size_t MAX_NAMES = 1024;  // of undeclared events; servers know no more

    /// `event_ttl`: an event that has waited longer than this without a session is given up.
    Link(Hello hello, double event_ttl) : hello_(std::move(hello)), ttl_(event_ttl) {
        for (const EventSpec& event : hello_.events) declared_.insert(event.name);
    }

    Phase phase() const { return phase_; }

    Stats stats() const {
        Stats stats = stats_;
        stats.connected = phase_ != Phase::away;
        stats.welcomed = phase_ == Phase::open;
        stats.events_unacked = events_.size();
        return stats;
    }

    /// All sounds that are wanted now are ready; false until a server has said so.
    bool bank_ready() const { return phase_ == Phase::open && is_bank_ready_; }

    /// Send a state; an older value that was said under the same `key` is forgotten.
    void say(std::string key, Bytes message) {
        const auto [place, is_new] = states_.try_emplace(std::move(key), next_);
        if (!is_new) kept_.erase(std::exchange(place->second, next_));
        keep(std::move(message));
    }

    /// Send an event of a new id that is heard at `time`. The error says that there are too many;
    /// it comes once until there is room again.
    std::optional<Error> post(std::uint64_t id, double time, Bytes message) {
        events_.emplace(id, Waiting{next_, time});
        by_time_.emplace(time, id);
        keep(std::move(message));
        if (events_.size() <= MAX_EVENTS) return std::nullopt;
        give_up(events_.begin()->first);
        if (std::exchange(is_full_, true)) return std::nullopt;
        return Error{"full", "events",
                     "expected at most " + std::to_string(MAX_EVENTS) +
                         " on the way, got one more: the oldest are given up"};
    }

    /// What was said last is this switch's value: it may change which sounds are wanted.
    void switched(std::string_view name, std::string_view value) {
        std::string& before = values_[std::string(name)];
        look(before != value);
        before = value;
    }

    /// What was said last is an event of this name, which may not have been declared.
    void named(std::string_view name) {
        if (declared_.find(name) != declared_.end()) return;
        look(posted_.size() < MAX_NAMES && posted_.emplace(name).second);
    }

    /// Send a frame when the socket takes it; one that still waits makes way and is counted.
    void show(Bytes frame) {
        if (!frame_.empty()) ++stats_.frames_dropped;
        frame_ = std::move(frame);
    }

    /// Count something that the client itself would not send.
    void refuse() { ++stats_.errors; }

    /// The transport reaches a server: knock.
    void connected(double now) {
        if (std::exchange(was_connected_, true)) ++stats_.reconnects;
        knock(now);
    }

    /// The transport is gone; what was on its way is lost.
    void disconnected() { phase_ = Phase::away; }

    /// Take in what the server said.
    void receive(const Reply& reply, double now) {
        if (std::get_if<Welcome>(&reply) != nullptr && phase_ == Phase::knocking) open(now);
        if (const auto* ack = std::get_if<Ack>(&reply)) {
            for (const std::int64_t id : ack->events) {
                if (forget(static_cast<std::uint64_t>(id))) ++stats_.events_acked;
            }
            is_full_ = is_full_ && events_.size() > MAX_EVENTS / 2;
        }
        if (const auto* pong = std::get_if<Pong>(&reply)) stats_.round_trip = now - pong->time;
        if (const auto* status = std::get_if<Status>(&reply)) {
            stats_.status = *status;
            is_bank_ready_ = asked_ && status->heard >= *asked_ &&
                             status->bank_ready >= status->bank_wanted;
        }
        if (const auto* error = std::get_if<Error>(&reply)) {
            ++stats_.errors;
            if (error->code == "no-hello" && phase_ == Phase::open) knock(now);
        }
    }

    /// Give up events that have waited too long for a session; to be called now and then.
    void age(double now) {
        if (phase_ != Phase::open) expire(now);
    }

    /// Give out what is to be sent next, as sent; false: nothing for now.
    bool take(double now, Bytes& message) {
        message.clear();
        if (phase_ == Phase::knocking && now >= hello_at_) {
            hello_at_ = now + HELLO_AGAIN;
            hello_.time = greeted_ = now;
            encode(hello_, message);
        } else if (phase_ != Phase::open) {
            return false;
        } else if (now >= ping_at_ || (!asked_ && is_news_out() && now > greeted_)) {
            // First: no flood may let the clocks drift apart
            ping_at_ = now + PING_INTERVAL;
            greeted_ = now;
            if (!asked_ && is_news_out()) asked_ = now;
            encode(Ping{now}, message);
        } else if (const auto said = kept_.upper_bound(told_); said != kept_.end()) {
            told_ = said->first;
            message = said->second;
        } else if (!frame_.empty()) {
            message.swap(frame_);
            ++stats_.frames_sent;
        } else {
            return false;
        }
        ++stats_.sent;
        return true;
    }

    /// When `take` has something even if nobody says anything; nothing: never.
    std::optional<double> due() const {
        if (phase_ == Phase::away) return std::nullopt;
        return phase_ == Phase::knocking ? hello_at_ : ping_at_;
    }

private:
    struct Waiting {
        std::uint64_t place;  // in kept_
        double time;
    };

    void keep(Bytes message) { kept_.emplace_hint(kept_.end(), next_++, std::move(message)); }

    void knock(double now) {
        phase_ = Phase::knocking;
        hello_at_ = now;
    }

    void open(double now) {
        phase_ = Phase::open;
        stats_.status.reset();
        ping_at_ = now + PING_INTERVAL;
        expire(now);
        told_ = 0;
        is_bank_ready_ = false;
        asked_.reset();
        if (is_news_out()) asked_ = greeted_;
    }

    /// What was said last is news for the bank; if it `differs`, no status tells of it yet.
    void look(bool differs) {
        news_ = next_ - 1;
        if (!differs) return;
        asked_.reset();
        is_bank_ready_ = false;
    }

    bool is_news_out() const {
        const auto said = kept_.upper_bound(told_);
        return said == kept_.end() || said->first > news_;
    }

    void expire(double now) {
        while (!by_time_.empty() && now - by_time_.begin()->first > ttl_) {
            give_up(by_time_.begin()->second);
        }
    }

    void give_up(std::uint64_t id) {
        if (forget(id)) ++stats_.events_expired;
    }

    /// Wait for this event's acknowledgement no longer; false: nobody did.
    bool forget(std::uint64_t id) {
        const auto event = events_.find(id);
        if (event == events_.end()) return false;
        kept_.erase(event->second.place);
        by_time_.erase({event->second.time, id});
        events_.erase(event);
        return true;
    }

    Hello hello_;
    double ttl_;
    Phase phase_ = Phase::away;
    std::map<std::uint64_t, Bytes> kept_;  // by the order of saying, from 1
    std::uint64_t next_ = 1, told_ = 0;
    std::unordered_map<std::string, std::uint64_t> states_;  // key to place
    std::map<std::uint64_t, Waiting> events_;                // not acknowledged, by id
    std::set<std::pair<double, std::uint64_t>> by_time_;     // the same
    bool is_full_ = false;
    Bytes frame_;
    double hello_at_ = 0, ping_at_ = 0;
    bool was_connected_ = false;
    std::set<std::string, std::less<>> declared_, posted_;  // names of events
    std::unordered_map<std::string, std::string> values_;   // of switches
    std::uint64_t news_ = 0;       // place of what was said last that the bank depends on
    double greeted_ = 0;           // time of the newest hello or ping
    std::optional<double> asked_;  // of the one that followed all news
    bool is_bank_ready_ = false;
    Stats stats_;
};

}  // namespace diegetic
