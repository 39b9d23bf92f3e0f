"""Spectra to sound in torch, all at once: what `diegetic.codec` does live, for training."""

import torch
from torch import Tensor

from diegetic.codec import (
    FRAME_HOP,
    LAG,
    LEVELLINGS,
    MAKE_UP,
    MID_BANDS,
    MOST_GAIN,
    SIDE_BANDS,
    WINDOW,
)
from diegetic.model.spectral import (
    SYNTHESIS_GAIN,
    interpolation_matrix,
    levels_of,
    stft,
    window,
)


def synthesise(spectra: Tensor) -> Tensor:
    """Offline inverse STFT: (B, 2, F, BINS, 2) -> (B, 2, F * FRAME_HOP), in time with the input.

    The last LAG samples lack the frames that would follow and are incomplete.
    """
    frames: Tensor = torch.fft.irfft(
        torch.view_as_complex(spectra.contiguous()) * (WINDOW / 4), n=WINDOW
    )
    frames = frames * (window(frames.device) * SYNTHESIS_GAIN)
    batch, sides, count, _ = frames.shape
    quarters = frames.reshape(batch, sides, count, WINDOW // FRAME_HOP, FRAME_HOP)
    out = frames.new_zeros(batch, sides, count + WINDOW // FRAME_HOP - 1, FRAME_HOP)
    for q in range(WINDOW // FRAME_HOP):
        out[:, :, q : q + count] += quarters[:, :, :, q]
    return out.flatten(2)[..., LAG:]


def hold_levels(sound: Tensor, levels: Tensor, times: int = LEVELLINGS) -> Tensor:
    """Bring the bands of `sound` (B, 2 (mid, side), S) to `levels` (B, S / FRAME_HOP, BANDS).

    Every time takes LAG more samples at the end that are incomplete.
    """
    bins = [interpolation_matrix(bands, sound.device) for bands in (MID_BANDS, SIDE_BANDS)]
    for _ in range(times):
        gain = (levels - levels_of(sound) + MAKE_UP).clamp(-MOST_GAIN, MOST_GAIN)
        parts = zip(torch.split(gain, [MID_BANDS, SIDE_BANDS], dim=-1), bins, strict=True)
        gains = torch.stack([part @ matrix.T for part, matrix in parts], 1).exp()
        sound = synthesise(torch.view_as_real(stft(sound) * gains))
    return sound
