"""One chunk of many sessions, from pages of state to samples: all on the device, static shapes.

    said      token slots --conditioning net--> keys, values, gist     when what is said changed
    chunk     noise --NFE evaluations--> latents --decoder, synthesis--> samples
                                           | hop, clean: keys and values join the ring

Both are plain functions of static tensors without a wait or a choice in them, so a CUDA graph can
hold them. See `diegetic.slots.lanes`.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from diegetic.config import LATENT_DIM, SAMPLES_PER_LATENT, StreamConfig
from diegetic.flow import Solver
from diegetic.model.decoder import Decoder
from diegetic.model.dit import BLOCKS, HIDDEN, TOKENS, WIDTH, DiT
from diegetic.slots.pages import BLANK, SCRAP
from diegetic.slots.sound import BatchSound, SoundState, silence
from diegetic.slots.transformer.base import BatchTransformer, Pages, Sight
from diegetic.slots.transformer.fused import FusedTransformer
from diegetic.slots.transformer.kernels import Kernels
from diegetic.slots.transformer.plain import TorchTransformer, whole_tiles
from diegetic.snapshot import FRAME_DIM, FRAME_SLOTS, SLOTS, TEXT_DIM, WORD_SLOTS

NOISE = LATENT_DIM + 2 * SAMPLES_PER_LATENT  # numbers in a row of `position_noise`


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
    many of the newest latents are heard, see `diegetic.scene`; page `joined` is what the new ones
    are joined to, mostly `read`, see `diegetic.hold`.
    """

    read: Tensor
    joined: Tensor
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
        joined=pages(BLANK),
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
        kernels: that the transformer runs on.
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
        kernels: Kernels,
    ) -> None:
        ring, chunk = config.prefix_latents, config.chunk_latents
        self.config = config
        self._device = device
        self._hop = config.hop_latents
        self._sound = BatchSound(decoder, self._hop, chunk, device, dtype)
        self._conditioning = dit.conditioning.to(device)
        tokens = whole_tiles(TOKENS, device)
        self._pages = Pages(
            torch.zeros(states, BLOCKS, 2, ring, WIDTH, dtype=dtype, device=device),
            torch.zeros(said, BLOCKS, 2, tokens, WIDTH, dtype=dtype, device=device),
            torch.full((said, tokens), HIDDEN, dtype=dtype, device=device),
        )
        # Of each state also how many latents its prefix has, and where decoder and synthesis are;
        # of what was said its gist.
        self._lengths = torch.zeros(states, dtype=torch.int64, device=device)
        self._sounds = silence(states, device)
        self._summary = torch.zeros(said, WIDTH, device=device)
        self._transformer: BatchTransformer[Any]
        if kernels.impl == "torch":
            self._transformer = TorchTransformer(dit, self._pages, chunk, dtype)
        else:
            self._transformer = FusedTransformer(dit, self._pages, chunk, dtype, kernels)
        self._moments: dict[Solver, Tensor] = {}
        with torch.no_grad():
            nothing = said_inputs(1, device)
            self.say(replace(nothing, write=torch.full_like(nothing.write, BLANK)))
            clean = self._transformer.moments((0.0,))
            plain = torch.ones(1, device=device)
            summary = self._summary[BLANK : BLANK + 1].clone()
            self._clean = self._transformer.steering(clean, plain, summary)[0]

    @property
    def page_bytes(self) -> int:
        """Memory of one page of state."""
        pages = (self._pages.prefix, self._lengths, *vars(self._sounds).values())
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
        pages, count = self._pages, keys.shape[3]
        both = torch.stack((keys, values), 2).transpose(3, 4).flatten(4)
        tokens = pages.tokens.new_zeros(keys.shape[0], *pages.tokens.shape[1:])
        tokens[:, :, :, :count] = both
        hidden = pages.bias.new_full((keys.shape[0], pages.bias.shape[1]), HIDDEN)
        hidden[:, :count] = bias
        pages.tokens.index_copy_(0, inputs.write, tokens)
        pages.bias.index_copy_(0, inputs.write, hidden)
        self._summary.index_copy_(0, inputs.write, summary)

    @torch.no_grad()
    def make(self, inputs: ChunkInputs, solver: Solver) -> Tensor:
        """Samples of the next chunks, (B, chunk samples, 2); the states after them are written."""
        transformer = self._transformer
        length = torch.minimum(self._lengths.index_select(0, inputs.read), inputs.recalled)
        look = transformer.look(Sight(inputs.read, length, inputs.said))
        summary = self._summary.index_select(0, inputs.said)
        steering = transformer.steering(self._moments[solver], inputs.guidance, summary)
        x = inputs.noise[:, 1:, :LATENT_DIM]
        before: Tensor | None = None
        steps = zip(solver.times, solver.times[1:], solver.factors, steering, strict=False)
        for t, after, factor, steer in steps:
            now = transformer.evaluate(x, steer, look)
            slope = now if before is None else now + factor * (now - before)
            x = x + (after - t) * slope
            before = now
        transformer.keep(x[:, : self._hop], self._clean, look, inputs.joined, inputs.write)
        before = self._lengths.index_select(0, inputs.joined)
        before = torch.where(inputs.joined == inputs.read, length, before)
        longer = (before + self._hop).clamp(max=self.config.prefix_latents)
        self._lengths.index_copy_(0, inputs.write, longer)
        samples, sound = self._sound.decode(x, inputs.noise, self._sound_of(inputs.read))
        for field in fields(sound):
            whole: Tensor = getattr(self._sounds, field.name)
            whole.index_copy_(0, inputs.write, getattr(sound, field.name))
        return samples

    def _sound_of(self, pages: Tensor) -> SoundState:
        names = (field.name for field in fields(self._sounds))
        return SoundState(*(getattr(self._sounds, name).index_select(0, pages) for name in names))
