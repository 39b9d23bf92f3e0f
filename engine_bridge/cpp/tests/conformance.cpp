// The scenario that every client plays alike; the server's log of it must be the same for all.
//
//     conformance tcp://127.0.0.1:7776
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "diegetic/client.hpp"

using namespace diegetic;

namespace {

constexpr int TICKS = 100, EVENTS_A_TICK = 10;
constexpr std::uint64_t EVENTS = TICKS * EVENTS_A_TICK + 1;
constexpr std::size_t SOUND = 20 * 512;  // frames
constexpr double PATIENCE = 20;  // s
constexpr std::size_t FRAMES = 480;

Settings settings(const char* endpoint) {
    Settings settings;
    settings.endpoint = endpoint;
    settings.engine = "cpp";
    settings.parameters = {{"threat", 0, 1}};
    settings.switches = {{"surface", {"grass", "stone"}}};
    settings.events = {{"shot"}, {"footstep", "footstep on {surface}", 2}};
    settings.buses = {{"voices", "events"}};
    settings.snapshots = {{"pause", {{"beds", -12}}}};
    settings.pcm = PcmSpec{48000, 512};
    return settings;
}

/// A game that draws about a hundred pictures a second.
class Game {
public:
    explicit Game(const char* endpoint) : client_(settings(endpoint)) {}

    int play() {
        if (!until("welcome", [&] { return client_.stats().welcomed; })) return 1;
        client_.set_prompt("rain on a tin roof", 3);
        client_.set_layers({Layer::ambience});
        for (int k = 1; k <= TICKS; ++k) {
            say(k);
            tick();
        }
        client_.set_switch("surface", "stone");
        client_.post_event("footstep");
        client_.set_bus("voices", -6, {}, 0.5);
        client_.push_snapshot("pause", 0.1);
        client_.pop_snapshot("pause");
        client_.set_loudness(-18);
        client_.set_listener({1, 2, 3});
        client_.set_prompt({{"rain", 3}, {"wind", 1}}, {}, 2);
        if (!until("acks", [&] { return client_.stats().events_acked == EVENTS; })) return 1;
        if (!until("bank", [&] { return client_.bank_ready(); })) return 1;
        if (!until("sound", [&] { return heard_ > SOUND; })) return 1;
        const Stats stats = client_.stats();
        const std::string report =
            "{\"acked\": " + std::to_string(stats.events_acked) +
            ", \"given_up\": " + std::to_string(stats.events_expired) +
            ", \"reconnects\": " + std::to_string(stats.reconnects) +
            ", \"pcm_nonzero\": " + (heard_ > 0 ? "true}" : "false}");
        std::puts(report.c_str());
        client_.close();
        return 0;
    }

private:
    void say(int k) {
        client_.set_parameter("threat", k / 100.0);
        const std::vector<std::uint8_t> pixels(8 * 8 * 3, static_cast<std::uint8_t>(k));
        client_.push_frame({8, 8, pixels.data(), pixels.size()});
        for (int j = 0; j < EVENTS_A_TICK; ++j) {
            EventOptions how;
            how.gain_db = -(k % 20);
            if (j % 2 == 0) {
                how.position = Vector{double(k), 0, double(-j)};
                how.occlusion = 0.25;
            }
            client_.post_event("shot", how);
        }
    }

    void tick() {
        for (const Reply& reply : client_.poll()) {
            if (const auto* error = std::get_if<Error>(&reply)) {
                std::fprintf(stderr, "%s: %s\n", error->field.c_str(), error->message.c_str());
            }
        }
        std::vector<float> sound(2 * FRAMES);
        client_.read_pcm(sound.data(), FRAMES);
        for (std::size_t k = 0; k < FRAMES; ++k) heard_ += sound[2 * k] != 0 ? 1 : 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }

    bool until(const char* what, const std::function<bool()>& came) {
        for (const double end = steady_seconds() + PATIENCE; steady_seconds() < end; tick()) {
            if (came()) return true;
        }
        std::fprintf(stderr, "no %s within %g s\n", what, PATIENCE);
        return false;
    }

    Client client_;
    std::size_t heard_ = 0;  // frames that were not silent
};

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: conformance tcp://ADDRESS:PORT\n");
        return 2;
    }
    return Game(arguments[1]).play();
}
