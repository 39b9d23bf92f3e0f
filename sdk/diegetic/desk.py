"""Where engines are let in and seen off: a session and a sink for each.

    hello ──on_open──> room? session ── declare ── play ──> Seat     or: refused, and why
    bye   ──on_close─> fade out ── keep the bank ── let the session go

Where there is one place, its session is made ahead, and its networks are warmed up before anybody
comes. Where there are many, the engine that sessions share is warm, and making one is quick: the
receive thread must not keep the other engines waiting.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict

from diegetic.bank import files
from diegetic.config import RATE
from diegetic.cues import Fates
from diegetic.errors import DiegeticError
from diegetic.interpreter import Interpreter, declare, refusals
from diegetic.prompts import in_words
from diegetic.session import Session
from diegetic.sink import PcmBlock, PcmSink, Sink
from diegetic_bridge.handler import WelcomeInfo
from diegetic_bridge.messages import Hello

FADE_PATIENCE = 10.0
NEWEST = 1024
"""Chunks that figures of a running session are taken from: the newest minutes."""

log = logging.getLogger(__name__)


class SessionStatus(TypedDict):
    """How one engine's sound is doing; of times those of the newest chunks.

    `fates` counts each event that was posted once, by what became of it, as `cues.Fates` has it.
    """

    playing: bool
    engine: str
    prompt: str
    rtf_p95: float
    chunk_ms_p99: float
    stages_ms_p99: dict[str, float]
    knob_to_ear_ms_p50: float
    event_to_ear_ms_p50: float
    buffered_ms: float
    underruns: int
    chunks: int
    bank_ready: int
    bank_wanted: int
    events_missed: int
    events_late: int
    fates: dict[str, int]
    voices_stolen: int
    voices_refused: int


NOBODY = SessionStatus(
    playing=False,
    engine="",
    prompt="",
    rtf_p95=0.0,
    chunk_ms_p99=0.0,
    stages_ms_p99={},
    knob_to_ear_ms_p50=0.0,
    event_to_ear_ms_p50=0.0,
    buffered_ms=0.0,
    underruns=0,
    chunks=0,
    bank_ready=0,
    bank_wanted=0,
    events_missed=0,
    events_late=0,
    fates=asdict(Fates()),
    voices_stolen=0,
    voices_refused=0,
)


@dataclass(frozen=True, eq=False)
class Seat:
    """One engine's place; `peer` is its address in the bridge."""

    session: Session
    sink: Sink
    engine: str
    peer: str

    def status(self) -> SessionStatus:
        """How it is doing now; any thread may ask."""
        session, sink, metrics = self.session, self.sink, self.session.metrics
        latest, bank = session.latest_record, session.bank.progress().total
        stages, mixed = metrics.stages_ms(NEWEST), sink.mix_counts
        return SessionStatus(
            playing=session.playing,
            engine=self.engine,
            prompt=in_words(latest.prompt, latest.blend) if latest else "",
            rtf_p95=metrics.rtf(NEWEST).get("p95", 0.0),
            chunk_ms_p99=metrics.chunk_ms(NEWEST).get("p99", 0.0),
            stages_ms_p99={stage: found["p99"] for stage, found in stages.items()},
            knob_to_ear_ms_p50=metrics.knob_to_ear_ms(NEWEST).get("p50", 0.0),
            event_to_ear_ms_p50=metrics.event_to_ear_ms(NEWEST).get("p50", 0.0),
            buffered_ms=sink.buffered() / RATE * 1000,
            underruns=sink.underruns,
            chunks=latest.index + 1 if latest else 0,
            bank_ready=bank.ready,
            bank_wanted=bank.wanted,
            events_missed=session.bank.counters.missed,
            events_late=mixed.late,
            fates=asdict(session.fates),
            voices_stolen=mixed.stolen,
            voices_refused=mixed.refused,
        )


@dataclass(frozen=True)
class Places:
    """Where sessions come from and go to.

    Attributes:
        make: a new session; may refuse with a `DiegeticError`.
        let_go: is given every session that `make` made, when its sound is over.
        make_sink: for an engine that does not take the sound itself; None refuses such engines.
        record: names the WAV file of what an engine hears that takes the sound itself.
        most: engines at a time.
        bank: file of takes to begin with and to keep.
    """

    make: Callable[[], Session]
    let_go: Callable[[Session], None]
    make_sink: Callable[[], Sink] | None
    record: Callable[[], Path] | None
    most: int
    bank: Path | None


class Desk(Interpreter):
    """The handler that the bridge's receive thread calls.

    Where there is one place it listens itself, and `session` is that of the engine that is here, or
    was last; where there are more, each session has an ear of its own.
    """

    def __init__(
        self,
        places: Places,
        send: Callable[[str, PcmBlock], None],
        tell: Callable[[Seat, float], object],
    ) -> None:
        super().__init__()
        self._places = places
        self._send = send
        self._tell = tell
        self._next: Session | None = None
        self._seats: dict[str, Seat] = {}
        self._leaving = False
        self._farewells: list[threading.Thread] = []
        self._bank_file = threading.Lock()
        self.latest: Seat | None = None

    @property
    def seats(self) -> list[Seat]:
        """Those that are taken; any thread may ask."""
        return list(self._seats.values())

    def prepare(self) -> None:
        """Be ready for engines; see whether the bank can be read.

        Raises:
            DiegeticError: it cannot, or a session cannot be made.
        """
        bank = self._places.bank
        if self._places.most == 1:
            self._make_next()
        elif bank is not None and bank.exists():
            files.load(bank)

    def _make_next(self) -> None:
        """Have a session ready where one plays at a time, so that an engine need not wait."""
        if self._places.most > 1:
            return
        bank = self._places.bank
        session = self._places.make()
        if bank is not None and bank.exists():
            session.bank.load(bank)
        session.warm_up()
        self._next = session

    def leave(self) -> None:
        """No more sessions."""
        self._leaving = True

    def wait_until_quiet(self) -> None:
        """Wait until the sound of those who have left has faded out."""
        for farewell in self._farewells:
            farewell.join(FADE_PATIENCE)
        self._farewells = [farewell for farewell in self._farewells if farewell.is_alive()]

    def on_open(self, hello: Hello, peer: str) -> WelcomeInfo:
        if hello.pcm is None and self._places.make_sink is None:
            raise ValueError(
                "pcm: expected an engine that takes the sound itself, since this server plays for "
                f"up to {self._places.most} and has no device for each, got nil"
            )
        session = self._take()
        try:
            with refusals("hello"):
                declare(session, hello)
                sink = self._sink_for(hello, peer)
                session.play(sink)
        except Exception as error:
            log.error("%s", error)
            self._places.let_go(session)
            self._make_next()
            raise
        seat = Seat(session, sink, hello.engine, peer)
        self._seats[peer] = self.latest = seat
        self.session = session
        # How the former engine's sound did is no news for this one
        self._tell(seat, hello.time)
        ear = None
        if self._places.most > 1:
            ear = Interpreter(session)
            self._load_bank(session)
        live = session.live
        rate = hello.pcm.rate if hello.pcm else RATE
        latency_ms = live.latency * 1000 if live else 0.0
        return WelcomeInfo(rate, latency_ms, pcm=hello.pcm is not None, ear=ear)

    def on_close(self, peer: str) -> None:
        seat = self._seats.pop(peer)
        # Fading takes longer than the receive thread may be kept
        farewell = threading.Thread(target=self._see_off, args=(seat,), name="farewell")
        self._farewells = [f for f in self._farewells if f.is_alive()] + [farewell]
        farewell.start()

    def _take(self) -> Session:
        """A session for the engine that has come.

        Raises:
            ValueError: there is none for it, and why.
        """
        most = self._places.most
        if len(self._seats) >= most:
            if most > 1:
                raise ValueError(
                    f"session: no room for another engine: all {most} places are taken"
                )
            [seat] = self.seats
            raise ValueError(
                f"session: expected one engine at a time, {seat.engine or 'one'} is here"
            )
        session: Session | None = None
        if most == 1:
            self.wait_until_quiet()
            session, self._next = self._next, None
        elif not self._leaving:
            with refusals("session"):
                session = self._places.make()
        if session is None or self._leaving:
            raise ValueError("session: the server is not ready, try again")
        return session

    def _sink_for(self, hello: Hello, peer: str) -> Sink:
        """The engine itself, if it wants to play the sound."""
        if hello.pcm is not None:
            record = self._places.record() if self._places.record else None
            send = partial(self._send, peer)
            return PcmSink(send, hello.pcm.rate, frames=hello.pcm.frames, record=record)
        assert self._places.make_sink is not None  # else the engine was refused
        return self._places.make_sink()

    def _see_off(self, seat: Seat) -> None:
        """Let the sound fade out, keep the bank, then get ready for the next engine."""
        session = seat.session
        try:
            session.stop()
        except Exception:
            log.exception("the session did not end well")
        finally:
            self._places.let_go(session)
        log.info("has left: %s", in_one_line(seat.status()))
        self._save_bank(session)
        if self._leaving:
            return
        try:
            self._make_next()
        except Exception:
            log.exception("no further session can be made")

    def _load_bank(self, session: Session) -> None:
        """Let a session that plays have the takes that are kept, while it plays."""
        bank = self._places.bank
        if bank is None or not bank.exists():
            return

        def load() -> None:
            with self._bank_file:
                try:
                    session.bank.load(bank)
                except Exception:
                    log.exception("the bank cannot be used")

        threading.Thread(target=load, name="bank", daemon=True).start()

    def _save_bank(self, session: Session) -> None:
        bank = self._places.bank
        if bank is None:
            return
        with self._bank_file:
            try:
                if self._places.most > 1 and bank.exists():  # another engine may have kept some
                    session.bank.load(bank)
                session.bank.save(bank)
            except DiegeticError as error:
                log.error("the bank is not kept: %s", error)


def in_one_line(status: SessionStatus) -> str:
    """The figures of one session, for a log."""
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in status["stages_ms_p99"].items())
    fates = ", ".join(f"{name} {count}" for name, count in status["fates"].items())
    return (
        f"{status['engine'] or 'an engine'}: {status['chunks']} chunks, "
        f"{status['underruns']} underruns, RTF p95 {status['rtf_p95']:.2f}, "
        f"knob to ear p50 {status['knob_to_ear_ms_p50']:.0f} ms, "
        f"chunk p99 {status['chunk_ms_p99']:.1f} ms ({stages}), "
        f"{sum(status['fates'].values())} events ({fates}), "
        f"voices: {status['voices_stolen']} gave way, {status['voices_refused']} refused"
    )
