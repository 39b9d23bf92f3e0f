// The sound on its way into a game that does the playing itself: a jitter buffer.
//
//     worker thread --push--> |=== depth ===| --read--> the audio callback
//
// Pieces come at the pace of the server's clock and are read at the pace of the game's device. What
// comes too late leaves a gap; what piles up, as the clocks drift apart, is left out. Both are
// faded and counted.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "diegetic/replies.hpp"
#include "diegetic/specs.hpp"

namespace diegetic {

/// How the sound gets here; a frame is a sample of each channel.
struct PcmStats {
    std::uint64_t waiting = 0;    ///< frames that can be read
    std::uint64_t lost = 0;       ///< pieces that never came
    std::uint64_t underruns = 0;  ///< times that there was not enough to read
    std::uint64_t skipped = 0;    ///< frames left out because too many were waiting
};

/// What has come and was not read yet. One thread pushes, one reads; neither ever waits, locks or
/// allocates. `depth`: seconds that are gathered before the first is read, and after an underrun.
class PcmBuffer {
public:
    PcmBuffer(const PcmSpec& spec, double depth)
        : fade_(static_cast<std::size_t>(std::lround(FADE * spec.rate))),
          depth_(std::max({static_cast<std::size_t>(spec.frames), fade_,
                           static_cast<std::size_t>(std::lround(depth * spec.rate))})),
          most_(2 * (depth_ + static_cast<std::size_t>(spec.frames))),
          // Room for half a second beyond that: a burst after a stall is left out by the reader.
          ring_(CHANNELS * power_of_two(most_ + static_cast<std::size_t>(spec.rate) / 2)),
          mask_(ring_.size() / CHANNELS - 1),
          tail_(CHANNELS * fade_) {}

    PcmStats stats() const {
        return {waiting(), lost_.load(), underruns_.load(), skipped_.load()};
    }

    /// Take in what the server sent; a number that is too low begins another stream. Writer's
    /// thread.
    void push(const Pcm& piece) {
        const auto number = static_cast<std::uint64_t>(piece.number);
        if (number > expected_) lost_ += number - expected_;
        expected_ = number + 1;
        const std::size_t frames = piece.samples.size() / Pcm::FRAME;
        if (flooded_.load(std::memory_order_acquire)) return;
        if (waiting() + frames > mask_ + 1) {  // nobody reads: what waits will be too old
            flooded_.store(true, std::memory_order_release);
            return;
        }
        const std::uint64_t at = written_.load(std::memory_order_relaxed);
        for (std::size_t k = 0; k < CHANNELS * frames; ++k) {
            ring_[(CHANNELS * at + k) & (CHANNELS * mask_ + 1)] = sample(piece.samples, k);
        }
        written_.store(at + frames, std::memory_order_release);
    }

    /// Fill `out` with `frames` of left and right; silence while there is nothing. Reader's thread.
    void read(float* out, std::size_t frames) {
        std::fill(out, out + CHANNELS * frames, 0.0F);
        if (frames == 0) return;
        end_tail(out, frames);
        if (flooded_.load(std::memory_order_acquire)) {
            if (flowing_) leave_out(out, frames, 0);
            skip(waiting());
            flowing_ = false;
            flooded_.store(false, std::memory_order_release);
        }
        if (!flowing_ && waiting() >= depth_) {
            flowing_ = true;
            risen_ = 0;
        }
        if (flowing_) play(out, frames);
        last_[0] = out[CHANNELS * frames - 2];
        last_[1] = out[CHANNELS * frames - 1];
    }

private:
    static constexpr std::size_t CHANNELS = 2;
    static constexpr double FADE = 0.004;  // s

    static std::size_t power_of_two(std::size_t least) {
        std::size_t size = 1;
        while (size < least) size *= 2;
        return size;
    }

    static float sample(const Bytes& bytes, std::size_t k) {
        const std::uint8_t* at = bytes.data() + sizeof(float) * k;
        const std::uint32_t bits = at[0] | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 |
                                   std::uint32_t{at[3]} << 24;
        float value = 0;
        std::memcpy(&value, &bits, sizeof value);
        return std::isfinite(value) ? value : 0.0F;  // one NaN would mute a mixer for good
    }

    std::size_t waiting() const {
        const std::uint64_t read = read_.load(std::memory_order_acquire);
        return static_cast<std::size_t>(written_.load(std::memory_order_acquire) - read);
    }

    /// What comes `ahead` frames after the next.
    float peek(std::size_t ahead, std::size_t channel) const {
        const std::uint64_t at = read_.load(std::memory_order_relaxed) + ahead;
        return ring_[CHANNELS * static_cast<std::size_t>(at & mask_) + channel];
    }

    void pass(std::size_t frames) { read_.store(read_ + frames, std::memory_order_release); }

    void skip(std::size_t frames) {
        pass(frames);
        skipped_ += frames;
    }

    void play(float* out, std::size_t frames) {
        if (waiting() > most_) {
            leave_out(out, frames, depth_);
            risen_ = 0;
        }
        const std::size_t now = std::min(frames, waiting());
        for (std::size_t k = 0; k < now; ++k, ++risen_) {
            const float gain = level();
            for (std::size_t c = 0; c < CHANNELS; ++c) out[CHANNELS * k + c] += gain * peek(k, c);
        }
        pass(now);
        if (now == frames) return;
        ++underruns_;
        flowing_ = false;
        const float* end = now > 0 ? out + CHANNELS * (now - 1) : last_;
        const float held[CHANNELS] = {end[0], end[1]};
        fade_out(out, frames, now, fade_, [&](std::size_t, std::size_t c) { return held[c]; });
    }

    float level() const {
        return risen_ < fade_ ? static_cast<float>(risen_) / static_cast<float>(fade_) : 1.0F;
    }

    /// Let what comes next fade out, and go on from the newest `kept` frames.
    void leave_out(float* out, std::size_t frames, std::size_t kept) {
        const float gain = level();
        const std::size_t count = std::min(fade_, waiting());
        fade_out(out, frames, 0, count,
                 [&](std::size_t k, std::size_t c) { return gain * peek(k, c); });
        skip(waiting() - kept);
    }

    /// Add `count` frames of `source` under a fall to `out` from `at` on; the rest goes to the
    /// tail.
    template <typename Source>
    void fade_out(float* out, std::size_t frames, std::size_t at, std::size_t count,
                  Source&& source) {
        for (std::size_t k = 0; k < count; ++k) {
            const float gain = 1.0F - static_cast<float>(k + 1) / static_cast<float>(count);
            const bool inside = at + k < frames;
            float* to = inside ? out + CHANNELS * (at + k) : &tail_[CHANNELS * (at + k - frames)];
            for (std::size_t c = 0; c < CHANNELS; ++c) to[c] += gain * source(k, c);
        }
    }

    /// Add what still fades out.
    void end_tail(float* out, std::size_t frames) {
        const std::size_t now = std::min(CHANNELS * frames, tail_.size());
        for (std::size_t k = 0; k < now; ++k) out[k] += tail_[k];
        std::copy(tail_.begin() + static_cast<std::ptrdiff_t>(now), tail_.end(), tail_.begin());
        std::fill(tail_.end() - static_cast<std::ptrdiff_t>(now), tail_.end(), 0.0F);
    }

    const std::size_t fade_, depth_, most_;
    std::vector<float> ring_;
    const std::size_t mask_;  // of frames
    std::atomic<std::uint64_t> written_{0}, read_{0};
    std::atomic<bool> flooded_{false};
    std::atomic<std::uint64_t> lost_{0}, underruns_{0}, skipped_{0};
    // The writer's:
    std::uint64_t expected_ = 0;
    // The reader's:
    bool flowing_ = false;
    std::size_t risen_ = 0;  // frames since the sound began: it fades in
    std::vector<float> tail_;
    float last_[CHANNELS] = {0, 0};
};

}  // namespace diegetic
