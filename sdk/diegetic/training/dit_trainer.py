"""Train the transformer: rectified flow with masked conditioning and guidance as an input.

Rectified flow (arXiv 2209.03003): x_t = (1 - t) x + t noise, the velocity is noise - x. Guidance follows
guidance-free training (arXiv 2501.15420): with b = 1 / guidance, b v(x_t | c, b) + (1 - b) v(x_t | nothing)
is held to the velocity, the second term without gradient. So v(. | c, b) learns to be what classifier-free
guidance would have computed from two evaluations, and one is enough live.
"""

import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diegetic.config import StreamConfig
from diegetic.model.dit import HIDDEN, DiT, Memory
from diegetic.training.checkpoint import Average, load_checkpoint, save_checkpoint
from diegetic.training.dataset import Batch, BatchSampler, load_scenes
from diegetic.training.parallel import clean_pass, layout, noisy_pass, null_memory

log = logging.getLogger(__name__)

MAX_GUIDANCE = 5.0


@dataclass(frozen=True)
class DiTTraining:
    """What makes the shipped transformer."""

    minutes: float = 75.0
    batch: int = 16
    chunks: int = 4  # of each scene: more scenes teach more than more of each
    learning_rate: float = 1e-3
    warmup: int = 150
    guided_after: float = 0.35  # share of the time before guidance is trained
    prefix_noise: float = 0.2  # the prefix is the model's own, imperfect past
    decay: float = 0.999
    seed: int = 0


def flow_loss(dit: DiT, batch: Batch, settings: DiTTraining, guided: bool) -> Tensor:
    """The training objective on one batch."""
    count, chunks = batch.latents.shape[0], len(batch.chunks)
    where = layout(batch.chunks, StreamConfig())
    target = batch.latents[:, where.noisy_positions]
    prefix = batch.latents[:, : len(where.clean_positions)]
    prefix = prefix + settings.prefix_noise * torch.rand(count, 1, 1) * torch.randn_like(prefix)
    hidden = (1 - batch.prefix)[:, None].expand(-1, prefix.shape[1]) * HIDDEN
    t = torch.sigmoid(torch.randn(count, chunks) * 1.2 + 0.2)
    noise = torch.randn_like(target)
    mixed = torch.lerp(target, noise, t[:, :, None, None])
    share = torch.ones(count, chunks)
    if guided:
        share = torch.where(torch.rand(count, 1) < 0.3, 1.0, torch.rand(count, 1))
        share = (1 / MAX_GUIDANCE + (1 - 1 / MAX_GUIDANCE) * share).expand(-1, chunks)
    with torch.autocast("cpu", torch.bfloat16):
        cross = Memory(
            *dit.conditioning(batch.words, batch.frames, batch.values, batch.times, batch.present)
        )
        kept = clean_pass(dit, prefix, where)
        made = noisy_pass(dit, mixed, t, 1 / share, cross, kept, where, hidden).float()
        if guided:
            with torch.no_grad():
                null = null_memory(dit)
                blank = Memory(*(x.expand(count * chunks, *x.shape[1:]) for x in vars(null).values()))
                plain = noisy_pass(dit, mixed, t, torch.ones_like(t), blank, kept, where, hidden)
            weight = share[:, :, None, None]
            made = weight * made + (1 - weight) * plain.float()
    return (made - (noise - target)).square().mean()


def train_dit(scenes_root: Path, out: Path, settings: DiTTraining) -> Path:
    """Train (or go on training) the transformer; return the checkpoint's path.

    Every 100 steps a line is written to `out/dit.jsonl`, every 200 a checkpoint.

    Raises:
        DiegeticError: the loss is not a number; the last good checkpoint is kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "dit.pt"
    torch.manual_seed(settings.seed)
    torch.set_flush_denormal(True)  # silence would otherwise cost ten times as much
    dit = DiT()
    average = Average(dit, settings.decay)
    decayed = [p for p in dit.parameters() if p.ndim > 1]
    rest = [p for p in dit.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, settings.learning_rate, (0.9, 0.98))
    state = load_checkpoint(checkpoint, dit, optimiser, average)
    rng = np.random.default_rng([settings.seed, state.step])
    sampler = BatchSampler(*load_scenes(scenes_root), StreamConfig(), rng)
    losses: list[float] = []
    while state.minutes < settings.minutes:
        began = time.monotonic()
        progress = min(1.0, state.minutes / settings.minutes)
        warm = min(1.0, (state.step + 1) / settings.warmup)
        rate = settings.learning_rate * warm * (0.03 + 0.97 * math.cos(math.pi / 2 * progress) ** 2)
        for group in optimiser.param_groups:
            group["lr"] = rate
        guided = progress >= settings.guided_after
        loss = flow_loss(dit, sampler.draw(settings.batch, settings.chunks), settings, guided)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(dit.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        state = state.after_step(losses[-1], (time.monotonic() - began) / 60)
        average.update(dit, state.step)
        if state.step % 100 == 0:
            recent = float(np.mean(losses[-100:]))
            row = {"step": state.step, "minutes": round(state.minutes, 2), "loss": recent, "rate": rate}
            with (out / "dit.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            log.info("dit %s", row)
        if state.step % 200 == 0 or state.minutes >= settings.minutes:
            save_checkpoint(checkpoint, dit, optimiser, average, state)
    return checkpoint
