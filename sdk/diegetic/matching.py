"""Bring the colour of a made stretch to that of the recording at both of its ends.

    recording   ... before |                         | after ...
    made                   | first |           | last |
    gain (dB)              before - first ....... after - last      a band at a time, along a line

The networks know what lies beside a gap by its latents, which leave out some of its colour, and
what comes after it only in the last chunk. Where both sides differ by a few decibels in a band,
the step is heard rather than the sounds.
"""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from diegetic.config import RATE
from diegetic.snapshot import FloatArray

STRETCH = 0.05  # s at each end that is compared, at most half of what was made
MOST_DB = 6.0  # that a band is changed

_WINDOW, _HOP = 1024, 256  # samples
_EDGES_HZ = np.concatenate(([0.0], np.geomspace(80, 20_000, 13)))
_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
_HANN_SQUARES = 1.5  # that windows sum to, at a hop of a quarter
_FLOOR = 1e-12  # power of a bin: silence is as loud as silence

_HZ = np.arange(_WINDOW // 2 + 1) * RATE / _WINDOW
_LOWEST_HZ = 40.0  # what is lower counts as this

Values = NDArray[np.float64]


def match_ends(sound: FloatArray, begin: int, before: FloatArray, after: FloatArray) -> FloatArray:
    """`sound` (n, 2), in the colour of what is `before` and `after` its made stretch.

    Args:
        sound: the made stretch, and what is faded at its ends.
        begin: where in it that stretch begins; as much lies behind its end.
        before: the recording up to it, (m, 2).
        after: the recording from its end on, (m, 2).
    """
    end = len(sound) - begin
    size = min(round(STRETCH * RATE), len(before), len(after), (end - begin) // 2)
    if size < _WINDOW:  # too short to have a colour
        return sound
    first = _difference(before[-size:], sound[begin : begin + size])
    last = _difference(after[:size], sound[end - size : end])
    padded = np.pad(sound.astype(np.float64), ((_WINDOW, 2 * _WINDOW), (0, 0)))
    frames = _frames(padded)
    middles = np.arange(frames.shape[1]) * _HOP + _WINDOW // 2 - _WINDOW
    share = ((middles - begin) / (end - begin)).clip(0, 1)[:, None]
    gain = 10 ** (((1 - share) * first + share * last) / 20)
    changed = np.fft.irfft(np.fft.rfft(frames * _HANN) * gain) * _HANN / _HANN_SQUARES
    out = np.zeros((2, len(padded)))
    for number in range(changed.shape[1]):
        out[:, number * _HOP : number * _HOP + _WINDOW] += changed[:, number]
    return out.T[_WINDOW : _WINDOW + len(sound)].astype(np.float32)


def _difference(wanted: FloatArray, got: FloatArray) -> Values:
    """By how much `wanted` is louder than `got`, (bins,) in dB, within `MOST_DB`."""
    bands = (_band_levels(wanted) - _band_levels(got)).clip(-MOST_DB, MOST_DB)
    low, high = np.maximum(_EDGES_HZ[:-1], _LOWEST_HZ), _EDGES_HZ[1:]
    middles = np.log(low * high) / 2  # on a logarithmic scale
    return np.asarray(np.interp(np.log(_HZ.clip(_LOWEST_HZ)), middles, bands))


def _band_levels(sound: FloatArray) -> Values:
    """Mean power of each band of (n, 2), in dB."""
    power = np.square(np.abs(np.fft.rfft(_frames(sound) * _HANN))).mean((0, 1))
    bins = np.searchsorted(_HZ, _EDGES_HZ)
    return np.array(
        [
            10 * math.log10(power[low : max(high, low + 1)].mean() + _FLOOR)
            for low, high in pairwise(bins)
        ]
    )


def _frames(sound: NDArray[np.floating]) -> NDArray[np.floating]:
    """Every `_HOP` samples of (n, 2) a window, (2, frames, _WINDOW)."""
    return np.lib.stride_tricks.sliding_window_view(sound.T, _WINDOW, axis=1)[:, ::_HOP]
