"""The loop that every training goes round: draw, loss, gradient, step, checkpoint, log."""

import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from diegetic.errors import DiegeticError
from diegetic.training.checkpoint import Checkpoint, Progress
from diegetic.training.group import Group

log = logging.getLogger(__name__)

REPORT = 100  # steps between two checkpoints
LOWEST = 0.03  # share of the learning rate that is left at the end
CLIP = 1.0  # the longest gradient
_SPREAD = 0x9E3779B1  # torch's CPU generator heeds 32 bits: draws are far apart in them

# Of (step, rng): the losses of one draw, whose sum is minimised; each is freed before the next.
Losses = Callable[[int, np.random.Generator], Iterator[Tensor]]


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings that all trainings have.

    Attributes:
        steps: length; the learning rate falls over it.
        learning_rate: at its highest.
        warmup: steps until then.
        accumulate: draws a step (and process), whose gradients are averaged.
        seed: of everything random.

    Raises:
        DiegeticError: a setting is out of range.
    """

    steps: int
    learning_rate: float
    warmup: int
    accumulate: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "warmup", "accumulate"):
            if getattr(self, name) < 1:
                raise DiegeticError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise DiegeticError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.seed < 0:
            raise DiegeticError(f"seed must be 0 or more, got {self.seed}")


def train(kept: Checkpoint, losses: Losses, settings: Training, group: Group) -> None:
    """Train `kept` (or go on training it) on draws that belong to (seed, step, number of draw).

    `kept` and what `losses` yields lie on the device of `group`. Where `kept` has a rival, both are
    trained at once and at one rate: `losses` sees to it that each loss moves only one of them.

    Every REPORT steps the first process writes the checkpoint and a line of the log beside it. A
    run that was interrupted goes on as if it had not been.

    Raises:
        DiegeticError: loss or gradient are not numbers, or the disk is full; the last good
            checkpoint is kept.
        WeightsError: the checkpoint is damaged or of another configuration.
    """
    state = kept.load()
    for model, _ in kept.trained:
        group.begin_alike(model, state.step)
    each = [list(model.parameters()) for model, _ in kept.trained]
    parameters = list(chain.from_iterable(each))
    recent: deque[float] = deque(maxlen=REPORT)
    with group.on_device():
        while state.step < settings.steps:
            began = time.monotonic()
            rate = scheduled_rate(
                settings.learning_rate, state.step, settings.steps, settings.warmup
            )
            for _, optimiser in kept.trained:
                set_rate(optimiser, rate)
                optimiser.zero_grad()
            parts: list[Tensor] = []
            for turn in range(settings.accumulate):
                rng = seed_draw(settings.seed, state.step, group.draw(turn))
                for part in losses(state.step, rng):
                    part = part / settings.accumulate
                    torch.autograd.backward(part)
                    parts.append(part.detach())
            # Only now: whoever asks for a number waits until the GPU is done.
            loss = group.mean(parameters, sum(map(float, parts), 0.0))
            norms = [float(torch.nn.utils.clip_grad_norm_(own, CLIP)) for own in each]
            norm = math.hypot(*norms)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise DiegeticError(
                    f"the loss became {loss}, its gradient {norm}, at step {state.step}; the last "
                    f"checkpoint ({kept.path}) is good: run again with a lower learning rate"
                )
            for _, optimiser in kept.trained:
                optimiser.step()
            state = state.after_step((time.monotonic() - began) / 60)
            if kept.average is not None:
                kept.average.update(kept.model, state.step)
            recent.append(loss)
            last = state.step == settings.steps
            if group.rank == 0 and (state.step % REPORT == 0 or last):
                kept.save(state)
                _report(kept, state, float(np.mean(recent)), rate)


def seed_draw(seed: int, step: int, draw: int = 0) -> np.random.Generator:
    """Seed torch for one draw of a step and return numpy's generator: a resumed run draws alike."""
    torch.manual_seed((seed << 32) + (step + draw * _SPREAD) % 2**32)
    return generator_of(seed, step, draw)


def generator_of(seed: int, step: int, draw: int = 0) -> np.random.Generator:
    """What `seed_draw` returns, for who prepares a draw before its turn."""
    return np.random.default_rng([seed, step, draw])


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


def _report(kept: Checkpoint, state: Progress, loss: float, rate: float) -> None:
    """Append a line of JSON that can be plotted: step, minutes, mean loss since the last, rate."""
    row = {"step": state.step, "minutes": round(state.minutes, 2), "loss": loss, "rate": rate}
    path = kept.path.with_suffix(".jsonl")
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise DiegeticError(
            f"cannot write {path}: {error.strerror}; the checkpoint of step {state.step} is kept"
        ) from error
    log.info("%s %s", path.stem, row)
