"""Latents to samples for many sessions at once: the decoder and the streaming ends of the codec.

What `diegetic.model.decoder` and `diegetic.codec` compute, on a device, with a batch in front. Hop
and overlap are decoded in one go: all is causal, so the state after the hop is read off on the way.

    frames     |------------ hop ------------|-- overlap --|
    state in ->|                             |-> state out
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from diegetic.codec import (
    BANDS,
    BINS,
    FLOOR,
    FRAME_HOP,
    FRAMES_PER_LATENT,
    LAG,
    LEVELLINGS,
    MAKE_UP,
    MID_BANDS,
    MOST_GAIN,
    SIDE_BANDS,
    WINDOW,
    band_matrix,
    interpolation_matrix,
)
from diegetic.config import CHANNELS, LATENT_DIM, SAMPLES_PER_LATENT
from diegetic.model.decoder import BLOCKS, KERNEL, MOST_LEVEL, WIDTH, CausalBlock, Decoder

_OVERLAPS = WINDOW // FRAME_HOP
_LATE = LAG // FRAME_HOP  # frames
_HEAD = [4 * BINS, 4 * BINS, 2 * BINS]  # magnitudes, phases, roughness


@dataclass(frozen=True)
class SoundState:
    """As `diegetic.codec.SynthesisState` and the decoder's state, with a batch in front.

    Attributes:
        decoder: (B, BLOCKS, KERNEL - 1, WIDTH).
        tails: (B, 1 + LEVELLINGS, 2, LAG).
        pasts: (B, LEVELLINGS, 2, LAG).
        wanted: (B, LEVELLINGS, LAG / FRAME_HOP, BANDS).
    """

    decoder: Tensor
    tails: Tensor
    pasts: Tensor
    wanted: Tensor


def silence(batch: int, device: torch.device) -> SoundState:
    """The state before the first frame."""
    wanted = torch.full((batch, LEVELLINGS, _LATE, BANDS), math.log(FLOOR), device=device)
    return SoundState(
        torch.zeros(batch, BLOCKS, KERNEL - 1, WIDTH, device=device),
        torch.zeros(batch, 1 + LEVELLINGS, CHANNELS, LAG, device=device),
        torch.zeros(batch, LEVELLINGS, CHANNELS, LAG, device=device),
        wanted,
    )


@dataclass(frozen=True)
class _Layer:
    """One block of the decoder; `expand` and `contract` are in the dtype of the big matrices."""

    depthwise: Tensor
    norm: tuple[Tensor, Tensor]
    expand: tuple[Tensor, Tensor]
    contract: tuple[Tensor, Tensor]
    scale: Tensor


class BatchSound:
    """Decodes chunks.

    Args:
        decoder: the weights.
        hop: latents after which the state is kept.
        chunk: latents of a chunk.
        device: where to compute.
        dtype: of the blocks' matrices; spectra and samples are float32.
    """

    def __init__(
        self, decoder: Decoder, hop: int, chunk: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._hop = hop * FRAMES_PER_LATENT
        self._count = chunk * FRAMES_PER_LATENT
        self._dtype = dtype

        def place(tensor: Tensor, as_type: torch.dtype = torch.float32) -> Tensor:
            return tensor.detach().to(device, as_type).contiguous()

        def layer(block: CausalBlock) -> _Layer:
            return _Layer(
                place(block.depthwise),
                (place(block.norm.weight), place(block.norm.bias)),
                (place(block.expand.weight, dtype), place(block.expand.bias, dtype)),
                (place(block.contract.weight, dtype), place(block.contract.bias, dtype)),
                place(block.scale),
            )

        self._layers = [layer(block) for block in decoder.blocks if isinstance(block, CausalBlock)]
        self._latents = (place(decoder.latents.synthesis), place(decoder.latents.mean))
        self._enter = (place(decoder.enter.weight), place(decoder.enter.bias))
        self._norm = (place(decoder.norm.weight), place(decoder.norm.bias))
        heads = (decoder.magnitude, decoder.phase, decoder.roughness)
        self._heads = (
            place(torch.cat([head.weight for head in heads])),
            place(torch.cat([head.bias for head in heads])),
        )
        turns = decoder.rotation.repeat(1, chunk, 1)
        self._rotation = torch.complex(place(turns[0]), place(turns[1]))
        self._bins = [
            place(torch.tensor(interpolation_matrix(bands).T)) for bands in (MID_BANDS, SIDE_BANDS)
        ]
        self._bands = [
            place(torch.tensor(band_matrix(bands).T)) for bands in (MID_BANDS, SIDE_BANDS)
        ]
        hann = torch.hann_window(WINDOW, periodic=True, dtype=torch.float64)
        self._analysis = place(hann * (4 / WINDOW))
        self._synthesis = place(hann * (WINDOW / 4 / 1.5))
        self._whiten = place(hann / hann.square().sum().sqrt())

    def decode(
        self, latents: Tensor, noise: Tensor, state: SoundState
    ) -> tuple[Tensor, SoundState]:
        """Samples of a chunk.

        Args:
            latents: (B, chunk, LATENT_DIM).
            noise: rows of `position_noise`, (B, 1 + chunk, LATENT_DIM + 2 * SAMPLES_PER_LATENT).
            state: before the chunk; not modified.

        Returns:
            Left and right samples, (B, chunk samples, 2), and the state after the hop.
        """
        pairs = torch.unflatten(noise[:, :, LATENT_DIM:], 2, (SAMPLES_PER_LATENT, CHANNELS))
        white = pairs.flatten(1, 2)[:, SAMPLES_PER_LATENT - LAG :].transpose(1, 2).contiguous()
        grain = torch.fft.rfft(white.unfold(2, WINDOW, FRAME_HOP) * self._whiten)
        levels = torch.addmm(self._latents[1], latents.flatten(0, 1), self._latents[0])
        levels = levels.view(latents.shape[0], -1, BANDS)
        heads, after = self._network(levels, state.decoder)
        spectra = self._spectra(heads, self._spread(levels), grain)
        return self._synthesise(spectra, levels, state, after)

    def _network(self, levels: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """What the heads say of every frame, (B, F, 10 BINS), and the state after the hop."""
        x = functional.linear(levels * 0.25 + 1.0, *self._enter)
        states = []
        for index, layer in enumerate(self._layers):
            seen = torch.cat((state[:, index], x), 1)
            states.append(seen[:, self._hop : self._hop + KERNEL - 1])
            y = (seen.unfold(1, KERNEL, 1) * layer.depthwise).sum(-1)
            y = functional.layer_norm(y, (WIDTH,), *layer.norm).to(self._dtype)
            y = functional.gelu(functional.linear(y, *layer.expand), approximate="tanh")
            x = torch.addcmul(x, layer.scale, functional.linear(y, *layer.contract))
        x = functional.layer_norm(x, (WIDTH,), *self._norm)
        return functional.linear(x, *self._heads), torch.stack(states, 1)

    def _spectra(self, heads: Tensor, coarse: Tensor, grain: Tensor) -> Tensor:
        """Complex spectra (B, 2, F, BINS) from the heads, levels of bins, and those of noise."""
        magnitude, phase, rough = torch.split(heads, _HEAD, 2)
        residual = torch.unflatten(magnitude, 2, (2, CHANNELS, BINS)).permute(2, 0, 3, 1, 4)
        levels = (coarse + residual).clamp(max=MOST_LEVEL)
        tonal, noisy = (levels.exp() - FLOOR).clamp(min=0).unbind()
        rough = torch.unflatten(rough, 2, (CHANNELS, BINS)).transpose(1, 2).sigmoid()
        power = torch.view_as_real(grain).square().sum(-1) + 1e-6
        noisy = noisy * power.pow(0.5 * (rough - 1))
        parts = torch.unflatten(phase, 2, (CHANNELS, BINS, 2)).transpose(1, 2)
        tonal = tonal * (parts.square().sum(-1) + 1e-6).rsqrt()
        spectra = torch.view_as_complex(parts) * self._rotation * tonal + grain * noisy
        # Of the lowest and the highest bin only the real part is sound; not every FFT knows.
        torch.view_as_real(spectra)[..., :: BINS - 1, 1].zero_()
        return spectra

    def _synthesise(
        self, spectra: Tensor, levels: Tensor, state: SoundState, after: Tensor
    ) -> tuple[Tensor, SoundState]:
        """As `diegetic.codec.synthesise`; `after` is the decoder's next state."""
        hop, begin = self._hop, self._hop * FRAME_HOP
        sound, tail = self._overlap_add(spectra, state.tails[:, 0])
        tails, pasts, wanted = [tail], [], []
        for stage in range(LEVELLINGS):
            seen = torch.cat((state.pasts[:, stage], sound), 2)
            due = torch.cat((state.wanted[:, stage], levels), 1)
            pasts.append(seen[:, :, begin : begin + LAG])
            wanted.append(due[:, hop : hop + _LATE])
            levels = due[:, : self._count]
            values = torch.fft.rfft(seen.unfold(2, WINDOW, FRAME_HOP) * self._analysis)
            gain = (levels - self._levels(values) + MAKE_UP).clamp(-MOST_GAIN, MOST_GAIN)
            values = values * self._spread(gain).exp()
            sound, tail = self._overlap_add(values, state.tails[:, 1 + stage])
            tails.append(tail)
        left_right = torch.stack((sound[:, 0] + sound[:, 1], sound[:, 0] - sound[:, 1]), 2)
        next_state = SoundState(
            after, torch.stack(tails, 1), torch.stack(pasts, 1), torch.stack(wanted, 1)
        )
        return left_right, next_state

    def _spread(self, bands: Tensor) -> Tensor:
        """Values of bands (B, F, BANDS) to those of bins, (B, 2, F, BINS)."""
        mid, side = torch.split(bands, [MID_BANDS, SIDE_BANDS], 2)
        return torch.stack((mid @ self._bins[0], side @ self._bins[1]), 1)

    def _levels(self, values: Tensor) -> Tensor:
        """Log levels (B, F, BANDS) of spectra (B, 2, F, BINS)."""
        magnitude = values.abs()
        mid, side = magnitude[:, 0] @ self._bands[0], magnitude[:, 1] @ self._bands[1]
        return torch.cat((mid, side), 2).clamp(min=FLOOR).log()

    def _overlap_add(self, values: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """Spectra (B, 2, F, BINS) and sums (B, 2, LAG) to samples and the sums after the hop."""
        frames = torch.fft.irfft(values, n=WINDOW) * self._synthesis
        quarters = torch.unflatten(frames, 3, (_OVERLAPS, FRAME_HOP))
        count, hop = self._count, self._hop
        sums = functional.pad(torch.unflatten(tail, 2, (_LATE, FRAME_HOP)), (0, 0, 0, count))
        for part in range(_OVERLAPS):
            sums[:, :, part : part + count] += quarters[:, :, :, part]
        kept = quarters.new_zeros(*quarters.shape[:2], _LATE, FRAME_HOP)
        for part in range(1, _OVERLAPS):
            kept[:, :, :part] += quarters[:, :, hop - part : hop, part]
        return sums[:, :, :count].flatten(2), kept.flatten(2)
