"""Join overlapping chunks into one endless signal.

    chunk k    |<------- hop ------->|<- overlap ->|
    chunk k+1                        |<- overlap ->|<- ... ->|
    emitted    |<------- hop ------->|<------- hop ------->|

Equal power lifts a seam of related signals by up to 3 dB, equal gain dips unrelated ones by as
much. So the correlation rho of the two sides is measured on the overlap, and the cosine and sine
ramps a, b of sides with mean squares p, q are scaled by

    sqrt((a² p + b² q) / (a² p + b² q + 2 rho a b sqrt(p q))),

which takes the level along a line from one side's to the other's. Identical sides pass unchanged.
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
        samples[:overlap], rho = blend(tail, chunk[:overlap])
    return Seam(samples, chunk[-overlap:].astype(np.float32, copy=True), rho)


def blend(left: FloatArray, right: FloatArray) -> tuple[FloatArray, float]:
    """Fade from `left` to `right`, (samples, channels) both; return that and their correlation."""
    a, b = left.astype(np.float64).ravel(), right.astype(np.float64).ravel()
    power_left, power_right = float(a @ a) / max(1, a.size), float(b @ b) / max(1, b.size)
    if min(power_left, power_right) < _SILENCE:
        rho = 0.0
    else:
        cross = float(a @ b) / a.size
        rho = float(np.clip(cross / np.sqrt(power_left * power_right), -1.0, 1.0))
    out, into = ramps(len(left), rho, power_left, power_right)
    return out * left + into * right, rho


def ramps(
    overlap: int, rho: float, power_left: float = 1.0, power_right: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Return the falling and the rising gain, (overlap, 1) each, for sides of correlation `rho`.

    `power_left` and `power_right` are their mean squares. The level stays within 0.15 dB of the
    line between the two for any `rho` from -0.5 to 1.
    """
    angle = (np.arange(overlap) + 0.5) / overlap * (np.pi / 2)
    out, into = np.cos(angle), np.sin(angle)
    apart = out**2 * power_left + into**2 * power_right
    shared = 2.0 * max(rho, MIN_RHO) * out * into * np.sqrt(power_left * power_right)
    gain = np.sqrt(apart / (apart + shared)) if rho else np.ones(overlap)
    return (
        (out * gain).astype(np.float32)[:, None],
        (into * gain).astype(np.float32)[:, None],
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
