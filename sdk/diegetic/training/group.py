"""One process, or many under `torchrun`: who is who, and how their gradients become one.

    draw 0, 1, 2, ...   of a step go round the processes: with two of them, the first takes 0 and 2

so two processes of one draw each train as one process of two draws does.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from diegetic.errors import DiegeticError

DEVICES = ("cpu", "cuda", "auto")


@dataclass(frozen=True)
class Group:
    """The processes that train together, as one of them (`rank` of `size`) sees it."""

    device: torch.device
    rank: int = 0
    size: int = 1

    def draw(self, turn: int) -> int:
        """The number, in its step, of this process's batch of `turn`."""
        return turn * self.size + self.rank

    def on_device(self) -> AbstractContextManager[object]:
        """Within it, new tensors are made on `device`."""
        # On the CPU they are anyway, and the context would slow down every call.
        return nullcontext() if self.device.type == "cpu" else self.device

    def begin_alike(self, model: nn.Module, step: int) -> None:
        """Give every process the first one's weights.

        Raises:
            DiegeticError: they found checkpoints of different steps.
        """
        if self.size == 1:
            return
        steps: list[int] = [0] * self.size
        dist.all_gather_object(steps, step)
        if len(set(steps)) > 1:
            raise DiegeticError(
                "all processes must go on from one checkpoint, in a folder that they share: "
                f"they found those of steps {', '.join(map(str, steps))}"
            )
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, 0)

    def mean(self, parameters: Sequence[nn.Parameter], loss: float) -> float:
        """Average the gradients, in one exchange, and `loss`, which is returned, over all.

        A parameter without gradient in every process is left without, as in one process.
        """
        if self.size == 1:
            return loss
        given = [parameter.grad for parameter in parameters]
        parts = [
            torch.zeros_like(parameter) if grad is None else grad
            for parameter, grad in zip(parameters, given, strict=True)
        ]
        told = torch.tensor([loss, *(float(grad is not None) for grad in given)])
        flat = torch.cat([told.to(self.device), *(part.flatten() for part in parts)])
        dist.all_reduce(flat)
        flat /= self.size
        told, *parts = torch.split(flat, [len(told), *(part.numel() for part in parts)])
        told = told.cpu()
        for parameter, part, used in zip(parameters, parts, told[1:].tolist(), strict=True):
            parameter.grad = part.view_as(parameter) if used else None
        return float(told[0])


@contextmanager
def joined(device: str = "cpu") -> Iterator[Group]:
    """Join the processes that `torchrun` started, or be alone without it.

    Args:
        device: "cpu", "cuda" (of several GPUs each process takes its own), or "auto": "cuda"
            where there is one.

    Raises:
        DiegeticError: there is no such device, or a process has no GPU of its own.
    """
    chosen = _choose(device)
    if not launched():
        yield Group(chosen)
        return
    backend = "nccl" if chosen.type == "cuda" and dist.is_nccl_available() else "gloo"
    dist.init_process_group(backend)
    try:
        yield Group(chosen, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def launched() -> bool:
    """Whether this process is one of several, started by `torchrun`."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def _choose(device: str) -> torch.device:
    if device not in DEVICES:
        raise DiegeticError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" or (device == "auto" and not found):
        return torch.device("cpu")
    if not found:
        raise DiegeticError(f"device cuda needs a GPU: torch {torch.__version__} finds none here")
    own = int(os.environ.get("LOCAL_RANK", "0"))
    if own >= found:
        raise DiegeticError(f"every process needs a GPU of its own: {found} here, got {own + 1}")
    torch.cuda.set_device(own)
    return torch.device("cuda", own)
