"""The bridge on one side, a session on the other: what an engine says becomes what is heard.

    engine ==ZeroMQ==> BridgeServer --handler--> Session --> Sink
    engine's clock --offset--> server's clock --play clock--> audio time

One engine at a time. When it leaves, its sound fades out and the next engine may come.
"""

import gc
import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

from diegetic.bank import Ready
from diegetic.config import RATE
from diegetic.errors import DiegeticError, MediaError
from diegetic.interpreter import Interpreter, declare, refusals
from diegetic.prompts import in_words
from diegetic.session import Session
from diegetic.sink import PcmBlock, PcmSink, Sink
from diegetic_bridge.handler import WelcomeInfo
from diegetic_bridge.messages import DEFAULT_ENDPOINT, Hello, Pcm
from diegetic_bridge.security import ServerKeys
from diegetic_bridge.server import BridgeServer
from diegetic_bridge.tape import Recorder, TapeWriter

_HEALTH_INTERVAL = 1.0
_FADE_PATIENCE = 10.0

log = logging.getLogger(__name__)


class ServerStatus(TypedDict):
    """How things are, for one line of text; figures are those of the present or latest engine."""

    playing: bool
    engine: str
    prompt: str
    rtf_p95: float
    knob_to_ear_ms_p50: float
    event_to_ear_ms_p50: float
    buffered_ms: float
    underruns: int
    chunks: int
    frames: int
    prompts: int
    parameters: int
    switches: int
    events: int
    bank_ready: int
    bank_wanted: int
    events_missed: int
    events_late: int
    errors: int
    dropped: int
    strangers: int


class Server:
    """Serve one engine after another on `endpoint`.

    Args:
        endpoint: a ZeroMQ address; port 0 takes a free one.
        make_session: called once per engine, ahead of time; sessions may share networks.
        make_sink: called once per engine that does not play the sound itself; each is started and
            stopped once.
        tape: keeps what the first engine says.
        bank: file of takes that every engine's events start with, if it is there; when an engine
            has left, all that there are then are written to it.
        keys: lets in those engines alone whose keys are listed; needed for other machines.

    Raises:
        DiegeticError: `endpoint` can be reached from other machines, and there are no keys.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        make_session: Callable[[], Session],
        make_sink: Callable[[], Sink],
        bank: Path | None = None,
        tape: TapeWriter | None = None,
        keys: ServerKeys | None = None,
    ) -> None:
        self._desk = _Desk(make_session, make_sink, bank, self._send, self._tell)
        handler = self._desk if tape is None else Recorder(self._desk, tape)
        try:
            self._bridge = BridgeServer(endpoint, handler, keys=keys)
        except ValueError as error:
            raise DiegeticError(str(error)) from error
        self._closing = threading.Event()
        self._health = threading.Thread(target=self._report, name="server-health", daemon=True)

    @property
    def endpoint(self) -> str:
        """Where engines connect to; the true port once started."""
        return self._bridge.endpoint

    @property
    def session(self) -> Session | None:
        """The session of the engine that is here, or was here last."""
        return self._desk.session

    @property
    def sink(self) -> Sink | None:
        """The sink that goes with `session`."""
        return self._desk.sink

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
        session, sink, counts = self._desk.session, self._desk.sink, self._bridge.status
        latest = session.latest_record if session else None
        bank = session.bank.progress().total if session else Ready(0, 0)
        return ServerStatus(
            playing=bool(session and session.playing),
            engine=self._desk.engine,
            prompt=in_words(latest.prompt, latest.blend) if latest else "",
            rtf_p95=session.metrics.rtf().get("p95", 0.0) if session else 0.0,
            knob_to_ear_ms_p50=(
                session.metrics.knob_to_ear_ms().get("p50", 0.0) if session else 0.0
            ),
            event_to_ear_ms_p50=(
                session.metrics.event_to_ear_ms().get("p50", 0.0) if session else 0.0
            ),
            buffered_ms=sink.buffered() / RATE * 1000 if sink else 0.0,
            underruns=sink.underruns if sink else 0,
            chunks=latest.index + 1 if latest else 0,
            frames=counts.frames,
            prompts=counts.prompts,
            parameters=counts.parameters,
            switches=counts.switches,
            events=counts.events,
            bank_ready=bank.ready,
            bank_wanted=bank.wanted,
            events_missed=session.bank.counters.missed if session else 0,
            events_late=sink.mix_counts.late if sink else 0,
            errors=counts.errors,
            dropped=counts.dropped,
            strangers=self._bridge.strangers,
        )

    def _send(self, peer: str, block: PcmBlock) -> None:
        samples = block.samples.astype("<f4", copy=False)
        self._bridge.send_pcm(peer, Pcm(block.number, samples.tobytes()))

    def _report(self) -> None:
        while not self._closing.wait(_HEALTH_INTERVAL):
            self._tell()

    def _tell(self) -> None:
        """Let engines know how the sound is doing."""
        status = self.status()
        self._bridge.send_status(
            rtf=status["rtf_p95"],
            underruns=status["underruns"],
            bank_ready=status["bank_ready"],
            bank_wanted=status["bank_wanted"],
            events_missed=status["events_missed"],
            events_late=status["events_late"],
        )


class _Desk(Interpreter):
    """Receives one engine at a time; the handler that the bridge's receive thread calls."""

    def __init__(
        self,
        make_session: Callable[[], Session],
        make_sink: Callable[[], Sink],
        bank: Path | None,
        send: Callable[[str, PcmBlock], None],
        tell: Callable[[], None],
    ) -> None:
        super().__init__()
        self._make_session = make_session
        self._make_sink = make_sink
        self._bank = bank
        self._send = send
        self._tell = tell
        self._next: Session | None = None
        self._peer: str | None = None
        self._leaving = False
        self._farewell: threading.Thread | None = None
        self.sink: Sink | None = None
        self.engine = ""

    def prepare(self) -> None:
        """Have a session ready, so that an engine need not wait for it."""
        session = self._make_session()
        if self._bank is not None and self._bank.exists():
            session.bank.load(self._bank)
        session.warm_up()
        self._next = session

    def leave(self) -> None:
        """No more sessions."""
        self._leaving = True

    def wait_until_quiet(self) -> None:
        """Wait until the last engine's sound has faded out."""
        if self._farewell is not None:
            self._farewell.join(_FADE_PATIENCE)

    def on_open(self, hello: Hello, peer: str) -> WelcomeInfo:
        if self._peer is not None:
            raise ValueError(
                f"session: expected one engine at a time, {self.engine or 'one'} is here"
            )
        self.wait_until_quiet()
        session, self._next = self._next, None
        if session is None or self._leaving:
            raise ValueError("session: the server is not ready, try again")
        try:
            with refusals("hello"):
                declare(session, hello)
                sink = self._sink_for(hello, peer)
                session.play(sink)
        except ValueError as error:
            log.error("%s", error)
            self.prepare()
            raise
        self.session, self.sink, self.engine, self._peer = session, sink, hello.engine, peer
        self._tell()  # how the former engine's sound did is no news for this one
        live = session.live
        rate = hello.pcm.rate if hello.pcm else RATE
        return WelcomeInfo(rate, live.latency * 1000 if live else 0.0, pcm=hello.pcm is not None)

    def on_close(self, peer: str) -> None:
        self._peer = None
        # Fading takes longer than the receive thread may be kept
        self._farewell = threading.Thread(target=self._see_off, name="farewell")
        self._farewell.start()

    def _sink_for(self, hello: Hello, peer: str) -> Sink:
        """The engine itself, if it wants to play the sound."""
        if hello.pcm is None:
            return self._make_sink()
        send = partial(self._send, peer)
        return PcmSink(send, hello.pcm.rate, frames=hello.pcm.frames)

    def _see_off(self) -> None:
        """Let the sound fade out, keep the bank, then get ready for the next engine."""
        session = self._present()
        try:
            session.stop()
        except Exception:
            log.exception("the session did not end well")
        if self._bank is not None:
            try:
                session.bank.save(self._bank)
            except MediaError as error:
                log.error("the bank is not kept: %s", error)
        if self._leaving:
            return
        try:
            self.prepare()
        except Exception:
            log.exception("no further session can be made")
