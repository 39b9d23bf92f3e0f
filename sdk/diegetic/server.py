"""The bridge on one side, sessions on the other: what engines say becomes what is heard.

    engine ==ZeroMQ==> BridgeServer --Desk--> Session --> Sink
    engine's clock --offset--> server's clock --play clock--> audio time

Normally one engine at a time: when it leaves, its sound fades out and the next one may come. With
more places each engine has a session of its own, and the sound goes back into it.
"""

import gc
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from diegetic.desk import NOBODY, Desk, Places, Seat, SessionStatus, in_one_line
from diegetic.errors import DiegeticError
from diegetic.session import Session
from diegetic.sink import PcmBlock, Sink
from diegetic_bridge.messages import DEFAULT_ENDPOINT, Pcm
from diegetic_bridge.security import ServerKeys
from diegetic_bridge.server import BridgeServer
from diegetic_bridge.tape import Recorder, TapeWriter

_HEALTH_INTERVAL = 1.0
_LOGGED_EVERY = 60  # health intervals

log = logging.getLogger(__name__)


class ServerStatus(SessionStatus):
    """How things are; the sound is that of the present or latest engine, the counts are of all."""

    frames: int
    prompts: int
    parameters: int
    switches: int
    events: int
    errors: int
    dropped: int
    strangers: int


class Server:
    """Serve engines on `endpoint`, one after another or `max_sessions` at a time.

    Args:
        endpoint: a ZeroMQ address; port 0 takes a free one.
        make_session: called once per engine, ahead of time where there is one place; sessions may
            share networks. What it raises as a `DiegeticError` refuses the engine.
        make_sink: called once per engine that does not play the sound itself; each is started and
            stopped once. None refuses such engines.
        let_go: is given each session of `make_session` when its sound is over.
        record: names the WAV file of what an engine hears that plays the sound itself.
        max_sessions: engines at a time.
        tape: keeps what the first engine says.
        bank: file of takes that every engine's events start with, if it is there; when an engine
            has left, all that there are then are written to it.
        keys: lets in those engines alone whose keys are listed; needed for other machines.

    Raises:
        DiegeticError: `endpoint` can be reached from other machines, and there are no keys; or
            `max_sessions` is not 1 or more, or more than 1 and there is a `tape`.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        make_session: Callable[[], Session],
        make_sink: Callable[[], Sink] | None,
        let_go: Callable[[Session], None] = lambda session: None,
        record: Callable[[], Path] | None = None,
        max_sessions: int = 1,
        bank: Path | None = None,
        tape: TapeWriter | None = None,
        keys: ServerKeys | None = None,
    ) -> None:
        if max_sessions < 1:
            raise DiegeticError(f"max_sessions must be at least 1, got {max_sessions}")
        if tape is not None and max_sessions > 1:
            raise DiegeticError(f"max_sessions must be 1 with a tape, got {max_sessions}")
        places = Places(make_session, let_go, make_sink, record, max_sessions, bank)
        self._desk = Desk(places, self._send, self._tell)
        handler = self._desk if tape is None else Recorder(self._desk, tape)
        try:
            self._bridge = BridgeServer(endpoint, handler, keys=keys)
        except ValueError as error:
            raise DiegeticError(str(error)) from error
        self._telling = threading.Lock()
        self._closing = threading.Event()
        self._health = threading.Thread(target=self._report, name="server-health", daemon=True)

    @property
    def endpoint(self) -> str:
        """Where engines connect to; the true port once started."""
        return self._bridge.endpoint

    @property
    def session(self) -> Session | None:
        """The session of the engine that came last, which may have left."""
        return self._desk.session

    @property
    def sink(self) -> Sink | None:
        """The sink that goes with `session`."""
        latest = self._desk.latest
        return latest.sink if latest else None

    def start(self) -> Self:
        """Load the networks, then listen.

        Raises:
            DiegeticError: weights are missing, the bank file is damaged, or the endpoint cannot be
                listened on.
        """
        self._desk.prepare()
        gc.collect()
        gc.freeze()  # networks live as long as the process: no collection need look at them
        try:
            self._bridge.start()
        except OSError as error:
            raise DiegeticError(str(error.strerror or error)) from error
        self._health.start()
        return self

    def close(self) -> None:
        """Let the sound fade out, say goodbye, stop listening."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._desk.leave()
        self._bridge.close()
        self._desk.wait_until_quiet()
        if self._health.is_alive():
            self._health.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def status(self) -> ServerStatus:
        """Return how things are now; any thread may ask."""
        latest, counts = self._desk.latest, self._bridge.status
        return ServerStatus(
            **(latest.status() if latest else NOBODY),
            frames=counts.frames,
            prompts=counts.prompts,
            parameters=counts.parameters,
            switches=counts.switches,
            events=counts.events,
            errors=counts.errors,
            dropped=counts.dropped,
            strangers=self._bridge.strangers,
        )

    def sessions(self) -> list[SessionStatus]:
        """Return how the session of each engine that is here is doing; any thread may ask."""
        return [seat.status() for seat in self._desk.seats]

    def _send(self, peer: str, block: PcmBlock) -> None:
        samples = block.samples.astype("<f4", copy=False)
        self._bridge.send_pcm(peer, Pcm(block.number, samples.tobytes()))

    def _report(self) -> None:
        beats = 0
        while not self._closing.wait(_HEALTH_INTERVAL):
            beats += 1
            for seat in self._desk.seats:
                status = self._tell(seat, self._bridge.heard(seat.peer))
                if beats % _LOGGED_EVERY == 0:
                    log.info("%s", in_one_line(status))

    def _tell(self, seat: Seat, heard: float) -> SessionStatus:
        """Let an engine know how its sound is doing; it had been `heard` up to then before this.

        One that has come back under the same address is told of its new session only.
        """
        status = seat.status()
        with self._telling:
            if seat in self._desk.seats:
                self._bridge.send_status(
                    peer=seat.peer,
                    rtf=status["rtf_p95"],
                    underruns=status["underruns"],
                    bank_ready=status["bank_ready"],
                    bank_wanted=status["bank_wanted"],
                    events_missed=status["events_missed"],
                    events_late=status["events_late"],
                    heard=heard,
                )
        return status
