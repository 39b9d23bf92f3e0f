"""The smallest training: a line through points, and a parameter that only some draws use.

Run by `torchrun`, it writes each process's weights to FOLDER/rankN.pt.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from diegetic.training.checkpoint import Average, Checkpoint
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


def losses(model: Line, poison: int = -1) -> Losses:
    """Two losses a draw; from step `poison` on they are not numbers."""

    def drawn(step: int, rng: np.random.Generator) -> Iterator[Tensor]:
        x, noise = torch.from_numpy(rng.standard_normal((8, 2))).float(), torch.randn(8)
        yield (x @ (model.slope - 1) + 0.1 * noise).square().mean()
        extra = (model.slope.sum() * 0.1 - 1).square()
        if rng.random() < 0.3:
            extra = extra + model.rare.square().sum()
        yield extra * (float("nan") if step == poison else 1.0)

    return drawn


def checkpoint(path: Path, model: Line, **configuration: float) -> Checkpoint:
    optimiser = torch.optim.AdamW(model.parameters(), 1.0, weight_decay=0.1)
    return Checkpoint(path, model, optimiser, Average(model, 0.9), configuration)


def main(folder: Path) -> None:
    with joined("cpu") as group:
        torch.manual_seed(group.rank)
        model = Line()
        torch.nn.init.normal_(model.slope, std=0.1)  # each its own, until all begin alike
        kept = checkpoint(folder / "line.pt", model)
        train(kept, losses(model), SETTINGS, group)
        torch.save(model.state_dict(), folder / f"rank{group.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
