"""Train the transformer: rectified flow with masked conditioning and guidance as an input.

Rectified flow (arXiv 2209.03003): x_t = (1 - t) x + t noise, the velocity is noise - x. Guidance
follows guidance-free training (arXiv 2501.15420): with b = 1 / guidance,

    b v(x_t | c, b) + (1 - b) v(x_t | nothing)

is held to the velocity, the second term without gradient. So v(. | c, b) learns to be what
classifier-free guidance would have computed from two evaluations, and one is enough live.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.model.dit import Cross
from diegetic.snapshot import MAX_GUIDANCE
from diegetic.training.alignment import AlignedDiT
from diegetic.training.checkpoint import Average, Checkpoint
from diegetic.training.dataset import CHUNKS, Batch, BatchSampler, load_scenes
from diegetic.training.group import joined
from diegetic.training.loop import Training, denormals_flushed, train
from diegetic.training.origin import load_teacher
from diegetic.training.parallel import clean_pass, layout, noisy_pass, null_cross


@dataclass(frozen=True, kw_only=True)
class DiTTraining(Training):
    """What makes the transformer; sizes are for two cores."""

    steps: int = 4500
    hidden: int = 14  # clips a draw without their past: all must come from what is said
    shown: int = 10  # clips a draw that go on from their past
    chunks: int = 4  # of each scene: more scenes teach more than more of each
    learning_rate: float = 1e-3
    warmup: int = 150
    guided_after: float = 0.4  # share of the steps before guidance is trained
    prefix_noise: float = 0.35  # the prefix is the model's own, imperfect past
    alignment: float = 0.03  # of the loss: words and frames against the sound
    decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.hidden, self.shown) < 1:
            raise DiegeticError(
                f"hidden and shown must be 1 or more, got {self.hidden} and {self.shown}"
            )
        if not 1 <= self.chunks <= CHUNKS:
            raise DiegeticError(f"chunks must be from 1 to {CHUNKS}, got {self.chunks}")


def drawn_share(count: int, device: torch.device) -> Tensor:
    """(count,): one over the guidance of each clip, which is 1 for three in ten."""
    plain = torch.rand(count, device=device) < 0.3
    share = torch.where(plain, 1.0, torch.rand(count, device=device))
    return 1 / MAX_GUIDANCE + (1 - 1 / MAX_GUIDANCE) * share


def flow_loss(
    dit: AlignedDiT, batch: Batch, settings: DiTTraining, *, guided: bool, past: bool
) -> Tensor:
    """The training objective on one batch, whose `past` is seen or hidden."""
    count, chunks = batch.latents.shape[0], len(batch.chunks)
    where = layout(batch.chunks, StreamConfig(), past)
    target = batch.latents[:, where.noisy_positions]
    prefix = batch.latents[:, : len(where.clean_positions)]
    prefix = prefix + settings.prefix_noise * torch.rand(count, 1, 1) * torch.randn_like(prefix)
    # Kind and level of a sound are decided early: t leans to the noisy end, and reaches it.
    t = 1 - torch.rand(count, chunks) ** 1.5
    noise = torch.randn_like(target)
    mixed = torch.lerp(target, noise, t[:, :, None, None])
    share = torch.ones(count, chunks)
    if guided:
        share = drawn_share(count, target.device)[:, None].expand(-1, chunks)
    with torch.autocast(target.device.type, torch.bfloat16):
        tokens = dit.conditioning.embed(batch.words, batch.frames, batch.values, batch.times)
        cross = Cross(*dit.conditioning.project(tokens, batch.values, batch.times, batch.present))
        clips = torch.arange(count).repeat_interleave(chunks)
        apart: Tensor = dit.alignment(tokens, batch.present, target.flatten(0, 1), clips)
        kept = clean_pass(dit, prefix, where)
        made = noisy_pass(dit, mixed, t, 1 / share, cross, kept, where).float()
        if guided:
            with torch.no_grad():
                null = null_cross(dit)
                blank = Cross(
                    *(x.expand(count * chunks, *x.shape[1:]) for x in vars(null).values())
                )
                plain = noisy_pass(dit, mixed, t, torch.ones_like(t), blank, kept, where)
            weight = share[:, :, None, None]
            made = weight * made + (1 - weight) * plain.float()
    flow: Tensor = ((made - (noise - target)).square() * batch.weights).mean()
    return flow + settings.alignment * apart


@denormals_flushed()
def train_dit(
    scenes_root: Path,
    out: Path,
    settings: DiTTraining,
    device: str = "cpu",
    start: Path | None = None,
) -> Path:
    """Train (or go on training) the transformer; return the checkpoint's path.

    The checkpoint and its log, `out/dit.jsonl`, are written as in `loop.train`; `device` is
    chosen, and the processes of `torchrun` found, as in `group.joined`.

    With `start`, a former transformer's checkpoint or a weights folder, that one is trained
    further, with guidance from the first step on. A checkpoint in `out` comes before it.

    Raises:
        DiegeticError: as `loop.train` and `group.joined`.
        MediaError: there are no scenes in `scenes_root`.
        WeightsError: `start` is missing, damaged, a student, or of another model.
    """
    if start is not None:
        settings = replace(settings, guided_after=0.0)
    path, stream = out / "dit.pt", StreamConfig()
    lengths = {"hop": stream.hop, "overlap": stream.overlap, "prefix": stream.prefix}
    scenes = load_scenes(scenes_root)
    clips = settings.hidden + settings.shown
    with joined(device) as group:
        sampler = BatchSampler(*scenes, stream, group.device)
        torch.manual_seed(settings.seed)
        dit = AlignedDiT()
        if start is not None and not path.exists():
            begun = load_teacher(start).state_dict()
            dit.load_state_dict(dit.state_dict() | begun)  # the heads of alignment begin anew
        dit = dit.to(group.device)
        average = Average(dit, settings.decay)
        decayed = [p for p in dit.parameters() if p.ndim > 1]
        rest = [p for p in dit.parameters() if p.ndim <= 1]
        parts = [{"params": decayed, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(parts, settings.learning_rate, (0.9, 0.98))

        def losses(step: int, rng: np.random.Generator) -> Iterator[Tensor]:
            guided = step >= settings.guided_after * settings.steps
            for count, past in ((settings.hidden, False), (settings.shown, True)):
                batch = sampler.draw(count, settings.chunks, rng)
                loss = flow_loss(dit, batch, settings, guided=guided, past=past)
                yield loss * (count / clips)

        told = asdict(settings) | lengths | {"distilled": False}
        kept = Checkpoint(path, dit, optimiser, average, told)
        train(kept, losses, settings, group)
    return path
