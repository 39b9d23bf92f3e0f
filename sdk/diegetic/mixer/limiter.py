r"""No peak above the ceiling, not even between the samples.

    x ---------------- delay ---------------- * -- out
     \                                       /
      8x peaks -> release -> hold -> average

The peaks between the samples are found by 8-fold interpolation, and by BS.1770's own: its short
filters read up to 0.6 dB higher, and a meter that follows the letter must agree. What a peak asks
to be taken away, 1 - ceiling / peak, decays exponentially after it (release), is held for as long
as the averages look, and is averaged twice: so the gain is smooth, is there when its peak leaves
the delay, and no peak asks in vain. After Giannoulis, Massberg and Reiss, "Digital dynamic range
compressor design" (JAES 2012); true peak after ITU-R BS.1770-5, annex 2.
"""

import math
from functools import lru_cache

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.mixer.ramp import amplitude
from diegetic.snapshot import FloatArray

OVERSAMPLING = 8
TAPS = 20  # of each phase of the interpolator
MARGIN_DB = 0.25  # for what lies between 8-fold samples, and for a longer interpolator's opinion
RELEASE = 0.1  # s, time constant
_BOX = 32  # samples of each of the two averages; a power of two
_SMOOTH = 2 * _BOX - 1  # samples that the two together look at
DELAY = _SMOOTH - 1 + TAPS - 1  # 81 samples, 1.7 ms: the last of a peak's neighbours are covered
_HOLD = DELAY + 1
_POWER = 64  # the power of two below the hold
# BS.1770-5, annex 2: phases 0 and 1 in units of 2^-13, exact; 3 and 2 are their mirror images.
_RECOMMENDED = (
    (14, 90, -161, 272, -487, 1125, 7964, -838, 390, -218, 122, -68),
    (-239, 240, -424, 730, -1364, 3810, 6388, -1641, 832, -477, 271, -155),
)
_KAISER = 4.0  # shape of the interpolator's window
_GONE = 1e-6  # a reduction (of 1) that is none


class Limiter:
    """Bring true peaks down to a ceiling; samples leave `DELAY` later.

    Attributes:
        reduction_db: how much the last block was turned down at most.
        deepest_db: the same of all blocks.
    """

    def __init__(self, block: int) -> None:
        self.reduction_db = 0.0
        self.deepest_db = 0.0
        self.set_ceiling(-1.0)
        self._peaks = _TruePeak(block)
        self._delayed = np.zeros((CHANNELS, DELAY + block), np.float32)
        self._out = np.zeros((CHANNELS, block), np.float32)
        decay = np.exp(-(np.arange(block) + 1.0) / (RELEASE * RATE))
        self._down = decay.astype(np.float32)
        self._up = (1.0 / decay).astype(np.float32)
        self._decaying = np.zeros(block + 1, np.float32)
        self._asked = np.zeros(_HOLD - 1 + block, np.float32)  # after the release
        self._held = np.zeros(_SMOOTH - 1 + block, np.float32)
        self._left = np.zeros(block, np.float32)
        self._is_none = np.zeros(block, np.bool_)
        self._scratch = np.zeros((2, _HOLD - 1 + block), np.float32)
        self._busy = False  # something is left of what was asked

    def set_ceiling(self, dbtp: float) -> None:
        """Set the true peak that is never passed, from the next sample on."""
        self._ceiling = np.float32(amplitude(dbtp - MARGIN_DB))

    def process(self, samples: FloatArray) -> FloatArray:
        """Return what is due for `samples` (2, count); a view that the next call overwrites."""
        count = samples.shape[1]
        self._delayed[:, DELAY : DELAY + count] = samples
        due, out = self._delayed[:, :count], self._out[:, :count]
        taken = self._taken(samples)
        if taken is None:
            out[:] = due
            self.reduction_db = 0.0
        else:
            left = np.subtract(1.0, taken, out=self._left[:count])
            np.multiply(due, left, out=out)
            self.reduction_db = -20.0 * math.log10(1.0 - float(taken.max()))
            self.deepest_db = max(self.deepest_db, self.reduction_db)
        _shift(self._delayed, count, DELAY)
        return out

    def _taken(self, samples: FloatArray) -> FloatArray | None:
        """Return how much of 1 is taken from each due sample, (count,); None for nothing at all."""
        count = samples.shape[1]
        peaks = self._peaks(samples)
        if not self._busy and peaks.max() <= self._ceiling:
            return None  # every array below is and stays zero
        asked = self._asked[: _HOLD - 1 + count]
        new = asked[_HOLD - 1 :]
        np.maximum(peaks, self._ceiling, out=peaks)
        np.divide(self._ceiling, peaks, out=peaks)
        np.subtract(1.0, peaks, out=new)

        # Decaying maximum: e[k] = max(new[k], a e[k-1]) is a running maximum of new[k] / a^k.
        decaying = self._decaying[: count + 1]
        np.multiply(new, self._up[:count], out=decaying[1:])
        np.maximum.accumulate(decaying, out=decaying)
        np.multiply(decaying[1:], self._down[:count], out=new)
        np.copyto(new, 0.0, where=np.less(new, _GONE, out=self._is_none[:count]))
        decaying[0] = new[-1]

        wide = _slide(np.maximum, asked, _POWER, self._scratch)
        held = self._held[: _SMOOTH - 1 + count]
        np.maximum(wide[:count], wide[-count:], out=held[_SMOOTH - 1 :])
        smooth = _slide(np.add, held, _BOX, self._scratch)
        np.multiply(smooth, 1.0 / _BOX**2, out=smooth)
        taken = _slide(np.add, smooth, _BOX, self._scratch[::-1])
        self._busy = bool(taken[-1] > 0)  # it looks at all that is kept
        _shift(self._asked, count, _HOLD - 1)
        _shift(self._held, count, _SMOOTH - 1)
        return taken


class _TruePeak:
    """The highest level at and between samples, half of `TAPS` after they came."""

    def __init__(self, block: int) -> None:
        self._padded = np.zeros((CHANNELS, TAPS - 1 + block), np.float32)
        along, across = self._padded.strides[1], self._padded.strides[0]
        self._neighbours = np.lib.stride_tricks.as_strided(
            self._padded, (TAPS, CHANNELS, block), (along, across, along), writeable=False
        )
        self._gathered = np.zeros(TAPS * CHANNELS * block, np.float32)
        self._filters = np.concatenate([_interpolator(), _recommended()])
        self._peaks = np.zeros(block, np.float32)
        self._between = np.zeros(len(self._filters) * CHANNELS * block, np.float32)

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Return the peaks about each of `samples` (2, count), (count,)."""
        count = samples.shape[1]
        self._padded[:, TAPS - 1 : TAPS - 1 + count] = samples
        size = CHANNELS * count
        gathered = self._gathered[: TAPS * size].reshape(TAPS, size)
        gathered.reshape(TAPS, CHANNELS, count)[:] = self._neighbours[:, :, :count]
        phases = len(self._filters)
        between = self._between[: phases * size].reshape(phases, size)
        np.matmul(self._filters, gathered, out=between)
        np.abs(between, out=between)
        peaks = self._peaks[:count]
        np.maximum.reduce(between.reshape(-1, count), axis=0, out=peaks)
        _shift(self._padded, count, TAPS - 1)
        return peaks


@lru_cache(maxsize=1)
def _interpolator() -> FloatArray:
    """Return windowed sincs, (OVERSAMPLING, TAPS): row p is p / OVERSAMPLING after the middle."""
    middle = TAPS // 2 - 1
    where = middle + np.arange(OVERSAMPLING)[:, None] / OVERSAMPLING - np.arange(TAPS)
    window = np.i0(_KAISER * np.sqrt(np.maximum(0.0, 1 - (where / (TAPS / 2)) ** 2)))
    return (np.sinc(where) * window / np.i0(_KAISER)).astype(np.float32)


@lru_cache(maxsize=1)
def _recommended() -> FloatArray:
    """Return the four phases of BS.1770's interpolator, (4, TAPS): its 12 taps in the middle."""
    phases = np.zeros((4, TAPS), np.float32)
    middle = phases[:, (TAPS - 12) // 2 : (TAPS + 12) // 2]
    middle[:2] = np.array(_RECOMMENDED) / 2**13
    middle[2:] = middle[1::-1, ::-1]
    return phases


def _slide(ufunc: np.ufunc, values: FloatArray, width: int, scratch: FloatArray) -> FloatArray:
    """Return `ufunc` over every `width` (a power of two) neighbours, (n - width + 1,).

    Doubling: over 2, of these over 4, and so on. `scratch` is two rows of at least n; the result is
    in the first after an odd number of doublings, else in the second.
    """
    step, row = 1, 0
    while step < width:
        out = scratch[row, : len(values) - step]
        ufunc(values[step:], values[:-step], out=out)
        values, step, row = out, 2 * step, 1 - row
    return values


def _shift(buffer: FloatArray, count: int, kept: int) -> None:
    """Move what follows the first `count` of the last axis to its front: the next call's past."""
    buffer[..., :kept] = buffer[..., count : count + kept]
