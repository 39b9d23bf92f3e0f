"""Values that change without a jump or a corner, as functions of absolute time.

    target      . - ---
              /
    source --'
             |<- length ->|      a raised cosine: its second difference is at most
             start               |target - source| / 2 * (pi / length)^2

What is heard at a sample depends on that sample alone, so it is the same however time is cut into
blocks.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from diegetic.config import RATE
from diegetic.mixer.room import Room
from diegetic.snapshot import FloatArray

FADE = RATE // 100  # 10 ms: nothing starts or stops faster
RAMP = RATE // 50  # 20 ms: no gain changes faster
_AROUND = 1024  # samples: the longest block of a mixer


@dataclass(frozen=True)
class Curve:
    """A rise from 0 to 1 over the `length` samples that begin at `start`."""

    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length

    def at(self, position: int) -> float:
        """Return the height at sample `position`."""
        share = (position - self.start + 0.5) / self.length
        return math.sin(min(max(share, 0.0), 1.0) * (math.pi / 2)) ** 2


class Ramp:
    """A number on its way along a curve; it begins at rest."""

    __slots__ = ("curve", "source", "target")

    def __init__(self, value: float) -> None:
        self.source = value
        self.target = value
        self.curve = Curve(0, 1)

    def go(self, target: float, position: int, length: int) -> None:
        """Leave for `target` at sample `position`, from wherever the value is by then."""
        self.source = self.at(position - 1)
        self.target = target
        self.curve = Curve(position, length)

    def at(self, position: int) -> float:
        """Return the value at sample `position`."""
        if self.rests(position):
            return self.target
        return self.source + (self.target - self.source) * self.curve.at(position)

    def rests(self, position: int) -> bool:
        """True when the value stays as it is from sample `position` on."""
        return self.source == self.target or position >= self.curve.end


@dataclass
class Stretch:
    """The samples being mixed: `count` of them, the first of which is sample `position`.

    What it returns is in `room`, and lasts until that is cleared.
    """

    position: int
    count: int
    room: Room = field(default_factory=lambda: Room(0))
    _heights: dict[Curve, FloatArray] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return self.position + self.count

    def heights(self, curve: Curve) -> FloatArray:
        """Return `curve` over the stretch, (count,), read-only; who shares one shares the work."""
        first = self.position - curve.start
        if curve.length <= RAMP and self.count <= _AROUND:  # most are: they are looked up
            first = min(max(first, -self.count), curve.length)
            return _short(curve.length)[_AROUND + first : _AROUND + first + self.count]
        heights = self._heights.get(curve)
        if heights is None:
            heights = self._heights[curve] = self.room.take(self.count)
            _rise(first, curve.length, heights)
        return heights

    def values(self, ramp: Ramp) -> "float | FloatArray":
        """Return `ramp` over the stretch: one number while it rests, else (count,) to change."""
        if ramp.rests(self.position):
            return ramp.target
        values = self.room.take(self.count)
        np.multiply(self.heights(ramp.curve), ramp.target - ramp.source, out=values)
        values += ramp.source
        return values


def _rise(first: int, length: int, out: FloatArray) -> None:
    """Write a curve of `length` from its sample `first` on into `out` (count,), read-only then."""
    np.add(_counts(len(out)), first + 0.5, out=out)
    out *= 1.0 / length
    np.clip(out, 0.0, 1.0, out=out)
    out *= np.float32(math.pi / 2)
    np.sin(out, out=out)
    out *= out
    out.setflags(write=False)


@lru_cache(maxsize=1)
def _all_counts() -> FloatArray:
    """Return 0, 1, 2, ... for the longest block."""
    return np.arange(_AROUND, dtype=np.float32)


def _counts(count: int) -> FloatArray:
    """Return (count,) of 0, 1, 2, ..."""
    return _all_counts()[:count] if count <= _AROUND else np.arange(count, dtype=np.float32)


@lru_cache(maxsize=64)
def _short(length: int) -> FloatArray:
    """Return a curve of `length`, and `_AROUND` samples before and after it."""
    heights = np.zeros(2 * _AROUND + length, np.float32)
    _rise(-_AROUND, length, heights)
    return heights


def amplitude(gain_db: float) -> float:
    """Return decibels as a factor."""
    return float(10.0 ** (gain_db / 20.0))
