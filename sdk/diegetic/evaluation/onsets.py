"""When something begins in a sound, and how well that agrees with when something happened."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.ndimage import maximum_filter1d, median_filter

from diegetic.config import RATE
from diegetic.snapshot import FloatArray

Values = NDArray[np.float64]

TOLERANCE = 0.1  # s
EARLIEST_SHIFT = 2.0  # s; a shuffled game is at least so far from itself

_WINDOW, _HOP = 1024, 480  # samples
_LAG = 2  # frames
_BANDS_HZ = np.geomspace(50, 16_000, 25)
_FLOOR = 1e-6  # power of a band: what is softer than -60 dBFS does not begin
# Mean over the bands, above what is usual around: where the training games' own sound agrees best
# with their events.
_RISE_DB = 5.0
_AROUND, _APART = 51, 5  # frames: half a second, and half of the least distance


@dataclass(frozen=True)
class Matches:
    """How many were found, how many there were, how many of both are the same."""

    hits: int
    found: int
    true: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where there is nothing."""
        return 2 * self.hits / max(1, self.found + self.true)


def find_onsets(samples: FloatArray) -> Values:
    """Times (s) at which something begins in (n, 2): peaks of the log spectrum's rise."""
    mono = np.pad(samples.mean(1), (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(mono, _WINDOW)[::_HOP]
    power = np.square(np.abs(rfft(frames * np.hanning(_WINDOW))) * (4 / _WINDOW))
    edges = np.round(_BANDS_HZ / RATE * _WINDOW).astype(int)
    sums = np.concatenate((np.zeros((len(power), 1)), np.cumsum(power, axis=1)), axis=1)
    bands = sums[:, np.maximum(edges[1:], edges[:-1] + 1)] - sums[:, edges[:-1]]
    levels = 10 * np.log10(bands + _FLOOR)
    rise = np.zeros(len(levels))
    rise[_LAG:] = np.maximum(levels[_LAG:] - levels[:-_LAG], 0).mean(1)
    highest = maximum_filter1d(rise, 2 * _APART + 1)
    usual = median_filter(rise, _AROUND)
    peaks = np.flatnonzero((rise == highest) & (rise > usual + _RISE_DB))
    kept = [peak for k, peak in enumerate(peaks) if k == 0 or peak - peaks[k - 1] > _APART]
    return np.asarray((np.array(kept, np.float64) - _LAG / 2) * _HOP / RATE)


def match(found: Values, true: Values, tolerance: float = TOLERANCE) -> Matches:
    """Pair times (s), both in order, with each other, each at most once, within `tolerance`."""
    hits = place = 0
    for time in true:
        while place < len(found) and found[place] < time - tolerance:
            place += 1
        if place < len(found) and found[place] <= time + tolerance:
            hits += 1
            place += 1
    return Matches(hits, len(found), len(true))


def total(matches: Sequence[Matches]) -> Matches:
    """All of them as one."""
    return Matches(
        sum(m.hits for m in matches), sum(m.found for m in matches), sum(m.true for m in matches)
    )


def shuffled(true: Values, seconds: float, rng: np.random.Generator) -> Values:
    """`true` moved round a circle of `seconds` by a random time, in order."""
    offset = rng.uniform(EARLIEST_SHIFT, seconds - EARLIEST_SHIFT)
    return np.sort((true + offset) % seconds)
