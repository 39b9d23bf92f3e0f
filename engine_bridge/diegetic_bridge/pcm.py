"""The sound on its way into an engine that does the playing itself: a jitter buffer.

    worker thread --push--> |=== depth ===| --read--> the engine's audio thread

Blocks come at the pace of the server's clock and are read at the pace of the engine's device. What
comes too late leaves a gap; what piles up, as the clocks drift apart, is left out. Both are faded
and counted.
"""

import threading
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diegetic_bridge.messages import PCM_CHANNELS, Pcm, PcmSpec

Samples = NDArray[np.float32]

FADE = 0.004  # s


class PcmStats(NamedTuple):
    """How the sound gets here; a frame is a sample of each channel.

    Attributes:
        waiting: frames that can be read.
        lost: blocks that never came.
        underruns: times that there was not enough to read.
        skipped: frames left out because too many were waiting.
    """

    waiting: int = 0
    lost: int = 0
    underruns: int = 0
    skipped: int = 0


class PcmBuffer:
    """What has come and was not read yet; one thread pushes, one reads, neither waits for long.

    Args:
        spec: what the engine asked for.
        depth: seconds that are gathered before the first is read, and again after an underrun.
    """

    def __init__(self, spec: PcmSpec, depth: float) -> None:
        self._lock = threading.Lock()
        self._blocks: deque[Samples] = deque()
        self._waiting = 0
        self._depth = max(spec.frames, round(depth * spec.rate))
        self._most = 2 * (self._depth + spec.frames)
        self._fade = round(FADE * spec.rate)
        self._flowing = False
        self._risen = 0  # frames since the sound began: it fades in
        self._falling = _silence(0)  # what is still fading out
        self._last = _silence(1)
        self._expected = 0
        self._lost = self._underruns = self._skipped = 0

    @property
    def stats(self) -> PcmStats:
        """A snapshot of the counters."""
        with self._lock:
            return PcmStats(self._waiting, self._lost, self._underruns, self._skipped)

    def push(self, block: Pcm) -> None:
        """Take in what the server sent; a number that is too low begins another stream."""
        samples = np.frombuffer(block.samples, "<f4").reshape(-1, PCM_CHANNELS)
        with self._lock:
            self._lost += max(0, block.number - self._expected)
            self._expected = block.number + 1
            self._blocks.append(samples.astype(np.float32, copy=False))
            self._waiting += len(samples)

    def read(self, frames: int) -> Samples:
        """Return the next `frames`, (frames, 2) in ±1; silence while there is nothing to hear."""
        out = _silence(frames)
        with self._lock:
            falling, self._falling = self._falling, _silence(0)
            self._fade_out(out, 0, falling)
            if not self._flowing and self._waiting >= self._depth:
                self._flowing, self._risen = True, 0
            if self._flowing:
                self._play(out)
        if frames:
            self._last = out[-1:].copy()
        return out

    def _play(self, out: Samples) -> None:
        if self._waiting > self._most:
            self._skipped += self._waiting - self._depth
            level = np.float32(min(1, self._risen / self._fade))
            self._let_go(out, 0, level * self._take(self._fade))
            self._take(self._waiting - self._depth)
            self._risen = 0
        new = self._take(len(out))
        gain = np.minimum(1, (self._risen + np.arange(len(new), dtype=np.float32)) / self._fade)
        out[: len(new)] += gain[:, None] * new
        self._risen += len(new)
        if len(new) < len(out):
            self._underruns += 1
            self._flowing = False
            end = out[len(new) - 1 : len(new)] if len(new) else self._last
            self._let_go(out, len(new), np.repeat(end, self._fade, axis=0))

    def _take(self, frames: int) -> Samples:
        """Take what comes next from the blocks, at most `frames`."""
        parts = [_silence(0)]
        while frames and self._blocks:
            block = self._blocks.popleft()
            if len(block) > frames:
                self._blocks.appendleft(block[frames:])
                block = block[:frames]
            parts.append(block)
            frames -= len(block)
            self._waiting -= len(block)
        return np.concatenate(parts)

    def _let_go(self, out: Samples, at: int, samples: Samples) -> None:
        """Fade `samples` out from frame `at` on."""
        fall = np.linspace(1, 0, len(samples), dtype=np.float32)[:, None]
        self._fade_out(out, at, fall * samples)

    def _fade_out(self, out: Samples, at: int, falling: Samples) -> None:
        """Add what is fading out to `out` from `at` on, and keep what goes beyond its end."""
        now = min(len(out) - at, len(falling))
        out[at : at + now] += falling[:now]
        short, rest = sorted((self._falling, falling[now:]), key=len)
        self._falling = rest.copy()
        self._falling[: len(short)] += short


def _silence(frames: int) -> Samples:
    return np.zeros((frames, PCM_CHANNELS), np.float32)
