// The client's thread: it carries what a Link has to say to the server, and the answers back.
//
//     Link --take--> Zmtp --> socket   (connects, and tries again, by itself)
//          <-receive--    <--
//
// Whom the game's thread wakes may take its core away, and on a machine whose cores are all busy it
// is milliseconds until it has one again. So it wakes nobody while there is no session, and nobody
// who is awake: as long as the game talks, this thread looks by itself.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "diegetic/link.hpp"
#include "diegetic/pcm.hpp"
#include "diegetic/replies.hpp"
#include "diegetic/socket.hpp"
#include "diegetic/zmtp.hpp"

namespace diegetic {

using Clock = std::function<double()>;
using Log = std::function<void(const std::string&)>;

/// Seconds of a clock that never goes back.
inline double steady_seconds() {
    using std::chrono::duration;
    return duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Runs `link` over a connection to `endpoint`, from `start` until `close`.
///
/// Threads: `ring` and `close` may be called from any thread. The worker's own thread alone touches
/// the socket; it holds `mutex` whenever it touches `link`, for microseconds, and never while it
/// calls `hear` (each reply but pongs and sound) or `log`.
class Worker {
public:
    Worker(Link& link, std::mutex& mutex, PcmBuffer* pcm, std::string endpoint,
           std::string identity, Clock clock, Log log, std::function<void(const Reply&)> hear)
        : link_(link),
          mutex_(mutex),
          pcm_(pcm),
          endpoint_(std::move(endpoint)),
          identity_(std::move(identity)),
          clock_(std::move(clock)),
          log_(std::move(log)),
          hear_(std::move(hear)),
          address_(parse_endpoint(endpoint_)),
          zmtp_(identity_) {}
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() { close(); }

    /// False: `endpoint` is none.
    bool start() {
        if (address_) thread_ = std::thread([this] { run(); });
        return address_.has_value();
    }

    /// Have the worker see what `link` has to send now; without a session it has nothing.
    void ring() {
        said_ = true;
        if (open_ && !awake_.exchange(true)) bell_.ring();
    }

    /// Say goodbye if there is a server, and stop; waits for the network for 0.25 s at most.
    void close() {
        closing_ = true;
        bell_.ring();
        const std::lock_guard<std::mutex> lock(joining_);
        const bool is_own = thread_.get_id() == std::this_thread::get_id();
        if (thread_.joinable() && !is_own) thread_.join();
    }

private:
    static constexpr double SILENCE = 5;  // s: the server sends a heartbeat each second
    static constexpr double FIRST_RETRY = 0.1, LAST_RETRY = 1;
    static constexpr double GOODBYE = 0.2;
    static constexpr double LOOK = 0.004;  // s between two looks while the game talks
    static constexpr double STAY = 0.1;    // s after its last word for which it need not ring
    static constexpr double TIDY = 0.25;   // s between two looks, without a session, at old events
    // What a game says in a tick goes out together, and wakes this thread once.
    static constexpr std::chrono::milliseconds GATHER{1};
    static constexpr std::size_t BATCH = 65536;  // bytes; small, so that the newest frame is sent

    void run() {
        while (!closing_) {
            awake_ = true;  // who says something now need not ring
            if (bell_.hush() && !closing_) std::this_thread::sleep_for(GATHER);
            age();
            if (!socket_.is_open() && steady_seconds() >= try_at_) call();
            if (socket_.is_open() && !connecting_) {
                receive();
                send();
            }
            if (socket_.is_open() && steady_seconds() - heard_at_ > SILENCE) {
                lose("says nothing");
            }
            if (said_.exchange(false)) talk_ends_ = steady_seconds() + STAY;
            const bool looks = open_ && steady_seconds() < talk_ends_;
            if (!looks) {
                awake_ = false;
                if (socket_.is_open() && !connecting_) send();  // what was said while it was awake
            }
            const bool to_write = connecting_ || !out_.empty();
            const double rest = closing_ ? 0 : looks ? std::min(LOOK, patience()) : patience();
            const bool writable = wait(socket_, to_write, bell_, rest);
            if (connecting_ && writable) {
                connecting_ = false;
                if (!socket_.connected()) lose("does not answer");
            }
        }
        say_goodbye();
        socket_.close();
        leave();
    }

    void leave() {
        const std::lock_guard<std::mutex> lock(mutex_);
        link_.disconnected();
        open_ = false;
    }

    void age() {
        const std::lock_guard<std::mutex> lock(mutex_);
        link_.age(clock_());
    }

    /// Begin a new connection.
    void call() {
        out_.clear();
        sent_ = 0;
        zmtp_ = Zmtp(identity_);
        zmtp_.greet(out_);
        heard_at_ = steady_seconds();
        connecting_ = true;
        if (!socket_.connect(*address_)) lose("does not answer");
    }

    void lose(const std::string& why) {
        socket_.close();
        connecting_ = false;
        out_.clear();
        sent_ = 0;
        leave();
        try_at_ = steady_seconds() + retry_;
        retry_ = std::min(2 * retry_, LAST_RETRY);
        if (std::exchange(told_absent_, true)) return;
        log_("the sound server at " + endpoint_ + ' ' + why + "; trying on");
    }

    void receive() {
        for (int k = 0; k < 16; ++k) {  // then it is the turn of what is to be sent
            const std::ptrdiff_t got = socket_.receive(buffer_.data(), buffer_.size());
            if (got < 0) return lose("has gone");
            if (got == 0) return;
            heard_at_ = steady_seconds();
            const bool was_ready = zmtp_.ready();
            zmtp_.feed(buffer_.data(), static_cast<std::size_t>(got));
            while (zmtp_.next(message_, out_)) hear();
            if (!was_ready && zmtp_.ready()) {
                const std::lock_guard<std::mutex> lock(mutex_);
                link_.connected(clock_());
            }
            if (!zmtp_.fault().empty()) return lose("is none: " + zmtp_.fault());
        }
    }

    void hear() {
        const std::optional<Reply> reply = decode_reply(message_);
        if (!reply) return;
        if (const auto* piece = std::get_if<Pcm>(&*reply)) {
            if (pcm_ != nullptr) pcm_->push(*piece);
            return;
        }
        if (std::get_if<Welcome>(&*reply) != nullptr) {
            told_absent_ = false;
            retry_ = FIRST_RETRY;
            log_("connected to the sound server at " + endpoint_);
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            link_.receive(*reply, clock_());
            open_ = link_.phase() == Phase::open;  // what was said before is sent next
        }
        if (std::get_if<Pong>(&*reply) == nullptr) hear_(*reply);
    }

    /// Send what there is and what the socket takes; false: it is gone, or took no more.
    bool send() {
        while (true) {
            while (out_.size() < BATCH && zmtp_.ready() && take()) Zmtp::frame(message_, out_);
            if (out_.empty()) return true;
            const std::ptrdiff_t sent = socket_.send(out_.data() + sent_, out_.size() - sent_);
            if (sent < 0) lose("has gone");
            if (sent <= 0) return false;
            sent_ += static_cast<std::size_t>(sent);
            if (sent_ < out_.size()) continue;
            out_.clear();
            sent_ = 0;
        }
    }

    bool take() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return link_.take(clock_(), message_);
    }

    /// Seconds until there is something to do by itself.
    double patience() {
        const double now = steady_seconds();
        if (!socket_.is_open()) return std::min(try_at_ - now, TIDY);
        const double silence = std::min(heard_at_ + SILENCE - now, open_ ? SILENCE : TIDY);
        const std::lock_guard<std::mutex> lock(mutex_);
        const std::optional<double> due = link_.due();
        return due && out_.empty() ? std::min(silence, *due - clock_()) : silence;
    }

    void say_goodbye() {
        const double end = steady_seconds() + GOODBYE;
        const auto pause = [&](bool to_write) {
            const double left = end - steady_seconds();
            if (left > 0) wait(socket_, to_write, bell_, left);
            bell_.hush();
            return left > 0;
        };
        if (link_.phase() != Phase::open) return;
        while (!send()) {
            if (!socket_.is_open() || !pause(true)) return;
        }
        leave();  // nothing follows the bye
        message_.clear();
        encode(Bye{clock_()}, message_);
        Zmtp::frame(message_, out_);
        while (!send()) {
            if (!socket_.is_open() || !pause(true)) return;
        }
        // A socket that is closed on unread bytes resets the connection, and the bye may be lost.
        socket_.finish_sending();
        while (socket_.receive(buffer_.data(), buffer_.size()) >= 0 && pause(false)) continue;
    }

    Link& link_;
    std::mutex& mutex_;
    PcmBuffer* const pcm_;
    const std::string endpoint_, identity_;
    const Clock clock_;
    const Log log_;
    const std::function<void(const Reply&)> hear_;
    const net::Network network_;  // before whatever needs it
    const std::optional<Address> address_;
    Bell bell_;
    Socket socket_;
    Zmtp zmtp_;
    Bytes out_, message_;
    Bytes buffer_ = Bytes(65536);
    std::size_t sent_ = 0;  // of out_
    bool connecting_ = false, told_absent_ = false;
    double heard_at_ = 0, try_at_ = 0, retry_ = FIRST_RETRY, talk_ends_ = 0;
    std::atomic<bool> closing_{false}, awake_{false}, open_{false}, said_{false};
    std::mutex joining_;
    std::thread thread_;
};

}  // namespace diegetic
