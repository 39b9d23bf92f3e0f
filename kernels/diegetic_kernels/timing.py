"""How long a call takes on a card without what it costs to launch it: as part of a CUDA graph."""

import time
from collections.abc import Callable

import torch

Call = Callable[[], object]
BUDGET_MS = 150.0  # for the replays of one measurement


def time_call(call: Call, device: torch.device, calls: int = 20) -> list[float]:
    """Microseconds per call, sorted: each the mean over `calls` calls one after another.

    On a card those are captured in one graph, of fewer calls where one takes over 100 µs, which is
    replayed 10 to 100 times; the first calls, which compile, are not counted. On a CPU they are
    timed by the clock. `call` must give its tensors no gradient, and read and write the same memory
    every time.
    """
    if device.type != "cuda":
        return _on_cpu(call, calls)
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(device))
    begin, end = _mark(), _mark()
    with torch.cuda.stream(side):
        for _ in range(3):
            begin.record()
            call()
            end.record()
    torch.cuda.current_stream(device).wait_stream(side)
    torch.cuda.synchronize(device)
    calls = max(2, min(calls, int(2.0 / max(begin.elapsed_time(end), 1e-3))))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            call()
    once = _replays(graph, 3, device)
    count = max(10, min(100, int(BUDGET_MS / max(once[0], 1e-3))))
    times = sorted(1e3 * taken / calls for taken in _replays(graph, count, device))
    del graph
    return times


def _replays(graph: torch.cuda.CUDAGraph, count: int, device: torch.device) -> list[float]:
    """Milliseconds of each of `count` replays."""
    marks = [_mark() for _ in range(2 * count)]
    pairs = list(zip(marks[::2], marks[1::2], strict=True))
    for begin, end in pairs:
        begin.record()
        graph.replay()
        end.record()
    torch.cuda.synchronize(device)
    return sorted(begin.elapsed_time(end) for begin, end in pairs)


def _mark() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _on_cpu(call: Call, calls: int) -> list[float]:
    call()
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        times.append(1e6 * (time.perf_counter() - begin) / calls)
    return sorted(times)


def percentile(times: list[float], share: float) -> float:
    """The least of the sorted `times` that `share` of them, 0 to 1, do not exceed."""
    return times[min(len(times) - 1, int(share * len(times)))]
