"""Checkpoints: weights, their average, optimiser and progress in one file, written atomically."""

import copy
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from diegetic.errors import DiegeticError, WeightsError


@dataclass(frozen=True)
class Progress:
    """How far a training has come."""

    step: int = 0
    minutes: float = 0.0

    def after_step(self, loss: float, minutes: float) -> "Progress":
        """Progress after one more step.

        Raises:
            DiegeticError: `loss` is not a finite number.
        """
        if not math.isfinite(loss):
            raise DiegeticError(
                f"the loss became {loss} at step {self.step}; the last checkpoint is good: "
                "run again with a lower learning rate"
            )
        return replace(self, step=self.step + 1, minutes=self.minutes + minutes)


class Average:
    """Exponential moving average of a model's weights."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Follow `model`, quickly at first."""
        decay = min(self._decay, (1 + step) / (10 + step))
        ours: list[Tensor] = list(self.model.parameters())
        theirs: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - decay)


def save_checkpoint(
    path: Path, model: nn.Module, optimiser: Optimizer, average: Average | None, progress: Progress
) -> None:
    """Write everything needed to go on; a crash while writing leaves the former file."""
    part = path.with_suffix(".part")
    torch.save(
        {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "average": average.model.state_dict() if average else None,
            "step": progress.step,
            "minutes": progress.minutes,
        },
        part,
    )
    os.replace(part, path)


def load_checkpoint(
    path: Path, model: nn.Module, optimiser: Optimizer, average: Average | None
) -> Progress:
    """Restore what `save_checkpoint` wrote; a missing file is the beginning.

    Raises:
        WeightsError: the checkpoint belongs to another configuration of the model.
    """
    if not path.exists():
        return Progress()
    saved = torch.load(path, weights_only=True)
    try:
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        if average is not None:
            average.model.load_state_dict(saved["average"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise WeightsError(f"{path} was made by another model: {error}") from error
    return Progress(saved["step"], saved["minutes"])
