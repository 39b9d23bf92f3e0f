"""Spectra to sound, and noise to spectra: the streaming ends of the codec, in numpy.

The networks' decoder returns spectra of mid and side; here they become samples by overlap-add. A
sample is complete when all four frames that cover it have been added, so the sound comes out
`DELAY` samples (15 ms) after the latents it belongs to.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

WINDOW = 960
FRAME_HOP = 240
DELAY = WINDOW - FRAME_HOP
_OVERLAPS = WINDOW // FRAME_HOP
# A periodic Hann window for analysis and one for synthesis sum to 1.5 at a hop of a quarter.
_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
_SYNTHESIS = (_HANN / 1.5 * WINDOW / 4).astype(np.float32)
_NOISE_ANALYSIS = (_HANN / np.sqrt(np.square(_HANN).sum())).astype(np.float32)


def silent_tail() -> FloatArray:
    """The overlap-add state before the first frame: (2, DELAY)."""
    return np.zeros((2, DELAY), np.float32)


def noise_spectra(noise: FloatArray) -> FloatArray:
    """White noise (2, DELAY + samples), the first DELAY being the past, to spectra of mean power 1.

    Returns (2, samples / FRAME_HOP, BINS, 2 (real, imaginary)).
    """
    frames = np.lib.stride_tricks.sliding_window_view(noise, WINDOW, axis=1)[:, ::FRAME_HOP]
    spectra = np.fft.rfft(frames * _NOISE_ANALYSIS).astype(np.complex64)
    return spectra.view(np.float32).reshape(*spectra.shape, 2)


def synthesise(spectra: NDArray[Any], tail: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Add frames to a stream.

    Args:
        spectra: (2 (mid, side), F, BINS, 2 (real, imaginary)) float32.
        tail: sums of earlier frames that are not complete, (2, DELAY); not modified.

    Returns:
        Left and right samples (F * FRAME_HOP, 2), and the next tail.
    """
    values = np.ascontiguousarray(spectra, np.float32).view(np.complex64)[..., 0]
    frames = np.fft.irfft(values, n=WINDOW).astype(np.float32) * _SYNTHESIS
    count = frames.shape[1]
    quarters = frames.reshape(2, count, _OVERLAPS, FRAME_HOP)
    sums = np.zeros((2, count + _OVERLAPS - 1, FRAME_HOP), np.float32)
    sums[:, : _OVERLAPS - 1] = tail.reshape(2, _OVERLAPS - 1, FRAME_HOP)
    for part in range(_OVERLAPS):
        sums[:, part : part + count] += quarters[:, :, part]
    mid, side = sums[:, :count].reshape(2, -1)
    return np.stack((mid + side, mid - side), axis=1), sums[:, count:].reshape(2, -1)
