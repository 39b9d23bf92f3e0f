"""What the receive thread knows: open connections, waiting frames, who is out of reach."""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict

import zmq
from msgspec.structs import replace

from diegetic_bridge.handler import Ear, Handler, deliver
from diegetic_bridge.messages import (
    Error,
    Frame,
    Hello,
    Pcm,
    ServerMessage,
    Status,
    encode,
    invalid,
)
from diegetic_bridge.protocol import (
    Close,
    Connection,
    Counts,
    Deliver,
    Effect,
    Health,
    Open,
    Reply,
)

logger = logging.getLogger(__name__)

_DRAIN_SECONDS = 0.01  # a flood must not keep frames, replies and sound waiting
_MAX_SESSIONS = 256
_INTERNAL = Error("internal", "message", "the server failed on this; its log says why")


class Receiver:
    """Take what a ROUTER socket has, run it through each peer's connection, tell the handler."""

    def __init__(
        self,
        router: "zmq.Socket[bytes]",
        handler: Handler,
        clock: Callable[[], float],
        timeout: float,
        counts: Counts,
    ) -> None:
        self._router = router
        self._handler = handler
        self._clock = clock
        self._grace = timeout / 2
        self._counts = counts
        self._open: dict[bytes, Connection] = {}
        self._ears: dict[bytes, Ear] = {}
        self._frames: dict[bytes, Deliver] = {}
        self._unreachable: dict[bytes, float] = {}

    def drain(self) -> None:
        """Read what has come; hand on everything but frames at once, then the newest frames.

        Peers take turns; what is left of a flood waits for the next call.
        """
        until = self._clock() + _DRAIN_SECONDS
        while True:
            try:
                peer, data = self._receive()
            except zmq.Again:
                break
            self._take(peer, data)
            if self._clock() >= until:
                break
        for peer in list(self._frames):
            self._show(peer)
        for peer, connection in self._open.items():
            while (ack := connection.acks()) is not None and self._send(peer, ack):
                connection.acknowledged(ack)

    @property
    def peers(self) -> set[bytes]:
        """Who has a session."""
        return set(self._open)

    def heard(self, peer: bytes) -> float:
        """Return the engine time of the newest hello or ping of `peer`; 0 without a session."""
        connection = self._open.get(peer)
        return connection.heard if connection is not None else 0.0

    def probe(
        self, status: Status, now: float, healths: Mapping[bytes, Health] | None = None
    ) -> None:
        """Send `status` to everyone, with what is in `healths` of the peer's own session.

        The sessions of those who have been away too long are closed.
        """
        own = {} if healths is None else healths
        for peer in list(self._open):
            self._send(peer, replace(status, **asdict(own[peer])) if peer in own else status)
            if now - self._unreachable.get(peer, now) >= self._grace:
                self._end(peer, "the engine has vanished")

    def pass_on(self, peer: bytes, block: Pcm) -> None:
        """Send a piece of sound; one that finds no room is lost, and counted as unsent."""
        if peer in self._open:
            self._send(peer, block)

    def close_all(self) -> None:
        """End every session."""
        for peer in list(self._open):
            self._end(peer, "the server closes")

    def _receive(self) -> tuple[bytes, bytes | Error]:
        """Return one message and its sender, or what is wrong with it.

        Raises:
            zmq.Again: there is none.
        """
        peer = self._router.recv(zmq.DONTWAIT)
        parts = 0
        data = b""
        while self._router.getsockopt(zmq.RCVMORE):
            part = self._router.recv(zmq.DONTWAIT)
            parts += 1
            data = part if parts == 1 else b""  # more parts than one are read and forgotten
        if parts == 1:
            return peer, data
        return peer, Error("malformed", "message", f"expected one part, got {parts}")

    def _take(self, peer: bytes, data: bytes | Error) -> None:
        # Who has not said hello leaves nothing behind: made-up ids cost no memory.
        connection = self._open.get(peer) or Connection(self._counts)
        if self._unreachable:
            self._unreachable.pop(peer, None)
        if isinstance(data, Error):
            self._send(peer, connection.bad(data).message)
            return
        for effect in connection.receive(data, self._clock()):
            self._apply(peer, connection, effect)

    def _apply(self, peer: bytes, connection: Connection, effect: Effect) -> None:
        match effect:
            case Deliver():
                if not isinstance(effect.message, Frame):
                    self._deliver(peer, effect)
                    return
                if peer in self._frames:
                    self._counts.frames_conflated += 1
                self._frames[peer] = effect
            case Reply(message):
                self._send(peer, message)
            case Open(hello):
                self._welcome(peer, connection, hello)
            case Close(reason):
                self._end(peer, reason)

    def _welcome(self, peer: bytes, connection: Connection, hello: Hello) -> None:
        try:
            if len(self._open) >= _MAX_SESSIONS:
                raise ValueError(f"session: expected at most {_MAX_SESSIONS}, got one more")
            info = self._handler.on_open(hello, peer.hex())
        except ValueError as error:
            self._send(peer, connection.refuse(invalid(error, "refused")).message)
        except Exception:
            logger.exception("the handler failed to open a session for %s", hello.engine)
            self._send(peer, connection.refuse(_INTERNAL).message)
        else:
            self._open[peer] = connection
            self._ears[peer] = info.ear or self._handler
            logger.info("session opened for %s", hello.engine or "an engine")
            welcome = connection.accept(uuid.uuid4().hex, info.rate, info.latency_ms, info.pcm)
            self._send(peer, welcome.message)

    def _deliver(self, peer: bytes, effect: Deliver) -> None:
        try:
            deliver(self._ears[peer], effect.message, effect.at)
        except ValueError as error:
            self._counts.errors += 1
            self._send(peer, invalid(error, "rejected"))
        except Exception:
            logger.exception("the handler failed on %s", type(effect.message).__name__)
            self._counts.errors += 1
            self._send(peer, _INTERNAL)

    def _show(self, peer: bytes) -> None:
        frame = self._frames.pop(peer, None)
        if frame is not None:
            self._deliver(peer, frame)

    def _end(self, peer: bytes, reason: str) -> None:
        self._show(peer)
        connection = self._open.pop(peer)
        del self._ears[peer]
        connection.close()
        self._unreachable.pop(peer, None)
        logger.info("session closed: %s", reason)
        try:
            self._handler.on_close(peer.hex())
        except Exception:
            logger.exception("the handler failed to close a session")

    def _send(self, peer: bytes, message: ServerMessage) -> bool:
        try:
            self._router.send_multipart([peer, encode(message)], zmq.DONTWAIT)
        except zmq.Again:
            self._counts.unsent += 1
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            if peer in self._open:
                self._unreachable.setdefault(peer, time.monotonic())
            return False
        self._unreachable.pop(peer, None)
        return True
