"""The transformer on torch's own kernels.

The prefix is rotated once a chunk instead of once an evaluation, and norms are folded into the
rotary tables.

    keys, values of a layer    | sink | ring, rotated once | chunk | hidden, to a whole tile |
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from diegetic.model.dit import BLOCKS, HEAD_DIM, HEADS, HIDDEN, ROTARY, WIDTH, Block, DiT, rotary
from diegetic.slots.pages import BLANK
from diegetic.slots.transformer.base import BatchTransformer, Pages, Place, Sight, Steering
from diegetic_kernels import attention

_HALF = ROTARY // 2
_SWAP = [*range(_HALF, ROTARY), *range(_HALF), *range(ROTARY, HEAD_DIM)]


def whole_tiles(keys: int, device: torch.device) -> int:
    """Return to how many `keys` are padded: on a GPU fused attention wants its bias aligned."""
    tile = 16 if device.type == "cuda" else 1
    return -(-keys // tile) * tile


@dataclass(frozen=True)
class Seen:
    """Keys and values that queries attend to, (B or 1, N, HEADS, HEAD_DIM), and their bias.

    `bias` is (B or 1, 1, 1, N) in the dtype of the keys.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Turn:
    """Rotary tables with a norm's weight in them, each (positions, ..., HEAD_DIM) in float32."""

    cos: Tensor
    sin: Tensor

    def first(self, count: int) -> "Turn":
        return Turn(self.cos[:count], self.sin[:count])


@dataclass(frozen=True)
class _Norms:
    """Norms of one block: `both` turns a chunk's queries and keys, `cross` the cross queries."""

    both: Turn
    cross: Turn
    key: Tensor


@dataclass(frozen=True)
class Laid:
    """What a chunk's evaluations see with torch's own kernels.

    Attributes:
        keys, values: (B, BLOCKS, width, HEADS, HEAD_DIM); evaluations fill the chunk's places.
        bias: (B, 1, 1, width), the chunk's places hidden.
        layers: the same with all of the chunk's places to be seen, a block each.
        cross: what was said, a block each.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor
    layers: list[Seen]
    cross: list[Seen]


class TorchTransformer(BatchTransformer[Laid]):
    """The transformer on torch's own kernels, on any device."""

    ADDED = 1.0

    def __init__(self, dit: DiT, pages: Pages, chunk: int, dtype: torch.dtype) -> None:
        super().__init__(dit, pages, chunk, dtype)
        place, ring = self._place, self.ring
        self.width = whole_tiles(1 + ring + chunk, self._device)
        turn = rotary(torch.arange(-ring, chunk))
        past = _turn(turn[0][:ring], turn[1][:ring], torch.ones(HEAD_DIM))
        self._past = Turn(place(past.cos[:, None]), place(past.sin[:, None]))
        own = (turn[0][ring:], turn[1][ring:])
        self._norms = [_norms(block, own, place, dtype) for block in dit.blocks]
        self._swap = torch.tensor(_SWAP, device=self._device)
        self._ages = torch.arange(ring, 0, -1, device=self._device)  # 1 is the newest

    def look(self, sight: Sight) -> Laid:
        prefix = self.pages.prefix.index_select(0, sight.read)
        batch, ring = prefix.shape[0], slice(1, 1 + self.ring)
        keys, values = (
            prefix.new_zeros(batch, BLOCKS, self.width, HEADS, HEAD_DIM) for _ in range(2)
        )
        heads = torch.unflatten(prefix, 4, (HEADS, HEAD_DIM))
        keys[:, :, 0] = self._sink_keys
        values[:, :, 0] = self._sink_values
        self._rotate(heads[:, :, 0], self._past, keys[:, :, ring])
        values[:, :, ring] = heads[:, :, 1]
        bias = torch.full((batch, self.width), HIDDEN, dtype=self.dtype, device=self._device)
        bias[:, 0].zero_()
        bias[:, ring].masked_fill_(self._ages <= sight.length[:, None], 0.0)
        bias = bias[:, None, None]
        layers = self._open(keys, values, bias, self.chunk)
        tokens = self.pages.tokens.index_select(0, sight.said)
        said = _said(tokens, self.pages.bias.index_select(0, sight.said))
        return Laid(keys, values, bias, layers, said)

    def evaluate(self, latents: Tensor, steering: Steering, look: Laid) -> Tensor:
        x = functional.linear(latents, *self._enter)
        for index, seen in enumerate(look.layers):
            steer = steering.blocks[:, index]
            q, _, _ = self._look(x, index, steer, seen)
            x = self._finish(x, q, index, steer, seen, look.cross[index])
        normed = functional.layer_norm(x, (WIDTH,))
        final = steering.final
        return functional.linear(torch.addcmul(final[:, 1], normed, final[:, 0]), *self._leave)

    def keep(
        self, latents: Tensor, steering: Steering, look: Laid, joined: Tensor, write: Tensor
    ) -> None:
        count = latents.shape[1]
        layers = self._open(look.keys, look.values, look.bias, count)
        blank = slice(BLANK, BLANK + 1)
        nothing = _said(self.pages.tokens[blank], self.pages.bias[blank])
        x, kept = functional.linear(latents, *self._enter), []
        for index, seen in enumerate(layers):
            steer = steering.blocks[:, index]
            q, key, value = self._look(x, index, steer, seen)
            kept.append(torch.stack(((key * self._norms[index].key).flatten(2), value), 1))
            if index + 1 < BLOCKS:
                x = self._finish(x, q, index, steer, seen, nothing[index])
        older = self.pages.prefix.index_select(0, joined)[:, :, :, count:]
        self.pages.prefix.index_copy_(0, write, torch.cat((older, torch.stack(kept, 1)), 3))

    def _open(self, keys: Tensor, values: Tensor, bias: Tensor, count: int) -> list[Seen]:
        """Views of what is laid out, a block each, the first `count` places of the chunk open."""
        bias = bias.clone()
        bias[..., 1 + self.ring : 1 + self.ring + count].zero_()
        return [Seen(keys[:, k], values[:, k], bias) for k in range(BLOCKS)]

    def _look(
        self, x: Tensor, index: int, steer: Tensor, seen: Seen
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Put the chunk's keys and values in their places.

        Return queries, keys that are normalised but for the weight, and values (B, T, WIDTH).
        """
        layer, norms = self._matrices[index], self._norms[index]
        batch, count, _ = x.shape
        own = slice(1 + self.ring, 1 + self.ring + count)
        qkv = functional.linear(self._modulate(x, steer, 0), layer.qkv)
        qk = qkv[..., : 2 * WIDTH].reshape(batch, count, 2, HEADS, HEAD_DIM)
        normed = functional.layer_norm(qk, (HEAD_DIM,))
        turned = self._rotate(normed, norms.both.first(count), torch.empty_like(normed))
        value = qkv[..., 2 * WIDTH :]
        seen.keys[:, own] = turned[:, :, 1]
        seen.values[:, own] = torch.unflatten(value, 2, (HEADS, HEAD_DIM))
        return turned[:, :, 0], normed[:, :, 1], value

    def _finish(
        self, x: Tensor, q: Tensor, index: int, steer: Tensor, seen: Seen, cross: Seen
    ) -> Tensor:
        """Both attentions and the MLP of one block."""
        layer, turn = self._matrices[index], self._norms[index].cross
        change = functional.linear(attend(q, seen), layer.self_out)
        x = torch.addcmul(x, steer[:, 2], change)
        q = functional.linear(self._modulate(x, steer, 1), layer.cross_q)
        q = functional.layer_norm(torch.unflatten(q, 2, (HEADS, HEAD_DIM)), (HEAD_DIM,))
        q = self._rotate(q, turn.first(q.shape[1]), torch.empty_like(q))
        x = torch.addcmul(x, steer[:, 5], functional.linear(attend(q, cross), layer.cross_out))
        hidden = functional.linear(self._modulate(x, steer, 2), *layer.enter)
        hidden = functional.gelu(hidden, approximate="tanh")
        return torch.addcmul(x, steer[:, 8], functional.linear(hidden, *layer.leave))

    def _modulate(self, x: Tensor, steer: Tensor, part: int) -> Tensor:
        """Norm, scale and shift of sub-layer `part`, in the dtype of the weights."""
        normed = functional.layer_norm(x, (WIDTH,))
        out = torch.empty_like(normed, dtype=self.dtype)
        return torch.addcmul(steer[:, 3 * part + 1], normed, steer[:, 3 * part], out=out)

    def _rotate(self, x: Tensor, turn: Turn, out: Tensor) -> Tensor:
        """Turn `x` (..., positions, ..., HEADS, HEAD_DIM) into `out`; the products are float32."""
        swapped = x.index_select(x.ndim - 1, self._swap)
        return torch.addcmul(x * turn.cos, swapped, turn.sin, out=out)


def attend(q: Tensor, seen: Seen) -> Tensor:
    """Attend `q` (B, M, HEADS, HEAD_DIM) to `seen`; return (B, M, WIDTH).

    What is seen by all sessions alike has a batch of 1: their queries go into one row.
    """
    batch, count = q.shape[:2]
    if seen.keys.shape[0] != batch:
        q = q.reshape(1, batch * count, HEADS, HEAD_DIM)
    found = attention(
        q.transpose(1, 2),
        seen.keys.transpose(1, 2),
        seen.values.transpose(1, 2),
        seen.bias,
        impl="sdpa",
    )
    return found.transpose(1, 2).reshape(batch, count, WIDTH)


def _said(tokens: Tensor, bias: Tensor) -> list[Seen]:
    """What was said, `tokens` (B, BLOCKS, 2, N, WIDTH) and `bias` (B, N), a block each."""
    heads, bias = torch.unflatten(tokens, 4, (HEADS, HEAD_DIM)), bias[:, None, None]
    return [Seen(heads[:, k, 0], heads[:, k, 1], bias) for k in range(BLOCKS)]


def _norms(block: Block, own: tuple[Tensor, Tensor], place: Place, dtype: torch.dtype) -> _Norms:
    """The norms of `block`, placed; `own` are cos and sin of the chunk's positions."""
    q, k, cross = (
        _turn(*own, norm.weight.detach()) for norm in (block.q_norm, block.k_norm, block.cross_norm)
    )
    cos, sin = torch.stack((q.cos, k.cos), 1), torch.stack((q.sin, k.sin), 1)
    whole = torch.float32
    return _Norms(
        both=Turn(place(cos[:, :, None], whole), place(sin[:, :, None], whole)),
        cross=Turn(place(cross.cos[:, None], whole), place(cross.sin[:, None], whole)),
        key=place(block.k_norm.weight, dtype),
    )


def _turn(cos: Tensor, sin: Tensor, weight: Tensor) -> Turn:
    """Tables (positions, HEAD_DIM) that rotate what is multiplied by `weight` (HEAD_DIM,)."""
    rest = cos.new_ones(cos.shape[0], HEAD_DIM - ROTARY)
    whole_cos = torch.cat((cos, cos, rest), 1)
    whole_sin = torch.cat((-sin, sin, torch.zeros_like(rest)), 1)
    return Turn(whole_cos * weight, whole_sin * weight[_SWAP])
