// What a game says: each message with its fields as PROTOCOL.md lists them. Texts and pixels are
// the caller's: a message is written at once, and never kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diegetic/fields.hpp"

namespace diegetic {

enum class PixelFormat { rgb24, bgra8, rgba8, gray8 };
enum class Origin { top, bottom };
enum class Layer { ambience, music, foley };

/// What the player sees: `height` rows, `stride` bytes apart (0: no padding); the last row may lack
/// its padding. 128 x 72 at 10 to 15 Hz is plenty.
struct Frame {
    static constexpr const char* TYPE = "frame";
    static constexpr std::size_t MOST = 4 * 1024 * 1024;  // bytes

    int width = 0, height = 0;
    const std::uint8_t* pixels = nullptr;
    std::size_t size = 0;  ///< bytes at `pixels`
    PixelFormat format = PixelFormat::rgb24;
    int stride = 0;
    Origin origin = Origin::top;
    double time = 0;

    void fields(Fields& put) const {
        constexpr const char* formats[] = {"rgb24", "bgra8", "rgba8", "gray8"};
        constexpr std::uint64_t bytes_per_pixel[] = {3, 4, 4, 1};
        constexpr Range side{1, 4096};
        const auto kind = static_cast<std::size_t>(format);
        put.integer("width", width, side);
        put.integer("height", height, side);
        put.number("time", time, TIME);
        const std::uint64_t used = static_cast<std::uint64_t>(width) * bytes_per_pixel[kind];
        const std::uint64_t row = stride > 0 ? static_cast<std::uint64_t>(stride) : used;
        const std::uint64_t most = row * static_cast<std::uint64_t>(height);
        const std::uint64_t least = most - row + used;
        const bool enough = pixels != nullptr && size >= least && size <= most;
        if (row < used) put.refuse("stride", "expected 0 or at least a row of pixels");
        else if (!enough || size > MOST) {
            put.refuse("pixels", "expected " + std::to_string(least) + " to " +
                                     std::to_string(most < MOST ? most : MOST) + " bytes, got " +
                                     std::to_string(pixels == nullptr ? 0 : size));
        } else {
            put.binary("pixels", pixels, size);
        }
        put.text("format", formats[kind], 1, NAME, "rgb24");
        put.integer("stride", stride, {0, static_cast<double>(MOST)}, 0);
        put.text("origin", origin == Origin::top ? "top" : "bottom", 1, NAME, "top");
    }
};

/// What should be heard; "" is silence. `blend`: more texts, heard at the same time.
struct Prompt {
    static constexpr const char* TYPE = "prompt";

    std::string_view text;
    double time = 0;
    std::optional<double> guidance = {};
    double weight = 1;
    Weights blend = {};
    double ramp = 0;

    void fields(Fields& put) const {
        constexpr std::size_t longest = 2000;
        put.text("text", text, 0, longest);
        put.number("time", time, TIME);
        put.number("guidance", guidance, {1, 5});
        put.number("weight", weight, WEIGHT, 1);
        if (!blend.empty()) put.weights("blend", blend, 2, longest, WEIGHT);
        put.number("ramp", ramp, RAMP, 0);
        if (!blend.empty() && text.empty()) put.refuse("text", "expected words, got none");
        for (const auto& other : blend) {
            const bool twice = &other != &blend.front() && other.first == blend.front().first;
            if (other.first == text || twice) {
                put.refuse("blend", "expected each text once, got one again");
            }
        }
    }
};

/// Which layers of the endless sound are heard; none is all.
struct Layers {
    static constexpr const char* TYPE = "layers";

    std::vector<Layer> layers;
    double time = 0;

    void fields(Fields& put) const {
        constexpr const char* names[] = {"ambience", "music", "foley"};
        std::vector<std::string> said;
        for (const Layer layer : layers) said.emplace_back(names[static_cast<std::size_t>(layer)]);
        put.names("layers", said, 0, 3);
        put.number("time", time, TIME);
    }
};

/// A declared parameter goes to `value` over `ramp` seconds.
struct Parameter {
    static constexpr const char* TYPE = "parameter";

    std::string_view name;
    double value = 0, time = 0, ramp = 0;

    void fields(Fields& put) const {
        put.text("name", name, 1, NAME);
        put.number("value", value, VALUE);
        put.number("time", time, TIME);
        put.number("ramp", ramp, RAMP, 0);
    }
};

/// A switch takes one of its named values.
struct Switch {
    static constexpr const char* TYPE = "switch";

    std::string_view name, value;
    double time = 0;

    void fields(Fields& put) const {
        put.text("name", name, 1, NAME);
        put.text("value", value, 1, NAME);
        put.number("time", time, TIME);
    }
};

/// Something that is heard once; `id` is unique within a run.
struct Event {
    static constexpr const char* TYPE = "event";

    std::uint64_t id = 0;
    std::string_view name;
    double time = 0, gain_db = 0;
    std::optional<Vector> position = {};
    double occlusion = 0;
    std::string_view bus = "";

    void fields(Fields& put) const {
        put.integer("id", static_cast<std::int64_t>(id), {0, 9007199254740991.0});
        put.text("name", name, 1, NAME);
        put.number("time", time, TIME);
        put.number("gain_db", gain_db, GAIN, 0);
        if (position) put.vector("position", *position);
        put.number("occlusion", occlusion, {0, 1}, 0);
        put.text("bus", bus, 0, NAME, "");
    }
};

/// A bus becomes louder or quieter, or (un)mutes, over `fade` seconds.
struct Bus {
    static constexpr const char* TYPE = "bus";

    std::string_view name;
    double time = 0;
    std::optional<double> gain_db = {};
    std::optional<bool> mute = {};
    double fade = 0;

    void fields(Fields& put) const {
        put.text("name", name, 1, NAME);
        put.number("time", time, TIME);
        put.number("gain_db", gain_db, GAIN);
        put.boolean("mute", mute);
        put.number("fade", fade, RAMP, 0);
        if (!gain_db && !mute) put.refuse("gain_db", "expected a gain or a mute, got neither");
    }
};

/// A snapshot of the mix comes in (or goes) over `fade` seconds.
template <bool Push>
struct Snapshot {
    static constexpr const char* TYPE = Push ? "push_snapshot" : "pop_snapshot";

    std::string_view name;
    double time = 0, fade = 0;

    void fields(Fields& put) const {
        put.text("name", name, 1, NAME);
        put.number("time", time, TIME);
        put.number("fade", fade, RAMP, 0);
    }
};

/// The whole mix is steered towards a loudness (BS.1770); nothing leaves it as it comes.
struct Loudness {
    static constexpr const char* TYPE = "loudness";

    double time = 0;
    std::optional<double> lufs = {};

    void fields(Fields& put) const {
        put.number("time", time, TIME);
        put.number("lufs", lufs, {-40, -10});
    }
};

/// Where the ears are, where they look and where their top is; directions of any length.
struct Listener {
    static constexpr const char* TYPE = "listener";

    Vector position;
    double time = 0;
    Vector forward{0, 0, -1}, up{0, 1, 0};

    void fields(Fields& put) const {
        constexpr double least = 1e-3;  // of a direction, and of the sine between two
        put.vector("position", position);
        put.number("time", time, TIME);
        if (!(forward == Vector{0, 0, -1})) put.vector("forward", forward);
        if (!(up == Vector{0, 1, 0})) put.vector("up", up);
        if (!(forward.length() >= least)) put.refuse("forward", "expected a direction");
        if (!(up.length() >= least)) put.refuse("up", "expected a direction");
        if (!(forward.cross(up).length() >= least * forward.length() * up.length())) {
            put.refuse("up", "expected another direction than forward");
        }
    }
};

/// Keeps the two clocks together.
struct Ping {
    static constexpr const char* TYPE = "ping";

    double time = 0;

    void fields(Fields& put) const { put.number("time", time, TIME); }
};

/// The session closes.
struct Bye {
    static constexpr const char* TYPE = "bye";

    double time = 0;

    void fields(Fields& put) const { put.number("time", time, TIME); }
};

}  // namespace diegetic
