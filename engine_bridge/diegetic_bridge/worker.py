"""The client's thread: it carries what a Link has to say to the server, and the answers back.

    Link --outgoing--> DEALER   (connects and retries by itself)
         <--receive--`

Whom the game's thread wakes may take its core away, and on a machine whose cores are all busy it is
milliseconds until it has one again. So it wakes nobody while there is no session, and nobody who is
awake: as long as the game talks, this thread looks by itself, every `_PACE` seconds.

    game    say             say     say           say                      say
             `rings                                                         `rings
    worker    send . . send . . . send . send . . . . . . (for _STAY s) . zz send . .
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import cast

import zmq
from zmq.utils.monitor import parse_monitor_message

from diegetic_bridge.link import Link, Phase
from diegetic_bridge.messages import (
    MAX_MESSAGE_BYTES,
    Bye,
    ClientMessage,
    Hello,
    Pcm,
    Ping,
    Pong,
    ServerMessage,
    Welcome,
    decode_reply,
    encode,
)
from diegetic_bridge.security import ClientKeys
from diegetic_bridge.wake import Waker

logger = logging.getLogger(__name__)

REPLIES = 256  # unread replies that are kept; older ones are forgotten

_SEND_QUEUE = 16  # what libzmq holds of ours; small, so that a slow server is noticed at once
_GOODBYE_MS = 100
_PACE = 0.003  # s of rest: what is said meanwhile goes together
_STAY = 0.1  # s after the game's last word for which it need not wake us
_TIDY = 0.25  # s between two looks, without a session, at which events are to be given up
_OPTIONS = {
    zmq.LINGER: 0,
    zmq.IMMEDIATE: 1,  # no queue without a connection: what to send again is ours to say
    zmq.SNDHWM: _SEND_QUEUE,
    zmq.RCVHWM: REPLIES,
    zmq.MAXMSGSIZE: MAX_MESSAGE_BYTES,
    zmq.RECONNECT_IVL: 100,
    zmq.RECONNECT_IVL_MAX: 250,  # a knock costs nothing, a server that is back is wanted at once
    zmq.HEARTBEAT_IVL: 1000,
    zmq.HEARTBEAT_TIMEOUT: 2500,
}
_REFUSALS: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "does not have this client's key on its list",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "has keys and this client none, or the other way round",
}
_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CONNECT_RETRIED
)
_KNOCK_AGAIN = 2.0  # s after a refusal: libzmq itself would never try again


class Worker:
    """Runs `link` over a socket that is connected to `endpoint`, from now until `close`.

    Threads: `ring` and `close` may be called from any thread. The worker's own thread alone touches
    the sockets; it holds `lock` whenever it touches `link`, and while it calls `note`.

    Args:
        link: what is to be sent; others may touch it under `lock`.
        lock: held for microseconds at a time.
        endpoint: the server's ZeroMQ address.
        identity: the routing id of this run.
        clock: the engine's time in seconds.
        note: is given each reply except pongs and sound.
        keys: those that the server wants.

    Raises:
        ValueError: `endpoint` is no ZeroMQ address.
    """

    def __init__(
        self,
        link: Link,
        lock: threading.Lock,
        *,
        endpoint: str,
        identity: str,
        clock: Callable[[], float],
        note: Callable[[ServerMessage], None],
        keys: ClientKeys | None = None,
    ) -> None:
        self._link = link
        self._lock = lock
        self._endpoint = endpoint
        self._clock = clock
        self._note = note
        self._told: set[str] = set()  # of what there is to say while no session is open
        self._knock_at: float | None = None  # on the monotonic clock
        self._talk_ends = 0.0  # on the monotonic clock: the game need not ring before that
        self._silence = "does not answer" + (", or has another key" if keys else "")
        self._closing = threading.Event()
        self._context = zmq.Context()
        self._dealer = self._context.socket(zmq.DEALER)
        for option, value in _OPTIONS.items():
            self._dealer.setsockopt(option, value)
        self._dealer.setsockopt(zmq.ROUTING_ID, identity.encode())
        if keys is not None:
            self._dealer.setsockopt(zmq.CURVE_SERVERKEY, keys.server.encode())
            self._dealer.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode())
            self._dealer.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
        self._monitor = self._dealer.get_monitor_socket(_EVENTS)
        self._waker = Waker(self._context)
        try:
            self._dealer.connect(endpoint)
        except zmq.ZMQError as error:
            self._close_sockets(linger=0)
            raise ValueError(f"endpoint: expected a ZeroMQ address, got {endpoint!r}") from error
        self._thread = threading.Thread(
            target=self._run, name="diegetic-bridge-client", daemon=True
        )
        self._thread.start()

    def ring(self) -> None:
        """Have the worker see what `link` has to send now; without a session it has nothing."""
        # No lock: a session that opens meanwhile finds what is said already
        if self._link.phase is Phase.OPEN:
            self._waker.ring()

    def close(self) -> None:
        """Say goodbye if there is a server, and stop; waits for the network for 0.1 s at most."""
        self._closing.set()
        self._waker.ring()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            poller = zmq.Poller()
            poller.register(self._monitor, zmq.POLLIN)
            poller.register(self._waker.receiver, zmq.POLLIN)
            while not self._closing.is_set():
                looks = self._looks_by_itself
                if not looks:
                    self._waker.hush()
                self._follow()
                self._knock_again()
                self._read()
                full = self._write()
                if not full:
                    time.sleep(_PACE)
                elif looks:
                    self._dealer.poll(round(1000 * _PACE), zmq.POLLOUT)
                if not looks:
                    poller.register(self._dealer, zmq.POLLIN | (zmq.POLLOUT if full else 0))
                    poller.poll(self._patience(full))
            self._goodbye()
        except Exception:
            logger.exception("the bridge's worker failed; the game goes on without sound")
        finally:
            self._close_sockets(linger=_GOODBYE_MS if self._link.may_be_known else 0)

    @property
    def _looks_by_itself(self) -> bool:
        """Whether the game talks, and its bell stays rung."""
        return self._link.phase is Phase.OPEN and time.monotonic() < self._talk_ends

    def _follow(self) -> None:
        """Learn how the transport is doing."""
        while cast(int, self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            with self._lock:
                was_open = self._link.phase is Phase.OPEN
                if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    self._link.connected(self._clock())
                elif event == zmq.EVENT_DISCONNECTED:
                    self._link.disconnected()
            if event in _REFUSALS:
                self._knock_at = time.monotonic() + _KNOCK_AGAIN
            if event != zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._tell(_REFUSALS.get(event, "has gone" if was_open else self._silence))

    def _tell(self, state: str) -> None:
        """Log once that there is no server, and once why it refuses us."""
        if not self._told or (state in _REFUSALS.values() and state not in self._told):
            logger.warning("the sound server at %s %s; trying on", self._endpoint, state)
            self._told.add(state)

    def _knock_again(self) -> None:
        """Connect anew to a server that has refused us: it may be another one by now."""
        if self._knock_at is not None and time.monotonic() >= self._knock_at:
            self._knock_at = None
            self._dealer.disconnect(self._endpoint)
            self._dealer.connect(self._endpoint)

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
                self._told.clear()
                logger.info("connected to the sound server at %s", self._endpoint)
            with self._lock:
                self._link.receive(reply, self._clock())
                if not isinstance(reply, Pong | Pcm):
                    self._note(reply)

    def _write(self) -> bool:
        """Send what there is; return True if the socket took no more."""
        sent: ClientMessage | None = None
        while True:
            with self._lock:
                now = self._clock()
                if sent is not None:
                    self._link.sent(sent, now)
                message = self._link.outgoing(now)
            if message is None:
                return False
            try:
                self._dealer.send(encode(message), zmq.DONTWAIT)
            except zmq.Again:
                return True
            sent = message
            if not isinstance(message, Hello | Ping):
                self._talk_ends = time.monotonic() + _STAY

    def _patience(self, full: bool) -> int | None:
        """Return how long to sleep in ms; None: until something happens."""
        with self._lock:
            due, is_open = self._link.due(), self._link.phase is Phase.OPEN
        rest = math.inf
        if self._knock_at is not None:  # there is no connection: nothing else is due
            rest = self._knock_at - time.monotonic()
        elif due is not None and not full:
            rest = due - self._clock()
        if not is_open:  # nobody rings
            rest = min(rest, _TIDY)
        return None if rest == math.inf else max(0, round(rest * 1000) + 1)

    def _goodbye(self) -> None:
        if self._link.may_be_known and not (self._link.phase is Phase.OPEN and self._write()):
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
