r"""Values over time: what held, what holds and what is planned.

    Steps       ____|^^^^^^|______        guidance, layers, switch
    Moving      ____/^^^^^^\______        parameter, prompts: ramps from where the last was

Times are seconds of audio time. Nothing here locks: a World does.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
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
class Ramp(Generic[T]):
    """The way from `start` at `at` to `target`, `seconds` later; then it stays."""

    at: float
    start: T
    target: T
    seconds: float


class Moving(Steps[Ramp[T]]):
    """A value that moves along ramps, each from wherever it was when the ramp began.

    Args:
        unsaid: what holds before the first ramp.
        between: returns what lies between two values, a share in 0..1 of the way along.
    """

    def __init__(self, unsaid: T, between: Callable[[T, T, float], T]) -> None:
        super().__init__()
        self._unsaid = unsaid
        self._between = between

    def move(self, at: float, target: T, seconds: float) -> None:
        """Plan a ramp that begins at `at`, from wherever the value is then."""
        place = self.put(at, Ramp(at, self._unsaid, target, seconds))
        for index in range(place, len(self._values)):  # those already planned start elsewhere now
            start = self._on(self._values[index - 1], self._times[index]) if index else self._unsaid
            self._values[index] = replace(self._values[index], start=start)

    def value(self, time: float) -> T:
        """Return what holds at `time`."""
        change = self.last(time)
        return self._on(change[1], time) if change else self._unsaid

    def _on(self, ramp: Ramp[T], time: float) -> T:
        """Return how far `ramp` has come at `time`, which is not before it."""
        if time >= ramp.at + ramp.seconds:
            return ramp.target
        return self._between(ramp.start, ramp.target, (time - ramp.at) / ramp.seconds)


class Parameter(Moving[float]):
    """A number in `minimum`..`maximum` that moves along ramps."""

    def __init__(self, minimum: float, maximum: float, default: float) -> None:
        super().__init__(default, _line)
        self.range = (minimum, maximum, default)

    def normalised(self, time: float) -> float:
        """Return the value at `time` as 0..1 of its range."""
        minimum, maximum, _ = self.range
        return min(1.0, max(0.0, (self.value(time) - minimum) / (maximum - minimum)))


class Switch(Steps[str]):
    """One of `values`; None lets any pass."""

    def __init__(self, values: tuple[str, ...] | None) -> None:
        super().__init__()
        self.values = values


def _line(start: float, target: float, share: float) -> float:
    return start + (target - start) * share
