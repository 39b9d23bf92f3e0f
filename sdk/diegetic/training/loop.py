"""What the two trainings share: randomness that belongs to a step, the learning rate, the log."""

import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.optim import Optimizer

from diegetic.training.checkpoint import Progress

log = logging.getLogger(__name__)

REPORT = 100  # steps between two checkpoints
LOWEST = 0.03  # share of the learning rate that is left at the end


def seed_step(seed: int, step: int) -> np.random.Generator:
    """Seed torch for this step and return numpy's generator: a resumed run draws the same."""
    torch.manual_seed((seed << 32) + step)
    return np.random.default_rng([seed, step])


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Treat the smallest numbers as zero meanwhile: silence would else cost ten times as much."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)  # the setting is the processor's, not ours


def scheduled_rate(peak: float, step: int, steps: int, warmup: int) -> float:
    """Learning rate: linear to `peak` over `warmup` steps, then half a cosine to LOWEST of it."""
    fallen = math.cos(math.pi / 2 * min(1.0, step / steps)) ** 2
    return peak * min(1.0, (step + 1) / warmup) * (LOWEST + (1 - LOWEST) * fallen)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Give all groups of parameters the learning rate `rate`."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def report(path: Path, state: Progress, losses: list[float], rate: float) -> None:
    """Append a line of JSON that can be plotted: step, minutes, mean loss since the last, rate."""
    row = {
        "step": state.step,
        "minutes": round(state.minutes, 2),
        "loss": float(np.mean(losses[-REPORT:])),
        "rate": rate,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    log.info("%s %s", path.stem, row)
