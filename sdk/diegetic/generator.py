"""One chunk after another: `generate(state, conditioning) -> (chunk, state)`.

    noise --NFE evaluations--> latents of hop + overlap --decoder--> chunk
                                   | hop, clean
                                   v
                    keys and values join the prefix ring

A state is a value: keep it, go back to it, fork it. The noise at a place in the stream depends on
the seed and the place alone, so the overlap and the next chunk's beginning start from the same
noise.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

from diegetic import codec
from diegetic.codec import LAG, SynthesisState
from diegetic.config import CHANNELS, LATENT_DIM, SAMPLES_PER_LATENT, StreamConfig
from diegetic.errors import DiegeticError
from diegetic.flow import Known, follow_flow, solver, student_solver, usual_evaluations
from diegetic.hold import Hold
from diegetic.networks import HIDDEN, FloatArray, Memory, Networks, Precision
from diegetic.scene import SETTLED, age_of, recalled
from diegetic.snapshot import Conditioning, null_conditioning
from diegetic.weights import read_distilled

Backend = Literal["auto", "onnx", "torch"]
WEIGHTS = Path(__file__).parent / "weights"
KEPT_ROWS = 64  # of noise, 8 KB each: a chunk asks three times for most of them


@dataclass(frozen=True)
class GeneratorState:
    """Everything that the next chunk depends on besides its conditioning.

    Attributes:
        seed: of the stream.
        position: latents made so far.
        prefix: ring of clean latents' keys and values, newest last.
        decoder: the decoder's state.
        sound: the state of the synthesis.
        said: with the chunk before; None before the first one.
        age: of its scene, in chunks.
        hold: the memory that it comes back to.
    """

    seed: int
    position: int
    prefix: Memory
    decoder: FloatArray
    sound: SynthesisState
    said: Conditioning | None = None
    age: int = SETTLED
    hold: Hold[Memory] = field(default_factory=Hold)


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

    def __init__(self, networks: Networks, config: StreamConfig, nfe: int | None = None) -> None:
        """What makes chunks of `config` from `networks`.

        Args:
            networks: one backend's.
            config: lengths of the stream.
            nfe: network evaluations per chunk; a student's are 1, 2 or 4. The usual number, 4 or of
                a student 2, unless given.

        Raises:
            DiegeticError: `nfe` is not positive, or none of a student's.
        """
        if nfe is None:
            nfe = usual_evaluations(networks.distilled)
        if nfe < 1:
            raise DiegeticError(f"nfe must be at least 1, got {nfe}")
        self.config = config
        self.nfe = nfe
        self._networks = networks
        self._solver = student_solver(nfe) if networks.distilled else solver(nfe)
        self._null = networks.condition(null_conditioning())

    def start(self, seed: int, audio: FloatArray | None = None) -> GeneratorState:
        """The state before the first chunk: nothing was heard yet, or the end of `audio`.

        Args:
            seed: of the stream.
            audio: (samples, 2) that the stream goes on from. The first `codec.DELAY` samples that
                are generated are its last ones, decoded.

        Raises:
            DiegeticError: `seed` is negative or does not fit 63 bits; `audio` as for `encode`.
        """
        if not 0 <= seed < 2**63:
            raise DiegeticError(f"seed must be in 0 .. 2**63 - 1, got {seed}")
        shapes, ring = self._networks.shapes, self.config.prefix_latents
        empty = np.zeros((1, shapes.layers, shapes.heads, ring, shapes.head_dim), np.float32)
        state = GeneratorState(
            seed=seed,
            position=0,
            prefix=Memory(empty, empty, np.full((1, ring), HIDDEN)),
            decoder=np.zeros((1, *shapes.decoder_state), np.float32),
            sound=codec.silence(),
        )
        if audio is None:
            return state
        hop = self.config.hop_latents
        latents = self.encode(audio)[:, -ring:]
        for begin in range(latents.shape[1] % hop, latents.shape[1], hop):
            _, state = self.append(state, latents[:, begin : begin + hop])
        return state

    def encode(self, audio: FloatArray) -> FloatArray:
        """The latents (1, T, LATENT_DIM) of the last T whole latents of `audio` (samples, 2).

        Raises:
            DiegeticError: `audio` is not stereo, not finite, or shorter than one latent.
        """
        if audio.ndim != 2 or audio.shape[1] != CHANNELS or not np.isfinite(audio).all():
            raise DiegeticError(
                f"audio must be finite and (samples, {CHANNELS}), got shape {audio.shape}"
            )
        count = len(audio) // SAMPLES_PER_LATENT * SAMPLES_PER_LATENT
        if not count:
            raise DiegeticError(
                f"audio must last at least {SAMPLES_PER_LATENT} samples (20 ms), got {len(audio)}"
            )
        before = np.concatenate((np.zeros((LAG, CHANNELS), np.float32), audio[:-count]))
        levels = codec.band_levels(audio[-count:].astype(np.float32), before[-LAG:])
        return self._networks.analyse(levels[None])

    def generate(
        self, state: GeneratorState, conditioning: Conditioning
    ) -> tuple[FloatArray, GeneratorState]:
        """Make the next chunk, (config.chunk_samples, 2), and the state after its hop."""
        hop = self.config.hop_latents
        age = age_of(conditioning, state.said, state.age)
        hold = state.hold.under(conditioning)
        ring = self.config.prefix_latents
        bias = state.prefix.bias.copy()
        bias[:, : ring - recalled(age, hop, ring, held=hold.memory is not None)] = HIDDEN
        state = replace(state, prefix=replace(state.prefix, bias=bias))
        latents = self.sample(state, conditioning)
        samples, after = self._decode(state, latents, hop)
        after = self._remember(after, latents[:, :hop])
        prefix = after.prefix if hold.due is None else hold.due.followed_by(after.prefix, hop)
        hold = hold.after(conditioning, prefix)
        after = replace(after, prefix=prefix, said=conditioning, age=age, hold=hold)
        return samples, after

    def sample(
        self, state: GeneratorState, conditioning: Conditioning, known: Known | None = None
    ) -> FloatArray:
        """Latents (1, chunk, LATENT_DIM) of the next chunk; those that are `known` are kept."""
        noise = position_noise(state.seed, state.position, self.config.chunk_latents)
        cross = self._networks.condition(conditioning)

        def velocity(latents: FloatArray, t: float) -> FloatArray:
            guidance = conditioning.guidance
            return self._networks.evaluate(latents, t, guidance, cross, state.prefix)[0]

        return follow_flow(velocity, noise[None, 1:, :LATENT_DIM], self._solver, known)

    def append(
        self, state: GeneratorState, latents: FloatArray
    ) -> tuple[FloatArray, GeneratorState]:
        """Samples of one hop of clean latents (1, hop, LATENT_DIM), and the state after it."""
        samples, heard = self._decode(state, latents, self.config.hop_latents)
        return samples, self._remember(heard, latents)

    def _remember(self, state: GeneratorState, latents: FloatArray) -> GeneratorState:
        """`state` with one hop of clean `latents` at the end of its prefix, behind it."""
        hop, ring = self.config.hop_latents, state.prefix
        _, keys, values = self._networks.evaluate(latents, 0.0, 1.0, self._null, ring)
        new = Memory(keys, values, np.zeros((1, hop), np.float32))
        return replace(state, position=state.position + hop, prefix=ring.followed_by(new, hop))

    def _decode(
        self, state: GeneratorState, latents: FloatArray, kept: int
    ) -> tuple[FloatArray, GeneratorState]:
        """Samples of `latents` (1, T, LATENT_DIM), and `state`: decoder and sound after `kept`."""
        noise = position_noise(state.seed, state.position, latents.shape[1])
        white = noise[:, LATENT_DIM:].reshape(-1, 2).T[:, SAMPLES_PER_LATENT - LAG :]
        detail = codec.noise_spectra(np.ascontiguousarray(white))[:, None]
        spectra, levels, decoder = self._networks.decode(latents, detail, state.decoder, kept)
        frames = kept * self._networks.shapes.frames_per_latent
        samples, sound = codec.synthesise(spectra[:, 0], levels[0], state.sound, frames)
        return samples, replace(state, decoder=decoder, sound=sound)


def position_noise(seed: int, position: int, count: int) -> FloatArray:
    """Standard normal (1 + count, LATENT_DIM + 2 * SAMPLES_PER_LATENT), one row a latent.

    A row is the same however the stream is cut. Row 0 belongs to the latent before `position`.
    """
    return np.stack([_noise_row(seed, place) for place in range(position, position + 1 + count)])


@lru_cache(KEPT_ROWS)
def _noise_row(seed: int, place: int) -> FloatArray:
    bits = np.random.Philox(key=seed, counter=[0, 0, 0, place])
    width = LATENT_DIM + 2 * SAMPLES_PER_LATENT
    return np.random.Generator(bits).standard_normal(width, np.float32)


def usual_nfe(weights: Path | None = None) -> int:
    """Evaluations per chunk of `weights`, or of those shipped, where nobody asks for a number.

    Raises:
        WeightsError: the weights are missing, damaged or of another version.
    """
    return usual_evaluations(read_distilled(WEIGHTS if weights is None else weights))


def load_generator(
    weights: Path | None = None,
    *,
    backend: Backend = "auto",
    precision: Precision = "int8",
    nfe: int | None = None,
    config: StreamConfig | None = None,
    threads: int | None = None,
) -> ChunkGenerator:
    """Load weights and return a generator.

    Args:
        weights: folder with the weights; those that are shipped, unless given.
        backend: `auto` is ONNX Runtime.
        precision: of ONNX Runtime's matrix products; `int8` takes half the time, `float32` is what
            torch computes, within rounding.
        nfe: network evaluations per chunk: more is better and slower; as for `ChunkGenerator`.
        config: lengths of the stream.
        threads: threads for one chunk; the backend's choice, unless given.

    Raises:
        WeightsError: the weights are missing, damaged or of another version.
        DiegeticError: the backend is unknown or not installed, the precision unknown, or `nfe` not
            possible.
    """
    if precision not in get_args(Precision):
        raise DiegeticError(
            f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}"
        )
    folder = WEIGHTS if weights is None else weights
    networks: Networks
    if backend in ("auto", "onnx"):
        from diegetic.onnx_backend import OnnxNetworks

        networks = OnnxNetworks(folder, threads, precision)
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
