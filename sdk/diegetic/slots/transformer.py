"""The transformer for many sessions at once, in few launches.

What `diegetic.model.dit` computes, arranged for a graph that is replayed: weights in one dtype, the
prefix rotated once a chunk instead of once an evaluation, all that only depends on time, guidance
and conditioning made for all evaluations at once, and norms folded into the rotary tables.

    keys, values of a layer    | sink | ring, rotated once | chunk | hidden, to a whole tile |

Sums, norms and softmax are float32 whatever the dtype of the weights; so is the residual stream.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from diegetic.model.dit import (
    BLOCKS,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    ROTARY,
    WIDTH,
    Block,
    DiT,
    fourier,
    rotary,
)
from diegetic_kernels import attention

Place = Callable[[Tensor, torch.dtype], Tensor]

_PARTS = 9  # scales, shifts and gates of a block
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
class Steering:
    """What steers one evaluation; scales have their one added already.

    `blocks` is (B or 1, BLOCKS, 9, 1, WIDTH), `final` (B or 1, 2, 1, WIDTH).
    """

    blocks: Tensor
    final: Tensor


@dataclass(frozen=True)
class Turn:
    """Rotary tables with a norm's weight in them, each (positions, ..., HEAD_DIM) in float32."""

    cos: Tensor
    sin: Tensor

    def first(self, count: int) -> "Turn":
        return Turn(self.cos[:count], self.sin[:count])


@dataclass(frozen=True)
class _Layer:
    """The weights of one block; `both` turns queries and keys, `cross` the cross queries."""

    qkv: Tensor
    self_out: Tensor
    cross_q: Tensor
    cross_out: Tensor
    enter: tuple[Tensor, Tensor]
    leave: tuple[Tensor, Tensor]
    both: Turn
    cross: Turn
    key_norm: Tensor


class BatchTransformer:
    """Velocity of many sessions' chunks, and the keys and values of clean latents.

    Args:
        dit: the weights; its module stays on the CPU.
        ring: latents of the prefix.
        chunk: latents of a chunk.
        device: where to compute.
        dtype: of the big matrices, of keys and of values.
    """

    def __init__(
        self, dit: DiT, ring: int, chunk: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.ring = ring
        self.width = whole_tiles(1 + ring + chunk, device)
        self.dtype = dtype
        self._device = device

        def place(tensor: Tensor, as_type: torch.dtype = torch.float32) -> Tensor:
            return tensor.detach().to(device, as_type).contiguous()

        turn = rotary(torch.arange(-ring, chunk))
        ones = torch.ones(HEAD_DIM)
        past = _turn(turn[0][:ring], turn[1][:ring], ones)
        self._past = Turn(place(past.cos[:, None]), place(past.sin[:, None]))
        own = (turn[0][ring:], turn[1][ring:])
        self._layers = [_layer(block, own, place, dtype) for block in dit.blocks]
        self._swap = torch.tensor(_SWAP, device=device)
        blocks: list[Block] = list(dit.blocks)
        pad = torch.zeros(HEADS, 1, ROTARY)
        sinks = [torch.cat((pad, block.sink[0, :, :, ROTARY:]), 2) for block in blocks]
        # (BLOCKS, WIDTH) each; of the key only what is not rotated: it lies at no place
        self._sink_keys = place(torch.stack(sinks).flatten(1), dtype)
        values = [block.sink[1] for block in blocks]
        self._sink_values = place(torch.stack(values).flatten(1), dtype)
        modulation = torch.stack([block.modulation.detach() for block in blocks]).clone()
        modulation[:, 0::3] += 1.0
        self._modulation = place(modulation[:, :, None])
        scaled = dit.final.bias.detach().clone()
        scaled[:WIDTH] += 1.0
        self._final = (place(dit.final.weight), place(scaled))
        self._steer = (place(dit.steer.weight), place(dit.steer.bias))
        self._guidance = (place(dit.guidance.weight), place(dit.guidance.bias))
        self._enter = (place(dit.enter.weight), place(dit.enter.bias))
        self._leave = (place(dit.leave.weight), place(dit.leave.bias))
        self._time = dit.time

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

    def past(self, prefix: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Lay out what all evaluations of a chunk see.

        Args:
            prefix: keys, not rotated, and values, (B, BLOCKS, 2, ring, WIDTH).
            bias: of the ring, (B, ring).

        Returns:
            Keys and values, (B, BLOCKS, width, HEADS, HEAD_DIM), the places of the chunk still
            empty, and the bias (B, 1, 1, width), with the places of the chunk hidden.
        """
        batch, ring = prefix.shape[0], slice(1, 1 + self.ring)
        keys, values = (
            prefix.new_zeros(batch, BLOCKS, self.width, HEADS, HEAD_DIM) for _ in range(2)
        )
        heads = torch.unflatten(prefix, 4, (HEADS, HEAD_DIM))
        keys[:, :, 0] = torch.unflatten(self._sink_keys, 1, (HEADS, HEAD_DIM))
        values[:, :, 0] = torch.unflatten(self._sink_values, 1, (HEADS, HEAD_DIM))
        self._rotate(heads[:, :, 0], self._past, keys[:, :, ring])
        values[:, :, ring] = heads[:, :, 1]
        mask = torch.full((batch, self.width), HIDDEN, dtype=self.dtype, device=self._device)
        mask[:, 0].zero_()
        mask[:, ring] = bias
        return keys, values, mask[:, None, None]

    def unhide(self, bias: Tensor, count: int) -> Tensor:
        """The bias (B, 1, 1, width) with the first `count` places of the chunk to be seen."""
        open_bias = bias.clone()
        open_bias[..., 1 + self.ring : 1 + self.ring + count].zero_()
        return open_bias

    def evaluate(
        self, latents: Tensor, steering: Steering, layers: list[Seen], cross: list[Seen]
    ) -> Tensor:
        """Velocity (B, T, LATENT_DIM) of `latents`, shaped alike.

        `layers` are views of what `past` laid out, a block each; the chunk's keys and values are
        put in their places there. `cross` is the conditioning, a block each.
        """
        x = functional.linear(latents, *self._enter)
        for index, (layer, seen) in enumerate(zip(self._layers, layers, strict=True)):
            steer = steering.blocks[:, index]
            q, _ = self._look(x, layer, steer, seen)
            x = self._finish(x, q, layer, steer, seen, cross[index])
        normed = functional.layer_norm(x, (WIDTH,))
        final = steering.final
        return functional.linear(torch.addcmul(final[:, 1], normed, final[:, 0]), *self._leave)

    def keep(
        self, latents: Tensor, steering: Steering, layers: list[Seen], cross: list[Seen]
    ) -> Tensor:
        """Keys, not rotated, and values of clean `latents`: (B, BLOCKS, 2, T, WIDTH)."""
        x, kept = functional.linear(latents, *self._enter), []
        for index, (layer, seen) in enumerate(zip(self._layers, layers, strict=True)):
            steer = steering.blocks[:, index]
            q, own = self._look(x, layer, steer, seen)
            kept.append(own)
            if index + 1 < BLOCKS:
                x = self._finish(x, q, layer, steer, seen, cross[index])
        return torch.stack(kept, 1)

    def _look(self, x: Tensor, layer: _Layer, steer: Tensor, seen: Seen) -> tuple[Tensor, Tensor]:
        """Put the chunk's keys and values in their places; return queries, and both as kept."""
        batch, count, _ = x.shape
        own = slice(1 + self.ring, 1 + self.ring + count)
        qkv = functional.linear(self._modulate(x, steer, 0), layer.qkv)
        qk = qkv[..., : 2 * WIDTH].reshape(batch, count, 2, HEADS, HEAD_DIM)
        normed = functional.layer_norm(qk, (HEAD_DIM,))
        turned = self._rotate(normed, layer.both.first(count), torch.empty_like(normed))
        value = qkv[..., 2 * WIDTH :]
        seen.keys[:, own] = turned[:, :, 1]
        seen.values[:, own] = torch.unflatten(value, 2, (HEADS, HEAD_DIM))
        key = (normed[:, :, 1] * layer.key_norm).flatten(2)
        return turned[:, :, 0], torch.stack((key, value), 1)

    def _finish(
        self, x: Tensor, q: Tensor, layer: _Layer, steer: Tensor, seen: Seen, cross: Seen
    ) -> Tensor:
        """Both attentions and the MLP of one block."""
        change = functional.linear(attend(q, seen), layer.self_out)
        x = torch.addcmul(x, steer[:, 2], change)
        q = functional.linear(self._modulate(x, steer, 1), layer.cross_q)
        q = functional.layer_norm(torch.unflatten(q, 2, (HEADS, HEAD_DIM)), (HEAD_DIM,))
        q = self._rotate(q, layer.cross.first(q.shape[1]), torch.empty_like(q))
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


def _layer(block: Block, own: tuple[Tensor, Tensor], place: Place, dtype: torch.dtype) -> _Layer:
    """The weights of `block`, placed; `own` are cos and sin of the chunk's positions."""
    q, k, cross = (
        _turn(*own, norm.weight.detach()) for norm in (block.q_norm, block.k_norm, block.cross_norm)
    )
    cos, sin = torch.stack((q.cos, k.cos), 1), torch.stack((q.sin, k.sin), 1)
    return _Layer(
        qkv=place(block.qkv.weight, dtype),
        self_out=place(block.self_out.weight, dtype),
        cross_q=place(block.cross_q.weight, dtype),
        cross_out=place(block.cross_out.weight, dtype),
        enter=(place(block.enter.weight, dtype), place(block.enter.bias, dtype)),
        leave=(place(block.leave.weight, dtype), place(block.leave.bias, dtype)),
        both=Turn(place(cos[:, :, None], torch.float32), place(sin[:, :, None], torch.float32)),
        cross=Turn(
            place(cross.cos[:, None], torch.float32), place(cross.sin[:, None], torch.float32)
        ),
        key_norm=place(block.k_norm.weight, dtype),
    )


def _turn(cos: Tensor, sin: Tensor, weight: Tensor) -> Turn:
    """Tables (positions, HEAD_DIM) that rotate what is multiplied by `weight` (HEAD_DIM,)."""
    rest = cos.new_ones(cos.shape[0], HEAD_DIM - ROTARY)
    whole_cos = torch.cat((cos, cos, rest), 1)
    whole_sin = torch.cat((-sin, sin, torch.zeros_like(rest)), 1)
    return Turn(whole_cos * weight, whole_sin * weight[_SWAP])
