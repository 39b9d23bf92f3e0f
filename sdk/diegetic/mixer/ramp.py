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
    """The samples being mixed: `count` of them, the first of which is sample `position`."""

    position: int
    count: int
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
            heights = self._heights[curve] = _heights(first, self.count, curve.length)
        return heights

    def values(self, ramp: Ramp) -> "float | FloatArray":
        """Return `ramp` over the stretch: one number while it rests, else (count,)."""
        if ramp.rests(self.position):
            return ramp.target
        return ramp.source + (ramp.target - ramp.source) * self.heights(ramp.curve)


def _heights(first: int, count: int, length: int) -> FloatArray:
    """Return a curve of `length` from its sample `first` on, (count,), read-only."""
    share = np.arange(count, dtype=np.float32)
    share += first + 0.5
    share *= 1.0 / length
    np.clip(share, 0.0, 1.0, out=share)
    share *= np.float32(math.pi / 2)
    heights = np.sin(share, out=share)
    heights *= heights
    heights.setflags(write=False)
    return heights


@lru_cache(maxsize=64)
def _short(length: int) -> FloatArray:
    """Return a curve of `length`, and `_AROUND` samples before and after it."""
    return _heights(-_AROUND, 2 * _AROUND + length, length)


def amplitude(gain_db: float) -> float:
    """Return decibels as a factor."""
    return float(10.0 ** (gain_db / 20.0))
