"""Block-causal diffusion transformer with a cached prefix.

    sink       |·|
    prefix        |-- 64 clean latents: keys and values, kept --|
    chunk                                                        |- hop -|overlap|   noisy

Clean latents attend to themselves block by block, once, without conditioning; their keys and values
live in a ring. The noisy chunk attends to the ring and to itself, and by cross-attention to the
conditioning tokens. The sink is a learned key and value that everything sees (attention has to go
somewhere when there is no past; arXiv 2309.17453). Of every modality that is not said at all a null
token is seen instead. Rotary positions count from the chunk's start, in latents, for all three, so
that nothing depends on how long a stream has played.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from diegetic.config import LATENT_DIM, LATENT_RATE
from diegetic.snapshot import (
    BLEND_SLOTS,
    BLEND_TOKENS,
    EVENT_SLOTS,
    FRAME_DIM,
    FRAME_SLOTS,
    LAYER_SLOTS,
    PARAMETER_SLOTS,
    SLOTS,
    SWITCH_SLOTS,
    TEXT_DIM,
    TEXT_SLOTS,
)
from diegetic_kernels import attention

WIDTH = 256
HEADS = 4
HEAD_DIM = WIDTH // HEADS
BLOCKS = 8
EXPANSION = 4
ROTARY = HEAD_DIM // 2
# Slots of each modality, in their order: prompts, layers, switches, parameters, events, frames.
MODALITIES = (
    TEXT_SLOTS + BLEND_SLOTS,
    LAYER_SLOTS,
    SWITCH_SLOTS,
    PARAMETER_SLOTS,
    EVENT_SLOTS,
    FRAME_SLOTS,
)
TOKENS = SLOTS + len(MODALITIES)  # the last ones are nulls
HIDDEN = -1e4  # a bias that no score outweighs; finite, so that nothing becomes NaN


@dataclass(frozen=True)
class Memory:
    """Keys and values of all layers, each (B, BLOCKS, HEADS, N, HEAD_DIM), and a bias (B, N)."""

    keys: Tensor
    values: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Cross(Memory):
    """The conditioning: what is attended to, and its gist (B, WIDTH), which steers all blocks."""

    summary: Tensor


def rotary(positions: Tensor) -> tuple[Tensor, Tensor]:
    """Rotary embedding (arXiv 2104.09864) of `positions` (...,): cos and sin (..., ROTARY / 2)."""
    half = ROTARY // 2
    steps = torch.arange(half, dtype=torch.float32, device=positions.device)
    angle = positions.float()[..., None] * 10_000.0 ** (-steps / half)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the first ROTARY dimensions of `x` (..., N, HEAD_DIM) by `turn`, from `rotary`.

    The other dimensions compare content wherever it lies.
    """
    cos, sin = turn
    half = ROTARY // 2
    a, b, rest = x[..., :half], x[..., half:ROTARY], x[..., ROTARY:]
    return torch.cat((a * cos - b * sin, a * sin + b * cos, rest), dim=-1)


def fourier(x: Tensor, count: int, lowest: float, highest: float) -> Tensor:
    """(...,) -> (..., 2 count): cosines and sines at geometrically spaced frequencies (rad)."""
    steps = torch.arange(count, dtype=torch.float32, device=x.device) / max(1, count - 1)
    angle = x.float()[..., None] * (lowest * (highest / lowest) ** steps)
    return torch.cat((angle.cos(), angle.sin()), dim=-1)


def split_heads(x: Tensor) -> Tensor:
    """(B, N, WIDTH) -> (B, HEADS, N, HEAD_DIM)."""
    return x.reshape(x.shape[0], x.shape[1], HEADS, HEAD_DIM).transpose(1, 2)


def in_groups(x: Tensor, groups: int) -> Tensor:
    """(B, N, WIDTH) -> (B, groups, N / groups, WIDTH): the chunks of a clip, or one alone."""
    return x.reshape(x.shape[0], groups, -1, WIDTH)


def merge_heads(x: Tensor) -> Tensor:
    """(B, HEADS, N, HEAD_DIM) -> (B, N, WIDTH)."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], WIDTH)


class ConditioningNet(nn.Module):
    """Token slots to cross-attention keys and values for every block, once a chunk."""

    kinds: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Linear(TEXT_DIM, WIDTH)
        self.frame = nn.Linear(FRAME_DIM, WIDTH)
        self.number = nn.Linear(24, WIDTH)
        self.null = nn.Parameter(torch.randn(len(MODALITIES), WIDTH) * 0.02)
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.SiLU(), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.out_norm = nn.LayerNorm(WIDTH, bias=False)
        self.key = nn.Linear(WIDTH, BLOCKS * WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, BLOCKS * WIDTH, bias=False)
        self.key_norm = nn.LayerNorm(HEAD_DIM, bias=False)
        self.sentence = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mean = nn.Linear(WIDTH, WIDTH, bias=False)
        nn.init.zeros_(self.sentence.weight)
        nn.init.zeros_(self.mean.weight)
        kinds = [0] + [1] * (TEXT_SLOTS - 1) + [0] * BLEND_SLOTS + list(range(2, 2 + LAYER_SLOTS))
        for size in MODALITIES[2:]:
            kinds += [kinds[-1] + 1] * size
        self.register_buffer("kinds", torch.tensor(kinds), persistent=False)
        self.kind = nn.Embedding(kinds[-1] + 1, WIDTH)

    def embed(self, words: Tensor, frames: Tensor, values: Tensor, times: Tensor) -> Tensor:
        """Slots, shaped as in `diegetic.snapshot.Conditioning`, to tokens (B, TOKENS, WIDTH)."""
        seen = torch.cat((self.word(words * TEXT_DIM**0.5), self.frame(frames)), dim=1)
        numbers = torch.cat((fourier(values, 4, 0.5, 8.0), fourier(times, 8, 0.5, 60.0)), dim=-1)
        seen = seen + self.number(numbers) + self.kind(self.kinds)
        tokens = torch.cat((seen, self.null.expand(words.shape[0], -1, -1)), dim=1)
        return cast(Tensor, self.out_norm(tokens + self.mlp(self.norm(tokens))))

    def project(
        self, tokens: Tensor, values: Tensor, times: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Tokens from `embed` to the fields of a `Cross`; `present` (B, SLOTS) is 1.0 or 0.0."""
        nulls = len(MODALITIES)
        shape = (tokens.shape[0], TOKENS, BLOCKS, HEADS, HEAD_DIM)
        keys = self.key_norm(self.key(tokens).reshape(shape)).permute(0, 2, 3, 1, 4)
        positions = functional.pad(times, (0, nulls)) * LATENT_RATE
        keys = rotate(keys, rotary(positions[:, None, None]))
        stacked = self.value(tokens).reshape(shape).permute(0, 2, 3, 1, 4)
        absent = [
            1 - part.amax(1, keepdim=True) for part in torch.split(present, list(MODALITIES), dim=1)
        ]
        bias = (torch.cat((present, *absent), dim=1) - 1.0) * -HIDDEN
        said = tokens[:, :SLOTS] * present[:, :, None]
        mean = said.sum(1) / present.sum(1, keepdim=True).clamp(min=1.0)
        shares = values[:, :, None] * said
        sentence = shares[:, 0] + shares[:, BLEND_TOKENS].sum(1)
        return keys, stacked, bias, self.sentence(sentence) + self.mean(mean)

    def forward(
        self, words: Tensor, frames: Tensor, values: Tensor, times: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is said, to the fields of a `Cross`: `embed`, then `project`."""
        return self.project(self.embed(words, frames, values, times), values, times, present)


class Block(nn.Module):
    """Self-attention over prefix and chunk, cross-attention, MLP; each scaled, shifted, gated."""

    def __init__(self) -> None:
        super().__init__()
        self.modulation = nn.Parameter(torch.randn(9, WIDTH) * 0.02)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, elementwise_affine=False) for _ in range(3))
        self.sink = nn.Parameter(torch.randn(2, HEADS, 1, HEAD_DIM) * 0.02)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.self_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.cross_q = nn.Linear(WIDTH, WIDTH, bias=False)
        self.cross_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.enter = nn.Linear(WIDTH, EXPANSION * WIDTH)
        self.leave = nn.Linear(EXPANSION * WIDTH, WIDTH)
        self.q_norm, self.k_norm, self.cross_norm = (
            nn.LayerNorm(HEAD_DIM, bias=False) for _ in range(3)
        )

    def steering(self, steer: Tensor) -> tuple[Tensor, ...]:
        """This block's 9 scales, shifts and gates, each (B, G, 1, WIDTH).

        `steer` (B, G, 9, WIDTH) is shared by all blocks.
        """
        return (steer + self.modulation)[:, :, :, None].unbind(2)

    def modulate(self, x: Tensor, steer: tuple[Tensor, ...], part: int) -> Tensor:
        """Norm, scale and shift of sub-layer `part`; `x` is (B, N, WIDTH), N in G equal groups."""
        grouped = in_groups(self.norms[part](x), steer[0].shape[1])
        return (grouped * (1 + steer[3 * part]) + steer[3 * part + 1]).flatten(1, 2)

    def gated(self, x: Tensor, change: Tensor, steer: tuple[Tensor, ...], part: int) -> Tensor:
        """Add `change` (B, N, WIDTH) to `x`, scaled by the gate of sub-layer `part`."""
        grouped = in_groups(change, steer[0].shape[1])
        return x + (steer[3 * part + 2] * grouped).flatten(1, 2)

    def project(self, x: Tensor, steer: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of self-attention: normalised, not yet rotated."""
        q, k, v = self.qkv(self.modulate(x, steer, 0)).chunk(3, dim=2)
        return self.q_norm(split_heads(q)), self.k_norm(split_heads(k)), split_heads(v)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """Self-attention with the sink in front of `k` and `v`; `bias` has a column for it."""
        # Of the key only what is not rotated: it lies at no place.
        key = functional.pad(self.sink[0, :, :, ROTARY:], (ROTARY, 0))
        key, value = (
            part.expand(k.shape[0], -1, -1, -1).to(k.dtype) for part in (key, self.sink[1])
        )
        return attention(q, torch.cat((key, k), dim=2), torch.cat((value, v), dim=2), bias)

    def after_attention(self, x: Tensor, attended: Tensor, steer: tuple[Tensor, ...]) -> Tensor:
        return self.gated(x, self.self_out(merge_heads(attended)), steer, 0)

    def cross_queries(self, x: Tensor, steer: tuple[Tensor, ...]) -> Tensor:
        q = split_heads(self.cross_q(self.modulate(x, steer, 1)))
        return cast(Tensor, self.cross_norm(q))

    def after_cross(self, x: Tensor, attended: Tensor, steer: tuple[Tensor, ...]) -> Tensor:
        """Add what cross-attention found, then the MLP."""
        x = self.gated(x, self.cross_out(merge_heads(attended)), steer, 1)
        hidden = functional.gelu(self.enter(self.modulate(x, steer, 2)), approximate="tanh")
        return self.gated(x, self.leave(hidden), steer, 2)


class DiT(nn.Module):
    """Velocity of noisy latents, given a prefix and conditioning."""

    def __init__(self) -> None:
        super().__init__()
        self.conditioning = ConditioningNet()
        self.enter = nn.Linear(LATENT_DIM, WIDTH)
        self.time = nn.Sequential(nn.Linear(64, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.guidance = nn.Linear(16, WIDTH)
        self.steer = nn.Linear(WIDTH, 9 * WIDTH)
        self.blocks = cast(list[Block], nn.ModuleList(Block() for _ in range(BLOCKS)))
        self.final = nn.Linear(WIDTH, 2 * WIDTH)
        self.leave = nn.Linear(WIDTH, LATENT_DIM)
        self.final_norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        for layer in (self.steer, self.final, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        for block in self.blocks:
            with torch.no_grad():
                block.modulation[[2, 5, 8]] = 0.5

    def embed_time(self, t: Tensor, guidance: Tensor, summary: Tensor) -> Tensor:
        """Embed `t` and `guidance` (...,), `summary` (..., WIDTH): the sum steers all blocks.

        Guidance enters as its inverse, in (0, 1].
        """
        hidden = self.time(fourier(t, 32, 1.0, 300.0)) + summary
        hidden = hidden + self.guidance(fourier(1 / guidance, 8, 0.5, 12.0))
        return functional.silu(hidden)

    def forward(
        self,
        latents: Tensor,
        t: Tensor,
        guidance: Tensor,
        cross: Cross,
        prefix: Memory,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One evaluation on one chunk.

        Args:
            latents: (B, T, LATENT_DIM), noisy, or clean with t = 0 to be kept as prefix.
            t: (B,), 1 is noise, 0 is data.
            guidance: (B,), at least 1.
            cross: the conditioning, from `ConditioningNet`.
            prefix: ring of the latest clean latents, newest last, not rotated.

        Returns:
            Velocity (B, T, LATENT_DIM), and the chunk's own keys and values, not rotated,
            each (B, BLOCKS, HEADS, T, HEAD_DIM).
        """
        ring, count = prefix.keys.shape[3], latents.shape[1]
        turn = rotary(torch.arange(-ring, count, device=latents.device))
        own = (turn[0][ring:], turn[1][ring:])
        emb = self.embed_time(t, guidance, cross.summary)[:, None]
        shared = self.steer(emb).unflatten(2, (9, WIDTH))
        self_bias = functional.pad(prefix.bias, (1, count))[:, None, None]
        cross_bias = cross.bias[:, None, None]
        x = self.enter(latents)
        keys, values = [], []
        for index, block in enumerate(self.blocks):
            steer = block.steering(shared)
            q, k, v = block.project(x, steer)
            keys.append(k)
            values.append(v)
            k = rotate(torch.cat((prefix.keys[:, index], k), dim=2), turn)
            v = torch.cat((prefix.values[:, index], v), dim=2)
            q = rotate(q, own)
            attended = block.attend(q, k, v, self_bias)
            x = block.after_attention(x, attended, steer)
            q = rotate(block.cross_queries(x, steer), own)
            attended = attention(q, cross.keys[:, index], cross.values[:, index], cross_bias)
            x = block.after_cross(x, attended, steer)
        return self.read_out(x, emb), torch.stack(keys, 1), torch.stack(values, 1)

    def read_out(self, x: Tensor, emb: Tensor) -> Tensor:
        """Hidden states (B, N, WIDTH) to velocity; `emb` is (B, G, WIDTH), N in G equal groups."""
        scale, shift = self.final(emb)[:, :, None].chunk(2, dim=-1)
        grouped = in_groups(self.final_norm(x), emb.shape[1]) * (1 + scale) + shift
        return cast(Tensor, self.leave(grouped)).flatten(1, 2)
