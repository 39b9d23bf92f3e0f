"""Sessions that share an engine, each with a generator of its own, each in its own thread.

    session a  generate ──┐                                     ┌──> chunk, state
    session b  generate ──┼──> Batcher ──> SlotEngine.step ──┼──> chunk, state
    session c  resting    │    earliest deadline first          │
                               one thread

A session that keeps pace wants a chunk a hop after the one before; that is its deadline.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Self, cast

from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.generator import GeneratorState
from diegetic.networks import FloatArray
from diegetic.slots.batcher import Batcher, Costs
from diegetic.slots.engine import Made, SlotEngine, SlotState, Work
from diegetic.snapshot import Conditioning


@dataclass(frozen=True, eq=False)
class _Request:
    work: Work
    answer: "Future[Made]"


class SlotService:
    """Steps `engine` for all sessions that are let in, from `with` on.

    `join` and what it returns may be used by any thread.
    """

    def __init__(self, engine: SlotEngine, clock: Callable[[], float] = time.monotonic) -> None:
        self.engine = engine
        self._clock = clock
        self._costs = Costs(engine.costs)
        self._batcher = Batcher(self._costs, engine.sessions)
        self._requests: dict[str, _Request] = {}
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

    def join(self, nfe: int | None = None) -> "SlotGenerator":
        """Let a session in.

        Raises:
            AdmissionError: it would make chunks late, or there is no slot.
            DiegeticError: `nfe` was not prepared.
        """
        count = self.engine.nfe if nfe is None else nfe
        with self._changed:
            name = str(self._joined)
            self._batcher.join(name, nfe=count, hop=self.engine.config.hop)
            self._joined += 1
        return SlotGenerator(self, name, count)

    def leave(self, name: str) -> None:
        """Let a session go."""
        with self._changed:
            self._batcher.leave(name)
            request = self._requests.pop(name, None)
        if request is not None:
            request.answer.set_exception(DiegeticError("the session has left the engine"))

    def make(self, name: str, work: Work, deadline: float) -> Made:
        """Return the next chunk of session `name` when it is made.

        Raises:
            DiegeticError: as `SlotEngine.step`, or the service is over.
        """
        self.engine.check(work)
        request = _Request(work, Future())
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

    def _serve(self, requests: list[_Request]) -> None:
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
        nfe = requests[0].work.nfe or self.engine.nfe
        with self._changed:
            rows = self._costs.rows(nfe, len(requests))
            self._costs.add(nfe, rows, self._clock() - start)
        for request, result in zip(requests, made, strict=True):
            request.answer.set_result(result)


class SlotGenerator:
    """One session's `diegetic.generator.Generator` on a shared engine; leave it with `close`.

    Whoever holds its states only hands them back, so they are of the engine's own kind.
    """

    def __init__(self, service: SlotService, name: str, nfe: int) -> None:
        self.nfe = nfe
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
        if not isinstance(cast(object, state), SlotState):
            raise DiegeticError(f"state must be one of this engine's, got {type(state).__name__}")
        self._deadline = max(self._service.now(), self._deadline) + self.config.hop
        work = Work(cast(SlotState, state), conditioning, self.nfe)
        made = self._service.make(self._name, work, self._deadline)
        return made.chunk, cast(GeneratorState, made.state)

    def close(self) -> None:
        """Let another session in."""
        self._service.leave(self._name)
