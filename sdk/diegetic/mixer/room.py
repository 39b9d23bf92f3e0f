"""Where a block is worked out: arrays that are made once and used again for every stretch.

    stretch n      take  take  take          clear
    stretch n + 1  take  take  ...           the same arrays, with other samples in them

A mixer makes no arrays while its scene stays as it is: a player runs for hours, and an allocator
that must find memory while others use it is the one thing in a block that may take its time.
"""

import numpy as np

from diegetic.snapshot import FloatArray


class Room:
    """Rows of `block` samples, as many as one stretch has ever needed."""

    def __init__(self, block: int) -> None:
        self._block = block
        self._rows: list[FloatArray] = []
        self._used = 0

    def clear(self) -> None:
        """All rows may be taken again: nobody looks at them any more."""
        self._used = 0

    def take(self, count: int) -> FloatArray:
        """Return (count,) float32 with anything in it, the caller's until `clear`."""
        if self._used == len(self._rows):
            self._rows.append(np.zeros(self._block, np.float32))
        if count > len(self._rows[self._used]):
            self._rows[self._used] = np.zeros(count, np.float32)
        self._used += 1
        return self._rows[self._used - 1][:count]


def line(before: float, after: float, phase: FloatArray, room: Room) -> FloatArray:
    """Return the way from `before` to `after` where `phase` (n,) goes from 0 to 1, in `room`."""
    way = room.take(len(phase))
    np.multiply(phase, after - before, out=way)
    way += before
    return way


def plus(a: "float | FloatArray", b: "float | FloatArray") -> "float | FloatArray":
    """Return a + b, in the place of one that is an array: it is the caller's to change."""
    if not isinstance(a, np.ndarray):
        a, b = b, a
    a += b
    return a


def times(a: "float | FloatArray", b: "float | FloatArray") -> "float | FloatArray":
    """Return a * b, in the place of one that is an array: it is the caller's to change."""
    if not isinstance(a, np.ndarray):
        a, b = b, a
    a *= b
    return a
