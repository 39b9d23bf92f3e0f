"""Speak to the server from a game: say it and forget it. Nothing here ever makes the game wait.

    game thread --say--> Link --worker thread--> DEALER   (connects and retries by itself)
                poll <-- replies <--'

Without a server every call does nothing but remember the newest state and the latest events.

Threads: every method may be called from any thread; none blocks on the network. The worker thread
alone touches the sockets.
"""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import msgspec
import zmq
from zmq.utils.monitor import parse_monitor_message

from diegetic_bridge.link import ClientStats, Link, Phase
from diegetic_bridge.messages import (
    DEFAULT_ENDPOINT,
    MAX_MESSAGE_BYTES,
    VERSION,
    Bye,
    Error,
    Event,
    Frame,
    Hello,
    Origin,
    Parameter,
    ParameterSpec,
    PixelFormat,
    Pong,
    Prompt,
    ServerMessage,
    Switch,
    SwitchSpec,
    Welcome,
    decode_reply,
    encode,
    invalid,
)
from diegetic_bridge.wake import Waker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = bytes | bytearray | memoryview | NDArray[np.uint8]

logger = logging.getLogger(__name__)

_SEND_QUEUE = 16  # what libzmq holds of ours; small, so that a slow server is noticed at once
_REPLIES = 256  # unread replies that `poll` can return; older ones are forgotten
_GOODBYE_MS = 100
_WARNINGS = 64
_FORMATS = {1: "gray8", 3: "rgb24", 4: "rgba8"}
_OPTIONS = {
    zmq.LINGER: 0,
    zmq.IMMEDIATE: 1,  # no queue without a connection: what to send again is ours to say
    zmq.SNDHWM: _SEND_QUEUE,
    zmq.RCVHWM: _REPLIES,
    zmq.MAXMSGSIZE: MAX_MESSAGE_BYTES,
    zmq.RECONNECT_IVL: 100,
    zmq.RECONNECT_IVL_MAX: 2000,
    zmq.HEARTBEAT_IVL: 1000,
    zmq.HEARTBEAT_TIMEOUT: 2500,
}
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED

Message = TypeVar("Message", Prompt, Parameter, Switch, Event, Frame, Hello)


class Client:
    """One engine's connection to the sound server at `endpoint`; closes with `close` or `with`.

    States (prompt, parameters, switches): the newest value counts, and is sent again to a server
    that was restarted. Events arrive exactly once and in order at a server, also over a broken
    connection; one that finds no server within `event_ttl` seconds is given up and counted, as is
    the oldest of more than 1024. (A server that dies between playing an event and acknowledging it
    leaves it to its successor.) Frames: at most one waits, the newest; those it replaces are
    counted.

    Wrong arguments do not raise in the middle of a game: they are logged once and come out of
    `poll` as an `Error`, as do the server's.

    Args:
        endpoint: the server's ZeroMQ address.
        engine: who is speaking, for the server's log.
        parameters, switches, events: what the game is going to say.
        clock: the engine's monotonic time in seconds, at the pace of real time, never below zero.
        event_ttl: seconds that an event may wait for a server.

    Raises:
        ValueError: a declaration is outside its limits, or `endpoint` is no ZeroMQ address.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        engine: str = "python",
        parameters: Sequence[ParameterSpec] = (),
        switches: Sequence[SwitchSpec] = (),
        events: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
        event_ttl: float = 10.0,
    ) -> None:
        instance = uuid.uuid4().hex
        declared = {"parameters": parameters, "switches": switches}
        about = {
            "version": VERSION,
            "time": clock(),
            "engine": engine,
            "instance": instance,
            "events": list(events),
            **{
                name: [msgspec.structs.asdict(spec) for spec in declared[name]] for name in declared
            },
        }
        self._link = Link(msgspec.convert(about, Hello), event_ttl)
        self._endpoint = endpoint
        self._clock = clock
        self._lock = threading.Lock()
        self._replies: deque[ServerMessage] = deque(maxlen=_REPLIES)
        self._warned: set[tuple[str, str]] = set()
        self._told_absent = False
        self._closing = threading.Event()
        self._context = zmq.Context()
        self._dealer = self._context.socket(zmq.DEALER)
        for option, value in _OPTIONS.items():
            self._dealer.setsockopt(option, value)
        self._dealer.setsockopt(zmq.ROUTING_ID, instance.encode())
        self._monitor = self._dealer.get_monitor_socket(_EVENTS)
        self._waker = Waker(self._context)
        try:
            self._dealer.connect(endpoint)
        except zmq.ZMQError as error:
            self._close_sockets(linger=0)
            raise ValueError(f"endpoint: expected a ZeroMQ address, got {endpoint!r}") from error
        self._worker = threading.Thread(
            target=self._run, name="diegetic-bridge-client", daemon=True
        )
        self._worker.start()

    @property
    def stats(self) -> ClientStats:
        """A snapshot of the counters."""
        with self._lock:
            return self._link.stats

    def set_prompt(self, text: str, guidance: float | None = None) -> None:
        """Say what should be heard; "" is silence. `guidance`: how strictly, None leaves it."""
        about = {"text": text, "guidance": guidance, "time": self._clock()}
        self._say(self._checked(Prompt, about))

    def set_parameter(self, name: str, value: float, ramp: float = 0.0) -> None:
        """Move a declared parameter to `value` over `ramp` seconds."""
        about = {"name": name, "value": float(value), "ramp": float(ramp), "time": self._clock()}
        self._say(self._checked(Parameter, about))

    def set_switch(self, name: str, value: str) -> None:
        """Give a switch one of its values."""
        self._say(self._checked(Switch, {"name": name, "value": value, "time": self._clock()}))

    def post_event(self, name: str, gain_db: float = 0.0) -> int:
        """Have something heard once; return its id, which an `Ack` names when it has arrived."""
        with self._lock:
            event = self._link.next_id()
        about = {"id": event, "name": name, "gain_db": float(gain_db), "time": self._clock()}
        self._say(self._checked(Event, about))
        return event

    def push_frame(
        self,
        pixels: "Pixels",
        width: int | None = None,
        height: int | None = None,
        format: PixelFormat | None = None,
        *,
        stride: int = 0,
        origin: Origin = "top",
    ) -> None:
        """Show what the player sees; `pixels` are copied, the caller may go on drawing into them.

        An array of (height, width, channels) or (height, width) uint8 speaks for itself; a flat
        buffer needs `width`, `height` and `format` (rgb24 unless told). `stride`: bytes per row, 0
        if unpadded. 128 x 72 at 10 to 15 Hz is plenty.
        """
        view = memoryview(cast(bytes, pixels))  # typing knows no buffers before Python 3.12
        shape = (view.shape or ()) if view.ndim in (2, 3) else (None, None, 3)
        channels = shape[2] if len(shape) == 3 else 1
        about = {
            "width": shape[1] if width is None else width,
            "height": shape[0] if height is None else height,
            "format": format or _FORMATS.get(channels or 0, f"{channels} channels"),
            "stride": stride,
            "origin": origin,
            "time": self._clock(),
            "pixels": view.tobytes(),
        }
        frame = self._checked(Frame, about)
        if frame is not None:
            with self._lock:
                self._link.show(frame)
            self._waker.ring()

    def poll(self) -> list[ServerMessage]:
        """Return what the server said since the last call: welcomes, acks, errors, status."""
        with self._lock:
            replies = list(self._replies)
            self._replies.clear()
        return replies

    def close(self) -> None:
        """Say goodbye if there is a server, and stop; waits for the network for 0.1 s at most."""
        self._closing.set()
        self._waker.ring()
        if self._worker is not threading.current_thread():
            self._worker.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _checked(self, kind: type[Message], about: dict[str, Any]) -> Message | None:
        """Make a message within its limits, or put the error where `poll` finds it."""
        try:
            return msgspec.convert(about, kind)
        except ValueError as error:
            with self._lock:
                self._link.refuse()
                self._note(invalid(error))
            return None

    def _say(self, message: Prompt | Parameter | Switch | Event | None) -> None:
        if message is not None:
            with self._lock:
                self._link.say(message)
            self._waker.ring()

    def _note(self, reply: ServerMessage) -> None:
        """Keep a reply for `poll`; log an error, once for each thing that can be wrong."""
        self._replies.append(reply)
        if isinstance(reply, Error) and len(self._warned) < _WARNINGS:
            about = (reply.code, reply.field)
            if about not in self._warned:
                self._warned.add(about)
                logger.warning("%s: %s: %s", reply.code, reply.field, reply.message)

    def _run(self) -> None:
        try:
            poller = zmq.Poller()
            poller.register(self._monitor, zmq.POLLIN)
            poller.register(self._waker.receiver, zmq.POLLIN)
            while not self._closing.is_set():
                self._waker.hush()
                self._follow()
                self._read()
                full = self._write()
                poller.register(self._dealer, zmq.POLLIN | (zmq.POLLOUT if full else 0))
                poller.poll(self._patience(full))
            self._goodbye()
        except Exception:
            logger.exception("the bridge's worker failed; the game goes on without sound")
        finally:
            self._close_sockets(linger=_GOODBYE_MS if self._link.phase is Phase.OPEN else 0)

    def _follow(self) -> None:
        """Learn how the transport is doing."""
        while self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            with self._lock:
                was_open = self._link.phase is Phase.OPEN
                if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    self._link.connected(self._clock())
                elif event == zmq.EVENT_DISCONNECTED:
                    self._link.disconnected()
            if event != zmq.EVENT_HANDSHAKE_SUCCEEDED and not self._told_absent:
                self._told_absent = True
                state = "has gone" if was_open else "does not answer"
                logger.warning("the sound server at %s %s; trying on", self._endpoint, state)

    def _read(self) -> None:
        while True:
            try:
                parts = self._dealer.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            reply = decode_reply(parts[0])
            if reply is None:
                continue
            if isinstance(reply, Welcome):
                self._told_absent = False
                logger.info("connected to the sound server at %s", self._endpoint)
            with self._lock:
                self._link.receive(reply, self._clock())
                if not isinstance(reply, Pong):
                    self._note(reply)

    def _write(self) -> bool:
        """Send what there is; return True if the socket took no more."""
        while True:
            with self._lock:
                message = self._link.outgoing(self._clock())
            if message is None:
                return False
            try:
                self._dealer.send(encode(message), zmq.DONTWAIT)
            except zmq.Again:
                return True
            with self._lock:
                self._link.sent(message, self._clock())

    def _patience(self, full: bool) -> int | None:
        """Return how long to sleep in ms; None: until something happens."""
        with self._lock:
            due = self._link.due()
        if full or due is None:
            return None
        return max(0, round((due - self._clock()) * 1000) + 1)

    def _goodbye(self) -> None:
        if self._link.phase is Phase.OPEN and not self._write():
            try:
                self._dealer.send(encode(Bye(self._clock())), zmq.DONTWAIT)
            except zmq.Again:
                logger.debug("no room for a bye; the server will notice")

    def _close_sockets(self, *, linger: int) -> None:
        self._dealer.disable_monitor()
        self._monitor.close(linger=0)
        self._waker.close()
        self._dealer.close(linger=linger)
        self._context.term()
