"""Open an engine that sessions share: on a card, or on the processor, and say which and why.

compute     a card that works       none
auto        card, torch batches     processor, and why
cuda        card, torch batches     an error: it was asked for
cpu         processor, one chunk after another (`backend` torch: in batches)
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from diegetic.bank.bank import MAX_BEGUN
from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.generator import Backend, load_generator, usual_nfe
from diegetic.slots.card import first_sentence, why_no_cuda
from diegetic.slots.one_by_one import OneByOneEngine
from diegetic.slots.service import SlotService
from diegetic.slots.work import Engine, Progress

if TYPE_CHECKING:
    from diegetic.slots.engine import SlotEngine

Compute = Literal["auto", "cpu", "cuda"]

_CONFIG = StreamConfig()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What was asked for.

    Attributes:
        sessions: at a time.
        compute: where.
        weights: folder; None are those that ship.
        backend: of the processor.
        nfe: network evaluations per chunk; None is as many as is usual with the weights.
        config: lengths of all streams.
    """

    sessions: int
    compute: Compute = "auto"
    weights: Path | None = None
    backend: Backend = "auto"
    nfe: int | None = None
    config: StreamConfig = _CONFIG


@dataclass(frozen=True)
class Opened:
    """An engine that is warm, and in words what it is and why."""

    engine: Engine[Any]
    description: str


def open_engine(wish: Wish, progress: Progress | None = None) -> Opened:
    """Load the networks and warm them up; `progress` is told how far that is.

    Raises:
        WeightsError: the weights are missing, damaged or of another version.
        DiegeticError: a card was asked for and there is none that works, it has too little memory,
            or what was asked for does not go together.
    """
    if wish.compute == "cpu":
        return _on_processor(wish, "as asked", progress)
    if wish.backend == "onnx":
        if wish.compute == "cuda":
            raise DiegeticError("backend must be 'auto' or 'torch' on a GPU, got 'onnx'")
        return _on_processor(wish, "ONNX Runtime was asked for", progress)
    why = why_no_cuda()
    if why is None:
        try:
            return _on_card(wish, progress)
        except _CardError as error:
            why = str(error)
    if wish.compute == "cuda":
        raise DiegeticError(f"no GPU to compute on: {why}")
    return _on_processor(wish, f"no GPU: {why}", progress)


def sessions_in_time(service: SlotService[Any]) -> int:
    """How many sessions `service` lets in now, by what chunks took so far; nobody must be in."""
    guests = []
    try:
        while True:
            guests.append(service.join())
    except DiegeticError:
        return len(guests)
    finally:
        for guest in guests:
            guest.close()


class _CardError(DiegeticError):
    """The card is there and does not do it."""


def _on_card(wish: Wish, progress: Progress | None) -> Opened:
    import torch

    name = torch.cuda.get_device_name()
    try:
        engine = _batches(wish, "cuda", progress)
    except DiegeticError as error:
        if not isinstance(error.__cause__, torch.OutOfMemoryError):
            raise
        raise _CardError(f"{name}: {first_sentence(error)}") from error
    except Exception as error:  # CUDA and Triton raise exceptions of many kinds
        log.info("the warm-up failed", exc_info=True)
        raise _CardError(f"{name} fails at the warm-up: {first_sentence(error)}") from error
    kind = str(engine.dtype).removeprefix("torch.")
    how = f"{engine.kernels.description}, all that is due in one batch, nfe {engine.nfe}"
    return Opened(engine, f"{name}, {kind}, {how}")


def _on_processor(wish: Wish, why: str, progress: Progress | None) -> Opened:
    if wish.backend == "torch":
        batches = _batches(wish, "cpu", progress)
        return Opened(batches, f"processor, torch, in batches, nfe {batches.nfe} ({why})")
    generator = load_generator(
        wish.weights, backend=wish.backend, nfe=wish.nfe, config=wish.config, threads=1
    )
    threads = os.cpu_count() or 1
    engine = OneByOneEngine(generator, sessions=wish.sessions, threads=threads, progress=progress)
    how = f"ONNX Runtime, one chunk after another on {threads} threads, nfe {engine.nfe}"
    return Opened(engine, f"processor, {how} ({why})")


def _batches(wish: Wish, device: str, progress: Progress | None) -> "SlotEngine":
    try:
        from diegetic.slots.engine import SlotEngine
    except ModuleNotFoundError as error:
        raise DiegeticError(
            f"the torch backend needs {error.name}: pip install 'diegetic[torch]'"
        ) from error
    return SlotEngine(
        wish.weights,
        config=wish.config,
        nfe=(usual_nfe(wish.weights) if wish.nfe is None else wish.nfe,),
        sessions=wish.sessions,
        kept=_states_kept(wish.config),
        device=device,
        progress=progress,
    )


def _states_kept(config: StreamConfig) -> int:
    """States of a session that are held at a time beside its newest.

    A live bed's, one in the making, and those of takes for the bank, of which one more than is kept
    can be begun; and what each of these streams comes back to.
    """
    takes = MAX_BEGUN + 1
    return config.chunks_kept + 1 + takes + (1 + takes)
