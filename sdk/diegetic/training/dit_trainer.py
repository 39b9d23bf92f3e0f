"""Train the transformer: rectified flow with masked conditioning and guidance as an input.

Rectified flow (arXiv 2209.03003): x_t = (1 - t) x + t noise, the velocity is noise - x. Guidance
follows guidance-free training (arXiv 2501.15420): with b = 1 / guidance,

    b v(x_t | c, b) + (1 - b) v(x_t | nothing)

is held to the velocity, the second term without gradient. So v(. | c, b) learns to be what
classifier-free guidance would have computed from two evaluations, and one is enough live.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diegetic.config import StreamConfig
from diegetic.model.dit import Cross, DiT
from diegetic.snapshot import MAX_GUIDANCE
from diegetic.training.checkpoint import Average, load_checkpoint, save_checkpoint
from diegetic.training.dataset import Batch, BatchSampler, load_scenes
from diegetic.training.loop import (
    REPORT,
    denormals_flushed,
    report,
    scheduled_rate,
    seed_step,
    set_rate,
)
from diegetic.training.parallel import clean_pass, layout, noisy_pass, null_cross


@dataclass(frozen=True)
class DiTTraining:
    """What makes the shipped transformer."""

    steps: int = 6000
    hidden: int = 14  # clips a batch without their past: all must come from what is said
    shown: int = 10  # clips a batch that go on from their past
    chunks: int = 4  # of each scene: more scenes teach more than more of each
    learning_rate: float = 1e-3
    warmup: int = 150
    guided_after: float = 0.4  # share of the steps before guidance is trained
    prefix_noise: float = 0.35  # the prefix is the model's own, imperfect past
    decay: float = 0.999
    seed: int = 0


def flow_loss(dit: DiT, batch: Batch, settings: DiTTraining, *, guided: bool, past: bool) -> Tensor:
    """The training objective on one batch, whose `past` is seen or hidden."""
    count, chunks = batch.latents.shape[0], len(batch.chunks)
    where = layout(batch.chunks, StreamConfig(), past)
    target = batch.latents[:, where.noisy_positions]
    prefix = batch.latents[:, : len(where.clean_positions)]
    prefix = prefix + settings.prefix_noise * torch.rand(count, 1, 1) * torch.randn_like(prefix)
    # Kind and level of a sound are decided early: t leans to the noisy end.
    t = torch.sigmoid(torch.randn(count, chunks) * 1.2 + 0.7)
    noise = torch.randn_like(target)
    mixed = torch.lerp(target, noise, t[:, :, None, None])
    share = torch.ones(count, chunks)
    if guided:
        share = torch.where(torch.rand(count, 1) < 0.3, 1.0, torch.rand(count, 1))
        share = (1 / MAX_GUIDANCE + (1 - 1 / MAX_GUIDANCE) * share).expand(-1, chunks)
    with torch.autocast("cpu", torch.bfloat16):
        cross = Cross(
            *dit.conditioning(batch.words, batch.frames, batch.values, batch.times, batch.present)
        )
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
    return ((made - (noise - target)).square() * batch.weights).mean()


@denormals_flushed()
def train_dit(scenes_root: Path, out: Path, settings: DiTTraining) -> Path:
    """Train (or go on training) the transformer; return the checkpoint's path.

    Every REPORT steps a checkpoint and a line in `out/dit.jsonl` are written. A run that was
    interrupted goes on as if it had not been.

    Raises:
        DiegeticError: the loss is not a number; the last good checkpoint is kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "dit.pt"
    torch.manual_seed(settings.seed)
    dit = DiT()
    average = Average(dit, settings.decay)
    decayed = [p for p in dit.parameters() if p.ndim > 1]
    rest = [p for p in dit.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, settings.learning_rate, (0.9, 0.98))
    state = load_checkpoint(checkpoint, dit, optimiser, average)
    sampler = BatchSampler(*load_scenes(scenes_root), StreamConfig())
    losses: list[float] = []
    while state.step < settings.steps:
        began = time.monotonic()
        rng = seed_step(settings.seed, state.step)
        rate = scheduled_rate(settings.learning_rate, state.step, settings.steps, settings.warmup)
        set_rate(optimiser, rate)
        guided = state.step >= settings.guided_after * settings.steps
        optimiser.zero_grad()
        losses.append(0.0)
        for count, past in ((settings.hidden, False), (settings.shown, True)):
            batch = sampler.draw(count, settings.chunks, rng)
            loss = flow_loss(dit, batch, settings, guided=guided, past=past)
            loss = loss * (count / (settings.hidden + settings.shown))
            torch.autograd.backward(loss)
            losses[-1] += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(dit.parameters(), 1.0)
        optimiser.step()
        state = state.after_step(losses[-1], (time.monotonic() - began) / 60)
        average.update(dit, state.step)
        if state.step % REPORT == 0 or state.step == settings.steps:
            save_checkpoint(checkpoint, dit, optimiser, average, state)
            report(out / "dit.jsonl", state, losses, rate)
    return checkpoint
