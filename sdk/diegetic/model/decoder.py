"""Latents to spectra: a causal convolutional network that adds detail and phase to band levels.

The band levels that the latents stand for are interpolated to bins. For mid and side the network
predicts two magnitudes a bin, as residuals of the log levels: of a tonal part, whose phase it
predicts too, and of a noisy part, which shapes the spectra of white noise (as in DDSP, arXiv
2001.04643). Rain stays rough because its roughness is given, not guessed.

How rough is predicted as well. The level of a band one bin wide has already the fluctuations of
the sound; times white noise it would fluctuate twice, and crickets become a stream. The level of a
band of many bins has lost them. So the noise n of a bin enters as n |n|^(w - 1): w = 0 keeps its
phase alone, w = 1 all of it, and w starts from how many bins the band has.

The spectra become sound outside this network (`diegetic.codec`).
"""

import torch
from torch import Tensor, nn

from diegetic.codec import BANDS, BINS, FLOOR, FRAMES_PER_LATENT, MID_BANDS, SIDE_BANDS
from diegetic.model.spectral import SpectralLatents, band_matrix, interpolation_matrix

WIDTH = 256
BLOCKS = 8
KERNEL = 7
EXPANSION = 3
MOST_LEVEL = 3.0  # neper: nothing that is made is louder
WIDE = 7  # bins of a band whose level tells nothing of a single bin's fluctuations


class CausalBlock(nn.Module):
    """ConvNeXt-like (arXiv 2201.03545), causal: depthwise over past frames, then an MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Parameter(torch.randn(WIDTH, KERNEL) / KERNEL**0.5)
        self.norm = nn.LayerNorm(WIDTH)
        self.expand = nn.Linear(WIDTH, EXPANSION * WIDTH)
        self.contract = nn.Linear(EXPANSION * WIDTH, WIDTH)
        self.scale = nn.Parameter(torch.full((WIDTH,), 0.3))

    def forward(self, x: Tensor, past: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """`x` (B, F, WIDTH), `past` (B, KERNEL - 1, WIDTH) -> output and the next `past`.

        That is as it is after all frames, or after `kept` (1,) of them.
        """
        seen = torch.cat((past, x), dim=1)
        y = seen[:, 0 : x.shape[1]] * self.depthwise[:, 0]
        for k in range(1, KERNEL):
            y = y + seen[:, k : k + x.shape[1]] * self.depthwise[:, k]
        y = self.contract(torch.nn.functional.gelu(self.expand(self.norm(y)), approximate="tanh"))
        if kept is None:
            return x + self.scale * y, seen[:, x.shape[1] :]
        return x + self.scale * y, seen.index_select(1, kept + torch.arange(KERNEL - 1))


class Decoder(nn.Module):
    """Latents and noise to spectra, with carried state."""

    mid_bins: Tensor
    side_bins: Tensor
    rotation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.latents = SpectralLatents()
        self.enter = nn.Linear(BANDS, WIDTH)
        self.blocks = nn.ModuleList(CausalBlock() for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        self.magnitude = nn.Linear(WIDTH, 4 * BINS)
        self.phase = nn.Linear(WIDTH, 4 * BINS)
        self.roughness = nn.Linear(WIDTH, 2 * BINS)
        self.register_buffer("mid_bins", interpolation_matrix(MID_BANDS), persistent=False)
        self.register_buffer("side_bins", interpolation_matrix(SIDE_BANDS), persistent=False)
        turns = torch.arange(FRAMES_PER_LATENT)[:, None] * torch.arange(BINS)[None] % 4
        cos = torch.tensor([1.0, 0.0, -1.0, 0.0])[turns]
        sin = torch.tensor([0.0, 1.0, 0.0, -1.0])[turns]
        self.register_buffer("rotation", torch.stack((cos, sin)), persistent=False)
        nn.init.zeros_(self.magnitude.weight)
        levels = self.magnitude.bias.detach()
        levels[: 2 * BINS], levels[2 * BINS :] = -1.5, -0.1  # tonal, noisy
        nn.init.zeros_(self.roughness.weight)
        wide = torch.cat([roughness(bands) for bands in (MID_BANDS, SIDE_BANDS)])
        self.roughness.bias.detach().copy_(torch.logit(wide, eps=0.05))

    def start(self, batch: int) -> Tensor:
        """The state before the first frame: (batch, BLOCKS, KERNEL - 1, WIDTH)."""
        return torch.zeros(batch, BLOCKS, KERNEL - 1, WIDTH)

    def forward(
        self, latents: Tensor, noise: Tensor, state: Tensor, kept: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode the next frames.

        Args:
            latents: (B, T, LATENT_DIM).
            noise: spectra of white noise, from `spectral.noise_spectra`, shaped as those returned.
            state: (B, BLOCKS, KERNEL - 1, WIDTH).
            kept: (1,) int64, of the latents how many the next state follows; all, unless given.

        Returns:
            Spectra (B, 2, T * FRAMES_PER_LATENT, BINS, 2), of mid and side, real and imaginary
            part last, and the next state.
        """
        batch, frames = latents.shape[0], latents.shape[1] * FRAMES_PER_LATENT
        levels = self.latents.levels(latents.float())
        coarse = torch.stack(
            (levels[..., :MID_BANDS] @ self.mid_bins.T, levels[..., MID_BANDS:] @ self.side_bins.T),
            1,
        )
        x = self.enter(levels * 0.25 + 1.0)
        pasts = []
        kept = None if kept is None else kept * FRAMES_PER_LATENT
        for k, block in enumerate(self.blocks):
            x, past = block(x, state[:, k], kept)
            pasts.append(past)
        x = self.norm(x)
        residual = (
            self.magnitude(x).float().reshape(batch, frames, 2, 2, BINS).permute(2, 0, 3, 1, 4)
        )
        # From here on real and imaginary parts lie in planes: (2, B, 2, F, BINS).
        phase = self.phase(x).float().reshape(batch, frames, 2, BINS, 2).permute(4, 0, 2, 1, 3)
        rough = self.roughness(x).float().sigmoid().reshape(batch, frames, 2, BINS).transpose(1, 2)
        planes = noise.permute(4, 0, 1, 2, 3)
        noisy_gain = torch.exp(0.5 * (rough - 1) * (planes.square().sum(0) + 1e-6).log())
        # A band at the floor is silent, not -80 dB of hiss.
        tonal, noisy = (
            (torch.exp((coarse + residual).clamp(max=MOST_LEVEL)) - FLOOR).clamp(min=0).unbind(0)
        )
        tonal = tonal * torch.rsqrt(phase.square().sum(0) + 1e-6)
        # A steady tone in bin k turns by k quarter turns a frame; the network predicts the rest.
        real, imaginary = phase.unflatten(3, (latents.shape[1], FRAMES_PER_LATENT)).unbind(0)
        cos, sin = self.rotation[0], self.rotation[1]
        turned = torch.stack((real * cos - imaginary * sin, real * sin + imaginary * cos))
        made = tonal * turned.flatten(3, 4) + noisy * noisy_gain * planes
        spectra = made.permute(1, 2, 3, 4, 0)
        return spectra, torch.stack(pasts, dim=1)


def roughness(bands: int) -> Tensor:
    """How much of the noise's own fluctuations a bin needs, (BINS,) in 0..1, for bands as wide."""
    width = (band_matrix(bands) > 0).sum(1).float()
    return interpolation_matrix(bands) @ ((width - 1) / (WIDE - 1)).clamp(0, 1)
