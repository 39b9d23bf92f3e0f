"""What a place in a recording is like: numbers in which a seam might differ from other places.

    window   |<- before ->|<---- fade ---->|<- after ->|
                              | middle |                   the middle half of the fade

All are decibels, so that they do not depend on the recording's level. Ranks would make evidence of
the smallest difference, so what nobody hears is none: sounds below `FLOOR_DB` are silence, and
values are multiples of `RESOLUTION_DB`.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from diegetic.config import RATE

FloatArray = NDArray[np.float32]
Values = NDArray[np.float64]

FLOOR_DB = -80.0  # dBFS
RESOLUTION_DB = 0.1
_FLOOR = 10 ** (FLOOR_DB / 10)
BANDS_HZ = (0, 200, 500, 1000, 2000, 4000, 8000, 20_000)
_FINE_HZ = np.geomspace(100, 16_000, 17)
FRAME, _FRAME_HOP = 512, 240  # samples
_MS = RATE // 1000
_LPC_ORDER = 32
_AT_ONCE = 64  # windows described together: their spectra take 50 MB

FEATURES = (
    "level",  # of the middle against the mean power before and after
    *(f"{low}-{high} Hz" for low, high in pairwise(BANDS_HZ)),  # the same
    "rise",  # of the level from before to after
    "hole",  # quietest millisecond of the fade against that of its surroundings
    "2nd difference",  # its peak in the fade against its peak in the surroundings
    "click",  # peak of the linear prediction's error in the fade against its RMS around
    "flux",  # mean step of the log spectrum within 5 ms, in the fade
    "flux against around",  # the same less that of the surroundings
    "flux peak",  # its largest step in the fade
    "change",  # of the log spectrum from before to after
    "width",  # side against mid in the middle, less that of the surroundings
    "flatness",  # of the middle's spectrum, less that of the surroundings
)


def describe(windows: FloatArray, overlap: int) -> Values:
    """Return the features, (N, FEATURES) in dB.

    `windows` are (N, n, 2) with the fade of `overlap` samples in the middle of n; there must be at
    least a frame (10.7 ms) before and after it.
    """
    parts = range(0, len(windows), _AT_ONCE)
    described = [_describe(windows[start : start + _AT_ONCE], overlap) for start in parts]
    return np.concatenate([np.zeros((0, len(FEATURES))), *described])


def _describe(windows: FloatArray, overlap: int) -> Values:
    x = windows.astype(np.float64)
    size = x.shape[1]
    begin, end = (size - overlap) // 2, (size + overlap) // 2
    quarter = overlap // 4
    parts = (x[:, :begin], x[:, begin + quarter : end - quarter], x[:, end:])
    points = 1 << (size - 1).bit_length()
    before, middle, after = (_spectrum(part, points) for part in parts)
    around = (before + after) / 2
    coarse = np.array(BANDS_HZ, np.float64)
    columns = [
        _step(*(np.square(part).mean(axis=(1, 2)) for part in parts)),
        *(_db(_bands(middle, coarse)) - _db(_bands(around, coarse))).T,
        _level(parts[2]) - _level(parts[0]),
        _hole(x, begin, end),
        second_difference(x, begin, end),
        _click(x, begin, end),
        *_flux(x, begin, end),
        np.abs(_db(_bands(after, _FINE_HZ)) - _db(_bands(before, _FINE_HZ))).mean(1),
        _width(parts[1]) - (_width(parts[0]) + _width(parts[2])) / 2,
        _flatness(middle) - (_flatness(before) + _flatness(after)) / 2,
    ]
    return np.asarray(np.round(np.stack(columns, axis=1) / RESOLUTION_DB) * RESOLUTION_DB)


def fade_step(made: FloatArray, out: FloatArray, into: FloatArray) -> float:
    """Return the level (dB) that a fade adds in its middle half.

    Compared are `made` and what two sides with nothing in common would give: the powers of `out`
    and `into`, weighted by cosine² and sine². All are (overlap, 2).
    """
    size = len(made)
    middle = slice(size // 4, size - size // 4)
    angle = (np.arange(size) + 0.5) / size * (np.pi / 2)
    fall = (np.cos(angle) ** 2)[:, None]
    expected = fall * np.square(out, dtype=np.float64)
    expected += (1 - fall) * np.square(into, dtype=np.float64)
    heard = np.square(made, dtype=np.float64)[middle].mean()
    return float(_db(heard) - _db(expected[middle].mean()))


def second_difference(x: Values, begin: int, end: int) -> Values:
    """Return its peak in samples `begin`..`end` against that elsewhere in (N, n, 2), (N,) in dB."""
    bend = np.square(np.diff(x, 2, axis=1)).max(2)
    fade = _within(bend.shape[1], 1, 3, begin, end)
    return _db(bend[:, fade].max(1)) - _db(bend[:, ~fade].max(1))


def _step(before: Values, middle: Values, after: Values) -> Values:
    return _db(middle) - _db((before + after) / 2)


def _hole(x: Values, begin: int, end: int) -> Values:
    count = x.shape[1] // _MS
    levels = _db(np.square(x[:, : count * _MS]).reshape(len(x), count, -1).mean(2))
    fade = _within(count, _MS, _MS, begin, end)
    return np.asarray(levels[:, fade].min(1) - levels[:, ~fade].min(1))


def _click(x: Values, begin: int, end: int) -> Values:
    """Peak of the linear prediction's error in the fade against its RMS around, louder channel."""
    window = np.hanning(x.shape[1])
    found = np.empty((len(x), 2))
    fade = slice(begin - _LPC_ORDER, end + _LPC_ORDER)
    for index, channel in np.ndindex(found.shape):
        signal = x[index, :, channel]
        spectrum = np.abs(np.fft.rfft(signal * window, 2 * len(signal))) ** 2
        lags = np.fft.irfft(spectrum)[: _LPC_ORDER + 1]
        lags[0] = lags[0] * (1 + 1e-6) + _FLOOR * len(signal) / 2
        weights = solve_toeplitz(lags[:-1], lags[1:])
        error = np.square(lfilter(np.concatenate(([1.0], -weights)), 1.0, signal))
        error[:_LPC_ORDER] = 0.0  # before there is a past to predict from
        around = error.sum() - error[fade].sum()
        rest = len(error) - _LPC_ORDER - (fade.stop - fade.start)
        found[index, channel] = _db(error[fade].max()) - _db(around / rest)
    return np.asarray(found.max(1))


def _flux(x: Values, begin: int, end: int) -> tuple[Values, Values, Values]:
    """Mean in the fade, the same less that around, and peak, of the log spectrum's steps."""
    frames = np.lib.stride_tricks.sliding_window_view(x, FRAME, axis=1)[:, ::_FRAME_HOP]
    count, steps = len(x), frames.shape[1]
    spectra = _spectrum(frames.reshape(count * steps, 2, FRAME).swapaxes(1, 2), FRAME)
    bands = _db(_bands(spectra, _FINE_HZ)).reshape(count, steps, -1)
    flux = np.abs(np.diff(bands, axis=1)).mean(2)
    fade = _within(steps - 1, _FRAME_HOP, FRAME + _FRAME_HOP, begin, end)
    inside = flux[:, fade]
    return inside.mean(1), inside.mean(1) - flux[:, ~fade].mean(1), inside.max(1)


def _within(count: int, hop: int, size: int, begin: int, end: int) -> NDArray[np.bool_]:
    """Which of `count` windows of `size`, one every `hop`, have their middle in begin..end."""
    middles = np.arange(count) * hop + size / 2
    return np.asarray((begin <= middles) & (middles < end))


def _spectrum(x: Values, points: int) -> Values:
    """Power spectrum of (N, n, 2), (N, points / 2 + 1), whose sum is about the mean square."""
    window = np.hanning(x.shape[1])
    spectra = np.abs(np.fft.rfft(x * window[:, None], points, axis=1)) ** 2
    return np.asarray(2 / points / np.square(window).sum() * spectra.mean(2))


def _bands(spectra: Values, edges_hz: Values) -> Values:
    """Power (N, edges - 1) between each two edges; a narrow band still has its nearest bin."""
    bins = np.round(edges_hz / (RATE / 2) * (spectra.shape[1] - 1)).astype(int)
    sums = np.concatenate((np.zeros((len(spectra), 1)), np.cumsum(spectra, axis=1)), axis=1)
    low = bins[:-1]
    return np.asarray(sums[:, np.maximum(bins[1:], low + 1)] - sums[:, low])


def _width(x: Values) -> Values:
    return _db(np.square(x[..., 0] - x[..., 1]).mean(1)) - _db(
        np.square(x[..., 0] + x[..., 1]).mean(1)
    )


def _flatness(spectra: Values) -> Values:
    """Geometric against arithmetic mean of the bins below 16 kHz."""
    audible = spectra[:, 1 : spectra.shape[1] * 2 // 3] + _FLOOR / spectra.shape[1]
    return np.asarray(10 * (np.log10(audible).mean(1) - np.log10(audible.mean(1))))


def _level(x: Values) -> Values:
    return _db(np.square(x).mean(axis=(1, 2)))


def _db(power: Values | np.float64) -> Values:
    return np.asarray(10 * np.log10(np.maximum(power, 0.0) + _FLOOR))
