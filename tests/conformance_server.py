"""The server of the conformance tests: prints its port, "500 events", and when stdin ends its log.

A real `diegetic.server` with real sessions; a tone stands for the generator.
"""

import logging
import sys
import threading
from typing import Any
from unittest.mock import patch

import msgspec
from msgspec.structs import replace

from conformance import PATIENCE, Log
from diegetic import Session
from diegetic.server import Server
from diegetic.sink import PcmSink
from diegetic_bridge import (
    BridgeServer,
    Connection,
    Error,
    Event,
    Frame,
    Handler,
    Hello,
    PopSnapshot,
    PushSnapshot,
    ServerKeys,
    WelcomeInfo,
)
from diegetic_bridge.messages import Said, invalid
from diegetic_bridge.protocol import Reply
from tone_generator import ToneGenerator, plain_conditioner

CUT = 500


class Notes:
    """Stands before a handler and writes down all that it is told."""

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.hellos: list[Hello] = []
        self.events: dict[int, Event] = {}
        self.states: dict[str, Said] = {}
        self.snapshots: set[str] = set()
        self.frame: Frame | None = None
        self.errors: list[Error] = []
        self.closed = threading.Event()

    def __getattr__(self, name: str) -> Any:
        """Write down, then hand on."""

        def hear(message: Said | Frame, at: float) -> None:
            self._note(replace(message, time=0.0))
            try:
                getattr(self.handler, name)(message, at)
            except ValueError as error:
                self.errors.append(invalid(error, "rejected"))
                raise

        return hear

    def on_open(self, hello: Hello, peer: str) -> WelcomeInfo:
        self.closed.clear()
        declared = replace(hello, time=0.0, engine="", instance="", events=hello.event_specs)
        if declared not in self.hellos:
            self.hellos.append(declared)
        assert self.handler is not None
        return self.handler.on_open(hello, peer)

    def on_close(self, peer: str) -> None:
        assert self.handler is not None
        self.handler.on_close(peer)
        self.closed.set()

    def _note(self, message: Said | Frame) -> None:
        match message:
            case Event(id):
                if id not in self.events:  # a session that was lost hears some again
                    self.events[id] = replace(message, id=len(self.events))
                    if len(self.events) == CUT:
                        print(f"{CUT} events", flush=True)
            case Frame():
                self.frame = message
            case PushSnapshot(name):
                self.snapshots.add(name)
            case PopSnapshot(name):
                self.snapshots.discard(name)
            case _:
                kind = str(message.__struct_config__.tag)
                self.states[f"{kind} {getattr(message, 'name', '')}".strip()] = message


def main() -> None:
    notes, reasons = Notes(), Reasons()
    logging.getLogger("diegetic_bridge.receiver").addHandler(reasons)
    logging.getLogger("diegetic_bridge.receiver").setLevel(logging.INFO)

    def noted(endpoint: str, handler: Handler, keys: ServerKeys | None) -> BridgeServer:
        notes.handler = handler
        return BridgeServer(endpoint, notes, keys=keys)

    def bad(connection: Connection, error: Error) -> Reply:
        if error.code != "no-hello":
            notes.errors.append(error)
        return answer(connection, error)

    answer = Connection.bad

    with (
        patch("diegetic.server.BridgeServer", noted),
        patch.object(Connection, "bad", bad),
        Server("tcp://127.0.0.1:0", make_session=make_session, make_sink=no_device) as server,
    ):
        print(server.endpoint.rpartition(":")[2], flush=True)
        sys.stdin.read()
        notes.closed.wait(PATIENCE)
    log = Log(
        hellos=notes.hellos,
        events=list(notes.events.values()),
        states=dict(sorted(notes.states.items())),
        snapshots=sorted(notes.snapshots),
        frame=notes.frame,
        errors=notes.errors,
        bye=reasons.said[-1:] == ["session closed: the engine said bye"],
    )
    sys.stdout.write(msgspec.json.encode(log).decode())


class Reasons(logging.Handler):
    """Why sessions were closed: of this the bridge tells its log alone."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("session closed"):
            self.said.append(record.getMessage())


def make_session() -> Session:
    generator = ToneGenerator()
    return Session(generator=generator, conditioner=plain_conditioner)  # type: ignore[arg-type]


def no_device() -> PcmSink:
    raise AssertionError("the sound goes to the engine")


if __name__ == "__main__":
    main()
