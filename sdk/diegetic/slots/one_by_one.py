"""Many sessions on a processor: a chunk a thread, as many at a time as there are cores.

    work    ─┬─ core ─> chunk, state ── core ─> chunk, state ──┬─>
             └─ core ─> chunk, state ──────────────────────────┘

What `diegetic.slots.engine.SlotEngine` is on a card. There a batch costs little more than a chunk;
on a processor it costs as much as its chunks (benchmarks/sessions.py), and ONNX Runtime's integer
networks, which need no torch, take less time than torch's.
"""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.generator import ChunkGenerator, GeneratorState
from diegetic.slots.work import MOST_SESSIONS, Made, Progress, Work
from diegetic.snapshot import null_conditioning

_ROUNDS = 5  # of every count that is timed, after one that is not


class OneByOneEngine:
    """Makes chunks for up to `sessions` sessions; any thread may call it.

    Args:
        generator: makes one chunk on one thread; several threads call it at a time.
        sessions: that are to be served.
        threads: chunks that are made at a time.
        progress: is told of the warm-up, which is over when the engine is made.

    Raises:
        DiegeticError: `sessions` or `threads` is out of its limits.
    """

    def __init__(
        self,
        generator: ChunkGenerator,
        *,
        sessions: int,
        threads: int,
        progress: Progress | None = None,
    ) -> None:
        if not 1 <= sessions <= MOST_SESSIONS:
            raise DiegeticError(f"sessions must be in 1 .. {MOST_SESSIONS}, got {sessions}")
        if threads < 1:
            raise DiegeticError(f"threads must be at least 1, got {threads}")
        self.nfe = generator.nfe
        self.sessions = sessions
        self.stages_ms: dict[str, float] = {}
        self._generator = generator
        self._pool = ThreadPoolExecutor(threads, "chunks")
        self.costs = self._measure(min(sessions, threads), progress)

    @property
    def config(self) -> StreamConfig:
        return self._generator.config

    @property
    def state_type(self) -> type[GeneratorState]:
        return GeneratorState

    def start(self, seed: int) -> GeneratorState:
        """The state before the first chunk: nothing was heard yet.

        Raises:
            DiegeticError: `seed` is negative or does not fit 63 bits.
        """
        return self._generator.start(seed)

    def check(self, entry: Work[GeneratorState]) -> None:
        """Refuse what the generator was not made for.

        Raises:
            DiegeticError: another NFE is asked for.
        """
        if entry.nfe not in (None, self.nfe):
            raise DiegeticError(f"nfe must be one that was prepared, {self.nfe}; got {entry.nfe}")

    def step(self, work: Sequence[Work[GeneratorState]]) -> list[Made[GeneratorState]]:
        """Make the next chunk of every session in `work`; no state is modified.

        Raises:
            DiegeticError: as `check`.
        """
        for entry in work:
            self.check(entry)
        start = time.perf_counter()
        made = list(self._pool.map(self._make, work))
        self.stages_ms = {"chunk": (time.perf_counter() - start) * 1000}
        return made

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown()

    def _make(self, work: Work[GeneratorState]) -> Made[GeneratorState]:
        return Made(*self._generator.generate(work.state, work.conditioning))

    def _measure(self, most: int, progress: Progress | None) -> dict[tuple[int, int], float]:
        """Seconds of a step by (nfe, works): up to `most` are timed, more take turns."""
        took = [0.0]
        for count in range(1, most + 1):
            works = [Work(self.start(seed), null_conditioning()) for seed in range(count)]
            times = []
            for _ in range(1 + _ROUNDS):
                begin = time.perf_counter()
                self.step(works)
                times.append(time.perf_counter() - begin)
            took.append(statistics.median(times[1:]))
            if progress is not None:
                progress(f"nfe {self.nfe}, {count} at a time", count, most)
        costs = {}
        for count in range(1, self.sessions + 1):
            full, rest = divmod(count, most)
            costs[self.nfe, count] = full * took[most] + took[rest]
        return costs
