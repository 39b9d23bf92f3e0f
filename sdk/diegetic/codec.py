"""The streaming ends of the codec, in numpy: sound to band levels, noise to spectra to sound.

    spectra --overlap-add--> sound --measure, scale bands, overlap-add--> sound, its levels held
                               |-- as often as LEVELLINGS --|

The networks' decoder returns spectra of mid and side; here they become samples by overlap-add. But
frames overlap and noise fluctuates, so after overlap-add a band is off by several dB. The latents
say how loud every band of every frame is: so the sound is analysed again, every band is scaled to
its level, and the frames are added once more. (Griffin and Lim's iteration, ASSP-32 1984, on bands
instead of bins: what lies inside a band, and its phases, stay as they are.)

A sample is complete when all four frames that cover it have been added: each overlap-add is `LAG`
samples late, and the sound comes out `DELAY` samples after the latents it belongs to.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from diegetic.config import RATE, SAMPLES_PER_LATENT

FloatArray = NDArray[np.float32]
ComplexArray = NDArray[np.complex64]

WINDOW = 960
FRAME_HOP = 240
BINS = WINDOW // 2 + 1
FRAMES_PER_LATENT = SAMPLES_PER_LATENT // FRAME_HOP
LAG = WINDOW - FRAME_HOP
LEVELLINGS = 2
DELAY = LAG * (1 + LEVELLINGS)
MOST_GAIN = 6.0  # neper, a band at a time
MAKE_UP = 0.075  # neper: overlapping frames that do not quite agree lose this much

MID_BANDS = 80
SIDE_BANDS = 24
BANDS = MID_BANDS + SIDE_BANDS
FLOOR = 1e-4  # amplitude of a band that counts as silence (-80 dBFS)
TOP_HZ = 20_000.0

_OVERLAPS = WINDOW // FRAME_HOP
_LATE = LAG // FRAME_HOP  # frames
_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
_ANALYSIS = _HANN * 4 / WINDOW  # a full-scale sine comes out near 1
# A periodic Hann window for analysis and one for synthesis sum to 1.5 at a hop of a quarter.
_SYNTHESIS = (_HANN / 1.5 * WINDOW / 4).astype(np.float32)
_NOISE_ANALYSIS = _HANN / np.sqrt(np.square(_HANN).sum())
_ROWS = 4  # of a matrix product; OpenBLAS has one thread for up to 2**18 multiplications


@cache
def band_matrix(bands: int) -> FloatArray:
    """Triangular filters (bands, BINS), each summing to one, on an asinh frequency scale.

    The scale is linear (one bin, 50 Hz, a band) at the bottom and logarithmic at the top, so that
    no filter is ever narrower than a bin.
    """
    knee = 1120.0 * 80 / bands
    edges = knee * np.sinh(np.arange(-1, bands + 1) * (math.asinh(TOP_HZ / knee) / bands))
    frequency = np.arange(BINS) * RATE / WINDOW
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise = (frequency - low) / (centre - low)
    fall = (high - frequency) / (high - centre)
    weights = np.minimum(rise, fall).clip(min=0)
    matrix: FloatArray = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return matrix


@cache
def interpolation_matrix(bands: int) -> FloatArray:
    """Linear interpolation (BINS, bands) from band centres to bins; constant beyond the ends."""
    frequency = np.arange(BINS)
    centres = band_matrix(bands).astype(np.float64) @ frequency
    upper = np.searchsorted(centres, frequency).clip(1, bands - 1)
    share = (frequency - centres[upper - 1]) / (centres[upper] - centres[upper - 1])
    matrix = np.zeros((BINS, bands))
    matrix[frequency, upper - 1] = 1 - share.clip(0, 1)
    matrix[frequency, upper] += share.clip(0, 1)
    return matrix.astype(np.float32)


@dataclass(frozen=True)
class SynthesisState:
    """What the next samples depend on besides their spectra; an axis over stages in front.

    Attributes:
        tails: sums of frames that are not complete, (1 + LEVELLINGS, 2, LAG).
        pasts: latest complete samples before each levelling, (LEVELLINGS, 2, LAG).
        wanted: levels whose samples are still to come, (LEVELLINGS, LAG / FRAME_HOP, BANDS).
    """

    tails: FloatArray
    pasts: FloatArray
    wanted: FloatArray


def silence() -> SynthesisState:
    """The state before the first frame."""
    return SynthesisState(
        np.zeros((1 + LEVELLINGS, 2, LAG), np.float32),
        np.zeros((LEVELLINGS, 2, LAG), np.float32),
        np.full((LEVELLINGS, _LATE, BANDS), math.log(FLOOR), np.float32),
    )


def noise_spectra(noise: FloatArray) -> FloatArray:
    """White noise (2, LAG + samples), the first LAG being the past, to spectra of mean power 1.

    Returns (2 (real, imaginary), 2, samples / FRAME_HOP, BINS).
    """
    spectra = _spectra(noise, _NOISE_ANALYSIS)
    return np.stack((spectra.real, spectra.imag))


def band_levels(audio: FloatArray, past: FloatArray) -> FloatArray:
    """Log levels (natural) of causal frames: (samples / FRAME_HOP, BANDS).

    Args:
        audio: left and right, (a multiple of FRAME_HOP, 2).
        past: the LAG samples before, (LAG, 2).
    """
    left, right = np.concatenate((past, audio)).T
    sides = np.stack((0.5 * (left + right), 0.5 * (left - right)))
    return _levels(_spectra(sides, _ANALYSIS))


def synthesise(
    spectra: FloatArray, levels: FloatArray, state: SynthesisState, kept: int
) -> tuple[FloatArray, SynthesisState]:
    """Add frames to a stream.

    Args:
        spectra: (2 (real, imaginary), 2 (mid, side), F, BINS).
        levels: of the same frames, (F, BANDS), natural log.
        state: what came before; not modified.
        kept: frames, of F, that the next state follows.

    Returns:
        Left and right samples (F * FRAME_HOP, 2), and the next state.
    """
    values = np.empty(spectra.shape[1:], np.complex64)
    values.real, values.imag = spectra
    sound, tail = _overlap_add(values, state.tails[0], kept)
    tails, pasts, wanted = [tail], [], []
    for stage in range(LEVELLINGS):
        seen = np.concatenate((state.pasts[stage], sound), axis=1)
        due = np.concatenate((state.wanted[stage], levels))
        pasts.append(seen[:, kept * FRAME_HOP :][:, :LAG])
        wanted.append(due[kept : kept + _LATE])
        levels = due[: len(levels)]
        values = _spectra(seen, _ANALYSIS)
        gain = (levels - _levels(values) + MAKE_UP).clip(-MOST_GAIN, MOST_GAIN)
        mid = _times(gain[:, :MID_BANDS], _across(interpolation_matrix, MID_BANDS))
        side = _times(gain[:, MID_BANDS:], _across(interpolation_matrix, SIDE_BANDS))
        values *= np.exp(np.stack((mid, side)))
        sound, tail = _overlap_add(values, state.tails[1 + stage], kept)
        tails.append(tail)
    after = SynthesisState(np.stack(tails), np.stack(pasts), np.stack(wanted))
    return np.stack((sound[0] + sound[1], sound[0] - sound[1]), axis=1), after


def _frames(signal: FloatArray) -> FloatArray:
    return np.lib.stride_tricks.sliding_window_view(signal, WINDOW, axis=1)[:, ::FRAME_HOP]


def _spectra(signal: FloatArray, window: NDArray[np.float64]) -> ComplexArray:
    """Spectra (2, frames, BINS) of (2, LAG + samples).

    In float64, which numpy transforms four times as fast as float32.
    """
    return np.fft.rfft(_frames(signal) * window).astype(np.complex64)


def _levels(spectra: ComplexArray) -> FloatArray:
    magnitude = np.abs(spectra)
    mid = _times(magnitude[0], _across(band_matrix, MID_BANDS))
    side = _times(magnitude[1], _across(band_matrix, SIDE_BANDS))
    levels: FloatArray = np.log(np.concatenate((mid, side), axis=1).clip(min=FLOOR))
    return levels


@cache
def _across(matrix: Callable[[int], FloatArray], bands: int) -> FloatArray:
    """`matrix(bands)` transposed, as it lies in memory too: products then take a seventh."""
    return np.ascontiguousarray(matrix(bands).T)


def _times(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    """`rows` (F, n) @ `matrix` (n, m), a few rows at a time.

    For more, OpenBLAS starts threads that wait for one another: where somebody else has a core, a
    chunk then takes five times as long. And the samples are the same however many threads it has.
    """
    count, width = rows.shape
    whole = np.zeros((-(-count // _ROWS), _ROWS, width), np.float32)
    whole.reshape(-1, width)[:count] = rows
    product: FloatArray = (whole @ matrix).reshape(-1, matrix.shape[1])[:count]
    return product


def _overlap_add(
    values: ComplexArray, tail: FloatArray, kept: int
) -> tuple[FloatArray, FloatArray]:
    """Spectra (2, F, BINS) and sums (2, LAG) to samples (2, F * FRAME_HOP).

    Also returns the sums that are open after `kept` frames.
    """
    frames = np.fft.irfft(values, n=WINDOW).astype(np.float32) * _SYNTHESIS
    quarters = frames.reshape(*frames.shape[:2], _OVERLAPS, FRAME_HOP)
    count = frames.shape[1]
    sums = _sums(quarters, tail)
    after = sums if kept == count else _sums(quarters[:, :kept], tail)
    return sums[:, :count].reshape(2, -1), after[:, kept:].reshape(2, -1)


def _sums(quarters: FloatArray, tail: FloatArray) -> FloatArray:
    """Frames (2, F, _OVERLAPS, FRAME_HOP) laid over one another: (2, F + _LATE, FRAME_HOP)."""
    count = quarters.shape[1]
    sums = np.zeros((2, count + _LATE, FRAME_HOP), np.float32)
    sums[:, :_LATE] = tail.reshape(2, _LATE, FRAME_HOP)
    for part in range(_OVERLAPS):
        sums[:, part : part + count] += quarters[:, :, part]
    return sums
