"""Measure the attentions on this card and write what `auto` then looks up.

    python -m diegetic_kernels.tune [--out table.json]

Takes a minute or two, most of it compiling. Run it once per kind of card; a live stream only looks
up what it wrote.
"""

import argparse
import gc
import json
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import torch

from diegetic_kernels import choice
from diegetic_kernels.choice import Implementation, Operation, Tile
from diegetic_kernels.chunk_attention import Ring, Sink, chunk_attention
from diegetic_kernels.cross_attention import cross_attention
from diegetic_kernels.rows import RowNorm, rotary_turn
from diegetic_kernels.timing import percentile, time_call

HEAD_DIM = 64
ROTARY = 32
SESSIONS = (1, 8, 64, 256)
QUERIES = (10, 64)
KEYS = (64, 256, 1024)
Operated = Callable[[Implementation, Tile | None], torch.Tensor]


@dataclass(frozen=True)
class Shape:
    """What is measured: `keys` are those of the ring, or of the conditioning."""

    operation: Operation
    queries: int
    keys: int
    sessions: int
    heads: int

    def bucket(self, dtype: torch.dtype) -> str:
        """The table's name for it."""
        own = self.queries if self.operation == "chunk_attention" else 0
        programs = self.sessions * self.heads
        return choice.bucket(dtype, self.queries, self.keys + own, programs)


def shapes() -> Iterator[Shape]:
    """All that is measured: the model that ships, and one of AudioX's size."""
    kinds: tuple[Operation, ...] = ("chunk_attention", "cross_attention")
    for kind in kinds:
        for queries in QUERIES:
            for keys in KEYS:
                for sessions in SESSIONS:
                    yield Shape(kind, queries, keys, sessions, 4)
    for count in (256, 1024):
        yield Shape("chunk_attention", count, 0, 1, 24)
        yield Shape("cross_attention", count, count, 1, 24)


def caller(shape: Shape, dtype: torch.dtype, device: torch.device) -> Operated:
    """The operation on random inputs of `shape`, by implementation and tile."""
    batch, heads, m, n = shape.sessions, shape.heads, shape.queries, shape.keys
    norm = RowNorm(torch.ones(HEAD_DIM, device=device))

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, device=device).to(dtype)

    if shape.operation == "cross_attention":
        q = normal(batch, m, heads, HEAD_DIM).transpose(1, 2)
        kept_k, kept_v = (normal(batch, heads, n, HEAD_DIM) for _ in range(2))
        bias = torch.zeros(batch, n, device=device)
        own = rotary_turn(0, m, ROTARY, device)
        return lambda impl, tile: cross_attention(
            q, kept_k, kept_v, norm=norm, turn=own, bias=bias, impl=impl, tile=tile
        )
    q, own_k, own_v = normal(batch, m, 3 * heads, HEAD_DIM).transpose(1, 2).chunk(3, dim=1)
    sink = Sink(*(torch.randn(heads, HEAD_DIM, device=device) for _ in range(2)))
    full = torch.full((batch,), n, device=device)
    keys, values = (normal(batch, heads, n, HEAD_DIM) for _ in range(2))
    ring = Ring(keys, values, full + 3, full) if n else None
    turn = rotary_turn(-n, n + m, ROTARY, device)
    return lambda impl, tile: chunk_attention(
        q, own_k, own_v, ring, sink=sink, q_norm=norm, k_norm=norm, turn=turn, impl=impl, tile=tile
    )


def candidates(dtype: torch.dtype, queries: int) -> tuple[Tile, ...]:
    """The tiles worth trying. Narrow ones for many queries too: few sessions want many programs."""
    if dtype not in choice.HALVES:
        return choice.FLOAT_TILES
    narrow = tuple(tile for tile in choice.HALF_TILES if tile.queries == 16)
    wide = tuple(tile for tile in choice.HALF_TILES if tile.queries > 16)
    return narrow if queries <= 16 else narrow[2:4] + wide


def measure(shape: Shape, dtype: torch.dtype, device: torch.device) -> dict[str, object]:
    """The table's entry for `shape`: what is fastest, the best tile, and the times (µs, median)."""
    call = caller(shape, dtype, device)
    times = {"sdpa": _median(call, "sdpa", device)}
    found: list[tuple[float, Tile]] = []
    for tile in candidates(dtype, shape.queries):
        try:
            found.append((_median(call, "triton", device, tile), tile))
        except Exception as error:  # a card may have too little shared memory for a tile
            print(f"{tile} does not run here: {error}", flush=True)
    if not found:
        raise RuntimeError(f"no tile of Triton's kernel runs for {shape}")
    best, tile = min(found, key=lambda pair: pair[0])
    times["triton"] = best
    fastest = min(times, key=lambda impl: times[impl])
    rounded = {impl: round(taken, 2) for impl, taken in times.items()}
    return {"impl": fastest, "tile": list(astuple(tile)), "microseconds": rounded}


def _median(
    call: Operated, impl: Implementation, device: torch.device, tile: Tile | None = None
) -> float:
    return percentile(time_call(lambda: call(impl, tile), device), 0.5)


@torch.inference_mode()
def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("table.json"))
    options = parser.parse_args()
    device = torch.device("cuda")
    why = "torch finds no CUDA device" if not torch.cuda.is_available() else None
    why = why or choice.why_no_triton(device)
    if why is not None:
        parser.exit(1, f"nothing to tune: {why}\n")
    gc.freeze()  # capturing a graph may collect garbage, hundreds of times here
    name = torch.cuda.get_device_name(device)
    print(f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    table = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    made = table[name] = {}
    for dtype in (torch.bfloat16, torch.float32):
        for shape in shapes():
            try:
                entry = measure(shape, dtype, device)
            except Exception as error:
                print(f"{shape} {dtype}: left out: {error}", flush=True)
                continue
            made.setdefault(shape.operation, {})[shape.bucket(dtype)] = entry
            print(f"{shape.operation} {shape.bucket(dtype)}: {entry}", flush=True)
            # Every time, so that nothing is lost where the command is cut short.
            options.out.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
