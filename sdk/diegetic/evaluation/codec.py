"""Sound to latents and back, by the networks of the runtime, offline."""

from typing import Protocol

import numpy as np

from diegetic import codec
from diegetic.codec import DELAY, LAG
from diegetic.config import CHANNELS, SAMPLES_PER_LATENT
from diegetic.networks import Networks
from diegetic.snapshot import FloatArray

_BLOCK = 500  # latents at once: 10 s
_TAIL = -(-DELAY // SAMPLES_PER_LATENT)  # latents after which all of a sound has come out


class Codec(Protocol):
    """What entries need of a codec."""

    def encode(self, audio: FloatArray) -> FloatArray:
        """The latents (T, C) of (n > 0, 2) samples, silence before and after; T is rounded up."""
        ...

    def reconstruct(self, audio: FloatArray, seed: int) -> FloatArray:
        """(n, 2) samples through latents and back, in time with what was given."""
        ...


class NetworksCodec:
    """The codec of `networks`."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def encode(self, audio: FloatArray) -> FloatArray:
        """The latents (T, C) of (n > 0, 2) samples, silence before and after; T is rounded up."""
        count = -(-len(audio) // SAMPLES_PER_LATENT)
        size = _BLOCK * SAMPLES_PER_LATENT
        padded = np.zeros((LAG + count * SAMPLES_PER_LATENT, CHANNELS), np.float32)
        padded[LAG : LAG + len(audio)] = audio
        parts = []
        for begin in range(0, count * SAMPLES_PER_LATENT, size):
            seen = padded[begin : begin + LAG + size]
            parts.append(self._networks.analyse(codec.band_levels(seen[LAG:], seen[:LAG])[None])[0])
        return np.concatenate(parts)

    def reconstruct(self, audio: FloatArray, seed: int) -> FloatArray:
        """(n, 2) samples through latents and back, in time with what was given."""
        silence = np.zeros((_TAIL * SAMPLES_PER_LATENT, CHANNELS), np.float32)
        latents = self.encode(np.concatenate((audio, silence)))
        rng = np.random.default_rng(seed)
        white = rng.standard_normal((CHANNELS, LAG + len(latents) * SAMPLES_PER_LATENT), np.float32)
        state = np.zeros((1, *self._networks.shapes.decoder_state), np.float32)
        sound, parts = codec.silence(), []
        for begin in range(0, len(latents), _BLOCK):
            part = latents[None, begin : begin + _BLOCK]
            first = begin * SAMPLES_PER_LATENT
            heard = white[:, first : first + LAG + part.shape[1] * SAMPLES_PER_LATENT]
            detail = codec.noise_spectra(heard)[:, None]
            count = part.shape[1]
            spectra, levels, state = self._networks.decode(part, detail, state, count)
            samples, sound = codec.synthesise(spectra[:, 0], levels[0], sound, len(levels[0]))
            parts.append(samples)
        return np.concatenate(parts)[DELAY : DELAY + len(audio)]
