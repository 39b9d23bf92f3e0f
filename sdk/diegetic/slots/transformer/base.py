"""What all ways to run the transformer for many sessions share, and what is asked of each."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from diegetic.model.dit import HEADS, ROTARY, WIDTH, Block, DiT, fourier

Place = Callable[[Tensor, torch.dtype], Tensor]

_PARTS = 9  # scales, shifts and gates of a block


@dataclass(frozen=True)
class Pages:
    """What is kept on the device for all sessions, a page each: P states, S times what was said.

    Attributes:
        prefix: keys, normalised and not rotated, and values, (P, BLOCKS, 2, ring, WIDTH); the
            newest latent is the last.
        tokens: keys and values of what was said, (S, BLOCKS, 2, N, WIDTH); N is TOKENS, to whole
            tiles.
        bias: of `tokens`, (S, N).
    """

    prefix: Tensor
    tokens: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Sight:
    """What B sessions see, each (B,) int64: pages of prefixes and of what was said.

    Attributes:
        read: page of the prefix.
        length: of its latents the newest so many are seen.
        said: page of what was said.
    """

    read: Tensor
    length: Tensor
    said: Tensor


@dataclass(frozen=True)
class Steering:
    """What steers one evaluation; to scales `BatchTransformer.ADDED` is added already.

    `blocks` is (B or 1, BLOCKS, 9, 1, WIDTH), `final` (B or 1, 2, 1, WIDTH).
    """

    blocks: Tensor
    final: Tensor


@dataclass(frozen=True)
class Matrices:
    """The matrices of one block, and the biases of its MLP, in the dtype of the weights."""

    qkv: Tensor
    self_out: Tensor
    cross_q: Tensor
    cross_out: Tensor
    enter: tuple[Tensor, Tensor]
    leave: tuple[Tensor, Tensor]


Look = TypeVar("Look")
"""What a chunk's evaluations have in common, as a way to run the transformer wants it."""


class BatchTransformer(ABC, Generic[Look]):
    """Velocity of many sessions' chunks, and the keys and values of clean latents.

    Args:
        dit: the weights; its module stays on the CPU.
        pages: of all sessions.
        chunk: latents of a chunk.
        dtype: of the big matrices; `pages` have it too.
    """

    ADDED: ClassVar[float]
    """To scales, where `evaluate` and `keep` want them with their one."""

    def __init__(self, dit: DiT, pages: Pages, chunk: int, dtype: torch.dtype) -> None:
        self.pages = pages
        self.ring = pages.prefix.shape[3]
        self.chunk = chunk
        self.dtype = dtype
        self._device = pages.prefix.device
        place = self._place
        self._matrices = [_matrices(block, place, dtype) for block in dit.blocks]
        pad = torch.zeros(HEADS, 1, ROTARY)
        sinks = [torch.cat((pad, block.sink[0, :, :, ROTARY:]), 2) for block in dit.blocks]
        # (BLOCKS, HEADS, HEAD_DIM) each; of the key only what is not rotated: it lies at no place
        self._sink_keys = place(torch.stack(sinks).squeeze(2), dtype)
        values = [block.sink[1] for block in dit.blocks]
        self._sink_values = place(torch.stack(values).squeeze(2), dtype)
        modulation = torch.stack([block.modulation.detach() for block in dit.blocks]).clone()
        modulation[:, 0::3] += self.ADDED
        self._modulation = place(modulation[:, :, None])
        scaled = dit.final.bias.detach().clone()
        scaled[:WIDTH] += self.ADDED
        self._final = (place(dit.final.weight), place(scaled))
        self._steer = (place(dit.steer.weight), place(dit.steer.bias))
        self._guidance = (place(dit.guidance.weight), place(dit.guidance.bias))
        self._enter = (place(dit.enter.weight), place(dit.enter.bias))
        self._leave = (place(dit.leave.weight), place(dit.leave.bias))
        self._time = dit.time

    def _place(self, tensor: Tensor, as_type: torch.dtype = torch.float32) -> Tensor:
        return tensor.detach().to(self._device, as_type).contiguous()

    def moments(self, times: tuple[float, ...]) -> Tensor:
        """Embeddings of evaluation `times`, (E, 1, WIDTH): made once, not in the graph."""
        embedded: Tensor = self._time(fourier(torch.tensor(times), 32, 1.0, 300.0))
        return embedded.detach().to(self._device)[:, None]

    def steering(self, moments: Tensor, guidance: Tensor, summary: Tensor) -> list[Steering]:
        """What steers each of E evaluations.

        Args:
            moments: (E, 1, WIDTH), from `moments`.
            guidance: (B,).
            summary: the conditioning's gist, (B, WIDTH).
        """
        said = summary + functional.linear(fourier(1 / guidance, 8, 0.5, 12.0), *self._guidance)
        hidden = functional.silu(moments + said)
        shape = (*hidden.shape[:2], 1, _PARTS, 1, WIDTH)
        blocks = functional.linear(hidden, *self._steer).view(shape) + self._modulation
        final = functional.linear(hidden, *self._final).view(*hidden.shape[:2], 2, 1, WIDTH)
        return [Steering(*pair) for pair in zip(blocks.unbind(), final.unbind(), strict=True)]

    @abstractmethod
    def look(self, sight: Sight) -> Look:
        """Make what the evaluations of a chunk have in common."""

    @abstractmethod
    def evaluate(self, latents: Tensor, steering: Steering, look: Look) -> Tensor:
        """Velocity (B, T, LATENT_DIM) of `latents`, shaped alike."""

    @abstractmethod
    def keep(
        self, latents: Tensor, steering: Steering, look: Look, joined: Tensor, write: Tensor
    ) -> None:
        """Write the prefixes of pages `joined` (B,) and clean `latents` after them to `write` (B,).

        `latents` are (B, T, LATENT_DIM). What was said is not seen. No page of `write` may be one
        that is read; those that several sessions write to hold nothing of use.
        """


def _matrices(block: Block, place: Place, dtype: torch.dtype) -> Matrices:
    """The matrices of `block`, placed."""
    return Matrices(
        qkv=place(block.qkv.weight, dtype),
        self_out=place(block.self_out.weight, dtype),
        cross_q=place(block.cross_q.weight, dtype),
        cross_out=place(block.cross_out.weight, dtype),
        enter=(place(block.enter.weight, dtype), place(block.enter.bias, dtype)),
        leave=(place(block.leave.weight, dtype), place(block.leave.bias, dtype)),
    )
