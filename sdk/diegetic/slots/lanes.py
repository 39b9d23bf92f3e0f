"""Batches on their way: host buffers, device buffers, and a CUDA graph per bucket and solver.

    host, pinned    |row 0|row 1| ... |            |   rows of sessions that are due, the rest scrap
    device          |row 0|row 1| ... |            |   bucket 1, 2, 4 ... : the first rows
    graph           conditioning ................. samples

On the CPU there are no graphs, and a bucket is as large as the batch.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from diegetic.config import CHANNELS, StreamConfig
from diegetic.flow import Solver
from diegetic.slots.chunk import (
    ChunkInputs,
    ChunkMaker,
    SaidInputs,
    chunk_inputs,
    said_inputs,
)

Inputs = TypeVar("Inputs", ChunkInputs, SaidInputs)
Run = Callable[[], None]

_REHEARSALS = 2  # before a capture: libraries make their plans and buffers then
_TIMED = 5


def buckets_for(sessions: int) -> tuple[int, ...]:
    """The powers of two up to the first that holds all `sessions`."""
    return tuple(2**k for k in range((sessions - 1).bit_length() + 1))


class Lanes:
    """The buffers of one engine, and what runs over them.

    Args:
        maker: what is run.
        config: lengths.
        most: rows.
        device: where.
        graphs: whether to hold runs in CUDA graphs.
    """

    def __init__(
        self,
        maker: ChunkMaker,
        config: StreamConfig,
        most: int,
        device: torch.device,
        graphs: bool,
    ) -> None:
        cpu = torch.device("cpu")
        shape = (most, config.chunk_samples, CHANNELS)
        self._maker = maker
        self._device = device
        self._graphed = graphs
        self._on_gpu = device.type == "cuda"
        self.chunk = chunk_inputs(most, config, cpu, pinned=self._on_gpu)
        self.said = said_inputs(most, cpu, pinned=self._on_gpu)
        self.samples = torch.zeros(shape, pin_memory=self._on_gpu)
        self._chunk, self._said, self._samples = self.chunk, self.said, self.samples
        if self._on_gpu:
            self._chunk = chunk_inputs(most, config, device)
            self._said = said_inputs(most, device)
            self._samples = torch.zeros(shape, device=device)
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._graphs: dict[tuple[int, Solver | None], torch.cuda.CUDAGraph] = {}
        self._pool = torch.cuda.graph_pool_handle() if graphs else None

    def prepare(self, bucket: int, solver: Solver | None) -> float:
        """Rehearse and hold a run in a graph; return how long the slowest of a few then takes (s).

        `solver` None is the conditioning. The larger buckets come first: the smaller ones then
        use the same memory.
        """
        if not self._on_gpu:
            return self._timed(bucket, solver)
        with torch.cuda.device(self._device):
            run = self._runner(bucket, solver)
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for _ in range(_REHEARSALS):
                    run()
            torch.cuda.synchronize()
            if self._graphed:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                    run()
                self._graphs[bucket, solver] = graph
            self._go(bucket, solver)
            return max(self._timed(bucket, solver) for _ in range(_TIMED))

    def say(self, bucket: int) -> None:
        """Write what the first `bucket` rows of `said` say to their pages; return when all is."""
        self._go(bucket, None)

    def make(self, bucket: int, solver: Solver) -> None:
        """Make the chunks of the first `bucket` rows of `chunk`; they are then in `samples`."""
        self._go(bucket, solver)

    def _go(self, bucket: int, solver: Solver | None) -> None:
        if not self._on_gpu:
            self._runner(bucket, solver)()
            return
        with torch.cuda.device(self._device):
            if solver is None:
                _copy(self.said, self._said, bucket)
            else:
                _copy(self.chunk, self._chunk, bucket)
            graph = self._graphs.get((bucket, solver))
            if graph is None:
                self._runner(bucket, solver)()
            else:
                graph.replay()
            if solver is not None:
                self.samples[:bucket].copy_(self._samples[:bucket], non_blocking=True)
            torch.cuda.current_stream().synchronize()

    def _attention(self) -> AbstractContextManager[None]:
        """Of torch's kernels the one that takes a bias, makes no plans, and that every GPU has."""
        if not self._on_gpu:
            return nullcontext()
        return sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])

    def _timed(self, bucket: int, solver: Solver | None) -> float:
        start = time.perf_counter()
        self._go(bucket, solver)
        return time.perf_counter() - start

    def _runner(self, bucket: int, solver: Solver | None) -> Run:
        """What the graph holds: no copy from or to the host, nothing that waits."""
        if solver is None:
            said = _rows(self._said, bucket)
            return lambda: self._maker.say(said)
        chunk, samples = _rows(self._chunk, bucket), self._samples[:bucket]

        def run() -> None:
            with self._attention():
                samples.copy_(self._maker.make(chunk, solver))

        return run


def _rows(inputs: Inputs, count: int) -> Inputs:
    """The first `count` rows; nothing is copied."""
    return type(inputs)(*(getattr(inputs, field.name)[:count] for field in fields(inputs)))


def _copy(source: Inputs, target: Inputs, count: int) -> None:
    for field in fields(source):
        to: Tensor = getattr(target, field.name)
        to[:count].copy_(getattr(source, field.name)[:count], non_blocking=True)
