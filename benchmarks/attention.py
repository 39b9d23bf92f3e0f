"""The fused attention against torch's, at the shapes of a live chunk and at AudioX's.

    python benchmarks/attention.py [--json FILE]

Two tables. *fused*: raw queries and keys in, as a chunk has them; ours is one launch, theirs the
norm, the rotation, the concatenation with sink and ring, and the fastest of torch's kernels.
*pure*: everything normalised and rotated already, attention alone. All are timed as parts of a CUDA
graph, so that launching costs nobody anything. Inputs stay where they are from call to call: what
fits the card's cache comes from there, which is why a share of its bandwidth can exceed 1. Without
a card the reference runs, at a few of the shapes, to show that the script does.
"""

import argparse
import gc
import json
import math
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from diegetic_kernels import (
    Ring,
    RowNorm,
    Sink,
    choice,
    chunk_attention,
    cross_attention,
    rotary_turn,
)
from diegetic_kernels.rows import normalise, rotate
from diegetic_kernels.timing import Call, percentile, time_call

HEAD_DIM = 64
ROTARY = 32
BACKENDS = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
)


@dataclass(frozen=True)
class Shape:
    """`keys` come before the chunk (fused) or are all there is (pure)."""

    table: str
    queries: int
    keys: int
    batch: int
    heads: int


@dataclass(frozen=True)
class Row:
    """One shape: microseconds of ours and of the best of theirs, and what ours moves."""

    shape: Shape
    impl: str
    p50: float
    p95: float
    p99: float
    auto: float
    theirs: dict[str, float]
    best: str
    ratio: float
    auto_ratio: float
    gb_per_s: float
    share: float


def shapes(card: bool) -> Iterator[Shape]:
    """All that is measured: ours in both tables, then AudioX's."""
    if not card:
        for table in ("fused", "pure"):
            for queries, keys in ((2, 64), (10, 64), (64, 256)):
                yield Shape(table, queries, keys, 1, 4)
        return
    for table in ("fused", "pure"):
        for queries in (2, 10, 64):
            for keys in (64, 256, 1024):
                for batch in (1, 8, 64, 256):
                    yield Shape(table, queries, keys, batch, 4)
    for table in ("fused", "pure"):
        for tokens in (237, 512, 1024):
            for batch in (1, 8):
                yield Shape(table, tokens, 0 if table == "fused" else tokens, batch, 24)


def normal(device: torch.device, dtype: torch.dtype, *size: int) -> Tensor:
    return torch.randn(*size, device=device).to(dtype)


def fused_calls(
    shape: Shape, device: torch.device, dtype: torch.dtype
) -> tuple[Callable[[choice.Implementation], Tensor], Callable[[], Tensor]]:
    """Ours by implementation, and theirs: both from raw queries and keys."""
    b, h, m, n = shape.batch, shape.heads, shape.queries, shape.keys
    q, k, v = normal(device, dtype, b, m, 3 * h, HEAD_DIM).transpose(1, 2).chunk(3, dim=1)
    past_k, past_v = (normal(device, dtype, b, h, n, HEAD_DIM) for _ in range(2))
    full = torch.full((b,), n, device=device)
    ring = Ring(past_k, past_v, full, full) if n else None
    norm = RowNorm(torch.ones(HEAD_DIM, device=device))
    key, value = (torch.randn(h, HEAD_DIM, device=device) for _ in range(2))
    turn = rotary_turn(-n, n + m, ROTARY, device)
    ready_key = functional.pad(key[:, ROTARY:], (ROTARY, 0)).to(dtype)[None, :, None]
    ready_key, ready_value = (
        part.expand(b, -1, -1, -1) for part in (ready_key, value.to(dtype)[None, :, None])
    )

    def ours(impl: choice.Implementation) -> Tensor:
        sink = Sink(key, value)
        return chunk_attention(
            q, k, v, ring, sink=sink, q_norm=norm, k_norm=norm, turn=turn, impl=impl
        )

    def theirs() -> Tensor:
        keys = rotate(torch.cat((past_k, normalise(k, norm)), 2), turn)
        return functional.scaled_dot_product_attention(
            rotate(normalise(q, norm), turn[:, n:]),
            torch.cat((ready_key, keys), 2),
            torch.cat((ready_value, past_v, v), 2),
        )

    return ours, theirs


def pure_calls(
    shape: Shape, device: torch.device, dtype: torch.dtype
) -> tuple[Callable[[choice.Implementation], Tensor], Callable[[], Tensor]]:
    """Ours by implementation, and theirs: attention alone."""
    b, h, m, n = shape.batch, shape.heads, shape.queries, shape.keys
    q = normal(device, dtype, b, h, m, HEAD_DIM)
    k, v = (normal(device, dtype, b, h, n, HEAD_DIM) for _ in range(2))
    return (
        lambda impl: cross_attention(q, k, v, impl=impl),
        lambda: functional.scaled_dot_product_attention(q, k, v),
    )


def attempt(call: Call, device: torch.device) -> list[float] | None:
    """The times of `call`; None where it cannot run here."""
    try:
        return time_call(call, device, 20 if device.type == "cuda" else 3)
    except Exception as error:
        print(f"  does not run: {type(error).__name__}: {str(error).splitlines()[0][:100]}")
        torch.cuda.synchronize() if device.type == "cuda" else None
        return None


def their_times(
    theirs: Callable[[], Tensor], ours: Callable[[choice.Implementation], Tensor], shape: Shape,
    device: torch.device, dtype: torch.dtype,
) -> dict[str, float]:  # fmt: skip
    """Medians in microseconds of torch's choice, of each of its kernels, and of flash-attn."""
    calls: dict[str, Call] = {"sdpa": theirs}

    def forced(backend: SDPBackend) -> Call:
        def call() -> Tensor:
            with sdpa_kernel(backend):
                return theirs()

        return call

    if device.type == "cuda":
        calls |= {f"sdpa {b.name.lower().split('_')[0]}": forced(b) for b in BACKENDS}
    if choice.why_no_flash(device, dtype) is None:
        calls["flash-attn"] = lambda: ours("flash")
    measured = {name: attempt(call, device) for name, call in calls.items()}
    return {name: percentile(times, 0.5) for name, times in measured.items() if times}


def bytes_moved(shape: Shape, dtype: torch.dtype) -> int:
    """What must be read and written once: queries, keys, values, the result."""
    own = shape.queries if shape.table == "fused" else 0
    rows = 2 * shape.queries + 2 * (shape.keys + own)
    return shape.batch * shape.heads * rows * HEAD_DIM * dtype.itemsize


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per second that a copy of 512 MiB (64 without a card) reads and writes."""
    size = 2**29 if device.type == "cuda" else 2**26
    a, b = torch.empty(2, size, dtype=torch.uint8, device=device)
    taken = percentile(time_call(lambda: b.copy_(a), device, 5), 0.5)
    return 2 * size / (taken * 1e-6)


def measure(shape: Shape, device: torch.device, dtype: torch.dtype, limit: float) -> Row | None:
    """One row; None where one of the sides cannot run."""
    make = fused_calls if shape.table == "fused" else pure_calls
    ours, theirs = make(shape, device, dtype)
    impl: choice.Implementation = "triton" if device.type == "cuda" else "reference"
    own = attempt(lambda: ours(impl), device)
    auto = attempt(lambda: ours("auto"), device)
    others = their_times(theirs, ours, shape, device, dtype)
    if own is None or auto is None or not others:
        return None
    p50 = percentile(own, 0.5)
    best = min(others, key=lambda name: others[name])
    rate = bytes_moved(shape, dtype) / (p50 * 1e-6)
    chosen = percentile(auto, 0.5)
    return Row(
        shape, impl, p50, percentile(own, 0.95), percentile(own, 0.99), chosen, others, best,
        others[best] / p50, others[best] / chosen, rate / 1e9, rate / limit,
    )  # fmt: skip


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))


HEADER = (
    f"{'table':6}{'q':>5}{'keys':>6}{'batch':>6}{'heads':>6}{'p50':>9}{'p95':>9}{'p99':>9}"
    f"{'auto':>9}{'theirs':>9}  {'best of theirs':16}{'ratio':>7}{'auto':>7}{'GB/s':>8}{'share':>7}"
)


def line(row: Row) -> str:
    s = row.shape
    return (
        f"{s.table:6}{s.queries:5}{s.keys:6}{s.batch:6}{s.heads:6}{row.p50:9.2f}{row.p95:9.2f}"
        f"{row.p99:9.2f}{row.auto:9.2f}{row.theirs[row.best]:9.2f}  {row.best:16}"
        f"{row.ratio:7.2f}{row.auto_ratio:7.2f}{row.gb_per_s:8.0f}{row.share:7.2f}"
    )


def machine(device: torch.device) -> str:
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda}"
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads, torch {torch.__version__}"


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the rows there too")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    gc.freeze()  # capturing a graph may collect garbage, hundreds of times here
    limit = copy_bandwidth(device)
    print(f"{machine(device)}; a copy moves {limit / 1e9:.0f} GB/s; {dtype}; microseconds a call")
    if device.type == "cpu":
        print("no card: the eager reference runs, and the figures say nothing about the kernels")
    print(HEADER)
    rows = []
    for shape in shapes(device.type == "cuda"):
        row = measure(shape, device, dtype, limit)
        if row is not None:
            rows.append(row)
            print(line(row), flush=True)
    for title, heads in (("a chunk's shapes", 4), ("AudioX's shapes", 24)):
        for table in ("fused", "pure"):
            kept = [r for r in rows if r.shape.table == table and r.shape.heads == heads]
            if kept:
                ours = geometric_mean([row.ratio for row in kept])
                auto = geometric_mean([row.auto_ratio for row in kept])
                print(
                    f"geometric mean, {title}, {table}: {kept[0].impl} {ours:.2f} x, "
                    f"auto {auto:.2f} x the best of torch's and flash-attn ({len(kept)} shapes)"
                )
    if options.json is not None:
        report = {"machine": machine(device), "copy_gb_per_s": limit / 1e9}
        text = json.dumps(report | {"rows": [asdict(row) for row in rows]}, indent=1)
        options.json.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
