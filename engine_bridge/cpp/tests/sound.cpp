// Sound into the game: whole and in order, faded where it begins, ends or is cut; also over two
// threads.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <iterator>
#include <thread>
#include <vector>

#include "check.hpp"
#include "diegetic/pcm.hpp"

using namespace diegetic;

namespace {

constexpr int PIECE = 480;
constexpr double FADE = 192;  // frames
constexpr double DEPTH = 0.03;
const PcmSpec SPEC{48000, PIECE};

Pcm piece(std::int64_t number, const std::vector<float>& samples) {
    Pcm pcm{number, Bytes(4 * samples.size())};
    std::memcpy(pcm.samples.data(), samples.data(), pcm.samples.size());
    return pcm;
}

Pcm piece(std::int64_t number, float value = 1) {
    return piece(number, std::vector<float>(2 * PIECE, value));
}

/// What a reader has heard, left channel.
struct Ear {
    PcmBuffer& buffer;
    std::vector<float> heard = {0};

    float read(std::size_t frames) {
        std::vector<float> out(2 * frames, 9.0F);
        buffer.read(out.data(), frames);
        float loudest = 0;
        for (std::size_t k = 0; k < frames; ++k) {
            CHECK(out[2 * k] == out[2 * k + 1]);
            heard.push_back(out[2 * k]);
            loudest = std::max(loudest, std::abs(out[2 * k]));
        }
        return loudest;
    }

    double steepest() const {
        double most = 0;
        for (std::size_t k = 1; k < heard.size(); ++k) {
            most = std::max(most, std::abs(double(heard[k]) - double(heard[k - 1])));
        }
        return most;
    }
};

void what_is_read_is_what_was_sent() {
    PcmBuffer buffer(SPEC, DEPTH);
    Ear ear{buffer};
    std::vector<float> sent;
    for (int number = 0; number < 200; ++number) {
        std::vector<float> samples;
        for (int k = 0; k < PIECE; ++k) {
            sent.push_back(std::sin(float(sent.size())));
            samples.insert(samples.end(), 2, sent.back());
        }
        buffer.push(piece(number, samples));
        if (number == 2) ear.read(100);  // three are the depth
        if (number > 2) ear.read(479);   // no multiple of anything
    }
    for (std::size_t k = 192; k + 1 < ear.heard.size(); ++k) CHECK(ear.heard[k + 1] == sent[k]);
    CHECK(ear.heard[1] == 0);
    const PcmStats stats = buffer.stats();
    CHECK(stats.lost + stats.underruns + stats.skipped == 0);
}

void nothing_is_read_before_there_is_enough_to_go_on() {
    PcmBuffer buffer(SPEC, DEPTH);
    Ear ear{buffer};
    for (int number = 0; number < 2; ++number) {
        buffer.push(piece(number));
        CHECK(ear.read(PIECE) == 0);
    }
    buffer.push(piece(2));
    CHECK(ear.read(PIECE) == 1);
    CHECK(buffer.stats().underruns == 0);
}

void running_dry_fades_out_and_coming_back_fades_in() {
    for (const std::size_t frames : {64U, 480U, 1000U, 5000U}) {
        PcmBuffer buffer(SPEC, DEPTH);
        Ear ear{buffer};
        std::int64_t number = 0;
        for (int turn = 0; turn < 2; ++turn) {
            for (int k = 0; k < 4; ++k) buffer.push(piece(number++));
            for (std::size_t k = 0; k < 4 * PIECE / frames + 8; ++k) ear.read(frames);
        }
        CHECK(ear.steepest() < 1.02 / FADE);
        CHECK(ear.heard.back() == 0);
        CHECK(buffer.stats().underruns == 2);
        CHECK(buffer.stats().waiting == 0);
    }
}

void what_piles_up_is_left_out_without_a_click() {
    for (const std::size_t frames : {64U, 480U}) {
        PcmBuffer buffer(SPEC, DEPTH);
        Ear ear{buffer};
        std::int64_t number = 0;
        const auto pour = [&](int pieces, float value) {
            for (int k = 0; k < pieces; ++k) buffer.push(piece(number++, value));
            for (int k = 0; k < 2; ++k) ear.read(frames);
            if (pieces > 3) CHECK(buffer.stats().waiting == 3 * PIECE - 2 * frames);
        };
        pour(3, 1);
        pour(20, 1);
        pour(20, -0.5F);
        CHECK(ear.steepest() < 3 / FADE);  // two fades at once
        CHECK(double(buffer.stats().skipped) > 0.8 * 40 * PIECE);
        CHECK(buffer.stats().underruns == 0);
        CHECK(buffer.stats().lost == 0);
    }
}

void a_flood_after_running_dry_does_not_cut_what_still_fades_out() {
    PcmBuffer buffer(SPEC, DEPTH);
    Ear ear{buffer};
    for (int number = 0; number < 3; ++number) buffer.push(piece(number));
    ear.read(3 * PIECE - 32);
    ear.read(64);  // dry in the middle of it
    for (int number = 3; number < 23; ++number) buffer.push(piece(number));
    for (int k = 0; k < 6; ++k) ear.read(64);
    CHECK(buffer.stats().skipped == 17 * PIECE);
    CHECK(ear.steepest() < 3 / FADE);
}

void a_game_that_stops_reading_hears_nothing_old() {
    PcmBuffer buffer(SPEC, DEPTH);
    Ear ear{buffer};
    std::int64_t number = 0;
    for (int k = 0; k < 4; ++k) buffer.push(piece(number++));
    CHECK(ear.read(PIECE) == 1);
    for (int k = 0; k < 1000; ++k) buffer.push(piece(number++));  // ten seconds
    ear.read(PIECE);
    CHECK(buffer.stats().waiting == 0);
    for (int k = 0; k < 3; ++k) buffer.push(piece(number++, -0.5F));
    for (int k = 0; k < 2; ++k) ear.read(PIECE);
    CHECK(ear.heard.back() == -0.5F);
    CHECK(ear.steepest() < 2 / FADE);
    CHECK(buffer.stats().lost == 0);
}

void a_missing_piece_is_counted_and_another_stream_is_not() {
    PcmBuffer buffer(SPEC, 0.01);
    for (const int number : {0, 1, 4, 5, 0, 1}) buffer.push(piece(number));
    CHECK(buffer.stats().lost == 2);
}

void what_is_no_number_is_silence() {
    PcmBuffer buffer(SPEC, 0);
    Ear ear{buffer};
    buffer.push(piece(0, std::numeric_limits<float>::quiet_NaN()));
    buffer.push(piece(1, std::numeric_limits<float>::infinity()));
    CHECK(ear.read(2 * PIECE) == 0);
}

void two_threads_share_it_without_a_lock() {
    // The value of each sample is its place, so that every jump shows; the reader is let in after
    // each piece, and both go on at their own pace between.
    constexpr int pieces = 1000;
    PcmBuffer buffer(SPEC, DEPTH);
    Ear ear{buffer};
    std::atomic<int> pushed{0}, taken{0};
    std::thread writer([&] {
        for (int number = 0; number < pieces; ++number) {
            while (number - taken > 3) std::this_thread::yield();
            std::vector<float> samples;
            for (int k = 0; k < PIECE; ++k) {
                samples.insert(samples.end(), 2, float((number * PIECE + k) % 100000) / 100000.0F);
            }
            buffer.push(piece(number, samples));
            ++pushed;
        }
    });
    for (int number = 0; number < pieces - 3; ++number) {
        while (pushed < number + 3) std::this_thread::yield();
        ear.read(PIECE);
        ++taken;
    }
    taken = pieces;
    writer.join();
    for (std::size_t k = 192; k + 1 < ear.heard.size(); ++k) {
        CHECK(ear.heard[k + 1] == float(k % 100000) / 100000.0F);
    }
    const PcmStats stats = buffer.stats();
    CHECK(stats.lost + stats.underruns + stats.skipped == 0);
}

}  // namespace

int main() {
    void (*const tests[])() = {
        what_is_read_is_what_was_sent,
        nothing_is_read_before_there_is_enough_to_go_on,
        running_dry_fades_out_and_coming_back_fades_in,
        what_piles_up_is_left_out_without_a_click,
        a_flood_after_running_dry_does_not_cut_what_still_fades_out,
        a_game_that_stops_reading_hears_nothing_old,
        a_missing_piece_is_counted_and_another_stream_is_not,
        what_is_no_number_is_silence,
        two_threads_share_it_without_a_lock,
    };
    for (const auto test : tests) test();
    return verdict("sound", std::size(tests));
}
