"""What mixing costs: microseconds per block, and what it allocates.

    python benchmarks/mixer.py [--blocks 2000]

One block of 256 samples is 5,333 us of sound. Voices play noise of 2 s; "moving" ones get a new
position 60 times a second and are half occluded, as in a game that runs. Everything is loud enough
to keep the limiter at work, and the loudness is steered. "peak" is what a block allocates while it
is mixed, at most: heads of views and Python's objects, gone when it is mixed; "kept" is what is
left of all blocks and commands.
"""

import argparse
import os
import sys
import time
import tracemalloc
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from diegetic import report
from diegetic.config import CHANNELS, RATE
from diegetic.mixer.commands import DeclareBus, Duck, LoadClip, MoveVoice, SetMaster, StartVoice
from diegetic.mixer.mixer import Mixer

BLOCK = 256
CLIP = 2 * RATE
HEADINGS = (
    "voices",
    "loudness",
    "p50, us",
    "p95, us",
    "of a core",
    "wall p95, us",
    "peak, KB",
    "kept, KB",
)
WARM = 50  # blocks
MOVES = 60  # per second, of every moving voice


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    voices: int
    moving: bool
    target: bool  # steer the loudness


@dataclass(frozen=True)
class Cost:
    """What a block of a case takes, commands included."""

    p50: float  # us of the processor
    p95: float
    wall: float  # us of the clock, 95th percentile: other processes included
    peak: int  # bytes above the start that mixing one block allocates, at most
    kept: int  # bytes more after the blocks than before


CASES = (
    Case(0, moving=False, target=False),
    Case(0, moving=False, target=True),
    Case(8, moving=False, target=True),
    Case(32, moving=False, target=True),
    Case(8, moving=True, target=True),
    Case(32, moving=True, target=True),
)


class Scene:
    """A mixer with a bed and as many voices as asked for, each restarted when it ends."""

    def __init__(self, case: Case) -> None:
        rng = np.random.default_rng(0)
        self._case = case
        self._rng = rng
        self._bed = (rng.standard_normal((CLIP, CHANNELS)) * 0.3).astype(np.float32)
        self._out = np.zeros((BLOCK, CHANNELS), np.float32)
        self._ends = [0] * case.voices
        self._numbers = [0] * case.voices
        self._next = 0
        self.mixer = Mixer(BLOCK, voices=48)
        clip = (rng.standard_normal((CLIP, CHANNELS)) * 0.1).astype("<f4")
        self.mixer.apply(LoadClip(0, clip.tobytes()))
        self.mixer.apply(DeclareBus("beds", ducks=[Duck("events", -6.0)]))
        if case.target:
            self.mixer.apply(SetMaster(-16.0))

    def step(self) -> None:
        """One block, and the commands that came with it."""
        self.tell()
        self.mix()

    def tell(self) -> None:
        """What a game says before a block."""
        mixer, now = self.mixer, self.mixer.position
        for index, end in enumerate(self._ends):
            if now >= end:
                self._numbers[index], self._ends[index] = self._next, now + CLIP
                self._next += 1
                mixer.apply(StartVoice(self._numbers[index], 0, position=self._somewhere()))
        if self._case.moving and now // BLOCK % (RATE // BLOCK // MOVES) == 0:
            for number in self._numbers:
                mixer.apply(MoveVoice(number, self._somewhere(), 0.5))

    def mix(self) -> None:
        """One block."""
        first = self.mixer.position % (CLIP - BLOCK)
        self.mixer.mix(self._bed[first : first + BLOCK], self._out)

    def _somewhere(self) -> tuple[float, float, float]:
        x, y, z = self._rng.uniform(-5, 5, 3)
        return float(x), float(y), float(z)


def measure(case: Case, blocks: int) -> Cost:
    """Time `blocks` blocks, then watch the memory of a tenth as many."""
    scene = Scene(case)
    times, walls = [], []
    for index in range(WARM + blocks):
        start, wall = time.thread_time(), time.perf_counter()
        scene.step()
        if index >= WARM:
            times.append((time.thread_time() - start) * 1e6)
            walls.append((time.perf_counter() - wall) * 1e6)
    assert scene.mixer.refused == 0, scene.mixer.refusals
    tracemalloc.start()
    scene.step()
    before = tracemalloc.get_traced_memory()[0]
    peak = 0
    for _ in range(max(blocks // 10, 1)):
        scene.tell()
        tracemalloc.reset_peak()
        current = tracemalloc.get_traced_memory()[0]
        scene.mix()
        peak = max(peak, tracemalloc.get_traced_memory()[1] - current)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    p50, p95 = np.percentile(times, (50, 95))
    return Cost(float(p50), float(p95), float(np.percentile(walls, 95)), peak, kept)


def main() -> int:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=2000)
    arguments = parser.parse_args()
    console = Console(highlight=False)
    facts = report.machine()
    console.print(", ".join(f"{name}: {value}" for name, value in facts.items()), soft_wrap=True)
    if hasattr(os, "getloadavg"):
        console.print(f"load average: {os.getloadavg()[0]:.1f}")
    table = Table(title=f"one block of {BLOCK} samples", title_justify="left", box=None)
    for column in HEADINGS:
        table.add_column(column, justify="right")
    for case in CASES:
        cost = measure(case, arguments.blocks)
        table.add_row(
            f"{case.voices}{' moving' if case.moving else ''}",
            "steered" if case.target else "as is",
            f"{cost.p50:.0f}",
            f"{cost.p95:.0f}",
            f"{cost.p50 / (BLOCK / RATE * 1e6):.1%}",
            f"{cost.wall:.0f}",
            f"{cost.peak / 1024:.1f}",
            f"{cost.kept / 1024:.1f}",
        )
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
