"""What benchmarks of many sessions have in common: sessions, rounds, rows, the table, JSON."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from rich.console import Console
from rich.table import Table

from diegetic import report
from diegetic.slots.engine import SlotEngine
from diegetic.slots.work import Work
from diegetic.snapshot import DEFAULT_GUIDANCE, TEXT_DIM, Conditioning, null_conditioning

CHANGING = 4  # every round one session of so many says something new
LEAST_ROUNDS, MOST_ROUNDS = 20, 300
WARM = 3  # rounds that are not counted
LONGEST = 10  # times the seconds that were asked for
COLUMNS = ("engine", "hop", "sessions", "p50", "p95", "p99", "all p99", "on time")


@dataclass(frozen=True)
class Row:
    """Rounds in which every session got its next chunk.

    Attributes:
        engine: what made them.
        hop: new sound a chunk (s): the deadline of a round.
        nfe: network evaluations a chunk.
        sessions: in every round.
        rounds: that were counted.
        p50_ms, p95_ms, p99_ms: of a round, its noise being made.
        all_p99_ms: with the wait for noise that a stream in real time has had time for.
        kernels, calls: on the device, and from the host, a round; None where there are none.
    """

    engine: str
    hop: float
    nfe: int
    sessions: int
    rounds: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    all_p99_ms: float
    kernels: int | None = None
    calls: int | None = None

    @property
    def on_time(self) -> bool:
        """Whether a round, all included, is over before the next one is due."""
        return self.all_p99_ms <= self.hop * 1000


def someone_says(seed: int) -> Conditioning:
    """A sentence of its own for every seed, as an embedding; what it says is all the same here."""
    said = null_conditioning()
    words = np.random.default_rng(seed).standard_normal(TEXT_DIM).astype(np.float32)
    said.words[0] = words / np.linalg.norm(words)
    said.values[0], said.present[0] = 1.0, True
    return replace(said, guidance=DEFAULT_GUIDANCE)


def sentences(count: int) -> Callable[[int], list[Conditioning]]:
    """What `count` sessions say in a round; one of CHANGING says something new."""
    now = [someone_says(k) for k in range(count)]

    def round_of(index: int) -> list[Conditioning]:
        for k in range(index % CHANGING, count, CHANGING):
            now[k] = someone_says(count * (index + 1) + k)
        return now

    return round_of


class Batches:
    """`count` sessions on `engine`, all in one batch."""

    def __init__(self, engine: SlotEngine, count: int) -> None:
        self._engine = engine
        self._states = [engine.start(seed) for seed in range(count)]
        self._says = sentences(count)
        self._said = self._says(0)

    def prepare(self, index: int) -> None:
        self._said = self._says(index)

    def wait(self) -> None:
        self._engine.wait_for_noise()

    def step(self) -> None:
        pairs = zip(self._states, self._said, strict=True)
        made = self._engine.step([Work(state, said) for state, said in pairs])
        self._states = [result.state for result in made]


class Rounds(Protocol):
    """What is timed."""

    def prepare(self, index: int) -> None:
        """Have the sessions say what they say in this round; not timed."""

    def wait(self) -> None:
        """Wait for what a stream in real time has had time for."""

    def step(self) -> None:
        """Make the next chunk of every session."""


def run_rounds(rounds: Rounds, seconds: float) -> tuple[list[float], list[float]]:
    """Time rounds for about `seconds`; return the ms of every step, and with the wait before it."""
    gc.collect()
    steps: list[float] = []
    wholes: list[float] = []
    end = time.perf_counter() + seconds
    index = 0
    while len(steps) < LEAST_ROUNDS or time.perf_counter() < end:
        rounds.prepare(index)
        begin = time.perf_counter()
        rounds.wait()
        start = time.perf_counter()
        rounds.step()
        over = time.perf_counter()
        index += 1
        if index <= WARM:
            continue
        steps.append((over - start) * 1000)
        wholes.append((over - begin) * 1000)
        if len(steps) == MOST_ROUNDS or sum(wholes) > LONGEST * 1000 * seconds:
            break
    return steps, wholes


def row_of(
    engine: str, hop: float, nfe: int, sessions: int, timed: tuple[list[float], list[float]]
) -> Row:
    """The row of what `run_rounds` returned."""
    steps, wholes = timed
    p50, p95, p99 = (round(float(v), 3) for v in np.percentile(steps, (50, 95, 99)))
    whole = round(float(np.percentile(wholes, 99)), 3)
    return Row(engine, hop, nfe, sessions, len(steps), p50, p95, p99, whole)


def most_on_time(rows: Sequence[Row], engine: str, hop: float) -> int:
    """The most sessions up to which every row of `engine` is on time; 0 if not even the first."""
    most = 0
    for row in sorted(rows, key=lambda row: row.sessions):
        if (row.engine, row.hop) == (engine, hop):
            if not row.on_time:
                break
            most = row.sessions
    return most


def print_machine(console: Console, facts: dict[str, object]) -> None:
    console.print(", ".join(f"{name}: {value}" for name, value in facts.items()), soft_wrap=True)


def print_rows(console: Console, rows: Sequence[Row], title: str) -> None:
    """Print one table, in ms."""
    launched = any(row.kernels is not None for row in rows)
    table = Table(title=title, title_justify="left", box=None)
    for column in (*COLUMNS, *(("kernels", "host calls") if launched else ())):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        cells = [row.engine, f"{row.hop * 1000:.0f}", str(row.sessions)]
        cells += [f"{v:.2f}" for v in (row.p50_ms, row.p95_ms, row.p99_ms, row.all_p99_ms)]
        cells.append("yes" if row.on_time else "no")
        if launched:
            cells += ["-" if v is None else str(v) for v in (row.kernels, row.calls)]
        table.add_row(*cells)
    console.print(table)


def write_json(
    path: Path, facts: dict[str, object], rows: Sequence[Row], found: dict[str, object]
) -> None:
    """Write all that was found, and on what."""
    listed = [asdict(row) | {"on_time": row.on_time} for row in rows]
    report.write_report({"machine": facts, **found, "rows": listed}, path)
