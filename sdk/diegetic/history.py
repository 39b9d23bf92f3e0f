r"""Values over time: what held, what holds and what is planned.

    Steps       ____|^^^^^^|______        prompt, guidance, switch
    Parameter   ____/^^^^^^\______        ramps, each from where the last one was

Times are seconds of audio time. Nothing here locks: a World does.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_CHANGES = 4096  # kept of one value; the oldest go first

T = TypeVar("T")


class Steps(Generic[T]):
    """A value that jumps: its changes in order of time, later calls after earlier ones."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._values: list[T] = []
        self._forgotten = -math.inf

    def put(self, time: float, value: T) -> int:
        """Insert a change; return its place, which is the end for one that was long overtaken."""
        if self._times and time < self._times[0] <= self._forgotten:
            return len(self._times)
        if len(self._times) == MAX_CHANGES:
            del self._times[0], self._values[0]
        place = bisect_right(self._times, time)
        self._times.insert(place, time)
        self._values.insert(place, value)
        return place

    def last(self, time: float) -> tuple[float, T] | None:
        """Return the change that holds at `time`, and since when."""
        place = bisect_right(self._times, time) - 1
        return (self._times[place], self._values[place]) if place >= 0 else None

    def forget(self, time: float) -> None:
        """Drop the changes that no longer hold at `time`; no one asks for earlier times again."""
        self._forgotten = max(self._forgotten, time)
        stale = max(0, bisect_right(self._times, time) - 1)
        del self._times[:stale], self._values[:stale]


@dataclass(frozen=True)
class Ramp:
    """A straight line from `start` at `at` to `target`, `seconds` later; then it stays."""

    at: float
    start: float
    target: float
    seconds: float

    def value(self, time: float) -> float:
        if time >= self.at + self.seconds:
            return self.target
        return self.start + (self.target - self.start) * (time - self.at) / self.seconds


class Parameter(Steps[Ramp]):
    """A number in `minimum`..`maximum` that moves along ramps."""

    def __init__(self, minimum: float, maximum: float, default: float) -> None:
        super().__init__()
        self.range = (minimum, maximum, default)

    def move(self, at: float, target: float, seconds: float) -> None:
        """Plan a ramp that begins at `at`, from wherever the value is then."""
        place = self.put(at, Ramp(at, 0.0, target, seconds))
        for index in range(place, len(self._values)):  # those already planned start elsewhere now
            ramp, begin = self._values[index], self._times[index]
            start = self._values[index - 1].value(begin) if index else self.range[2]
            self._values[index] = Ramp(begin, start, ramp.target, ramp.seconds)

    def normalised(self, time: float) -> float:
        """Return the value at `time` as 0..1 of its range."""
        minimum, maximum, default = self.range
        change = self.last(time)
        value = change[1].value(time) if change else default
        return min(1.0, max(0.0, (value - minimum) / (maximum - minimum)))


class Switch(Steps[str]):
    """One of `values`; None lets any pass."""

    def __init__(self, values: tuple[str, ...] | None) -> None:
        super().__init__()
        self.values = values
