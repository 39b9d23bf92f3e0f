"""The networks as the generator sees them, whatever computes them.

    analysis      band levels                      -> latents, a fixed linear map
    conditioning  token slots                      -> cross-attention keys and values, once a chunk
    transformer   noisy latents, prefix, cross     -> velocity, and keys and values of its own
    decoder       latents, spectra of white noise  -> spectra, and the levels of their bands

Arrays are float32 numpy with a batch axis in front, whatever the backend.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from diegetic.snapshot import Conditioning

FloatArray = NDArray[np.float32]
Precision = Literal["int8", "float32"]

HIDDEN = np.float32(-1e4)  # a bias that no score outweighs; finite, so that nothing becomes NaN


@dataclass(frozen=True)
class Memory:
    """Keys and values of all layers, each (B, layers, heads, N, head size), and a bias (B, N)."""

    keys: FloatArray
    values: FloatArray
    bias: FloatArray

    def followed_by(self, newer: "Memory", count: int) -> "Memory":
        """As many, of which the oldest make room for the newest `count` of `newer`."""
        return Memory(
            np.concatenate((self.keys[:, :, :, count:], newer.keys[:, :, :, -count:]), axis=3),
            np.concatenate((self.values[:, :, :, count:], newer.values[:, :, :, -count:]), axis=3),
            np.concatenate((self.bias[:, count:], newer.bias[:, -count:]), axis=1),
        )


@dataclass(frozen=True)
class Cross(Memory):
    """The conditioning: what is attended to, and its gist (B, width), which steers all blocks."""

    summary: FloatArray


@dataclass(frozen=True)
class Shapes:
    """What the weights fix: sizes of the states that the generator carries."""

    layers: int
    heads: int
    head_dim: int
    decoder_state: tuple[int, int, int]
    frames_per_latent: int


class Networks(Protocol):
    """One backend."""

    @property
    def shapes(self) -> Shapes: ...

    @property
    def distilled(self) -> bool:
        """Whether the transformer is a student, which goes its own way to the data."""
        ...

    def analyse(self, levels: FloatArray) -> FloatArray:
        """Latents (B, T, C) of band levels (B, frames, bands)."""
        ...

    def condition(self, said: Conditioning) -> Cross:
        """Keys and values of the conditioning's tokens."""
        ...

    def evaluate(
        self, latents: FloatArray, t: float, guidance: float, cross: Cross, prefix: Memory
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Velocity (B, T, C), and keys and values (B, layers, heads, T, head size) of `latents`."""
        ...

    def decode(
        self, latents: FloatArray, noise: FloatArray, state: FloatArray, kept: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Spectra, levels (B, frames, bands), and the state after `kept` of the latents.

        Spectra and `noise`: (2 (real, imaginary), B, 2 (mid, side), frames, bins).
        """
        ...
