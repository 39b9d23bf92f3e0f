// Speak to the sound server from a game: say it and forget it. Nothing here ever makes the game
// wait.
//
//     game thread --say--> Link --worker thread--> server
//                 poll <-- replies <--'
//     audio thread <--read_pcm-- PcmBuffer <--'
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "diegetic/link.hpp"
#include "diegetic/pcm.hpp"
#include "diegetic/replies.hpp"
#include "diegetic/said.hpp"
#include "diegetic/specs.hpp"
#include "diegetic/worker.hpp"

namespace diegetic {

/// What a client is made of.
struct Settings {
    std::string endpoint = "tcp://127.0.0.1:7776";
    std::string engine = "cpp";  ///< who is speaking, for the server's log
    std::vector<ParameterSpec> parameters;
    std::vector<SwitchSpec> switches;
    std::vector<EventSpec> events;
    std::vector<BusSpec> buses;
    std::vector<SnapshotSpec> snapshots;
    std::optional<PcmSpec> pcm;    ///< have the sound sent here instead of being played there
    double pcm_depth = 0.03;       ///< seconds of it that are gathered before they are read
    double event_ttl = 10;         ///< seconds that an event may wait for a server
    Clock clock = steady_seconds;  ///< the game's, at the pace of real time, never below zero
    /// Called from any thread, rarely.
    Log log = [](const std::string& line) { std::fprintf(stderr, "diegetic: %s\n", line.c_str()); };
};

/// How an event is to be heard.
struct EventOptions {
    double gain_db = 0;                   ///< on top of the gain that it was declared with
    std::optional<Vector> position = {};  ///< nothing: everywhere
    double occlusion = 0;                 ///< how much stands before it: 0 nothing, 1 a thick wall
    std::optional<double> at = {};        ///< when, a minute ahead at most; nothing: now
    std::string bus = "";                 ///< "": the one that it was declared with
};

/// One game's connection to the sound server.
///
/// States (prompt, layers, parameters, switches, buses, snapshots, loudness, listener): the newest
/// value counts, and is sent again to a server that was restarted. Events arrive exactly once and
/// in order, also over a broken connection; one that finds no server in time is given up and
/// counted. Frames: only the newest waits.
///
/// Wrong arguments, wrong declarations included, are logged once and come out of `poll` as an
/// Error, as do the server's.
///
/// Threads: any thread may call any method; `read_pcm` is for one thread only. All hold a lock for
/// microseconds at most, `read_pcm` none at all.
class Client {
public:
    explicit Client(Settings settings)
        : clock_(std::move(settings.clock)), log_(std::move(settings.log)) {
        Hello hello;
        hello.time = clock_();
        hello.engine = std::move(settings.engine);
        hello.instance = random_name();
        hello.parameters = std::move(settings.parameters);
        hello.switches = std::move(settings.switches);
        hello.events = std::move(settings.events);
        hello.buses = std::move(settings.buses);
        hello.snapshots = std::move(settings.snapshots);
        hello.pcm = settings.pcm;
        Bytes scratch;
        std::optional<Error> problem = encode(hello, scratch);
        if (!(settings.pcm_depth >= 0 && settings.pcm_depth <= 10)) {
            problem = Error{"invalid", "pcm_depth", "expected 0 to 10"};
        }
        const std::string identity = hello.instance;
        link_ = std::make_unique<Link>(std::move(hello), settings.event_ttl);
        if (problem) {
            refuse(*problem);
            return;
        }
        if (settings.pcm) pcm_ = std::make_unique<PcmBuffer>(*settings.pcm, settings.pcm_depth);
        const auto hear = [this](const Reply& reply) { note(reply); };
        worker_ = std::make_unique<Worker>(*link_, mutex_, pcm_.get(), settings.endpoint, identity,
                                           clock_, log_, hear);
        if (!worker_->start()) {
            refuse({"invalid", "endpoint",
                    "expected tcp://ADDRESS:PORT in digits, got " + settings.endpoint});
        }
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { close(); }

    /// Say what should be heard; "" is silence. `guidance`: how strictly, nothing leaves it.
    /// `ramp`: seconds in which what is heard becomes that.
    void set_prompt(std::string_view text, std::optional<double> guidance = {}, double ramp = 0) {
        say("prompt", Prompt{text, clock_(), guidance, 1, {}, ramp});
    }

    /// The same with up to three texts and their weights: {{"rain", 3}, {"wind", 1}}.
    void set_prompt(const Weights& texts, std::optional<double> guidance = {}, double ramp = 0) {
        if (texts.empty()) return set_prompt("", guidance, ramp);
        const auto& [text, weight] = texts.front();
        const Weights others(texts.begin() + 1, texts.end());
        say("prompt", Prompt{text, clock_(), guidance, weight, others, ramp});
    }

    /// Have some layers of the endless sound heard; none is all.
    void set_layers(const std::vector<Layer>& layers) { say("layers", Layers{layers, clock_()}); }

    /// Move a declared parameter to `value` over `ramp` seconds.
    void set_parameter(std::string_view name, double value, double ramp = 0) {
        say(key("parameter ", name), Parameter{name, value, clock_(), ramp});
    }

    /// Give a switch one of its values.
    void set_switch(std::string_view name, std::string_view value) {
        const auto also = [&] { link_->switched(name, value); };
        say(key("switch ", name), Switch{name, value, clock_()}, also);
    }

    /// Have something heard once; return its id, which an Ack names when it has arrived.
    std::uint64_t post_event(std::string_view name, const EventOptions& how = {}) {
        constexpr double most_ahead = 60;  // s
        const double now = clock_();
        const double time = how.at.value_or(now);
        const std::uint64_t id = next_id_++;
        Bytes message;
        std::optional<Error> problem = encode(
            Event{id, name, time, how.gain_db, how.position, how.occlusion, how.bus}, message);
        if (!problem && time - now > most_ahead) {
            problem = Error{"invalid", "time", "expected at most 60 s ahead"};
        }
        if (!problem) {
            std::optional<Error> full;
            {
                const std::lock_guard<std::mutex> lock(mutex_);
                full = link_->post(id, time, std::move(message));
                link_->named(name);
            }
            if (full) note(*full);
            ring();
        } else {
            refuse(*problem);
        }
        return id;
    }

    /// Make a bus louder or quieter, (un)mute it, or both, over `fade` seconds; nothing leaves it.
    void set_bus(std::string_view name, std::optional<double> gain_db,
                 std::optional<bool> mute = {}, double fade = 0) {
        if (gain_db || !mute) say(key("gain ", name), Bus{name, clock_(), gain_db, {}, fade});
        if (mute) say(key("mute ", name), Bus{name, clock_(), {}, mute, fade});
    }

    /// Bring in a declared snapshot of the mix over `fade` seconds; one that is in stays in.
    void push_snapshot(std::string_view name, double fade = 0) {
        say(key("snapshot ", name), Snapshot<true>{name, clock_(), fade});
    }

    /// Let a snapshot go over `fade` seconds; one that is not in stays out.
    void pop_snapshot(std::string_view name, double fade = 0) {
        say(key("snapshot ", name), Snapshot<false>{name, clock_(), fade});
    }

    /// Have the whole mix steered towards `lufs` (-40 to -10, BS.1770); nothing: as it comes.
    void set_loudness(std::optional<double> lufs) { say("loudness", Loudness{clock_(), lufs}); }

    /// Say where the ears are (metres, y up), where they look, and where their own top is.
    void set_listener(Vector position, Vector forward = {0, 0, -1}, Vector up = {0, 1, 0}) {
        say("listener", Listener{position, clock_(), forward, up});
    }

    /// Show what the player sees, now; the pixels are copied, the caller may go on drawing.
    void push_frame(Frame frame) {
        frame.time = clock_();
        Bytes message;
        if (frame.size <= Frame::MOST) message.reserve(frame.size + 256);
        if (const std::optional<Error> problem = encode(frame, message)) return refuse(*problem);
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            link_->show(std::move(message));
        }
        ring();
    }

    /// Fill `out` with `frames` of left and right in +-1, at the rate that was asked for; silence
    /// while there is none. For the audio callback: it never waits, locks or allocates.
    void read_pcm(float* out, std::size_t frames) {
        if (pcm_) pcm_->read(out, frames);
        else std::fill(out, out + 2 * frames, 0.0F);
    }

    /// How the sound gets here; all zero without `pcm`.
    PcmStats pcm_stats() const { return pcm_ ? pcm_->stats() : PcmStats{}; }

    /// Return what the server said since the last call: welcomes, acks, errors, status.
    std::vector<Reply> poll() {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<Reply> replies(std::make_move_iterator(replies_.begin()),
                                   std::make_move_iterator(replies_.end()));
        replies_.clear();
        return replies;
    }

    /// A snapshot of the counters.
    Stats stats() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return link_->stats();
    }

    /// All sounds of declared events are ready, those that the switches now want: for a loading
    /// screen, which asks in each tick. False without a server, or until it has told.
    bool bank_ready() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return link_->bank_ready();
    }

    /// Say goodbye if there is a server, and stop; waits for the network for 0.25 s at most.
    void close() {
        if (worker_) worker_->close();
    }

private:
    static constexpr std::size_t REPLIES = 256;  // unread ones that are kept
    static constexpr std::size_t WARNINGS = 64;

    static std::string random_name() {
        std::random_device random;
        std::string name;
        for (int k = 0; k < 32; ++k) name += "0123456789abcdef"[random() % 16];
        return name;
    }

    static std::string key(std::string_view kind, std::string_view name) {
        return std::string(kind).append(name);
    }

    template <typename Message>
    void say(std::string key, const Message& state) {
        say(std::move(key), state, [] {});
    }

    template <typename Message, typename Also>
    void say(std::string key, const Message& state, const Also& also) {
        Bytes message;
        if (const std::optional<Error> problem = encode(state, message)) return refuse(*problem);
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            link_->say(std::move(key), std::move(message));
            also();
        }
        ring();
    }

    void ring() {
        if (worker_) worker_->ring();
    }

    void refuse(const Error& error) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            link_->refuse();
        }
        note(error);
    }

    /// Keep a reply for `poll`; log an error, once for each thing that can be wrong.
    void note(const Reply& reply) {
        const Error* error = std::get_if<Error>(&reply);
        bool is_new = false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (replies_.size() == REPLIES) replies_.pop_front();
            replies_.push_back(reply);
            is_new = error != nullptr && warned_.size() < WARNINGS &&
                     warned_.emplace(error->code, error->field).second;
        }
        if (is_new) log_(error->code + ": " + error->field + ": " + error->message);
    }

    const Clock clock_;
    const Log log_;
    mutable std::mutex mutex_;  // of link_, replies_ and warned_
    std::unique_ptr<Link> link_;
    std::unique_ptr<PcmBuffer> pcm_;
    std::deque<Reply> replies_;
    std::set<std::pair<std::string, std::string>> warned_;
    std::atomic<std::uint64_t> next_id_{1};
    std::unique_ptr<Worker> worker_;  // last: its thread uses all of the above
};

}  // namespace diegetic
