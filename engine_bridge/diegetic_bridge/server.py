"""Listen to engines: a ROUTER socket, one receive thread, and a handler that is told what happens.

    ROUTER --drain--> Connection --all, in order--> handler   prompts, parameters, switches, events
                          `-------newest per drain--> handler   frames

Neither a high-water mark nor CONFLATE gives fresh frames and whole events (buffers of the kernel
hold a hundred small frames); draining the socket before a frame is handed on does.

Threads: `start`, `close`, `send_status`, `heard`, `status` and `endpoint` may be used from any
thread. The handler is called from the receive thread only.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import zmq

from diegetic_bridge.door import Door
from diegetic_bridge.handler import Handler
from diegetic_bridge.messages import MAX_PART_BYTES, Pcm, Status
from diegetic_bridge.protocol import Counts, Health
from diegetic_bridge.receiver import Receiver
from diegetic_bridge.security import ServerKeys, require_keys
from diegetic_bridge.wake import Waker

logger = logging.getLogger(__name__)

_RECEIVE_QUEUE = 64  # messages per peer in our memory; the rest waits in the engine
_SEND_QUEUE = 256
_PCM_QUEUE = 256  # pieces of sound that wait for the receive thread, of one engine
_LINGER_MS = 100  # the last acknowledgements: without them their events would come again
_JOIN_SECONDS = 5.0
_HANDSHAKE_MS = 10_000  # a connection that has not greeted by then is cut


class BridgeServer:
    """Serve engines on `endpoint` (a ZeroMQ address; port 0 picks a free one) until closed.

    A client that vanishes without a bye keeps its session for about `timeout` seconds, so that it
    can come back over a broken connection. A game that hangs while its process lives is not cut
    off.

    Args:
        endpoint: where to listen, normally "tcp://127.0.0.1:7776".
        handler: is told what engines say.
        clock: monotonic seconds; the handler's `at` is on this clock.
        timeout: seconds after which a vanished client's session closes.
        keys: let in those alone whose keys are listed; other machines are served only with it.

    Raises:
        ValueError: `endpoint` can be reached from other machines, and there are no keys.
    """

    def __init__(
        self,
        endpoint: str,
        handler: Handler,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = 5.0,
        keys: ServerKeys | None = None,
    ) -> None:
        require_keys(endpoint, keys)
        self._requested = endpoint
        self._handler = handler
        self._clock = clock
        self._timeout = timeout
        self._keys = keys
        self._door: Door | None = None
        self._counts = Counts()
        self._health = Health()
        self._healths: dict[bytes, Health] = {}
        self._pcm: dict[bytes, deque[Pcm]] = {}
        self._status_due = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._receiver: Receiver | None = None
        self._endpoint = endpoint

    @property
    def endpoint(self) -> str:
        """The address that engines connect to, with the true port once started."""
        return self._endpoint

    @property
    def status(self) -> Status:
        """What was received and answered since the server was made."""
        return self._counts.status(self._health)

    @property
    def strangers(self) -> int:
        """Connections that ended before they had shown a listed key; 0 without keys."""
        return self._door.strangers if self._door else 0

    def start(self) -> Self:
        """Listen from now on.

        Raises:
            OSError: the endpoint is in use or is no address of this machine.
            RuntimeError: the server has been started before.
        """
        if self._thread is not None:
            raise RuntimeError("a BridgeServer starts once; make another")
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        for option, value in {
            zmq.ROUTER_MANDATORY: 1,  # an unreachable peer is an error, not a silent drop
            zmq.ROUTER_HANDOVER: 1,  # an engine that comes back under its old id is heard
            zmq.MAXMSGSIZE: MAX_PART_BYTES,
            zmq.RCVHWM: _RECEIVE_QUEUE,
            zmq.SNDHWM: _SEND_QUEUE,
            zmq.LINGER: 0,
            zmq.HANDSHAKE_IVL: _HANDSHAKE_MS,
            zmq.HEARTBEAT_IVL: round(self._timeout * 200),
            zmq.HEARTBEAT_TIMEOUT: round(self._timeout * 500),
        }.items():
            self._router.setsockopt(option, value)
        if self._keys is not None:
            self._door = Door(self._context, self._router, self._keys)
        try:
            self._router.bind(self._requested)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            reason = f"cannot listen on {self._requested}: {zmq.strerror(error.errno or 0)}"
            raise OSError(error.errno, reason) from error
        self._endpoint = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._waker = Waker(self._context)
        receiver = Receiver(self._router, self._handler, self._clock, self._timeout, self._counts)
        self._receiver = receiver
        self._thread = threading.Thread(
            target=self._run, args=(receiver,), name="diegetic-bridge-server", daemon=True
        )
        self._thread.start()
        return self

    def heard(self, peer: str) -> float:
        """Return the engine time of the newest hello or ping of `peer`; any thread may ask.

        Figures that are taken after this is asked know of all that the engine said before it.
        """
        return self._receiver.heard(bytes.fromhex(peer)) if self._receiver else 0.0

    def send_status(
        self,
        *,
        peer: str | None = None,
        rtf: float = 0.0,
        underruns: int = 0,
        bank_ready: int = 0,
        bank_wanted: int = 0,
        events_missed: int = 0,
        events_late: int = 0,
        heard: float = 0.0,
    ) -> None:
        """Tell engines the counts and these numbers now; they also go out every second.

        The numbers are those of `peer`'s session; None is of everyone who has none of their own.
        `heard`: what the method of that name said before they were taken.
        """
        health = Health(rtf, underruns, bank_ready, bank_wanted, events_missed, events_late, heard)
        if peer is None:
            self._health = health
        else:
            self._healths[bytes.fromhex(peer)] = health
        self._status_due.set()
        if self._thread is not None:
            self._waker.ring()

    def send_pcm(self, peer: str, block: Pcm) -> None:
        """Send `peer` a piece of sound; any thread may, and none waits.

        Pieces that the receive thread cannot keep up with are lost, the oldest first.
        """
        self._pcm.setdefault(bytes.fromhex(peer), deque(maxlen=_PCM_QUEUE)).append(block)
        if self._thread is not None:
            self._waker.ring()

    def close(self) -> None:
        """Close every session and stop listening; may be called again, and from the handler."""
        self._stopping.set()
        if self._thread is None:
            return
        self._waker.ring()
        if self._thread is threading.current_thread():
            return
        self._thread.join(_JOIN_SECONDS)
        if self._thread.is_alive():
            logger.error("the handler has not returned for %g s; leaving its thread", _JOIN_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, receiver: Receiver) -> None:
        poller = zmq.Poller()
        knocks = self._door.sockets if self._door else ()
        for socket in (self._router, self._waker.receiver, *knocks):
            poller.register(socket, zmq.POLLIN)
        interval = self._timeout / 5
        probe_at = 0.0
        try:
            while not self._stopping.is_set():
                poller.poll(max(1, round(interval * 1000)))
                self._waker.hush()
                if self._door is not None:
                    self._door.attend()
                receiver.drain()
                for peer, pieces in list(self._pcm.items()):
                    while pieces:
                        receiver.pass_on(peer, pieces.popleft())
                now = time.monotonic()  # the pace of house-keeping is no business of `clock`
                if self._status_due.is_set() or now >= probe_at:
                    self._status_due.clear()
                    probe_at = now + interval
                    receiver.probe(self.status, now, self._healths.copy())
                    self._forget(receiver.peers)
        except Exception:
            logger.exception("the receive thread failed; nothing is heard any more")
        finally:
            receiver.close_all()
            self._waker.close()
            if self._door is not None:
                self._door.close()
            self._router.close(linger=_LINGER_MS)
            self._context.term()

    def _forget(self, peers: set[bytes]) -> None:
        """Keep nothing of engines that are not among `peers`."""
        for peer in self._healths.keys() - peers:
            self._healths.pop(peer, None)
        for peer in self._pcm.keys() - peers:
            self._pcm.pop(peer, None)
