"""Closed-form spectral latents: log band levels of mid and side, four frames stacked, under PCA.

    samples    |240|240|240|240|            one latent: 960 samples, 20 ms
    frame i    ....[-- window 960 --]       ends with its own 240 samples, so nothing looks ahead
    latent     96 numbers = PCA of 4 frames x (80 mid + 24 side) log levels

The analysis is a fixed map (fitted once by PCA), so latents mean the same after every retraining of
the decoder, are ordered by variance and linear in level (dB).
"""

from collections.abc import Callable
from functools import cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diegetic import codec
from diegetic.codec import (
    BANDS,
    FLOOR,
    FRAME_HOP,
    FRAMES_PER_LATENT,
    MID_BANDS,
    SIDE_BANDS,
    WINDOW,
)
from diegetic.config import LATENT_DIM, SAMPLES_PER_LATENT

SIDE_WEIGHT = 0.5  # in the PCA: the side's levels swing widely and are heard little


def to_mid_side(audio: Tensor) -> Tensor:
    """(..., samples, 2) left/right -> (..., 2, samples) mid/side."""
    left, right = audio[..., 0], audio[..., 1]
    return torch.stack((0.5 * (left + right), 0.5 * (left - right)), dim=-2)


def to_left_right(mid_side: Tensor) -> Tensor:
    """(..., 2, samples) mid/side -> (..., samples, 2) left/right."""
    mid, side = mid_side[..., 0, :], mid_side[..., 1, :]
    return torch.stack((mid + side, mid - side), dim=-1)


def window(device: torch.device, size: int = WINDOW) -> Tensor:
    """The periodic Hann window, (size,), for analysis and, with `SYNTHESIS_GAIN`, synthesis."""
    if device.type == "meta":
        return torch.hann_window(size, device=device)
    return _kept_window(size, device)


SYNTHESIS_GAIN = 1 / 1.5  # the sum of squared Hann windows at hop = window / 4


def stft(signal: Tensor) -> Tensor:
    """Spectra of causal frames: (..., samples) -> (..., samples / FRAME_HOP, BINS).

    Frame i covers samples [FRAME_HOP (i + 1) - WINDOW, FRAME_HOP (i + 1)); a full-scale sine comes
    out near 1.
    """
    padded = torch.nn.functional.pad(signal.float(), (WINDOW - FRAME_HOP, 0))
    frames = padded.unfold(-1, WINDOW, FRAME_HOP) * window(signal.device)
    return cast(Tensor, torch.fft.rfft(frames)) * (4 / WINDOW)


def noise_spectra(noise: Tensor) -> Tensor:
    """White noise (..., samples) to spectra (..., samples / FRAME_HOP, BINS, 2) of mean power 1."""
    gain: float = WINDOW / 4 / (0.375 * WINDOW) ** 0.5  # 0.375: the mean squared Hann window
    return torch.view_as_real(stft(noise)) * gain


def band_matrix(bands: int, device: torch.device | None = None) -> Tensor:
    """`diegetic.codec.band_matrix` as a tensor, which is not to be written to."""
    return _on(device, codec.band_matrix, bands)


def interpolation_matrix(bands: int, device: torch.device | None = None) -> Tensor:
    """`diegetic.codec.interpolation_matrix` as a tensor, which is not to be written to."""
    return _on(device, codec.interpolation_matrix, bands)


Matrix = Callable[[int], NDArray[np.float32]]


def _on(device: torch.device | None, matrix: Matrix, bands: int) -> Tensor:
    """`matrix(bands)` on `device`, where it is kept: a copy at every call would stop a GPU."""
    if device is None or device.type == "meta":  # what has no numbers cannot be kept
        return torch.tensor(matrix(bands))
    return _kept_matrix(matrix, bands, device)


# What is kept may be asked for without gradients first, and be used in training later.
@cache
def _kept_matrix(matrix: Matrix, bands: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(matrix(bands), device=device)


@cache
def _kept_window(size: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.hann_window(size, device=device)


def band_levels(audio: Tensor) -> Tensor:
    """Log levels of causal frames: (B, samples, 2) -> (B, samples / FRAME_HOP, BANDS), natural log.

    Raises:
        ValueError: the length is not a multiple of SAMPLES_PER_LATENT, or there are not 2 channels.
    """
    if audio.ndim != 3 or audio.shape[2] != 2 or audio.shape[1] % SAMPLES_PER_LATENT:
        raise ValueError(
            f"audio must be (batch, multiple of {SAMPLES_PER_LATENT}, 2), got {tuple(audio.shape)}"
        )
    return levels_of(to_mid_side(audio))


def levels_of(mid_side: Tensor) -> Tensor:
    """Log levels of causal frames of (B, 2 (mid, side), samples): (B, frames, BANDS)."""
    # Not abs(): its gradient at zero is not a number.
    magnitude = (torch.view_as_real(stft(mid_side)).square().sum(-1) + 1e-12).sqrt()
    mid = magnitude[:, 0] @ band_matrix(MID_BANDS, magnitude.device).T
    side = magnitude[:, 1] @ band_matrix(SIDE_BANDS, magnitude.device).T
    return torch.cat((mid, side), dim=-1).clamp(min=FLOOR).log()


class SpectralLatents(nn.Module):
    """The fixed linear map between band levels and latents; `fit` sets its buffers, once."""

    mean: Tensor
    analysis: Tensor
    synthesis: Tensor

    def __init__(self) -> None:
        super().__init__()
        stacked = FRAMES_PER_LATENT * BANDS
        self.register_buffer("mean", torch.zeros(stacked))
        self.register_buffer("analysis", torch.zeros(stacked, LATENT_DIM))
        self.register_buffer("synthesis", torch.zeros(LATENT_DIM, stacked))

    def fit(self, levels: Tensor) -> float:
        """Fit to `levels` (N, FRAMES_PER_LATENT * BANDS); return the share of variance explained.

        Dimensions are scaled by the fourth root of their variance: half way between PCA (where the
        first dimensions drown all others) and whitening (where noise counts as much as loudness).
        """
        weight = torch.ones(BANDS, dtype=torch.float64)
        weight[MID_BANDS:] = SIDE_WEIGHT
        weight = weight.repeat(FRAMES_PER_LATENT)
        mean = levels.double().mean(0)
        centred = (levels.double() - mean) * weight
        variance, vectors = torch.linalg.eigh(centred.T @ centred / len(levels))
        variance, vectors = variance.flip(0).clamp(min=1e-9), vectors.flip(1)
        kept, basis = variance[:LATENT_DIM], vectors[:, :LATENT_DIM]
        scale = kept.pow(0.25)
        scale = scale * (kept / scale.square()).mean().sqrt()
        self.mean.copy_(mean)
        self.analysis.copy_(weight[:, None] * basis / scale)
        self.synthesis.copy_((basis * scale).T / weight)
        return float(kept.sum() / variance.sum())

    def encode(self, audio: Tensor) -> Tensor:
        """(B, samples, 2) -> (B, samples / SAMPLES_PER_LATENT, LATENT_DIM)."""
        return self.project(band_levels(audio))

    def project(self, levels: Tensor) -> Tensor:
        """The latents of log levels: (B, T * FRAMES_PER_LATENT, BANDS) -> (B, T, LATENT_DIM)."""
        stacked = levels.reshape(levels.shape[0], -1, FRAMES_PER_LATENT * BANDS)
        return (stacked - self.mean) @ self.analysis

    def levels(self, latents: Tensor) -> Tensor:
        """The log levels of latents: (B, T, LATENT_DIM) -> (B, T * FRAMES_PER_LATENT, BANDS)."""
        stacked = latents @ self.synthesis + self.mean
        return stacked.reshape(latents.shape[0], -1, BANDS)
