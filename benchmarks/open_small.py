"""A transformer of the shape of Stable Audio Open Small's, 341M parameters, with random weights.

    length, t   -> one token --\
    latents 64 x 256, 11.9 s -> 256 tokens --16 blocks--> velocity
                                  text 64 tokens, length 1, by cross-attention

The shape is that of its published configuration (FastVideo/stable-audio-open-small-Diffusers,
transformer/config.json: embed_dim 1024, depth 16, num_attention_heads 8, qk_norm "ln",
cond_token_dim 768, global_cond_dim 768, io_channels 64) in Stability-AI/stable-audio-tools; 8 steps
are those of its paper, "Fast Text-to-Audio Generation with Adversarial Post-Training" (arXiv
2505.08175). Text encoder and autoencoder are left out: with them it would take longer.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

RATE, SAMPLES_PER_LATENT = 44_100, 2048
STEPS = 8


@dataclass(frozen=True)
class Shape:
    """Sizes of the transformer; the defaults are those that were published."""

    width: int = 1024
    depth: int = 16
    heads: int = 8
    channels: int = 64
    latents: int = 256
    condition: int = 768
    tokens: int = 65

    @property
    def seconds(self) -> float:
        """Length of the sound that one sample is."""
        return self.latents * SAMPLES_PER_LATENT / RATE

    def __str__(self) -> str:
        return (
            f"width {self.width}, {self.depth} layers, {self.heads} heads, "
            f"{self.latents} latents ({self.seconds:.1f} s), {STEPS} steps"
        )


class Transformer(nn.Module):
    """Velocity of noisy latents."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.shape = shape
        self.frequencies = nn.Parameter(torch.randn(128))
        self.time = _mlp(256, width, bias=True)
        self.length = _mlp(shape.condition, width, bias=False)
        self.condition = _mlp(shape.condition, width, bias=False)
        self.before = nn.Conv1d(shape.channels, shape.channels, 1, bias=False)
        self.enter = nn.Linear(shape.channels, width, bias=False)
        self.blocks = nn.ModuleList(Block(width, shape.heads) for _ in range(shape.depth))
        self.leave = nn.Linear(width, shape.channels, bias=False)
        self.after = nn.Conv1d(shape.channels, shape.channels, 1, bias=False)
        turned = width // shape.heads // 2
        turns = 10_000 ** -(torch.arange(0, turned, 2) / turned)
        angles = torch.arange(shape.latents + 1)[:, None] * turns
        self.register_buffer("angles", torch.cat((angles, angles), 1), persistent=False)

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor, length: Tensor) -> Tensor:
        """Velocity (B, channels, latents) of `x`, which has its shape.

        Args:
            x: noisy latents.
            t: (B,), from 1 (noise) to 0.
            tokens: (B, N, condition), attended to.
            length: (B, condition), of the sound.
        """
        phase = 2 * torch.pi * t[:, None] * self.frequencies
        time = self.time(torch.cat((phase.cos(), phase.sin()), 1))
        first = (time + self.length(length))[:, None]
        said = self.condition(tokens)
        x = x + self.before(x)
        h = torch.cat((first, self.enter(x.transpose(1, 2))), 1)
        for block in self.blocks:
            h = block(h, said, self.angles)
        out = self.leave(h[:, 1:]).transpose(1, 2)
        return torch.add(out, self.after(out))


class Block(nn.Module):
    """Attention, cross-attention, and a gated layer four times as wide."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        size = width // heads
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width, bias=False) for _ in range(3))
        self.qk_norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(4))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.cross_out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 8 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, said: Tensor, angles: Tensor) -> Tensor:
        """`x` (B, T, width) sees itself and `said` (B, N, width)."""
        q, k, v = (self._split(part) for part in self.qkv(self.norms[0](x)).chunk(3, -1))
        q, k = _turn(self.qk_norms[0](q), angles), _turn(self.qk_norms[1](k), angles)
        x = x + self.out(_merge(functional.scaled_dot_product_attention(q, k, v)))
        q = self.qk_norms[2](self._split(self.query(self.norms[1](x))))
        k, v = (self._split(part) for part in self.key_value(said).chunk(2, -1))
        k = self.qk_norms[3](k)
        x = x + self.cross_out(_merge(functional.scaled_dot_product_attention(q, k, v)))
        value, gate = self.up(self.norms[2](x)).chunk(2, -1)
        out: Tensor = x + self.down(value * functional.silu(gate))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, width) -> (B, heads, T, size)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


@torch.inference_mode()
def sample(network: Transformer, tokens: Tensor, length: Tensor) -> Tensor:
    """One sound's latents (1, channels, latents): guess the data, make it a bit less noisy again.

    The ping-pong sampler of the paper; its steps cost what those of any other do.
    """
    shape = network.shape
    times = torch.linspace(1, 0, STEPS + 1)
    x = torch.randn(1, shape.channels, shape.latents)
    for t, after in pairwise(times):
        data = x - t * network(x, t.expand(1), tokens, length)
        x = (1 - after) * data + after * torch.randn_like(data)
    return x


def _mlp(inputs: int, width: int, bias: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width, bias=bias), nn.SiLU(), nn.Linear(width, width, bias=bias)
    )


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _turn(x: Tensor, angles: Tensor) -> Tensor:
    """Rotary positions (arXiv 2104.09864) on the first half of each head."""
    turned, rest = x.chunk(2, -1)
    a, b = turned.chunk(2, -1)
    return torch.cat((turned * angles.cos() + torch.cat((-b, a), -1) * angles.sin(), rest), -1)
