"""Train the decoder: spectral energy distance, no adversary.

Two decodings y, y' of the same latents with different noise are compared with the sound x they come
from: 2 d(x, y) - d(y, y') (Gritsenko et al., arXiv 2008.01160). The second term pushes the two
apart, so the decoder samples fine structure instead of averaging it: with a regression loss rain
turns into a hum. d sums, over several resolutions and over frames, the Euclidean norm across
frequency.
"""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diegetic.codec import BANDS, FRAMES_PER_LATENT, LAG
from diegetic.config import LATENT_RATE, SAMPLES_PER_LATENT
from diegetic.model.decoder import Decoder
from diegetic.model.inverse import synthesise
from diegetic.model.spectral import band_levels, noise_spectra, to_mid_side
from diegetic.training.audio_store import AudioStore
from diegetic.training.checkpoint import load_checkpoint, save_checkpoint
from diegetic.training.loop import (
    REPORT,
    denormals_flushed,
    report,
    scheduled_rate,
    seed_step,
    set_rate,
)

log = logging.getLogger(__name__)

RESOLUTIONS = (256, 512, 1024, 2048)
SHARES = {"bed": 0.4, "oneshot": 0.35, "music": 0.25}  # of the crops


@dataclass(frozen=True)
class CodecTraining:
    """What makes the shipped decoder; `seconds` is the length of a crop."""

    steps: int = 1500
    batch: int = 4
    seconds: float = 0.8
    learning_rate: float = 8e-4
    warmup: int = 100
    seed: int = 0


def distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Distance of two multi-resolution magnitude spectra (see `spectra_of`)."""
    total = torch.zeros(())
    for x, y in zip(a, b, strict=True):
        bins = math.sqrt(x.shape[-1])
        linear = torch.linalg.vector_norm(x.sqrt() - y.sqrt() + 1e-8, dim=-1).mean() / bins
        logarithmic = torch.linalg.vector_norm((x / y).log() + 1e-8, dim=-1).mean() / bins
        total = total + 4 * linear + logarithmic
    return total / len(a)


def spectra_of(signal: Tensor) -> list[Tensor]:
    """(B, 2, S) -> magnitudes per resolution, floored at -80 dBFS."""
    flat = signal.reshape(-1, signal.shape[-1])
    out = []
    for size in RESOLUTIONS:
        spectrum = torch.stft(
            flat, size, size // 4, window=torch.hann_window(size), center=False, return_complex=True
        )
        power = torch.view_as_real(spectrum).square().sum(-1) * (4 / size) ** 2
        out.append((power + 1e-8).sqrt().transpose(1, 2))
    return out


def energy_loss(decoder: Decoder, audio: Tensor) -> Tensor:
    """The energy distance of one batch (B, S, 2)."""
    batch = audio.shape[0]
    latents = decoder.latents.encode(audio)
    noise = noise_spectra(torch.randn(2 * batch, 2, audio.shape[1]))
    with torch.autocast("cpu", torch.bfloat16):
        spectra, _ = decoder(latents.repeat(2, 1, 1), noise, decoder.start(2 * batch))
    made = synthesise(spectra)[..., :-LAG]
    true = to_mid_side(audio)[..., : made.shape[-1]]
    # The side may be louder or softer than the mid: each is compared on its own.
    y, y2 = made[:batch], made[batch:]
    x_mag, y_mag, y2_mag = spectra_of(true), spectra_of(y), spectra_of(y2)
    return distance(x_mag, y_mag) + distance(x_mag, y2_mag) - distance(y_mag, y2_mag)


class CropSampler:
    """Random crops, balanced over kinds of sound: beds, one-shots, music."""

    def __init__(self, store: AudioStore, split: str) -> None:
        self._store = store
        chosen = [s for s in store.segments if s.split == split]
        self._pools = {kind: [s for s in chosen if s.kind == kind] for kind in SHARES}
        self._pools = {kind: pool for kind, pool in self._pools.items() if pool}
        self._weights = {
            kind: np.cumsum([s.samples**0.5 for s in pool]) for kind, pool in self._pools.items()
        }

    def crop(self, samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """One crop (samples, 2), now and then mirrored, made mono or changed in level."""
        kinds = list(self._pools)
        shares = np.array([SHARES[kind] for kind in kinds])
        kind = kinds[rng.choice(len(kinds), p=shares / shares.sum())]
        cumulative = self._weights[kind]
        index = int(np.searchsorted(cumulative, rng.uniform(0, cumulative[-1]), side="right"))
        segment = self._pools[kind][min(index, len(cumulative) - 1)]
        latest = max(0, segment.samples - samples)
        early = -int(rng.integers(0, samples // 2)) if kind == "oneshot" else 0
        start = int(rng.integers(early, latest + 1))
        audio = self._store.read(segment, max(start, 0), samples)
        if start < 0:
            audio = np.concatenate((np.zeros((-start, 2), np.float32), audio[:start]))
        if rng.random() < 0.5:
            audio = audio[:, ::-1]
        return audio * np.float32(10 ** rng.uniform(-1.0, 0.1))

    def batch(self, count: int, samples: int, rng: np.random.Generator) -> Tensor:
        """(count, samples, 2)."""
        return torch.from_numpy(np.stack([self.crop(samples, rng) for _ in range(count)]))


def fit_latents(
    decoder: Decoder, sampler: CropSampler, rng: np.random.Generator, crops: int = 1500
) -> float:
    """Fit the closed-form analysis on random crops; return the share of variance explained."""
    stacked = FRAMES_PER_LATENT * BANDS
    levels = [
        band_levels(sampler.batch(10, 24 * SAMPLES_PER_LATENT, rng)).reshape(-1, stacked)
        for _ in range(crops // 10)
    ]
    return decoder.latents.fit(torch.cat(levels))


@denormals_flushed()
def train_codec(data: Path, out: Path, settings: CodecTraining) -> Path:
    """Train (or go on training) the decoder on the build in `data`; return the checkpoint's path.

    Every REPORT steps a checkpoint and a line in `out/codec.jsonl` are written. A run that was
    interrupted goes on as if it had not been.

    Raises:
        DiegeticError: the loss is not a number; the last good checkpoint is kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "codec.pt"
    torch.manual_seed(settings.seed)
    decoder = Decoder()
    optimiser = torch.optim.AdamW(decoder.parameters(), settings.learning_rate, (0.8, 0.95))
    sampler = CropSampler(AudioStore(data), "train")
    state = load_checkpoint(checkpoint, decoder, optimiser, None)
    if state.step == 0:
        explained = fit_latents(decoder, sampler, np.random.default_rng([settings.seed]))
        log.info("spectral latents explain %.2f %% of the variance", 100 * explained)
    samples = round(settings.seconds * LATENT_RATE) * SAMPLES_PER_LATENT
    losses: list[float] = []
    while state.step < settings.steps:
        began = time.monotonic()
        rng = seed_step(settings.seed, state.step)
        rate = scheduled_rate(settings.learning_rate, state.step, settings.steps, settings.warmup)
        set_rate(optimiser, rate)
        loss = energy_loss(decoder, sampler.batch(settings.batch, samples, rng))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        state = state.after_step(losses[-1], (time.monotonic() - began) / 60)
        if state.step % REPORT == 0 or state.step == settings.steps:
            save_checkpoint(checkpoint, decoder, optimiser, None, state)
            report(out / "codec.jsonl", state, losses, rate)
    return checkpoint
