"""How long a chunk takes for 1 to 256 sessions, launched one by one and as one graph.

    python benchmarks/chunk.py [--device cuda] [--sessions 256] [--seconds 1] [--json FILE]
                               [--kernels torch triton]

Runs anywhere and says on what: without a GPU there is no graph, and fewer sessions. On a GPU the
transformer runs on torch's kernels and on ours, one after the other. A round makes
the next chunk of every session; one in four says something new. The noise of a chunk is made by the
host's threads after the chunk before it; "all p99" has the wait for it in it, as if no time had
passed between two rounds. A round is on time if even that is over before the next one is due.
"""

import argparse
import itertools
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch
from rich.console import Console
from torch.profiler import ProfilerActivity, profile

from diegetic import report
from diegetic.config import StreamConfig
from diegetic.slots.engine import SlotEngine
from diegetic.slots.transformer.kernels import Wanted
from diegetic.slots.work import MOST_SESSIONS
from diegetic_kernels.choice import why_no_triton
from session_table import (
    Batches,
    Row,
    most_on_time,
    print_machine,
    print_rows,
    row_of,
    run_rounds,
    write_json,
)

USUAL = StreamConfig()
QUICK = StreamConfig(hop=0.1, overlap=0.06)
HOPELESS = 2.0  # hops: with more sessions it only gets worse
_LAUNCHES = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")


@dataclass(frozen=True)
class Case:
    """One engine: lengths, whether chunks are graphs, and whose kernels it runs on."""

    config: StreamConfig
    graphs: bool
    kernels: Wanted

    @property
    def name(self) -> str:
        return f"{'graph' if self.graphs else 'eager'} {self.kernels}"


def main() -> int:
    """Measure every case and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sessions", type=int, help="at most; 256 on a GPU, 8 on a CPU")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument(
        "--kernels",
        nargs="+",
        choices=get_args(Wanted),
        help="of the transformer; on a GPU torch's and ours, else torch's",
    )
    parser.add_argument("--nfe", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.0, help="a row")
    parser.add_argument("--weights", type=Path, help="folder of other weights than those shipped")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    gpu = arguments.device.startswith("cuda")
    most = arguments.sessions or (MOST_SESSIONS if gpu else 8)
    facts = machine(arguments.device)
    print_machine(console, facts)
    cases = cases_of(arguments.kernels, torch.device(arguments.device))
    rows: list[Row] = []
    for case in cases:
        rows += measure(case, arguments, most, console)
    if gpu:  # last: who has once been watched is slower
        rows = [launches(row, cases, arguments) if row.sessions == 1 else row for row in rows]
    print_rows(console, rows, f"one round of chunks, nfe {arguments.nfe}, ms")
    found: dict[str, object] = {"nfe": arguments.nfe}
    names = list(dict.fromkeys(case.name for case in cases))
    for slow, quick in itertools.combinations(names, 2):
        ratios = compare(rows, slow, quick)
        listed = ", ".join(f"{count}: {ratio:.2f}" for count, ratio in ratios.items())
        console.print(f"{slow} / {quick}, p50, by sessions: {listed}")
        found[f"{slow} / {quick}"] = ratios
    for name, config in ((case.name, case.config) for case in cases):
        count = most_on_time(rows, name, config.hop)
        hop = f"hop {config.hop * 1000:.0f} ms"
        found[f"sessions_on_time {name}, {hop}"] = count
        console.print(f"sessions in real time, {name}, {hop}: {count} of {most}")
    if arguments.json is not None:
        write_json(arguments.json, facts, rows, found)
    return 0


def cases_of(kernels: list[Wanted] | None, device: torch.device) -> list[Case]:
    """All that is measured: the graphs of a GPU and, of the first kernels, what they save."""
    if device.type != "cuda":
        asked = kernels or ["torch"]
        return [Case(config, False, name) for name in asked for config in (USUAL, QUICK)]
    why = why_no_triton(device)
    asked = kernels or (["torch", "triton"] if why is None else ["torch"])
    graphs = [Case(config, True, name) for name in asked for config in (USUAL, QUICK)]
    return [Case(USUAL, False, asked[0]), *graphs]


def machine(device: str) -> dict[str, object]:
    """What all this ran on."""
    facts = report.machine() | {"torch": torch.__version__, "threads": torch.get_num_threads()}
    if device.startswith("cuda"):
        found = torch.cuda.get_device_properties(device)
        facts |= {
            "gpu": found.name,
            "gpu_memory_gb": round(found.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
        }
    return facts


def measure(case: Case, arguments: argparse.Namespace, most: int, console: Console) -> list[Row]:
    """The rows of one engine, from one session up."""
    rows: list[Row] = []
    start = time.perf_counter()
    with engine_of(case, arguments, most) as engine:
        hop = case.config.hop
        took = time.perf_counter() - start
        ready = f"{case.name}, hop {hop * 1000:.0f} ms: ready after {took:.1f} s"
        console.print(f"{ready}, on {engine.kernels.description}")
        for count in (bucket for bucket in engine.buckets if bucket <= most):
            sessions = Batches(engine, count)
            timed = run_rounds(sessions, arguments.seconds)
            row = row_of(case.name, hop, arguments.nfe, count, timed)
            rows.append(row)
            stages = ", ".join(f"{name} {ms:.2f}" for name, ms in engine.stages_ms.items())
            console.print(f"  {count} sessions: p50 {row.p50_ms:.2f} ms; last round, ms: {stages}")
            if row.p50_ms > HOPELESS * hop * 1000:
                break
    return rows


def engine_of(case: Case, arguments: argparse.Namespace, sessions: int) -> SlotEngine:
    """The engine of one case."""
    return SlotEngine(
        arguments.weights,
        config=case.config,
        nfe=(arguments.nfe,),
        sessions=sessions,
        kept=1,
        device=arguments.device,
        dtype=arguments.dtype,
        graphs=case.graphs,
        kernels=case.kernels,
    )


def launches(row: Row, cases: list[Case], arguments: argparse.Namespace) -> Row:
    """`row`, and what a chunk runs on the device and asks of it while nobody says anything new."""
    case = next(c for c in cases if (c.name, c.config.hop) == (row.engine, row.hop))
    with engine_of(case, arguments, 1) as engine:
        sessions = Batches(engine, 1)
        sessions.step()
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
            sessions.step()
    events = list(profiled.events() or [])
    kernels = sum(event.device_type.name == "CUDA" for event in events)
    calls = sum(event.name.startswith(_LAUNCHES) for event in events)
    return replace(row, kernels=kernels, calls=calls)


def compare(rows: list[Row], slow: str, quick: str) -> dict[str, float]:
    """How many times as long a usual round takes on engine `slow`, by number of sessions."""
    usual = [row for row in rows if row.hop == USUAL.hop]
    ours = {row.sessions: row.p50_ms for row in usual if row.engine == quick}
    theirs = {row.sessions: row.p50_ms for row in usual if row.engine == slow}
    return {str(n): round(theirs[n] / ours[n], 3) for n in ours if n in theirs}


if __name__ == "__main__":
    sys.exit(main())
