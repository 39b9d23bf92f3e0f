"""Compare what was heard with its twin, and tell when a sample left the device.

heard  |~~~~~~~~~~~~~~~~~~~~~~~|=====     twin: the same session, offline, nothing was changed
twin   |~~~~~~~~~~~~~~~~~~~~~~~|~~~~~
       ^ from the very first   ^ first difference
"""

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.mixer.limiter import DELAY
from diegetic.ring import Underrun
from diegetic.sink import PlayClock
from diegetic.snapshot import FloatArray

if TYPE_CHECKING:
    from diegetic.session import Session

TOLERANCE = 2.0**-22
"""The most that equal sounds differ, of ±1: half a step of a 24-bit file is 2^-24; each rounding of
float32 up to ±1 is 2^-25 at most, and a sample sees six on its way (its gains, their sum, limiter).
That is -132 dBFS: nothing that anyone hears is missed."""

_AROUND = 31  # readings of the play clock that vote on when a sample left

UNHEARD = "not heard in time"
UNDERRUN = "an underrun came first"
UNLIKE = "unlike its twin already before the change"


class Twin:
    """The sound of `session`, which must not be playing, for as long as is asked for.

    A recording leaves out the mixer's delay, a session's reading does not: so that is left out.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._sound: FloatArray = np.zeros((0, CHANNELS), np.float32)

    def first(self, count: int) -> FloatArray:
        """Return the first `count` samples, (count, 2)."""
        missing = count + DELAY - len(self._sound)
        if missing > 0:
            more = self._session.read(missing / RATE)
            self._sound = np.concatenate((self._sound, more))
        return self._sound[DELAY : DELAY + count]


def first_difference(heard: FloatArray, twin: FloatArray) -> int | None:
    """Return the first sample in which `heard` (n, 2) is not `twin`; None if there is none.

    What one of them has and the other has not is not compared.
    """
    count = min(len(heard), len(twin))
    same = np.abs(heard[:count] - twin[:count]) <= TOLERANCE  # never true of NaN
    differs = np.flatnonzero(~same.all(axis=1))
    return int(differs[0]) if len(differs) else None


class _Reading(NamedTuple):
    moment: float
    sample: int
    leaves: float


class PlayTimes:
    """Readings of a sink's clock while it played; they agree but for the jitter of its blocks."""

    def __init__(self) -> None:
        self._readings: list[_Reading] = []

    def add(self, moment: float, clock: PlayClock) -> None:
        """Note what `clock` said at monotonic `moment` (s)."""
        self._readings.append(_Reading(moment, *clock))

    def handed(self, moment: float) -> int:
        """Return how many samples the device surely had at `moment`."""
        return max((r.sample for r in self._readings if r.moment <= moment), default=0)

    def time_of(self, sample: int) -> float:
        """Return when (monotonic s) `sample` left the device, by its declared latency.

        The readings nearest to it vote, so that a late one among them does not count. There must
        be one at least.
        """
        nearest = sorted(self._readings, key=lambda r: abs(r.sample - sample))[:_AROUND]
        return median(r.leaves - r.sample / RATE for r in nearest) + sample / RATE


class Finding(NamedTuple):
    """`seconds` from knob to ear, or `trouble`: why that cannot be said."""

    seconds: float | None
    trouble: str = ""


def compare(
    heard: FloatArray,
    twin: FloatArray,
    times: PlayTimes,
    sent: float,
    gaps: Sequence[Underrun],
) -> Finding:
    """Find when a change that was `sent` (monotonic s) was first heard.

    `heard` (n, 2) ends before anything else would change it; `gaps` are its underruns: what follows
    one has moved, and differs for that.
    """
    first = first_difference(heard, twin)
    end = len(heard) if first is None else first
    if any(gap.position <= end for gap in gaps):
        return Finding(None, UNDERRUN)
    if first is None:
        return Finding(None, UNHEARD)
    if first < times.handed(sent):
        return Finding(None, UNLIKE)
    return Finding(times.time_of(first) - sent)
