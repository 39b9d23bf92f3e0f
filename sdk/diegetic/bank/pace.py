"""How often something may be done."""

from collections.abc import Callable

FRESH = 1.0
"""Seconds from one worn take that is made anew to the next: a flood of events wears them all at
once, and the time that all of them would take is needed for the events."""


class Pace:
    """A turn every `interval` seconds of `clock`; the first may be taken at once."""

    def __init__(self, interval: float, clock: Callable[[], float]) -> None:
        self._interval = interval
        self._clock = clock
        self._due: float | None = None

    def take(self) -> bool:
        """Take a turn; False when it is too soon for one."""
        now = self._clock()
        if self._due is not None and now < self._due:
            return False
        self._due = now + self._interval
        return True
