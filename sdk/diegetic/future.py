"""The part of the stream that can still be changed: what is buffered, and how it is rewritten.

    bed     |- taken by the device -|- guard -|-- old future ------------------|
    place             |-- new chunk: start ---|-- hop --|~ tail ~|
    then    |- taken by the device -|- guard -|~ fade ~| new     |~ fade ~| old |

A chunk is heard from the first of its samples that the device has not taken. Into it, and out of it
where an older future goes on behind it, leads a crossfade. So a generator that is late with the
next chunk is covered by what it had made before.
"""

from typing import Protocol

import numpy as np

from diegetic import crossfade
from diegetic.config import CHANNELS, RATE
from diegetic.snapshot import FloatArray

GUARD = round(0.015 * RATE)
"""Samples before which the device may be at any moment: a few of its blocks."""


class Tape(Protocol):
    """What a sink has buffered; positions are samples since its start."""

    def taken(self) -> int:
        """Return the first sample that the device has not taken."""

    def write(self, samples: FloatArray) -> None:
        """Append `samples` (n, 2)."""

    def revise(self, position: int, samples: FloatArray) -> bool:
        """Replace all from `position` on; False if the device may have taken some of it."""


class Future:
    """Mirror of what the sink has buffered; positions are samples since the sink's start.

    One thread, the generator's, owns it.
    """

    def __init__(self, tape: Tape, overlap: int) -> None:
        self._tape = tape
        self._overlap = overlap
        self._ahead = np.zeros((0, CHANNELS), np.float32)  # from `_begin` on, as the ring has it
        self._begin = 0
        self._joined = 0  # where the newest chunk ended: a chunk that starts there needs no fade

    @property
    def end(self) -> int:
        """The first sample that nothing was ever made for."""
        return self._begin + len(self._ahead)

    def taken(self) -> int:
        """Return the first sample that the device has not taken."""
        return self._tape.taken()

    def reach(self) -> int:
        """Return the first sample that can still be changed."""
        return min(self.end, self.taken() + GUARD)

    def place(self, start: int, samples: FloatArray, tail: FloatArray, splice: int = 0) -> int:
        """Let `samples` (n, 2) be heard from `start` on, or from `splice` or the reach if later.

        `tail` (overlap, 2) is how the chunk would go on: it fades into the old future, if there is
        one. Returned is the first sample that has changed, `start + n` if the chunk came too late
        to be heard at all.
        """
        while True:
            end, first = start + len(samples), max(start, splice)
            if first < self.end:
                first = max(first, self.reach())
            if first > end - self._overlap and start < self.end:
                self._joined = -1
                return end
            if first == self.end:
                self._append(samples[first - start :])
                break
            if self._revise(first, self._blend(start, first, samples, tail)):
                break
        self._joined = end
        return first

    def finish(self, start: int, ending: FloatArray) -> None:
        """Let the stream end at `start` with `ending` (n, 2), a fade-out, and nothing after it."""
        if start >= self.end or not self._tape.revise(start, ending):
            self._tape.write(ending)

    def _append(self, samples: FloatArray) -> None:
        self._forget()
        self._ahead = np.concatenate((self._ahead, samples))
        self._tape.write(samples)

    def _revise(self, first: int, samples: FloatArray) -> bool:
        if not self._tape.revise(first, samples):
            return False
        self._ahead = np.concatenate((self._ahead[: first - self._begin], samples))
        self._forget()
        return True

    def _blend(self, start: int, first: int, samples: FloatArray, tail: FloatArray) -> FloatArray:
        """Return all that is to be heard from `first` on."""
        new = samples[first - start :].copy()
        old = self._ahead[first - self._begin :]
        if start != self._joined or first != start:
            count = min(self._overlap, len(old), len(new))
            new[:count], _ = crossfade.blend(old[:count], new[:count])
        rest = old[len(new) :].copy()
        count = min(len(tail), len(rest))
        if count == 0:
            return new
        rest[:count], _ = crossfade.blend(tail[:count], rest[:count])
        return np.concatenate((new, rest))

    def _forget(self) -> None:
        """Drop what the device has taken."""
        gone = min(max(0, self.taken() - self._begin), len(self._ahead))
        self._ahead = self._ahead[gone:]
        self._begin += gone
