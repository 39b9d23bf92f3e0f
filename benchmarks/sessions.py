"""How many sessions this machine's processor keeps up with: one after another, and in batches.

    python benchmarks/sessions.py [--sessions 16] [--threads N] [--seconds 2] [--json FILE]

ONNX Runtime makes a chunk at a time, a thread per core taking the next session; the torch engine
makes all in one batch, in float32 and bfloat16, on one thread (x1) and on all. A round makes the
next chunk of every session, and is on time if it is over before the next one is due.
"""

import argparse
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from rich.console import Console

from diegetic import report
from diegetic.config import StreamConfig
from diegetic.generator import ChunkGenerator, load_generator
from diegetic.networks import Precision
from diegetic.slots.engine import DType, SlotEngine
from session_table import (
    Batches,
    Rounds,
    Row,
    most_on_time,
    print_machine,
    print_rows,
    row_of,
    run_rounds,
    sentences,
    write_json,
)

CONFIG = StreamConfig()
HOPELESS = 1.5  # hops: with more sessions it only gets worse
Maker = Callable[[int], Rounds]


def main() -> int:
    """Measure every engine and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=16, help="at most")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--nfe", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="a row")
    parser.add_argument("--weights", type=Path, help="folder of other weights than those shipped")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    facts = report.machine() | {"torch": torch.__version__, "threads": arguments.threads}
    print_machine(console, facts)
    rows: list[Row] = []
    with ThreadPoolExecutor(arguments.threads) as pool:
        for precision in ("int8", "float32"):
            rows += climb(f"onnx {precision}", one_by_one(arguments, precision, pool), arguments)
    for threads in sorted({1, arguments.threads}):
        torch.set_num_threads(threads)
        for dtype in ("float32", "bfloat16"):
            name = f"torch {dtype} x{threads}"
            rows += climb(name, in_batches(arguments, dtype), arguments)
    print_rows(console, rows, f"one round of chunks, nfe {arguments.nfe}, ms")
    found: dict[str, object] = {"nfe": arguments.nfe}
    for engine in dict.fromkeys(row.engine for row in rows):
        count = most_on_time(rows, engine, CONFIG.hop)
        found[f"sessions_on_time {engine}"] = count
        console.print(f"sessions in real time, {engine}: {count}")
    if arguments.json is not None:
        write_json(arguments.json, facts, rows, found)
    return 0


def climb(name: str, maker: Maker, arguments: argparse.Namespace) -> list[Row]:
    """Rows of one engine with more and more sessions, until it is hopeless."""
    rows: list[Row] = []
    for count in range(1, arguments.sessions + 1):
        timed = run_rounds(maker(count), arguments.seconds)
        rows.append(row_of(name, CONFIG.hop, arguments.nfe, count, timed))
        if rows[-1].p50_ms > HOPELESS * CONFIG.hop * 1000:
            break
    return rows


class OneByOne:
    """`count` sessions, a chunk of its own each, as many at a time as `pool` has threads."""

    def __init__(self, generator: ChunkGenerator, pool: ThreadPoolExecutor, count: int) -> None:
        self._generator = generator
        self._pool = pool
        self._states = [generator.start(seed) for seed in range(count)]
        self._says = sentences(count)
        self._said = self._says(0)

    def prepare(self, index: int) -> None:
        self._said = self._says(index)

    def wait(self) -> None:
        """Nothing is made ahead."""

    def step(self) -> None:
        made = self._pool.map(self._generator.generate, self._states, self._said)
        self._states = [state for _, state in made]


def one_by_one(
    arguments: argparse.Namespace, precision: Precision, pool: ThreadPoolExecutor
) -> Maker:
    """What makes rounds with ONNX Runtime, one thread a chunk."""
    generator = load_generator(
        arguments.weights, precision=precision, nfe=arguments.nfe, config=CONFIG, threads=1
    )
    return lambda count: OneByOne(generator, pool, count)


def in_batches(arguments: argparse.Namespace, dtype: DType) -> Maker:
    """What makes rounds with the torch engine."""
    engine = SlotEngine(
        arguments.weights,
        config=CONFIG,
        nfe=(arguments.nfe,),
        sessions=arguments.sessions,
        kept=1,
        dtype=dtype,
    )
    return lambda count: Batches(engine, count)


if __name__ == "__main__":
    sys.exit(main())
