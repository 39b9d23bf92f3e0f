"""Let in who has a key that is listed: the server's end of CURVE, and its ZAP handler.

    handshake --request--> Door --200 or 400--> the connection lives or is cut
              `--failed--> strangers + 1

The handler answers in the receive thread: a dictionary look-up needs no thread of its own, as
pyzmq's ThreadAuthenticator brings, whose asyncio loop needs tornado on Windows.
"""

import logging

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from diegetic_bridge.security import ServerKeys

logger = logging.getLogger(__name__)

_ZAP = "inproc://zeromq.zap.01"  # where libzmq asks, by ZeroMQ's RFC 27
_ROUND = 64  # requests answered before engines are listened to again
_TOLD = 64  # keys of strangers that are told of
_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


class Door:
    """Guards `router`, which is not bound yet; of all but `strangers` the receive thread's alone.

    Attributes:
        strangers: connections that ended before they had shown a listed key.
        sockets: readable when there is something to attend to.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        router: "zmq.Socket[bytes]",
        keys: ServerKeys,
    ) -> None:
        self.strangers = 0
        self._clients = keys.clients
        self._told: set[str] = set()
        self._router = router
        self._zap = context.socket(zmq.REP)
        self._zap.bind(_ZAP)
        options: dict[int, int | bytes] = {
            zmq.CURVE_SERVER: 1,
            zmq.CURVE_SECRETKEY: keys.secret.encode(),
            zmq.ZAP_DOMAIN: b"diegetic",
            zmq.ZAP_ENFORCE_DOMAIN: 1,  # without an answer from here nobody is let in
        }
        for option, value in options.items():
            router.setsockopt(option, value)
        watch = f"inproc://door-{id(self)}"
        router.monitor(watch, _FAILED)
        self._monitor = context.socket(zmq.PAIR)
        self._monitor.setsockopt(zmq.RCVHWM, 0)  # a full one would stop libzmq's own thread
        self._monitor.connect(watch)
        self.sockets = (self._zap, self._monitor)

    def attend(self) -> None:
        """Answer those who knock, count those who were turned away."""
        for _ in range(_ROUND):
            try:
                request = self._zap.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            self._zap.send_multipart(self._answer(request))
        while self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            self.strangers += 1
            if event != zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._tell("", "a client was turned away: it has no keys, or another server's")

    def close(self) -> None:
        """Let nobody in any more."""
        self._router.disable_monitor()  # first: it must not speak to nobody
        self._monitor.close(linger=0)
        self._zap.close(linger=0)

    def _answer(self, request: list[bytes]) -> list[bytes]:
        version, number, _domain, address, _identity, mechanism, *credentials = request
        key = z85.encode(credentials[0]).decode() if mechanism == b"CURVE" else ""
        name = self._clients.get(key)
        if name is not None:
            logger.info("client %s connects from %s", name, address.decode())
            return [version, number, b"200", b"", name.encode(), b""]
        self._tell(key, f"a client at {address.decode()} was turned away: {key} is not listed")
        return [version, number, b"400", b"not listed", b"", b""]

    def _tell(self, key: str, what: str) -> None:
        """Log what has happened, once for each key; "" stands for those who have shown none."""
        if key not in self._told and len(self._told) < _TOLD:
            self._told.add(key)
            logger.warning("%s", what)
