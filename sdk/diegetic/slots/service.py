"""Sessions that share an engine, each with a generator of its own, each in its own thread.

    session a  generate ──┐                                ┌──> chunk, state
    session b  generate ──┼──> Batcher ──> Engine.step ──┼──> chunk, state
    session c  resting    │    earliest deadline first     │
                               one thread

A session that keeps pace wants a chunk a hop after the one before; that is its deadline. What it
has made ahead, takes of its events, can wait for what all others want now.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, Self, cast

from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.generator import GeneratorState
from diegetic.metrics import Metrics
from diegetic.networks import FloatArray
from diegetic.slots.batcher import Batcher, Costs
from diegetic.slots.work import Engine, Made, State, Work
from diegetic.snapshot import Conditioning

_AHEAD = 2.0  # s until what is made ahead is wanted


@dataclass(frozen=True, eq=False)
class _Request(Generic[State]):
    work: Work[State]
    asked: float
    deadline: float
    answer: "Future[Made[State]]"


class SlotService(Generic[State]):
    """Steps `engine` for all sessions that are let in, from `with` on.

    `join` and what it returns may be used by any thread.

    Attributes:
        metrics: by stage, what batches took and how long chunks waited for theirs; counts of
            chunks, of batches, and of chunks that were late.
    """

    def __init__(self, engine: Engine[State], clock: Callable[[], float] = time.monotonic) -> None:
        self.engine = engine
        self.metrics = Metrics()
        self._clock = clock
        self._costs = Costs(engine.costs)
        self._batcher = Batcher(self._costs, engine.sessions)
        self._requests: dict[str, _Request[State]] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._joined = 0
        self._thread = threading.Thread(target=self._run, name="slots", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; whoever still waits for a chunk is told."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def sessions(self) -> int:
        """How many are in."""
        with self._changed:
            return self._batcher.sessions

    def join(self, nfe: int | None = None, *, seed: int | None = None) -> "SlotGenerator[State]":
        """Let a session in.

        Args:
            nfe: network evaluations per chunk; None is the engine's first.
            seed: of its stream: what goes on from other seeds can wait. None: nothing can.

        Raises:
            AdmissionError: it would make chunks late, or there is no slot.
            DiegeticError: `nfe` was not prepared.
        """
        count = self.engine.nfe if nfe is None else nfe
        with self._changed:
            name = str(self._joined)
            self._batcher.join(name, nfe=count, hop=self.engine.config.hop)
            self._joined += 1
        return SlotGenerator(self, name, count, seed)

    def leave(self, name: str) -> None:
        """Let a session go."""
        with self._changed:
            self._batcher.leave(name)
            request = self._requests.pop(name, None)
        if request is not None:
            request.answer.set_exception(DiegeticError("the session has left the engine"))

    def make(self, name: str, work: Work[State], deadline: float) -> Made[State]:
        """Return the next chunk of session `name` when it is made.

        Raises:
            DiegeticError: as `Engine.step`, or the service is over.
        """
        self.engine.check(work)
        request = _Request(work, self._clock(), deadline, Future())
        with self._changed:
            if self._closing:
                raise DiegeticError("the engine's service is over")
            self._batcher.want(name, deadline)
            self._requests[name] = request
            self._changed.notify_all()
        return request.answer.result()

    def now(self) -> float:
        return self._clock()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._requests or self._closing)
                if self._closing:
                    break
                batch = self._batcher.next_batch(self._clock())
                requests = [self._requests.pop(due.session) for due in batch]
            self._serve(requests)
        for request in self._requests.values():
            request.answer.set_exception(DiegeticError("the engine's service is over"))

    def _serve(self, requests: list[_Request[State]]) -> None:
        """Answer all; what goes wrong with one is no matter of the others."""
        start = self._clock()
        try:
            made = self.engine.step([request.work for request in requests])
        except Exception as error:
            if len(requests) == 1:
                requests[0].answer.set_exception(error)
            else:
                for request in requests:
                    self._serve([request])
            return
        end = self._clock()
        nfe = requests[0].work.nfe or self.engine.nfe
        with self._changed:
            rows = self._costs.rows(nfe, len(requests))
            self._costs.add(nfe, rows, end - start)
        self._note(requests, start, end)
        for request, result in zip(requests, made, strict=True):
            request.answer.set_result(result)

    def _note(self, requests: list[_Request[State]], start: float, end: float) -> None:
        """Take down how a batch went."""
        self.metrics.add_stages(self.engine.stages_ms)
        for request in requests:
            self.metrics.add_stages({"wait": (start - request.asked) * 1000})
        self.metrics.count("batches")
        self.metrics.count("chunks", len(requests))
        self.metrics.count("chunks late", sum(end > request.deadline for request in requests))


class SlotGenerator(Generic[State]):
    """One session's `diegetic.generator.Generator` on a shared engine; leave it with `close`.

    Whoever holds its states only hands them back, so they are of the engine's own kind.
    """

    def __init__(self, service: SlotService[State], name: str, nfe: int, seed: int | None) -> None:
        self.nfe = nfe
        self._seed = seed
        self._service = service
        self._name = name
        self._deadline = 0.0

    @property
    def config(self) -> StreamConfig:
        return self._service.engine.config

    def start(self, seed: int) -> GeneratorState:
        """The state before the first chunk: nothing was heard yet."""
        return cast(GeneratorState, self._service.engine.start(seed))

    def generate(
        self, state: GeneratorState, conditioning: Conditioning
    ) -> tuple[FloatArray, GeneratorState]:
        """Make the next chunk, (config.chunk_samples, 2), and the state after its hop.

        Raises:
            DiegeticError: the session has left, or `state` is another generator's.
        """
        ours = cast(object, state)
        if not isinstance(ours, self._service.engine.state_type):
            raise DiegeticError(f"state must be one of this engine's, got {type(state).__name__}")
        work = Work(ours, conditioning, self.nfe)
        made = self._service.make(self._name, work, self._due(ours.seed))
        return made.chunk, cast(GeneratorState, made.state)

    def _due(self, seed: int) -> float:
        """When the next chunk of the stream of `seed` is wanted."""
        now, config = self._service.now(), self.config
        if self._seed is not None and seed != self._seed:
            return now + _AHEAD
        # However many were made at once: nobody asks for what is due later than the lookahead
        latest = now + max(config.hop, config.lookahead)
        self._deadline = min(max(now, self._deadline) + config.hop, latest)
        return self._deadline

    def close(self) -> None:
        """Let another session in."""
        self._service.leave(self._name)
