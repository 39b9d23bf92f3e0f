// What a game declares in its hello, so that tools can show it and sounds can be made ahead.
//
// Each spec checks its own fields. How they hang together (each name once, a parent before its
// children) is the server's to say: its error comes out of Client::poll.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "diegetic/fields.hpp"

namespace diegetic {

/// A parameter that the game will set.
struct ParameterSpec {
    std::string name;
    double minimum = 0, maximum = 1, initial = 0;

    void fields(Fields& put) const {
        put.text("name", name, 1, NAME);
        put.number("minimum", minimum, VALUE, 0);
        put.number("maximum", maximum, VALUE, 1);
        put.number("default", initial, VALUE, 0);
        if (!(minimum < maximum)) put.refuse("maximum", "expected more than minimum");
        if (!(minimum <= initial && initial <= maximum)) {
            put.refuse("default", "expected a value between minimum and maximum");
        }
    }
};

/// A switch that the game will set, and the values that it can have.
struct SwitchSpec {
    std::string name;
    std::vector<std::string> values = {};

    void fields(Fields& put) const {
        put.text("name", name, 1, NAME);
        put.names("values", values, 1, 256);
    }
};

/// An event that the game will post; the server makes its sounds ahead of time.
struct EventSpec {
    std::string name;
    /// What is heard; `{surface}` stands for that switch's value, "" for the name itself.
    std::string text = "";
    int variations = 5;  ///< takes that are kept ready
    double length = 1;   ///< seconds, at most
    double gain_db = 0;  ///< of each take
    std::string bus = "events";

    /// True if the name says it all.
    bool is_plain() const {
        const EventSpec usual{name};
        return text == usual.text && variations == usual.variations && length == usual.length &&
               gain_db == usual.gain_db && bus == usual.bus;
    }

    void fields(Fields& put) const {
        put.text("name", name, 1, NAME);
        put.text("text", text, 0, 500, "");
        put.integer("variations", variations, {1, 16}, 5);
        put.number("length", length, {0.05, 4}, 1);
        put.number("gain_db", gain_db, GAIN, 0);
        put.text("bus", bus, 1, NAME, "events");
    }
};

/// A bus makes room: while `source` is heard, it is `gain_db` quieter.
struct DuckSpec {
    std::string source;
    double gain_db = -9;
    double attack = 0.05;  ///< seconds until it has given way
    double release = 0.5;  ///< seconds until it is back

    void fields(Fields& put) const {
        constexpr Range seconds{0.001, 10};
        put.text("source", source, 1, NAME);
        put.number("gain_db", gain_db, {-60, 0}, -9);
        put.number("attack", attack, seconds, 0.05);
        put.number("release", release, seconds, 0.5);
    }
};

/// A bus of the mix, besides "master", "beds" and "events".
struct BusSpec {
    std::string name;
    std::string parent = "master";
    std::vector<DuckSpec> ducks = {};

    void fields(Fields& put) const {
        put.text("name", name, 1, NAME);
        put.text("parent", parent, 1, NAME, "master");
        put.specs("ducks", ducks, 8);
    }
};

/// A scene of the mix: while it is pushed, these gains (dB) are added to those of the buses.
struct SnapshotSpec {
    std::string name;
    Weights gains_db = {};

    void fields(Fields& put) const {
        put.text("name", name, 1, NAME);
        put.weights("gains_db", gains_db, 64, NAME, GAIN);
    }
};

/// The game plays the sound itself: no device is opened, the mix comes to Client::read_pcm.
struct PcmSpec {
    int rate = 48000;  ///< samples per second of each channel
    int frames = 512;  ///< samples of each channel in a piece

    void fields(Fields& put) const {
        put.integer("rate", rate, {8000, 192000}, 48000);
        put.integer("frames", frames, {64, 8192}, 512);
    }
};

/// The first message: who speaks, and what it is going to say.
struct Hello {
    static constexpr const char* TYPE = "hello";
    static constexpr int VERSION = 1;

    double time = 0;
    std::string engine, instance;
    std::vector<ParameterSpec> parameters;
    std::vector<SwitchSpec> switches;
    std::vector<EventSpec> events;
    std::vector<BusSpec> buses;
    std::vector<SnapshotSpec> snapshots;
    std::optional<PcmSpec> pcm;

    void fields(Fields& put) const {
        put.integer("version", VERSION, {1, VERSION});
        put.number("time", time, TIME);
        put.text("engine", engine, 0, 128, "");
        put.text("instance", instance, 0, 64, "");
        put.specs("parameters", parameters, 256);
        put.specs("switches", switches, 256);
        if (!events.empty()) {
            const auto write = [&](const EventSpec& spec, const std::string& path) {
                spec.is_plain() ? put.plain("events", spec.name) : put.nested(spec, path);
            };
            put.list("events", events, 1, 1024, write);
        }
        put.specs("buses", buses, 64);
        put.specs("snapshots", snapshots, 64);
        put.spec("pcm", pcm);
    }
};

}  // namespace diegetic
