"""Numbers that say how far one sound, or one set of sounds, is from another."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from diegetic.config import RATE
from diegetic.mixer.loudness import ABSOLUTE_GATE, HOP, Meter
from diegetic.snapshot import FloatArray

Values = NDArray[np.float64]

STEREO_DB = -40.0  # a side softer than that against the mid is no stereo worth keeping
MEL_BANDS = 80
_MEL_WINDOW, _MEL_HOP = 2048, 512  # samples
_SILENCE = 1e-12  # power
_MEL_FLOOR = 1e-8  # power of a band: -80 dB


def level(samples: FloatArray) -> float:
    """RMS in dBFS; silence is -120."""
    return float(10 * np.log10(np.square(samples, dtype=np.float64).mean() + _SILENCE))


def loudest_second(samples: FloatArray) -> float:
    """RMS (dBFS) of the loudest of the seconds of (n, 2), one every half second."""
    size = min(RATE, len(samples))
    starts = range(0, len(samples) - size + 1, RATE // 2)
    return max(level(samples[start : start + size]) for start in starts)


def width(samples: FloatArray) -> float:
    """Level of the side against the mid (dB) of (n, 2)."""
    return level(samples[:, 0] - samples[:, 1]) - level(samples[:, 0] + samples[:, 1])


def cosines(a: FloatArray, b: FloatArray) -> Values:
    """Cosine of each row of `a` (N, D) with that of `b`, (N,)."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.asarray((x * y).sum(1) / np.maximum(lengths, 1e-12))


def spread(embeddings: FloatArray) -> float:
    """Mean cosine distance of every two of the embeddings (N > 1, D)."""
    first, second = np.triu_indices(len(embeddings), 1)
    return float(1 - cosines(embeddings[first], embeddings[second]).mean())


def loudness(samples: FloatArray) -> float:
    """Integrated loudness (LUFS, ITU-R BS.1770-5) of (n, 2); silence is the gate, -70."""
    meter = Meter(window=max(1, len(samples) // HOP))
    meter.push(samples.T)
    return max(meter.integrated, ABSOLUTE_GATE)


def centroid(samples: FloatArray) -> float:
    """Centroid (Hz) of the mean magnitude spectrum of (n, 2), mid of both; silence is at 0."""
    mono = np.pad(samples.mean(1), (0, max(0, _MEL_WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(mono, _MEL_WINDOW)[::_MEL_HOP]
    mean = np.abs(rfft(frames * np.hanning(_MEL_WINDOW).astype(np.float32))).mean(0)
    frequencies = np.arange(len(mean)) * RATE / _MEL_WINDOW
    return float((mean * frequencies).sum() / max(float(mean.sum()), 1e-9))


def frechet(a: FloatArray, b: FloatArray) -> float:
    """Fréchet distance of two sets of embeddings (N, D), (M, D), as if they were Gaussian.

    The trace of the root of the covariances' product is the sum of the singular values of X Yᵀ,
    where X and Y are the centred sets: exact for sets smaller than D too.

    Raises:
        ValueError: a set has fewer than two embeddings, or they are of other sizes.
    """
    if min(len(a), len(b)) < 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"sets must be (at least 2, D) each, got {a.shape} and {b.shape}")
    x, y = (s.astype(np.float64) for s in (a, b))
    apart = np.square(x.mean(0) - y.mean(0)).sum()
    x = (x - x.mean(0)) / np.sqrt(len(x) - 1)
    y = (y - y.mean(0)) / np.sqrt(len(y) - 1)
    shared = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(max(0.0, apart + np.square(x).sum() + np.square(y).sum() - 2 * shared))


def mel_distance(a: FloatArray, b: FloatArray) -> float:
    """Mean difference (dB) of the log-mel spectra of (n, 2) and (n, 2), mid of both."""
    return float(np.abs(_log_mel(a.mean(1)) - _log_mel(b.mean(1))).mean())


def _log_mel(mono: FloatArray) -> Values:
    padded = np.pad(mono, (0, max(0, _MEL_WINDOW - len(mono))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _MEL_WINDOW)[::_MEL_HOP]
    power = np.square(np.abs(rfft(frames * np.hanning(_MEL_WINDOW))) * (4 / _MEL_WINDOW))
    return np.asarray(10 * np.log10(power @ _mel_filters().T + _MEL_FLOOR))


@cache
def _mel_filters() -> Values:
    """Triangles (MEL_BANDS, bins) of sum one, even in mel (O'Shaughnessy) up to 20 kHz."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 20_000 / 700), MEL_BANDS + 2) / 2595))
    edges = edges - 700
    bins = np.arange(_MEL_WINDOW // 2 + 1) * RATE / _MEL_WINDOW
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    filters = np.minimum(rise, fall).clip(min=0)
    sums = filters.sum(1, keepdims=True)
    return np.asarray(filters / np.maximum(sums, 1e-12))
