"""The transformer on the kernels of `diegetic_kernels`: a block in a dozen launches.

    modulate ─ qkv ─ chunk_attention ─ out ─ gated_modulate ─ q ─ cross_attention ─ out ─ ...

Prefixes and what was said are read where they lie, by page. On a page the newest latent is in the
last slot of the ring, so that every ring ends at 0, and how much of it is heard is its length: a
row that no session fills hears nothing of it, and needs no mask. The MLP's activation is torch's:
its neighbours are torch's matrix products. A page is written once, so the latents that stay move up
into the new one, which is torch's copy; the new ones are appended there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from diegetic.model.dit import BLOCKS, HEAD_DIM, HEADS, ROTARY, WIDTH, DiT
from diegetic.slots.pages import BLANK
from diegetic.slots.transformer.base import BatchTransformer, Pages, Sight, Steering
from diegetic.slots.transformer.kernels import Kernels
from diegetic_kernels import (
    Ring,
    RowNorm,
    Sink,
    append_to_ring,
    chunk_attention,
    cross_attention,
    gated_modulate,
    modulate,
    rotary_turn,
)


@dataclass(frozen=True)
class _Norms:
    """Norms of one block's queries, keys and cross queries."""

    query: RowNorm
    key: RowNorm
    cross: RowNorm


@dataclass(frozen=True)
class Lengths:
    """Of a batch: what it sees, the ends of its rings, and what is said while latents are kept."""

    sight: Sight
    end: Tensor
    nothing: Tensor


class FusedTransformer(BatchTransformer[Lengths]):
    """The transformer on our kernels, where they can run.

    Args:
        dit, pages, chunk, dtype: as for `BatchTransformer`.
        kernels: `triton` or `reference`, and the tiles.
    """

    ADDED = 0.0

    def __init__(
        self, dit: DiT, pages: Pages, chunk: int, dtype: torch.dtype, kernels: Kernels
    ) -> None:
        super().__init__(dit, pages, chunk, dtype)
        if kernels.impl == "torch":
            raise ValueError("kernels must be 'triton' or 'reference', got 'torch'")
        self._impl = kernels.impl
        self._tiles = kernels
        place = self._place
        self._norms = [
            _Norms(
                *(RowNorm(place(n.weight)) for n in (block.q_norm, block.k_norm, block.cross_norm))
            )
            for block in dit.blocks
        ]
        pairs = zip(self._sink_keys, self._sink_values, strict=True)
        self._sinks = [Sink(key, value) for key, value in pairs]
        self._turn = place(rotary_turn(-self.ring, self.ring + chunk, ROTARY))
        self._own_turn = place(rotary_turn(0, chunk, ROTARY))
        self._prefix = _by_block(pages.prefix)
        self._tokens = _by_block(pages.tokens)

    def look(self, sight: Sight) -> Lengths:
        nothing = torch.full_like(sight.said, BLANK)
        return Lengths(sight, torch.zeros_like(sight.read), nothing)

    def evaluate(self, latents: Tensor, steering: Steering, look: Lengths) -> Tensor:
        x, hidden, parts = self._enter_blocks(latents, steering)
        for index in range(BLOCKS):
            qkv = self._project(hidden, index)
            x, change = self._attend(x, qkv, index, parts[index], look, look.sight.said)
            if index + 1 < BLOCKS:
                x, hidden = self._go_on(x, change, index, parts)
        final = steering.final.expand(x.shape[0], -1, -1, -1)
        _, hidden = gated_modulate(
            x, change, parts[-1][8], final[:, 0], final[:, 1], impl=self._impl
        )
        return functional.linear(hidden, *self._leave)

    def keep(
        self, latents: Tensor, steering: Steering, look: Lengths, joined: Tensor, write: Tensor
    ) -> None:
        prefix, count = self.pages.prefix, latents.shape[1]
        stay = self.ring - count
        prefix[:, :, :, :stay].index_copy_(0, write, prefix[:, :, :, count:][joined])
        end = look.end + stay
        x, hidden, parts = self._enter_blocks(latents, steering)
        for index in range(BLOCKS):
            qkv = self._project(hidden, index)
            ring = Ring(*self._prefix[index], end, look.sight.length, write)
            append_to_ring(*qkv[1:], ring, norm=self._norms[index].key, impl=self._impl)
            if index + 1 < BLOCKS:
                x, change = self._attend(x, qkv, index, parts[index], look, look.nothing)
                x, hidden = self._go_on(x, change, index, parts)

    def _enter_blocks(
        self, latents: Tensor, steering: Steering
    ) -> tuple[Tensor, Tensor, list[tuple[Tensor, ...]]]:
        """The residual stream, what the first block makes of it, and what steers each block."""
        x = functional.linear(latents, *self._enter)
        blocks = steering.blocks.expand(x.shape[0], -1, -1, -1, -1)
        parts = [blocks[:, index].unbind(1) for index in range(BLOCKS)]
        hidden = modulate(x, *parts[0][:2], dtype=self.dtype, impl=self._impl)
        return x, hidden, parts

    def _project(self, hidden: Tensor, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of a block, raw, each (B, HEADS, T, HEAD_DIM)."""
        qkv = functional.linear(hidden, self._matrices[index].qkv)
        q, k, v = torch.unflatten(qkv, 2, (3, HEADS, HEAD_DIM)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _attend(
        self,
        x: Tensor,
        qkv: tuple[Tensor, Tensor, Tensor],
        index: int,
        steer: tuple[Tensor, ...],
        look: Lengths,
        said: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Both attentions and the MLP of a block: the residual stream, and what is to join it."""
        layer, norms, sight = self._matrices[index], self._norms[index], look.sight
        count, dtype, impl = x.shape[1], self.dtype, self._impl
        found = chunk_attention(
            *qkv,
            Ring(*self._prefix[index], look.end, sight.length, sight.read),
            sink=self._sinks[index],
            q_norm=norms.query,
            k_norm=norms.key,
            turn=self._turn[:, : self.ring + count],
            impl=impl,
            tile=self._tiles.chunk,
        )
        change = functional.linear(_merged(found), layer.self_out)
        x, hidden = gated_modulate(x, change, *steer[2:5], dtype=dtype, impl=impl)
        q = torch.unflatten(functional.linear(hidden, layer.cross_q), 2, (HEADS, HEAD_DIM))
        found = cross_attention(
            q.transpose(1, 2),
            *self._tokens[index],
            norm=norms.cross,
            turn=self._own_turn[:, :count],
            page=said,
            bias=self.pages.bias,
            impl=impl,
            tile=self._tiles.cross,
        )
        change = functional.linear(_merged(found), layer.cross_out)
        x, hidden = gated_modulate(x, change, *steer[5:8], dtype=dtype, impl=impl)
        hidden = functional.gelu(functional.linear(hidden, *layer.enter), approximate="tanh")
        return x, functional.linear(hidden, *layer.leave)

    def _go_on(
        self, x: Tensor, change: Tensor, index: int, parts: list[tuple[Tensor, ...]]
    ) -> tuple[Tensor, Tensor]:
        """The residual stream after block `index`, and what the next one makes of it."""
        gate, following = parts[index][8], parts[index + 1][:2]
        return gated_modulate(x, change, gate, *following, dtype=self.dtype, impl=self._impl)


def _by_block(pages: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each block, (P, HEADS, N, HEAD_DIM): views of (P, BLOCKS, 2, N, WIDTH)."""
    heads = torch.unflatten(pages, 4, (HEADS, HEAD_DIM)).transpose(3, 4)
    return [(heads[:, index, 0], heads[:, index, 1]) for index in range(BLOCKS)]


def _merged(found: Tensor) -> Tensor:
    """(B, HEADS, T, HEAD_DIM) to (B, T, WIDTH)."""
    return found.transpose(1, 2).reshape(found.shape[0], found.shape[2], WIDTH)
