"""What the bridge promises, held against real servers over real sockets, each a process of its own.

    python benchmarks/bridge.py [--only fuzz,events,cold,frames,kill,crowd] [--json FILE]
                                [--count 1000000] [--settle 100000] [--seed 0]
                        [--seconds 60] [--rate 10000]

fuzz    COUNT mutated and random messages, half at `diegetic serve`, half at a server that lets
        everyone in, after SETTLE at each until memory counts; a good client plays beside them
events  RATE events a second for SECONDS at a real session, through a wire that is cut three times
cold    RATE events a second for SECONDS at a real session that has no takes of them yet
frames  60 Hz for SECONDS at a real session whose generator is held up for 200 ms at each chunk
kill    kill -9 of `diegetic serve` under a game that plays, five times, started again at once
crowd   49 good clients and a hostile one for SECONDS at a server that lets everyone in

What clients cost the game's thread is in client_cost.py. Exit status 1: something is not as it must
be. Memory is known on Linux and macOS.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bridge_figures import Figure, as_json, table
from bridge_process import load
from bridge_rows import cold, crowd, events, frames, fuzz, kill
from diegetic.report import machine

KILLS = 5
WIDTH = 130  # of the table, where nobody looks at it in a terminal
ROWS = ("fuzz", "events", "cold", "frames", "kill", "crowd")


def main(words: list[str] | None = None) -> int:
    """Run the rows that were asked for; print the table."""
    arguments = parse(words)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # no process is left behind
    rows: dict[str, Callable[[], list[Figure]]] = {
        "fuzz": lambda: fuzz(arguments.count, arguments.seed, arguments.settle),
        "events": lambda: events(arguments.seconds, arguments.rate),
        "cold": lambda: cold(arguments.seconds, arguments.rate),
        "frames": lambda: frames(arguments.seconds),
        "kill": lambda: kill(KILLS),
        "crowd": lambda: crowd(arguments.seconds, arguments.seed),
    }
    console = Console(highlight=False, soft_wrap=True)
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    figures: list[Figure] = []
    loads: dict[str, str] = {}
    for name in arguments.only:
        before = load()
        made = rows[name]()
        loads[name] = f"{before} before, {load()} after"
        Console(width=max(console.width, WIDTH)).print(table(made))
        console.print(f"{name}: {loads[name]}")
        figures += made
    console.print(facts)
    if arguments.json is not None:
        found = {"machine": machine(), "loads": loads, "figures": as_json(figures)}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if all(figure.holds for figure in figures) else 1


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=_names, default=ROWS, metavar="ROWS")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--settle", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=10_000)
    arguments = parser.parse_args(words)
    for name in ("count", "settle", "seconds", "rate"):
        if not getattr(arguments, name) > 0:
            parser.error(f"--{name} must be positive, got {getattr(arguments, name):g}")
    return arguments


def _names(text: str) -> tuple[str, ...]:
    """Rows between commas, for argparse."""
    names = tuple(text.split(","))
    wrong = [name for name in names if name not in ROWS]
    if wrong:
        raise argparse.ArgumentTypeError(f"expected some of {','.join(ROWS)}, got {wrong[0]!r}")
    return names


if __name__ == "__main__":
    sys.exit(main())
