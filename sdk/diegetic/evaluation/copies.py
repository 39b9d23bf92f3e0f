"""Has one sound been copied from another? Correlation of their latents at every offset.

    longer    |------------------------------|
    shorter        |-----------|                 slid over the longer one, whole

At each offset the mean of every dimension over the time that both share is taken away, so that
being as loud and as bright is no likeness: what is compared is how they go on. Where nothing goes
on there is nothing to copy.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from diegetic.config import LATENT_RATE
from diegetic.snapshot import FloatArray

SHORTEST = round(0.5 * LATENT_RATE)  # latents; what is shorter is alike by chance
STILL = 0.02  # of the mean square of what is compared: less movement is none
_PIECE = 1024  # latents of a longer sound at once; holds memory down

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Nearest:
    """The most alike sound: its number, -1 if there is none, and the correlation, -1..1."""

    clip: int
    correlation: float


def nearest(made: FloatArray, clips: Iterable[FloatArray]) -> list[Nearest]:
    """Find the nearest of `clips`, (L, C) each, to each of `made` (N, T, C), all at least SHORTEST.

    Shorter clips are counted but not compared.

    Raises:
        ValueError: `made` is shorter than SHORTEST.
    """
    if made.ndim != 3 or made.shape[1] < SHORTEST:
        raise ValueError(f"made must be (N, at least {SHORTEST}, C), got {made.shape}")
    moving = made - made.mean(axis=(0, 1))
    sliding = _Sliding(made, STILL * float(np.square(moving).sum(2).mean()))
    best = np.full(len(made), -1.0)
    which = np.full(len(made), -1)
    for number, clip in enumerate(clips):
        if len(clip) < SHORTEST:
            continue
        found = sliding.correlate(clip)
        which[found > best] = number
        best = np.maximum(best, found)
    return [Nearest(int(clip), float(value)) for clip, value in zip(which, best, strict=True)]


class _Sliding:
    """One set of sounds (N, T, C), against which clips are slid; spectra are kept."""

    def __init__(self, made: FloatArray, floor: float) -> None:
        self._made, self._floor = made, floor
        self._size = made.shape[1]
        self._energies: dict[int, Values] = {}
        self._templates: dict[int, NDArray[np.complex64]] = {}
        self._spectra: NDArray[np.complex64] | None = None

    def correlate(self, clip: FloatArray) -> Values:
        """The highest correlation of each with `clip` (L, C), (N,)."""
        if len(clip) < self._size:
            return self._clip_over_made(clip)
        found = [self._made_over(piece) for piece in _pieces(clip, self._size)]
        return np.asarray(np.max(found, axis=0))

    def _clip_over_made(self, clip: FloatArray) -> Values:
        points = next_fast_len(self._size, real=True)
        if self._spectra is None:
            self._spectra = _by_bin(self._made, points)
        template = _by_bin((clip - clip.mean(0))[None], points)
        products = np.matmul(self._spectra, template.conj().transpose(0, 2, 1))[:, :, 0]
        offsets = self._size - len(clip) + 1
        shared = irfft(products, points, axis=0)[:offsets].T
        own = _energies(clip[None], len(clip))
        return self._highest(shared, self._energies_of(len(clip)), own, len(clip))

    def _made_over(self, clip: FloatArray) -> Values:
        points = next_fast_len(max(_PIECE, len(clip)), real=True)
        if points not in self._templates:
            centred = self._made - self._made.mean(1, keepdims=True)
            self._templates[points] = _by_bin(centred, points)
        signal = _by_bin(clip[None], points).conj().transpose(0, 2, 1)
        products = np.matmul(self._templates[points], signal)[:, :, 0].conj()
        offsets = len(clip) - self._size + 1
        shared = irfft(products, points, axis=0)[:offsets].T
        energies = _energies(clip[None], self._size)
        return self._highest(shared, energies, self._energies_of(self._size), self._size)

    def _energies_of(self, length: int) -> Values:
        if length not in self._energies:
            self._energies[length] = _energies(self._made, length)
        return self._energies[length]

    def _highest(self, shared: FloatArray, a: Values, b: Values, length: int) -> Values:
        least = self._floor * length
        norm = np.sqrt(np.maximum(a, least) * np.maximum(b, least))
        return np.asarray((shared / norm).max(1), np.float64)


def _pieces(clip: FloatArray, size: int) -> Iterator[FloatArray]:
    """Stretches of at most _PIECE that share all but one of `size`, so that no offset is lost."""
    step = max(1, _PIECE - size + 1)
    for begin in range(0, len(clip) - size + 1, step):
        yield clip[begin : begin + max(_PIECE, size)]


def _by_bin(sounds: FloatArray, points: int) -> NDArray[np.complex64]:
    """Spectra over time of (N, T, C), (bins, N, C)."""
    spectra = rfft(sounds.astype(np.float32), points, axis=1).transpose(1, 0, 2)
    return np.ascontiguousarray(spectra, np.complex64)


def _energies(sounds: FloatArray, length: int) -> Values:
    """Sum of squares about the mean of every stretch of `length`, (N, T - length + 1)."""
    x = sounds.astype(np.float64)
    sums = np.pad(np.cumsum(x, axis=1), ((0, 0), (1, 0), (0, 0)))
    means = (sums[:, length:] - sums[:, :-length]) / length
    squares = np.pad(np.cumsum(np.square(x).sum(2), axis=1), ((0, 0), (1, 0)))
    found = squares[:, length:] - squares[:, :-length] - length * np.square(means).sum(2)
    return np.asarray(np.maximum(found, 0.0))
