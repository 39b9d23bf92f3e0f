"""Train the decoder: spectral energy distance, then an adversary beside it.

Two decodings y, y' of the same latents with different noise are compared with the sound x they come
from: 2 d(x, y) - d(y, y') (Gritsenko et al., arXiv 2008.01160). The second term pushes the two
apart, so the decoder samples fine structure instead of averaging it: with a regression loss rain
turns into a hum. d sums, over several resolutions and over frames, the Euclidean norm across
frequency.

A magnitude tells little of where in its window a click lies, and of phase nothing. What this
distance leaves open an adversary judges (see `diegetic.training.adversary`), once it is small.
"""

import logging
import math
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diegetic.codec import BANDS, DELAY, FRAMES_PER_LATENT, MID_BANDS
from diegetic.config import LATENT_RATE, SAMPLES_PER_LATENT
from diegetic.errors import DiegeticError
from diegetic.model.decoder import Decoder
from diegetic.model.inverse import hold_levels, synthesise
from diegetic.model.spectral import (
    band_levels,
    levels_of,
    noise_spectra,
    to_mid_side,
    window,
)
from diegetic.training.adversary import WINDOWS, Adversary, meet
from diegetic.training.ahead import ahead
from diegetic.training.audio_store import AudioStore
from diegetic.training.checkpoint import Checkpoint, Rival
from diegetic.training.group import Group, joined
from diegetic.training.loop import (
    REPORT,
    Training,
    denormals_flushed,
    generator_of,
    train,
)
from diegetic.training.made import within_share
from diegetic.training.origin import load_decoder

log = logging.getLogger(__name__)

LEVEL_SHARE = 1.0  # of the loss: how far the levels of bands are off, in neper
RESOLUTIONS = (256, 512, 1024, 2048)
LONGEST = max(*RESOLUTIONS, *WINDOWS)
HEED_STEPS = 500  # until the decoder heeds its adversary in full, which at first knows nothing
BETAS = (0.8, 0.95)
SHARES = {"bed": 0.4, "oneshot": 0.35, "music": 0.25}  # of the crops


@dataclass(frozen=True, kw_only=True)
class CodecTraining(Training):
    """What makes the shipped decoder.

    Attributes:
        batch: crops a draw.
        seconds: length of a crop, a whole number of latents.
        adversary_after: share of the steps before there is an adversary; 1: never.
        adversary_every: steps from one meeting with it to the next. It costs several times as
            much as a step without: a GPU can afford every step.
        adversary_width: channels of its first layers. Its cost grows with the square.
    """

    steps: int = 3000
    batch: int = 4
    seconds: float = 0.8
    learning_rate: float = 8e-4
    warmup: int = 100
    adversary_after: float = 0.5
    adversary_every: int = 4
    adversary_width: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch", "adversary_every", "adversary_width"):
            if getattr(self, name) < 1:
                raise DiegeticError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if not 0 <= self.adversary_after <= 1:
            raise DiegeticError(
                f"adversary_after must be a share from 0 to 1, got {self.adversary_after}"
            )
        latents = self.seconds * LATENT_RATE
        if not (latents > 0.5 and abs(latents - round(latents)) < 1e-6):
            raise DiegeticError(
                f"seconds of a crop must be a positive multiple of {1 / LATENT_RATE:g}, "
                f"got {self.seconds!r}"
            )
        if self.samples - DELAY < LONGEST:
            shortest = math.ceil((LONGEST + DELAY) / SAMPLES_PER_LATENT) / LATENT_RATE
            raise DiegeticError(
                f"seconds of a crop must be at least {shortest:g}, for the longest window, "
                f"got {self.seconds!r}"
            )

    @property
    def samples(self) -> int:
        """Length of a crop in samples."""
        return round(self.seconds * LATENT_RATE) * SAMPLES_PER_LATENT


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
            flat,
            size,
            size // 4,
            window=window(signal.device, size),
            center=False,
            return_complex=True,
        )
        power = torch.view_as_real(spectrum).square().sum(-1) * (4 / size) ** 2
        out.append((power + 1e-8).sqrt().transpose(1, 2))
    return out


def decode_twice(decoder: Decoder, audio: Tensor) -> tuple[Tensor, Tensor]:
    """The sound of `audio` (B, S, 2) and of two decodings of it, as mid and side.

    Returns:
        (B, 2, S - DELAY), and (2B, 2, S - DELAY): all first decodings, then all second ones.
    """
    batch = audio.shape[0]
    latents = decoder.latents.encode(audio)
    noise = noise_spectra(torch.randn(2 * batch, 2, audio.shape[1]))
    with torch.autocast(audio.device.type, torch.bfloat16):
        spectra, _ = decoder(latents.repeat(2, 1, 1), noise, decoder.start(2 * batch))
    levels = decoder.latents.levels(latents).repeat(2, 1, 1)
    made = hold_levels(synthesise(spectra), levels)[..., :-DELAY]
    return to_mid_side(audio)[..., : made.shape[-1]], made


def energy_distance(true: Tensor, made: Tensor) -> Tensor:
    """The energy distance, and how far levels are off, of what `decode_twice` returns."""
    # The side may be louder or softer than the mid: each is compared on its own.
    y, y2 = made.chunk(2)
    x_mag, y_mag, y2_mag = spectra_of(true), spectra_of(y), spectra_of(y2)
    energy = distance(x_mag, y_mag) + distance(x_mag, y2_mag) - distance(y_mag, y2_mag)
    off = (levels_of(made) - levels_of(true).repeat(2, 1, 1)).abs()
    return energy + LEVEL_SHARE * off[..., :MID_BANDS].mean()


def energy_loss(decoder: Decoder, audio: Tensor) -> Tensor:
    """The energy distance of one batch (B, S, 2)."""
    return energy_distance(*decode_twice(decoder, audio))


class Arena:
    """Where decoder and adversary meet, and what is told of it every REPORT steps."""

    def __init__(self, decoder: Decoder, adversary: Adversary, settings: CodecTraining) -> None:
        self._decoder, self._adversary = decoder, adversary
        self._settings = settings
        self._began = round(settings.adversary_after * settings.steps)
        self._told: list[dict[str, Tensor]] = []

    def open(self, step: int) -> bool:
        """Whether they meet at `step`."""
        return step >= self._began and (step - self._began) % self._settings.adversary_every == 0

    def losses(self, step: int, audio: Tensor) -> Iterator[Tensor]:
        """The decoder's loss and its adversary's, one after another, of a batch (B, S, 2).

        The first is told as the energy distance alone and the second as 0, so that the log goes on
        from that of the steps without adversary.
        """
        true, made = decode_twice(self._decoder, audio)
        energy = energy_distance(true, made)
        heed = min(1.0, (step - self._began) / HEED_STEPS)
        duel = meet(self._adversary, true, made, energy, heed)
        drawn = (made * duel.gradient).sum()
        yield drawn + (energy - drawn).detach()
        yield duel.loss - duel.loss.detach()
        self._tell(step, {"energy": energy.detach(), "adversary": duel.loss.detach(), **duel.told})

    def _tell(self, step: int, told: dict[str, Tensor]) -> None:
        self._told.append(told)
        if len(self._told) * self._settings.adversary_every >= REPORT:
            means = {
                name: round(float(torch.stack([one[name] for one in self._told]).mean()), 4)
                for name in told
            }
            self._told.clear()
            log.info("adversary at step %d: %s", step, means)


class CropSampler:
    """Random crops, balanced over kinds of sound: beds, one-shots, music."""

    def __init__(self, store: AudioStore, split: str) -> None:
        self._store = store
        chosen = [s for s in store.segments if s.split == split]
        self._pools = {kind: [s for s in chosen if s.kind == kind] for kind in SHARES}
        self._pools = {kind: pool for kind, pool in self._pools.items() if pool}
        self._weights = {
            kind: np.cumsum(
                within_share(np.sqrt([float(s.samples) for s in pool]), [s.package for s in pool])
            )
            for kind, pool in self._pools.items()
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


def crops(
    sampler: CropSampler, settings: CodecTraining, group: Group, first: int
) -> Generator[Tensor, None, None]:
    """The batches (batch, samples, 2) that this process hears from step `first` on, in order.

    They are those that belong to seed, step and number of draw, and are drawn ahead of their turn.
    """

    def draw(key: tuple[int, int]) -> Tensor:
        rng = generator_of(settings.seed, *key)
        drawn = sampler.batch(settings.batch, settings.samples, rng)
        return drawn.pin_memory() if group.device.type == "cuda" else drawn

    turns = range(settings.accumulate)
    steps = range(first, settings.steps)
    return ahead(draw, ((step, group.draw(turn)) for step in steps for turn in turns))


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
def train_codec(
    data: Path,
    out: Path,
    settings: CodecTraining,
    device: str = "cpu",
    start: Path | None = None,
) -> Path:
    """Train (or go on training) the decoder on the build in `data`; return the checkpoint's path.

    The checkpoint and its log, `out/codec.jsonl`, are written as in `loop.train`; `device` is
    chosen, and the processes of `torchrun` found, as in `group.joined`.

    With `start`, a former codec's checkpoint or a weights folder, its decoder is trained further,
    and its latents are kept to the bit, so that a transformer that was trained on them still fits.
    Without it the latents are fitted first. A checkpoint in `out` comes before both.

    Raises:
        DiegeticError: as `loop.train` and `group.joined`.
        MediaError: there is no build in `data`.
        WeightsError: `start` is damaged or of another model.
    """
    path = out / "codec.pt"
    sampler = CropSampler(AudioStore(data), "train")
    with joined(device) as group, ExitStack() as stack:
        torch.manual_seed(settings.seed)
        decoder = Decoder()
        if not path.exists():
            if start is not None:
                decoder = load_decoder(start).train()
            else:
                explained = fit_latents(decoder, sampler, np.random.default_rng([settings.seed]))
                log.info("spectral latents explain %.2f %% of the variance", 100 * explained)
        decoder = decoder.to(group.device)
        optimiser = torch.optim.AdamW(decoder.parameters(), settings.learning_rate, BETAS)
        rival: Rival | None = None
        arena: Arena | None = None
        if settings.adversary_after < 1:
            adversary = Adversary(settings.adversary_width).to(group.device)
            weights = adversary.parameters()
            rival = Rival(adversary, torch.optim.AdamW(weights, settings.learning_rate, BETAS))
            arena = Arena(decoder, adversary, settings)
        coming: Iterator[Tensor] | None = None

        def losses(step: int, rng: np.random.Generator) -> Iterator[Tensor]:
            nonlocal coming
            if coming is None:
                coming = stack.enter_context(closing(crops(sampler, settings, group, step)))
            audio = next(coming).to(group.device, non_blocking=True)
            if arena is not None and arena.open(step):
                yield from arena.losses(step, audio)
            else:
                yield energy_loss(decoder, audio)

        kept = Checkpoint(path, decoder, optimiser, None, asdict(settings), rival)
        train(kept, losses, settings, group)
    return path
