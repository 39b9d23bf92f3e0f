"""Checkpoints: weights, their average, optimiser and progress in one file, written atomically."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from diegetic.errors import WeightsError
from diegetic.training.atomic import replacing

# What may change when a training goes on: how long and how fast, not what is learned.
FREE = frozenset({"steps", "learning_rate", "warmup", "accumulate"})


@dataclass(frozen=True)
class Progress:
    """How far a training has come."""

    step: int = 0
    minutes: float = 0.0

    def after_step(self, minutes: float) -> "Progress":
        """Progress after one more step, which took `minutes`."""
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


@dataclass(frozen=True)
class Rival:
    """A model that is trained against the first one, and is needed to go on, not to use that."""

    model: nn.Module
    optimiser: Optimizer


@dataclass(frozen=True)
class Checkpoint:
    """What a training changes, and the file in which it is kept.

    Attributes:
        rival: a file without one begins a new one.
        configuration: settings by name; a file of others is refused, but for those in `FREE`.
    """

    path: Path
    model: nn.Module
    optimiser: Optimizer
    average: Average | None
    configuration: Mapping[str, int | float]
    rival: Rival | None = None

    @property
    def trained(self) -> tuple[tuple[nn.Module, Optimizer], ...]:
        """Every model that is trained, with its optimiser."""
        first = ((self.model, self.optimiser),)
        return first if self.rival is None else (*first, (self.rival.model, self.rival.optimiser))

    def save(self, progress: Progress) -> None:
        """Write everything needed to go on; a crash while writing leaves the former file.

        Raises:
            DiegeticError: the disk is full, say; the former file is kept.
        """
        content = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.model.state_dict() if self.average else None,
            "rival": {
                "model": self.rival.model.state_dict(),
                "optimiser": self.rival.optimiser.state_dict(),
            }
            if self.rival
            else None,
            "step": progress.step,
            "minutes": progress.minutes,
            "configuration": dict(self.configuration),
        }
        with replacing(self.path) as file:
            torch.save(content, file)

    def load(self) -> Progress:
        """Restore what `save` wrote; a missing file is the beginning.

        Raises:
            WeightsError: the file is damaged, or of another model or configuration.
        """
        if not self.path.exists():
            return Progress()
        saved = read_checkpoint(self.path)
        configuration = saved.get("configuration", {})  # older files do not tell
        others = [
            f"{name} {configuration[name]}, now {value}"
            for name, value in self.configuration.items()
            if name not in FREE and configuration.get(name, value) != value
        ]
        if others:
            raise WeightsError(
                f"{self.path} was trained with another configuration: {'; '.join(others)}; "
                f"only {', '.join(sorted(FREE))} may change on the way"
            )
        load_weights(self.path, saved.get("model", {}), self.model)
        if self.average is not None:
            load_weights(self.path, saved.get("average") or {}, self.average.model)
        self._restore(self.optimiser, saved)
        opposed = saved.get("rival")
        if self.rival is not None and opposed is not None:
            load_weights(self.path, opposed["model"], self.rival.model)
            self._restore(self.rival.optimiser, opposed)
        return Progress(saved["step"], saved["minutes"])

    def _restore(self, optimiser: Optimizer, saved: Mapping[str, Any]) -> None:
        try:
            optimiser.load_state_dict(saved["optimiser"])
        except (KeyError, ValueError) as error:
            raise WeightsError(f"{self.path} was made by another optimiser: {error}") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, its tensors on the CPU.

    Raises:
        WeightsError: it is damaged.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # there is nothing that wrong bytes cannot make of an unpickler
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(f"{path} is damaged and cannot be gone on from: {reason}") from error
    return content


def averaged(saved: Mapping[str, Any]) -> dict[str, Tensor]:
    """The averaged weights in a transformer's checkpoint, without those that only trainings use."""
    average = saved.get("average") or {}
    return {name: x for name, x in average.items() if not name.startswith("alignment.")}


def distilled(path: Path, saved: Mapping[str, Any]) -> bool | None:
    """Whether the checkpoint `saved`, read from `path`, is a student's; None: it does not tell.

    Raises:
        WeightsError: it tells nonsense.
    """
    said: object = saved.get("configuration", {}).get("distilled")
    if said is not None and not isinstance(said, bool):
        raise WeightsError(f"{path} must say distilled True or False, got {said!r}")
    return said


def load_weights(path: Path, saved: Mapping[str, Tensor], model: nn.Module) -> None:
    """Give `model` the weights `saved`, which were read from `path`.

    Raises:
        WeightsError: they are of another model; how names and shapes differ is said in a line.
    """
    theirs = {name: tuple(tensor.shape) for name, tensor in saved.items()}
    ours = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    others = [
        f"{name} is {theirs.get(name, 'not there')}, here {ours.get(name, 'not there')}"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    ]
    if others:
        more = f"; and {len(others) - 3} more" if len(others) > 3 else ""
        raise WeightsError(f"{path} was made by another model: {'; '.join(others[:3])}{more}")
    model.load_state_dict(dict(saved))
