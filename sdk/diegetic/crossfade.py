"""Join overlapping chunks into one endless signal.

    chunk k    |<------- hop ------->|<- overlap ->|
    chunk k+1                        |<- overlap ->|<- ... ->|
    emitted    |<------- hop ------->|<------- hop ------->|

Equal power lifts a seam of related signals by up to 3 dB, equal gain dips unrelated ones by as
much. So the correlation rho of the two sides is measured on the overlap, and the cosine and sine
ramps a, b are divided by sqrt(1 + 2 rho a b), the level that their sum would have. Identical sides
pass unchanged.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from diegetic.snapshot import FloatArray

MIN_RHO = (
    -0.5
)  # below this the sides cancel, and lifting the rest by more than 3 dB would be heard as a bump
_SILENCE = 1e-12  # mean square under which a side has no correlation worth measuring (-120 dBFS)


@dataclass(frozen=True)
class Seam:
    """One step of the stream.

    Attributes:
        samples: (hop, channels) ready to be heard.
        tail: (overlap, channels) to be given to the next `join`.
        rho: correlation measured on the overlap, in -1..1; 0 where a side is silent.
    """

    samples: FloatArray
    tail: FloatArray
    rho: float


def join(tail: FloatArray | None, chunk: FloatArray, overlap: int) -> Seam:
    """Blend `chunk` (hop + overlap, channels) onto `tail` (overlap, channels).

    Without a tail the chunk fades in from silence. Nothing given is modified.

    Raises:
        ValueError: the shapes do not fit.
    """
    if chunk.ndim != 2 or len(chunk) < 2 * overlap:
        raise ValueError(
            f"chunk must be (>= {2 * overlap}, channels) (samples, channels), got {chunk.shape}"
        )
    if tail is not None and tail.shape != (overlap, chunk.shape[1]):
        raise ValueError(f"tail must be ({overlap}, {chunk.shape[1]}), got {tail.shape}")
    samples = chunk[:-overlap].astype(np.float32, copy=True)
    if tail is None:
        rho = 0.0
        samples[:overlap] *= fade_in(overlap)
    else:
        rho = correlation(tail, chunk[:overlap])
        out, into = ramps(overlap, rho)
        samples[:overlap] = out * tail + into * chunk[:overlap]
    return Seam(samples, chunk[-overlap:].astype(np.float32, copy=True), rho)


def correlation(left: FloatArray, right: FloatArray) -> float:
    """Return the normalised correlation of two (samples, channels) over all channels, in -1..1."""
    a = left.astype(np.float64).ravel()
    b = right.astype(np.float64).ravel()
    power_a, power_b = float(a @ a), float(b @ b)
    if min(power_a, power_b) < _SILENCE * a.size:
        return 0.0
    return float(np.clip(a @ b / np.sqrt(power_a * power_b), -1.0, 1.0))


def ramps(overlap: int, rho: float) -> tuple[FloatArray, FloatArray]:
    """Return the falling and the rising gain, (overlap, 1) each, for sides of correlation `rho`.

    The level stays within 0.15 dB for equally loud sides and any `rho` from -0.5 to 1.
    """
    angle = (np.arange(overlap) + 0.5) / overlap * (np.pi / 2)
    out, into = np.cos(angle), np.sin(angle)
    level = np.sqrt(1.0 + 2.0 * max(rho, MIN_RHO) * out * into)
    return (
        (out / level).astype(np.float32)[:, None],
        (into / level).astype(np.float32)[:, None],
    )


@lru_cache(maxsize=16)
def fade_in(length: int) -> FloatArray:
    """Return a raised cosine from 0 to 1, (length, 1): how sound starts and, reversed, stops."""
    position = (np.arange(length) + 0.5) / length
    gain = (np.sin(position * (np.pi / 2)) ** 2).astype(np.float32)[:, None]
    gain.setflags(write=False)  # shared by all callers
    return gain


def fade_out(tail: FloatArray) -> FloatArray:
    """Return the last `tail` of a stream, faded to silence."""
    return (tail * fade_in(len(tail))[::-1]).astype(np.float32)
