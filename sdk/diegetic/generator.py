"""One chunk after another: `generate(state, conditioning) -> (chunk, state)`.

    noise --NFE evaluations--> latents of hop + overlap --decoder--> chunk
                                   | hop, clean
                                   v
                    keys and values join the prefix ring

A state is a value: keep it, go back to it, fork it. The noise at a place in the stream depends on
the seed and the place alone, so the overlap and the next chunk's beginning start from the same
noise.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from diegetic.codec import DELAY, noise_spectra, silent_tail, synthesise
from diegetic.config import LATENT_DIM, SAMPLES_PER_LATENT, StreamConfig
from diegetic.errors import DiegeticError
from diegetic.flow import follow_flow
from diegetic.networks import HIDDEN, FloatArray, Memory, Networks
from diegetic.snapshot import Conditioning, null_conditioning

Backend = Literal["auto", "onnx", "torch"]
WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class GeneratorState:
    """Everything that the next chunk depends on besides its conditioning.

    Attributes:
        seed: of the stream.
        position: latents made so far.
        prefix: ring of clean latents' keys and values, newest last.
        decoder: the decoder's state.
        tail: overlap-add sums, (2, DELAY).
    """

    seed: int
    position: int
    prefix: Memory
    decoder: FloatArray
    tail: FloatArray


class Generator(Protocol):
    """Whatever makes chunks."""

    @property
    def config(self) -> StreamConfig: ...

    def start(self, seed: int) -> GeneratorState:
        """The state before the first chunk: nothing was heard yet."""
        ...

    def generate(
        self, state: GeneratorState, conditioning: Conditioning
    ) -> tuple[FloatArray, GeneratorState]:
        """Make the next chunk, (config.chunk_samples, 2), and the state after its hop."""
        ...


class ChunkGenerator:
    """The generator on one backend's networks."""

    def __init__(self, networks: Networks, config: StreamConfig, nfe: int) -> None:
        """`nfe`: network evaluations per chunk.

        Raises:
            DiegeticError: `nfe` is not positive.
        """
        if nfe < 1:
            raise DiegeticError(f"nfe must be at least 1, got {nfe}")
        self.config = config
        self.nfe = nfe
        self._networks = networks
        self._null = networks.condition(null_conditioning())

    def start(self, seed: int) -> GeneratorState:
        """The state before the first chunk: nothing was heard yet.

        Raises:
            DiegeticError: `seed` is negative or does not fit 63 bits.
        """
        if not 0 <= seed < 2**63:
            raise DiegeticError(f"seed must be in 0 .. 2**63 - 1, got {seed}")
        shapes, ring = self._networks.shapes, self.config.prefix_latents
        empty = np.zeros((1, shapes.layers, shapes.heads, ring, shapes.head_dim), np.float32)
        return GeneratorState(
            seed=seed,
            position=0,
            prefix=Memory(empty, empty, np.full((1, ring), HIDDEN)),
            decoder=np.zeros((1, *shapes.decoder_state), np.float32),
            tail=silent_tail(),
        )

    def generate(
        self, state: GeneratorState, conditioning: Conditioning
    ) -> tuple[FloatArray, GeneratorState]:
        """Make the next chunk, (config.chunk_samples, 2), and the state after its hop."""
        hop, size = self.config.hop_latents, self.config.chunk_latents
        shapes = self._networks.shapes
        noise = position_noise(state.seed, state.position, 1 + size)
        cross = self._networks.condition(conditioning)

        def velocity(latents: FloatArray, t: float) -> FloatArray:
            guidance = conditioning.guidance
            return self._networks.evaluate(latents, t, guidance, cross, state.prefix)[0]

        latents = follow_flow(velocity, noise[None, 1:, :LATENT_DIM], self.nfe)
        _, keys, values = self._networks.evaluate(
            latents[:, :hop], 0.0, 1.0, self._null, state.prefix
        )
        ring = state.prefix
        prefix = Memory(
            np.concatenate((ring.keys[:, :, :, hop:], keys), axis=3),
            np.concatenate((ring.values[:, :, :, hop:], values), axis=3),
            np.concatenate((ring.bias[:, hop:], np.zeros((1, hop), np.float32)), axis=1),
        )
        white = noise[:, LATENT_DIM:].reshape(-1, 2).T[:, SAMPLES_PER_LATENT - DELAY :]
        detail = noise_spectra(np.ascontiguousarray(white))[None]
        split = hop * shapes.frames_per_latent
        spectra, decoder = self._networks.decode(
            latents[:, :hop], detail[:, :, :split], state.decoder
        )
        head, tail = synthesise(spectra[0], state.tail)
        spectra, _ = self._networks.decode(latents[:, hop:], detail[:, :, split:], decoder)
        overlap, _ = synthesise(spectra[0], tail)
        after = GeneratorState(state.seed, state.position + hop, prefix, decoder, tail)
        return np.concatenate((head, overlap)), after


def position_noise(seed: int, position: int, count: int) -> FloatArray:
    """Standard normal (count, LATENT_DIM + 2 * SAMPLES_PER_LATENT), one row a latent.

    A row is the same however the stream is cut. Row 0 belongs to the latent before `position`.
    """
    width = LATENT_DIM + 2 * SAMPLES_PER_LATENT
    rows = [
        np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, place])).standard_normal(
            width, np.float32
        )
        for place in range(position, position + count)
    ]
    return np.stack(rows)


def load_generator(
    weights: Path | None = None,
    *,
    backend: Backend = "auto",
    nfe: int = 4,
    config: StreamConfig | None = None,
    threads: int | None = None,
) -> ChunkGenerator:
    """Load weights and return a generator.

    Args:
        weights: folder with the weights; those that are shipped, unless given.
        backend: `auto` is ONNX Runtime.
        nfe: network evaluations per chunk: more is better and slower.
        config: lengths of the stream.
        threads: threads for one chunk; the backend's choice, unless given.

    Raises:
        WeightsError: the weights are missing, damaged or of another version.
        DiegeticError: the backend is unknown or not installed.
    """
    folder = WEIGHTS if weights is None else weights
    networks: Networks
    if backend in ("auto", "onnx"):
        from diegetic.onnx_backend import OnnxNetworks

        networks = OnnxNetworks(folder, threads)
    elif backend == "torch":
        try:
            from diegetic.torch_backend import TorchNetworks
        except ModuleNotFoundError as error:
            raise DiegeticError(
                "the torch backend needs torch: pip install 'diegetic[torch]'"
            ) from error
        networks = TorchNetworks(folder, threads)
    else:
        raise DiegeticError(f"backend must be 'auto', 'onnx' or 'torch', got {backend!r}")
    return ChunkGenerator(networks, StreamConfig() if config is None else config, nfe)
