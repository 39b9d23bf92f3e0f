// What the client costs the game's thread at 60 Hz: a 128 x 72 frame, 5 parameters, 2 events, a
// poll.
//
//     cost tcp://127.0.0.1:7776 SECONDS
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "diegetic/client.hpp"

using namespace diegetic;

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "usage: cost tcp://ADDRESS:PORT SECONDS\n");
        return 2;
    }
    constexpr int width = 128, height = 72, rate = 60, parameters = 5, events = 2;
    Settings settings;
    settings.endpoint = arguments[1];
    std::vector<std::string> names;
    for (int k = 0; k < parameters; ++k) names.push_back("parameter " + std::to_string(k));
    for (const std::string& name : names) settings.parameters.push_back({name});
    settings.events = {{"shot"}};
    Client client(settings);
    std::vector<std::uint8_t> pixels(3 * width * height);
    std::vector<double> costs;
    const auto start = std::chrono::steady_clock::now();
    const int ticks = std::atoi(arguments[2]) * rate;
    for (int tick = 0; tick < ticks; ++tick) {
        std::this_thread::sleep_until(start + tick * std::chrono::microseconds(1000000 / rate));
        std::fill(pixels.begin(), pixels.end(), static_cast<std::uint8_t>(tick));
        const double before = steady_seconds();
        client.push_frame({width, height, pixels.data(), pixels.size()});
        for (const std::string& name : names) client.set_parameter(name, tick % rate / 60.0);
        for (int k = 0; k < events; ++k) client.post_event("shot");
        client.poll();
        costs.push_back(steady_seconds() - before);
    }
    std::sort(costs.begin(), costs.end());
    const auto at = [&](double share) {
        const auto last = static_cast<double>(costs.size()) - 1;
        return costs.empty() ? 0 : 1000 * costs[static_cast<std::size_t>(share * last)];
    };
    std::printf("{\"ticks\": %zu, \"p50_ms\": %.4f, \"p95_ms\": %.4f, \"p99_ms\": %.4f}\n",
                costs.size(), at(0.5), at(0.95), at(0.99));
    return 0;
}
