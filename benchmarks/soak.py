"""The live path for an hour, while everything that can disturb it does.

    python benchmarks/soak.py [--minutes 60] [--stall S] [--every 5] [--hog] [--spin]
                              [--device NAME] [--hop S] [--lookahead S] [--nfe 4] [--weights FOLDER]

The client process is game.py beside this file: prompts, events, parameters, frames. Once in
`--every` seconds the generator is held up for `--stall` seconds before it hands over a chunk
(lookahead - 0.1 unless told; 0: never). `--spin` runs a Python thread in this process that never
rests, `--hog` a process on one core. Exit status 1: an underrun, or memory grew by more than 5 %.
Memory counts from when the event bank has all its takes, or half the time is over.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from diegetic import report
from diegetic.config import RATE, StreamConfig
from diegetic.inference import InferenceProcess
from diegetic.output import choose_output
from diegetic.ring import Underrun
from diegetic.server import Server
from diegetic.session import Session
from diegetic.sink import Sink
from diegetic.snapshot import FloatArray
from live import hog, resident

GAME = Path(__file__).resolve().with_name("game.py")
SPARE = 0.1  # s of the lookahead that a stall leaves
GROWTH = 0.05  # share of its memory by which a process may grow
SETTLE = (
    330.0  # s, at most a fifth of the whole, before memory counts: records of 2,048 chunks fill
)
FILL = 0.5  # share of the whole that the bank has to fill: takes are kept, by both processes
LOOKS = 360  # at the memory in all, at most one a second
SHOWN = 40  # underruns
MEGABYTE = 1e6


class Stalls:
    """Sleeps for `stall` seconds (0: never) when called, but not until `every` seconds have passed.

    Counted is from the first call, and from the end of each sleep.
    """

    def __init__(
        self,
        stall: float,
        every: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.count = 0
        self._stall, self._every = stall, every
        self._clock, self._sleep = clock, sleep
        self._due: float | None = None

    def __call__(self) -> None:
        """Sleep, if it is time."""
        if self._due is not None and (self._stall == 0 or self._clock() < self._due):
            return
        if self._due is not None:
            self._sleep(self._stall)
            self.count += 1
        self._due = self._clock() + self._every


class StallingSink:
    """`sink`, at which the generator's thread is kept at times before it can hand over a chunk.

    A chunk's own time is over by then: no figure, and no plan of the stream's, knows of it.
    """

    def __init__(self, sink: Sink, stalls: Callable[[], None]) -> None:
        self._sink = sink
        self._stalls = stalls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    def write(self, samples: FloatArray) -> None:
        """Queue `samples` (n, 2), late."""
        self._stalls()
        self._sink.write(samples)

    def revise(self, position: int, samples: FloatArray) -> bool:
        """Replace the bed from `position` on by `samples` (n, 2), late."""
        self._stalls()
        return self._sink.revise(position, samples)


@dataclass(frozen=True)
class Memory:
    """How much memory a process held: bytes at the start and the end, and bytes an hour between."""

    start: float
    end: float
    slope: float

    @property
    def growth(self) -> float:
        """Share of the start."""
        return self.end / self.start - 1


class Settling:
    """When memory begins to count: when caches are full, and the bank has all it wants."""

    def __init__(self, start: float, seconds: float) -> None:
        self._earliest = start + min(SETTLE, seconds / 5)
        self._latest = start + seconds * FILL
        self._over = False

    def over(self, moment: float, full: bool) -> bool:
        """True from the first `moment` (monotonic s) on at which the bank was `full`, or late."""
        self._over |= moment >= self._latest or (full and moment >= self._earliest)
        return self._over


def main() -> int:
    """Run, print, judge."""
    arguments = parse()
    config = StreamConfig(hop=arguments.hop, lookahead=arguments.lookahead)
    stall = arguments.stall
    if stall is None:
        stall = max(0.0, config.lookahead - SPARE)
    output = choose_output(arguments.device, no_device=arguments.device is None)
    console = Console(highlight=False, soft_wrap=True)
    console.print(", ".join(f"{name}: {value}" for name, value in report.machine().items()))
    loads = [name for name in ("spin", "hog") if getattr(arguments, name)]
    console.print(
        f"{arguments.minutes:g} min; hop {config.hop:g} s, lookahead {config.lookahead:g} s; "
        f"stalled for {stall:g} s every {arguments.every:g} s; "
        f"beside it: {' and '.join(loads) or 'nothing'}; {output.description}"
    )
    networks = InferenceProcess(config, nfe=arguments.nfe, weights=arguments.weights)
    stalls = Stalls(stall, arguments.every)

    def make_session() -> Session:
        return Session(config, generator=networks, conditioner=networks.conditioner)

    def make_sink() -> Sink:
        return cast(Sink, StallingSink(output.sink(), stalls))

    seconds = arguments.minutes * 60
    server = Server("tcp://127.0.0.1:0", make_session=make_session, make_sink=make_sink)
    command = [sys.executable, str(GAME), "", str(seconds)]
    with spinning(arguments.spin), hog(arguments.hog), server:
        command[2] = server.endpoint
        with subprocess.Popen(command) as game:
            try:
                memories, lookahead = watch(server, networks, game, seconds)
            finally:
                game.terminate()
    session, sink = server.session, server.sink
    if session is None or sink is None:
        raise SystemExit("the client never connected")
    counts = session.metrics.counts()
    table = Table(box=None, show_header=False)
    rtf = session.metrics.rtf()
    for name, value in (
        ("underruns", str(sink.underruns)),
        ("concealed, ms", f"{sink.concealed / 48:.0f}"),
        ("the newest, at s: ms", ", ".join(map(show, sink.underrun_log()[-SHOWN:])) or "-"),
        ("RTF", ", ".join(f"{key} {value:.3f}" for key, value in rtf.items())),
        ("made ahead at most, ms", f"{lookahead * 1000:.0f}"),
        ("stalls", str(stalls.count)),
        ("takes in the bank, MB", f"{session.bank.memory_used / MEGABYTE:.1f}"),
        *((name, str(value)) for name, value in sorted(counts.items())),
        *((f"memory of the {name}", describe(memory)) for name, memory in memories.items()),
    ):
        table.add_row(name, value)
    console.print(table)
    failures = judge(sink.underruns, memories)
    for failure in failures:
        console.print(f"[bold red]{failure}[/]")
    return 1 if failures else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    default = StreamConfig()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--stall", type=float, metavar="S")
    parser.add_argument("--every", type=float, default=5.0, metavar="S")
    parser.add_argument("--hog", action="store_true")
    parser.add_argument("--spin", action="store_true")
    parser.add_argument("--device", help="play on this device; else the clock sets the pace")
    parser.add_argument("--hop", type=float, default=default.hop)
    parser.add_argument("--lookahead", type=float, default=default.lookahead)
    parser.add_argument("--nfe", type=int, default=4)
    parser.add_argument("--weights", type=Path)
    arguments = parser.parse_args()
    for name in ("minutes", "every"):
        if not getattr(arguments, name) > 0:
            parser.error(f"--{name} must be positive, got {getattr(arguments, name):g}")
    if arguments.stall is not None and not arguments.stall >= 0:
        parser.error(f"--stall must not be negative, got {arguments.stall:g}")
    return arguments


def watch(
    server: Server, networks: InferenceProcess, game: "subprocess.Popen[bytes]", seconds: float
) -> tuple[dict[str, Memory], float]:
    """Look at the memory of the server, of its networks and of the player until the game ends.

    Beside it, the most that was to be made ahead (s).
    """
    lookahead = 0.0
    settling = Settling(time.monotonic(), seconds)
    pause = max(1.0, seconds / LOOKS)
    sizes: dict[str, list[tuple[float, float]]] = {"server": [], "networks": [], "player": []}
    while game.poll() is None:
        moment = time.monotonic()
        player = getattr(server.sink, "player_pid", None)
        session = server.session
        live = session and session.live
        lookahead = max(lookahead, live.lookahead if live else 0.0)
        full = session is not None and session.bank.progress().total.complete
        if settling.over(moment, full):
            sizes["server"].append((moment, resident()))
            sizes["networks"].append((moment, resident(networks.pid)))
            if player is not None:
                sizes["player"].append((moment, resident(player)))
        try:
            game.wait(pause)
        except subprocess.TimeoutExpired:
            continue
    if game.returncode:
        raise SystemExit(f"the client ended with status {game.returncode}")
    found = {name: trend(held) for name, held in sizes.items()}
    return {name: memory for name, memory in found.items() if memory is not None}, lookahead


def trend(sizes: Sequence[tuple[float, float]]) -> Memory | None:
    """Fit a line through (monotonic s, bytes), at least two of them; None if they are not known.

    Start and end are the medians of the first and the last tenth: an allocation that comes and goes
    is no growth.
    """
    if len(sizes) < 2 or not all(size > 0 for _, size in sizes):
        return None
    moments, held = np.array(sizes).T
    tenth = max(1, len(held) // 10)
    slope, _ = np.polyfit(moments - moments[0], held, 1)
    return Memory(float(np.median(held[:tenth])), float(np.median(held[-tenth:])), slope * 3600)


def describe(memory: Memory) -> str:
    """Say it in megabytes."""
    return (
        f"{memory.start / MEGABYTE:.1f} to {memory.end / MEGABYTE:.1f} MB "
        f"({memory.growth:+.1%}), {memory.slope / MEGABYTE:+.1f} MB/h"
    )


def show(underrun: Underrun) -> str:
    """When it was, in seconds of the recording, and how long."""
    return f"{underrun.position / RATE:.1f}: {underrun.length * 1000 / RATE:.0f}"


def judge(underruns: int, memories: dict[str, Memory]) -> list[str]:
    """Return what must not be."""
    failures = [f"{underruns} underruns"] if underruns else []
    for name, memory in memories.items():
        if memory.growth > GROWTH:
            failures.append(f"the {name}'s memory grew by {memory.growth:.1%}")
    return failures


@contextmanager
def spinning(wanted: bool) -> Iterator[None]:
    """Run a Python thread that never rests."""
    if not wanted:
        yield
        return
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    thread = threading.Thread(target=spin, name="spin", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
