"""All chunks of a clip at once: what streaming computes one after another, as two masked passes.

    clean pass    every latent attends to its own hop and to the ring before it; no conditioning
    noisy pass    chunk k attends to itself and to the clean latents in the ring before hop k

Streaming (`DiT.forward` with a ring) and this are the same function; a test holds them together.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from diegetic.config import StreamConfig
from diegetic.model.dit import HEAD_DIM, HEADS, HIDDEN, WIDTH, Cross, DiT, rotary, rotate
from diegetic.snapshot import FRAME_DIM, FRAME_SLOTS, SLOTS, TEXT_DIM, WORD_SLOTS
from diegetic_kernels import attention


@dataclass(frozen=True)
class Layout:
    """Where the chunks of a clip lie, and who may see whom.

    Attributes:
        clean_positions: (T,) latents that serve as prefix.
        clean_places: (T,) where each lies in its hop.
        noisy_positions: (K, chunk) latents of each chunk.
        clean_bias: (T, 1 + T), 0 where seen, HIDDEN elsewhere; the sink comes first.
        noisy_bias: (K * chunk, 1 + T + K * chunk), likewise.
    """

    clean_positions: Tensor
    clean_places: Tensor
    noisy_positions: Tensor
    clean_bias: Tensor
    noisy_bias: Tensor


def layout(chunks: Tensor, config: StreamConfig, past: bool = True) -> Layout:
    """The layout of `chunks` (K,), ascending numbers of those made.

    All that is before is seen, or nothing of it where the `past` is hidden.
    """
    hop, size, ring = config.hop_latents, config.chunk_latents, config.prefix_latents
    clean = torch.arange(int(chunks[-1]) * hop if past else 0)
    chunks = chunks.to(clean.device)  # wherever new tensors are made
    noisy = chunks[:, None] * hop + torch.arange(size)
    begin = clean // hop * hop
    seen = (clean[None] >= begin[:, None] - ring) & (clean[None] < begin[:, None] + hop)
    owner = chunks.repeat_interleave(size)
    start = owner * hop
    before = (clean[None] >= start[:, None] - ring) & (clean[None] < start[:, None])
    same = owner[None] == owner[:, None]
    return Layout(clean, clean % hop, noisy, _bias(seen), _bias(torch.cat((before, same), dim=1)))


def _bias(seen: Tensor) -> Tensor:
    return functional.pad(torch.where(seen, 0.0, HIDDEN), (1, 0))


def null_cross(dit: DiT) -> Cross:
    """The conditioning that says nothing, with a batch of one."""
    return Cross(
        *dit.conditioning(
            torch.zeros(1, WORD_SLOTS, TEXT_DIM),
            torch.zeros(1, FRAME_SLOTS, FRAME_DIM),
            torch.zeros(1, SLOTS),
            torch.zeros(1, SLOTS),
            torch.zeros(1, SLOTS),
        )
    )


def clean_pass(dit: DiT, clean: Tensor, where: Layout) -> list[tuple[Tensor, Tensor]]:
    """Rotated keys and values of the clean latents (B, T, LATENT_DIM), a pair a layer.

    T may be 0: then there is nothing to keep, and nothing is computed.
    """
    if clean.shape[1] == 0:
        nothing = clean.new_zeros(clean.shape[0], HEADS, 0, HEAD_DIM)
        return [(nothing, nothing)] * len(dit.blocks)
    null = null_cross(dit)
    zero, one = clean.new_zeros(1), clean.new_ones(1)
    shared = dit.steer(dit.embed_time(zero, one, null.summary)[:, None]).unflatten(2, (9, WIDTH))
    turn, inner = rotary(where.clean_positions), rotary(where.clean_places)
    x = dit.enter(clean)
    kept = []
    for index, block in enumerate(dit.blocks):
        steer = block.steering(shared)
        q, k, v = block.project(x, steer)
        k = rotate(k, turn)
        kept.append((k, v))
        if index + 1 == len(dit.blocks):
            break
        attended = block.attend(rotate(q, turn), k, v, where.clean_bias)
        x = block.after_attention(x, attended, steer)
        q = rotate(block.cross_queries(x, steer), inner)
        keys, values = (
            part[:, index].expand(x.shape[0], -1, -1, -1) for part in (null.keys, null.values)
        )
        x = block.after_cross(x, attention(q, keys, values, null.bias[:, None, None]), steer)
    return kept


def noisy_pass(
    dit: DiT,
    noisy: Tensor,
    t: Tensor,
    guidance: Tensor,
    cross: Cross,
    prefix: list[tuple[Tensor, Tensor]],
    where: Layout,
) -> Tensor:
    """Velocities (B, K, chunk, LATENT_DIM) of all chunks.

    Args:
        dit: the model.
        noisy: (B, K, chunk, LATENT_DIM).
        t: (B, K).
        guidance: (B, K).
        cross: conditioning of every chunk, batch B * K.
        prefix: from `clean_pass`.
        where: from `layout`.
    """
    batch, chunks, size, _ = noisy.shape
    turn, inner = rotary(where.noisy_positions.flatten()), rotary(torch.arange(size))
    emb = dit.embed_time(t, guidance, cross.summary.reshape(batch, chunks, WIDTH))
    shared = dit.steer(emb).unflatten(2, (9, WIDTH))
    cross_bias = cross.bias[:, None, None]
    cross_keys, cross_values = cross.keys.unbind(1), cross.values.unbind(1)
    x = dit.enter(noisy.reshape(batch, chunks * size, -1))
    for index, block in enumerate(dit.blocks):
        steer = block.steering(shared)
        q, k, v = block.project(x, steer)
        clean_k, clean_v = prefix[index]
        k = torch.cat((clean_k, rotate(k, turn)), dim=2)
        v = torch.cat((clean_v, v), dim=2)
        attended = block.attend(rotate(q, turn), k, v, where.noisy_bias)
        x = block.after_attention(x, attended, steer)
        q = block.cross_queries(x, steer)
        heads, width = q.shape[1], q.shape[3]
        q = q.reshape(batch, heads, chunks, size, width).transpose(1, 2).flatten(0, 1)
        said = attention(rotate(q, inner), cross_keys[index], cross_values[index], cross_bias)
        said = said.reshape(batch, chunks, heads, size, width).transpose(1, 2).flatten(2, 3)
        x = block.after_cross(x, said, steer)
    return dit.read_out(x, emb).reshape(noisy.shape)
