"""The smallest training: a line through points, and a parameter that only some draws use.

Run by `torchrun`, it writes each process's weights, and its rival's, to FOLDER/rankN.pt.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from diegetic.training.checkpoint import Average, Checkpoint, Rival
from diegetic.training.group import joined
from diegetic.training.loop import Losses, Training, train

SETTINGS = Training(steps=6, learning_rate=0.05, warmup=2)


class Line(nn.Module):
    """Two weights that every draw uses, one that few do, one that none does."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(2))
        self.rare = nn.Parameter(torch.ones(1))
        self.idle = nn.Parameter(torch.ones(3))


def losses(model: Line, poison: int = -1, rival: Line | None = None) -> Losses:
    """Two losses a draw, and one of the rival's; at step `poison` the second is not a number."""

    def drawn(step: int, rng: np.random.Generator) -> Iterator[Tensor]:
        x, noise = torch.from_numpy(rng.standard_normal((8, 2))).float(), torch.randn(8)
        yield (x @ (model.slope - 1) + 0.1 * noise).square().mean()
        extra = (model.slope.sum() * 0.1 - 1).square()
        if rng.random() < 0.3:
            extra = extra + model.rare.square().sum()
        yield extra * (float("nan") if step == poison else 1.0)
        if rival is not None:
            yield (x @ (rival.slope + model.slope.detach())).square().mean()

    return drawn


def optimiser_of(model: Line) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), 1.0, weight_decay=0.1)


def checkpoint(
    path: Path, model: Line, rival: Line | None = None, **configuration: float
) -> Checkpoint:
    opposed = Rival(rival, optimiser_of(rival)) if rival is not None else None
    average = Average(model, 0.9)
    return Checkpoint(path, model, optimiser_of(model), average, configuration, opposed)


def lines() -> tuple[Line, Line]:
    """A line and its rival, as torch's seed says."""
    model, rival = Line(), Line()
    for line in (model, rival):
        torch.nn.init.normal_(line.slope, std=0.1)
    return model, rival


def main(folder: Path) -> None:
    with joined("cpu") as group:
        torch.manual_seed(group.rank)
        model, rival = lines()  # each its own, until all begin alike
        kept = checkpoint(folder / "line.pt", model, rival)
        train(kept, losses(model, rival=rival), SETTINGS, group)
        states = [model.state_dict(), rival.state_dict()]
        torch.save(states, folder / f"rank{group.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
