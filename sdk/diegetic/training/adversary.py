"""Adversaries of the decoder: networks that tell its sound from true sound, at several resolutions.

Each hears complex spectra of mid and side under windows of one length, as the multi-scale STFT
discriminators of EnCodec (arXiv 2210.13438) and DAC (arXiv 2306.06546) do, and judges every patch
of time and frequency by the hinge loss. What their layers hear is matched as well, and as the
decoder samples, that is an energy distance too: 2 d(x, y) - d(y, y') of two decodings y, y' of the
sound x, which is least where they are distributed as x is, not where both are its mean.

How much the decoder heeds them is measured against the distance that it has learned from so far:
clip by clip, their gradients at the sound are scaled to a share of the length of its own (the
balancer of EnCodec, without its memory, so that a resumed training goes on alike). In a clip that
is silent that length is zero: no adversary can talk the decoder into filling silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from diegetic.model.spectral import window

WINDOWS = (256, 512, 1024, 2048, 4096)
CHANNELS = 7  # of mid and side: real, imaginary, log magnitude; and the frequency
POWER = 0.3  # magnitudes are compressed by it, so that what is soft counts too
LOUDER = 4.0  # what is compressed so is then about as large as levels and frequency are
FLOOR = 1e-4  # amplitude below which nothing is told apart (-80 dBFS)
SLOPE = 0.2

HEEDED = 0.5  # length of the gradient of the scores, as a share of the distance's
MATCHED = 1.0  # the same of what the layers hear


class Judge(nn.Module):
    """Judges patches of the spectra under windows of one length."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self._size = size
        shapes = (
            (CHANNELS, width, (3, 9), (1, 2)),
            (width, width, (3, 9), (1, 2)),
            (width, 2 * width, (3, 9), (1, 2)),
            (2 * width, 2 * width, (3, 3), (1, 1)),
        )
        self.layers = nn.ModuleList(_convolution(*shape) for shape in shapes)
        self.last = _convolution(2 * width, 1, (3, 3), (1, 1))

    def forward(self, sound: Tensor) -> tuple[Tensor, list[Tensor]]:
        """`sound` (N, 2 (mid, side), samples) -> scores (N, 1, F, K), layers (N, C, F, K)."""
        x = pictured(sound, self._size)
        heard = []
        with torch.autocast(sound.device.type, torch.bfloat16):
            for layer in self.layers:
                x = nn.functional.leaky_relu(layer(x), SLOPE)
                heard.append(x)
            scores: Tensor = self.last(x)
        return scores.float(), heard


class Adversary(nn.Module):
    """A judge for each of `WINDOWS`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.judges = nn.ModuleList(Judge(size, width) for size in WINDOWS)

    def forward(self, sound: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """`sound` (N, 2, samples) -> the scores of every judge, all layers of all judges."""
        scores, heard = [], []
        for judge in self.judges:
            score, layers = judge(sound)
            scores.append(score)
            heard.extend(layers)
        return scores, heard


@dataclass(frozen=True)
class Duel:
    """One meeting of decoder and adversary.

    Attributes:
        gradient: of the decoder's loss at its sound, (2B, 2, samples).
        loss: the adversary's.
        told: what may be logged, by name: mean scores of true and made sound, the distance of what
            the layers hear. On the sound's device.
    """

    gradient: Tensor
    loss: Tensor
    told: dict[str, Tensor]


def meet(
    adversary: Adversary, true: Tensor, made: Tensor, distance: Tensor, heed: float = 1.0
) -> Duel:
    """Let the adversary judge sound and two decodings of it.

    Args:
        adversary: whose weights get no gradient here; the loss returned gives it.
        true: mid and side, (B, 2, samples).
        made: all first decodings, then all second ones, (2B, 2, samples), with a gradient.
        distance: the decoder's own loss, computed from `made`.
        heed: how much of the adversary's gradients is added to that of `distance`, 0..1.
    """
    batch = len(true)
    scores, heard = adversary(torch.cat((true, made[:batch].detach())))
    real, fake = ([score[k : k + batch] for score in scores] for k in (0, batch))
    loss = _mean([(1 - score).relu().mean() for score in real])
    loss = loss + _mean([(1 + score).relu().mean() for score in fake])

    (own,) = torch.autograd.grad(distance, made)
    sound = made.detach().requires_grad_()
    scores, layers = adversary(sound)
    opposed = -_mean([score.mean() for score in scores])
    apart = matching([layer[:batch].detach() for layer in heard], layers)
    (by_scores,) = torch.autograd.grad(opposed, sound, retain_graph=True)
    (by_layers,) = torch.autograd.grad(apart, sound)
    told = {
        "true": _mean([score.mean() for score in real]),
        "made": -opposed,
        "layers": apart,
    }
    gradient = balanced(own, ((heed * HEEDED, by_scores), (heed * MATCHED, by_layers)))
    return Duel(gradient, loss, {name: value.detach() for name, value in told.items()})


def matching(true: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Energy distance of layers of B clips (B, C, F, K) and of two decodings of each (2B, ...).

    Of every layer in units of its own mean magnitude; d is the Euclidean norm of a frame.
    """
    parts = []
    for x, both in zip(true, made, strict=True):
        x, (y, y2) = x.float(), both.float().chunk(2)
        unit = x.abs().mean() * (x.shape[1] * x.shape[3]) ** 0.5 + 1e-8
        parts.append((_apart(x, y) + _apart(x, y2) - _apart(y, y2)) / unit)
    return _mean(parts)


def balanced(own: Tensor, others: Sequence[tuple[float, Tensor]]) -> Tensor:
    """`own` (N, ...) and, clip by clip, each of `others` scaled to a share of its length."""
    length = _lengths(own)
    total = own
    for share, other in others:
        total = total + other * (share * length / _lengths(other).clamp(min=1e-30))
    return total


def pictured(sound: Tensor, size: int) -> Tensor:
    """What a judge sees of `sound` (N, 2, samples): (N, CHANNELS, frames, bins)."""
    count, sides, samples = sound.shape
    spectra = torch.stft(
        sound.reshape(count * sides, samples),
        size,
        size // 4,
        window=window(sound.device, size),
        center=False,
        return_complex=True,
    )
    spectra = torch.view_as_real(spectra) * (4 / size)
    spectra = spectra.reshape(count, sides, *spectra.shape[1:]).permute(0, 4, 1, 3, 2)
    power = spectra.square().sum(1) + FLOOR**2
    levels = power.log() / 8 + 1  # -80 dBFS is about -1.3, full scale 1
    squeezed = LOUDER * spectra * power[:, None] ** ((POWER - 1) / 2)
    frames, bins = power.shape[2:]
    frequency = torch.linspace(-1, 1, bins, device=sound.device).expand(count, 1, frames, bins)
    seen = torch.cat((squeezed.flatten(1, 2), levels, frequency), dim=1)
    return seen.contiguous(memory_format=torch.channels_last)


def _convolution(
    inward: int, outward: int, kernel: tuple[int, int], stride: tuple[int, int]
) -> nn.Module:
    padding = (kernel[0] // 2, kernel[1] // 2)
    convolution = nn.Conv2d(inward, outward, kernel, stride, padding)
    # Torch's own scale would let the signal fade from layer to layer: the first scores were all 0.
    nn.init.kaiming_normal_(convolution.weight, SLOPE)
    return cast(nn.Module, weight_norm(convolution))


def _apart(x: Tensor, y: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(x - y, dim=(1, 3))
    return norms.mean()


def _lengths(x: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    return lengths


def _mean(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts)).mean()
