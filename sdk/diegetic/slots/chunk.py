"""One chunk of many sessions, from pages of state to samples: all on the device, static shapes.

    said      token slots --conditioning net--> keys, values, gist     when what is said changed
    chunk     noise --NFE evaluations--> latents --decoder, synthesis--> samples
                                           | hop, clean: keys and values join the ring

Both are plain functions of static tensors without a wait or a choice in them, so a CUDA graph can
hold them. See `diegetic.slots.lanes`.
"""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from diegetic.config import LATENT_DIM, SAMPLES_PER_LATENT, StreamConfig
from diegetic.flow import Solver
from diegetic.model.decoder import Decoder
from diegetic.model.dit import BLOCKS, HEAD_DIM, HEADS, HIDDEN, TOKENS, WIDTH, DiT
from diegetic.slots.pages import BLANK, SCRAP
from diegetic.slots.sound import BatchSound, SoundState, silence
from diegetic.slots.transformer import BatchTransformer, Seen, whole_tiles
from diegetic.snapshot import FRAME_DIM, FRAME_SLOTS, SLOTS, TEXT_DIM, WORD_SLOTS

NOISE = LATENT_DIM + 2 * SAMPLES_PER_LATENT  # numbers in a row of `position_noise`


@dataclass(frozen=True)
class StatePages:
    """The state of a stream, a page each; P pages.

    Attributes:
        prefix: keys, not rotated, and values, (P, BLOCKS, 2, ring, WIDTH).
        bias: (P, ring), 0 where there is a latent.
        sound: of decoder and synthesis.
    """

    prefix: Tensor
    bias: Tensor
    sound: SoundState


@dataclass(frozen=True)
class SaidPages:
    """What was said, as cross-attention sees it, a page each; N is TOKENS, to whole tiles.

    Attributes:
        tokens: keys and values, (P, BLOCKS, 2, N, WIDTH).
        bias: (P, N).
        summary: (P, WIDTH) float32.
    """

    tokens: Tensor
    bias: Tensor
    summary: Tensor


@dataclass(frozen=True)
class SaidInputs:
    """Token slots as in `diegetic.snapshot.Conditioning`, B of them, and the pages to write."""

    words: Tensor
    frames: Tensor
    values: Tensor
    times: Tensor
    present: Tensor
    write: Tensor


@dataclass(frozen=True)
class ChunkInputs:
    """What B chunks are made of.

    Pages are (B,) int64, `guidance` is (B,), `noise` (B, 1 + chunk, NOISE). `recalled` (B,) is how
    many of the newest latents are heard, see `diegetic.scene`.
    """

    read: Tensor
    write: Tensor
    said: Tensor
    guidance: Tensor
    recalled: Tensor
    noise: Tensor


def said_inputs(batch: int, device: torch.device, pinned: bool = False) -> SaidInputs:
    """Inputs of that many, nothing said, for the scrap page."""

    def empty(*shape: int) -> Tensor:
        return torch.zeros(batch, *shape, device=device, pin_memory=pinned)

    return SaidInputs(
        empty(WORD_SLOTS, TEXT_DIM),
        empty(FRAME_SLOTS, FRAME_DIM),
        empty(SLOTS),
        empty(SLOTS),
        empty(SLOTS),
        torch.full((batch,), SCRAP, device=device, pin_memory=pinned),
    )


def chunk_inputs(
    batch: int, config: StreamConfig, device: torch.device, pinned: bool = False
) -> ChunkInputs:
    """Inputs of that many, from the blank page to the scrap page, nothing said."""

    def pages(index: int) -> Tensor:
        return torch.full((batch,), index, device=device, pin_memory=pinned)

    noise = (batch, 1 + config.chunk_latents, NOISE)
    return ChunkInputs(
        read=pages(BLANK),
        write=pages(SCRAP),
        said=pages(BLANK),
        guidance=torch.ones(batch, device=device, pin_memory=pinned),
        recalled=torch.full((batch,), config.prefix_latents, device=device, pin_memory=pinned),
        noise=torch.zeros(noise, device=device, pin_memory=pinned),
    )


class ChunkMaker:
    """The networks and the pages of all sessions.

    Args:
        dit: transformer.
        decoder: of latents.
        config: lengths.
        states: pages of state.
        said: pages of what was said.
        device: where all is.
        dtype: of weights, keys and values.
    """

    def __init__(
        self,
        dit: DiT,
        decoder: Decoder,
        config: StreamConfig,
        *,
        states: int,
        said: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        ring = config.prefix_latents
        self.config = config
        self._device = device
        self._hop = config.hop_latents
        self._ages = torch.arange(ring, 0, -1, device=device)  # of the prefix, 1 is the newest
        self._transformer = BatchTransformer(dit, ring, config.chunk_latents, device, dtype)
        self._sound = BatchSound(decoder, self._hop, config.chunk_latents, device, dtype)
        self._conditioning = dit.conditioning.to(device)
        quiet = silence(states, device)
        self._states = StatePages(
            torch.zeros(states, BLOCKS, 2, ring, WIDTH, dtype=dtype, device=device),
            torch.full((states, ring), HIDDEN, device=device),
            quiet,
        )
        tokens = whole_tiles(TOKENS, device)
        self._said = SaidPages(
            torch.zeros(said, BLOCKS, 2, tokens, WIDTH, dtype=dtype, device=device),
            torch.full((said, tokens), HIDDEN, dtype=dtype, device=device),
            torch.zeros(said, WIDTH, device=device),
        )
        self._moments: dict[Solver, Tensor] = {}
        with torch.no_grad():
            nothing = said_inputs(1, device)
            self.say(replace(nothing, write=torch.full_like(nothing.write, BLANK)))
            self._nothing = self._seen(torch.tensor([BLANK], device=device))
            clean = self._transformer.moments((0.0,))
            plain = torch.ones(1, device=device)
            summary = self._said.summary[:1].clone()
            self._clean = self._transformer.steering(clean, plain, summary)[0]

    @property
    def page_bytes(self) -> int:
        """Memory of one page of state."""
        pages = (self._states.prefix, self._states.bias, *vars(self._states.sound).values())
        return sum(page[0].nbytes for page in pages)

    def prepare(self, solver: Solver) -> None:
        """Make what all chunks with this solver share; before the first one."""
        if solver not in self._moments:
            self._moments[solver] = self._transformer.moments(solver.times[:-1])

    @torch.no_grad()
    def say(self, inputs: SaidInputs) -> None:
        """Write keys and values of what is said to its pages."""
        keys, values, bias, summary = self._conditioning(
            inputs.words, inputs.frames, inputs.values, inputs.times, inputs.present
        )
        pages, count = self._said, keys.shape[3]
        both = torch.stack((keys, values), 2).transpose(3, 4).flatten(4)
        tokens = pages.tokens.new_zeros(keys.shape[0], *pages.tokens.shape[1:])
        tokens[:, :, :, :count] = both
        hidden = pages.bias.new_full((keys.shape[0], pages.bias.shape[1]), HIDDEN)
        hidden[:, :count] = bias
        pages.tokens.index_copy_(0, inputs.write, tokens)
        pages.bias.index_copy_(0, inputs.write, hidden)
        pages.summary.index_copy_(0, inputs.write, summary)

    @torch.no_grad()
    def make(self, inputs: ChunkInputs, solver: Solver) -> Tensor:
        """Samples of the next chunks, (B, chunk samples, 2); the states after them are written."""
        state = self._load(inputs.read)
        forgotten = self._ages > inputs.recalled[:, None]
        state = replace(state, bias=state.bias.masked_fill(forgotten, HIDDEN))
        transformer = self._transformer
        keys, values, hidden = transformer.past(state.prefix, state.bias)
        layers = self._layers(keys, values, transformer.unhide(hidden, self.config.chunk_latents))
        cross = self._seen(inputs.said)
        summary = self._said.summary.index_select(0, inputs.said)
        steering = transformer.steering(self._moments[solver], inputs.guidance, summary)
        x = inputs.noise[:, 1:, :LATENT_DIM]
        before: Tensor | None = None
        steps = zip(solver.times, solver.times[1:], solver.factors, steering, strict=False)
        for t, after, factor, steer in steps:
            now = transformer.evaluate(x, steer, layers, cross)
            slope = now if before is None else now + factor * (now - before)
            x = x + (after - t) * slope
            before = now
        clean = x[:, : self._hop]
        layers = self._layers(keys, values, transformer.unhide(hidden, self._hop))
        kept = transformer.keep(clean, self._clean, layers, self._nothing)
        samples, sound = self._sound.decode(x, inputs.noise, state.sound)
        joined = torch.cat((state.prefix[:, :, :, self._hop :], kept), 3)
        seen = torch.nn.functional.pad(state.bias[:, self._hop :], (0, self._hop))
        self._store(inputs.write, StatePages(joined, seen, sound))
        return samples

    def _load(self, pages: Tensor) -> StatePages:
        def rows(whole: Tensor) -> Tensor:
            return whole.index_select(0, pages)

        sound = self._states.sound
        return StatePages(
            rows(self._states.prefix),
            rows(self._states.bias),
            SoundState(*(rows(getattr(sound, field.name)) for field in fields(sound))),
        )

    def _store(self, pages: Tensor, state: StatePages) -> None:
        self._states.prefix.index_copy_(0, pages, state.prefix)
        self._states.bias.index_copy_(0, pages, state.bias)
        for field in fields(state.sound):
            whole: Tensor = getattr(self._states.sound, field.name)
            whole.index_copy_(0, pages, getattr(state.sound, field.name))

    def _seen(self, pages: Tensor) -> list[Seen]:
        """What was said, a block each."""
        tokens = torch.unflatten(self._said.tokens.index_select(0, pages), 4, (HEADS, HEAD_DIM))
        bias = self._said.bias.index_select(0, pages)[:, None, None]
        return [Seen(tokens[:, k, 0], tokens[:, k, 1], bias) for k in range(BLOCKS)]

    def _layers(self, keys: Tensor, values: Tensor, bias: Tensor) -> list[Seen]:
        return [Seen(keys[:, k], values[:, k], bias) for k in range(BLOCKS)]
