"""Good clients, many in one process: each pings, posts events, shows frames, and waits for answers.

    python benchmarks/bridge_peers.py ENDPOINT COUNT

Says "ready" when all sessions are open; when stdin ends, waits for the last answers and says what
came, as JSON. A client here is a DEALER and the protocol, no more: fifty threads of Python would
measure each other.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from bridge_hall import GOOD
from diegetic_bridge import Ack, Bye, Error, Event, Frame, Hello, Ping, Pong, Status, Welcome
from diegetic_bridge.messages import decode_reply, encode

PERIOD = 0.05  # s between two pings, and between two events
FRAME_EVERY = 4  # periods
PATIENCE = 20.0  # s that answers may take
HELLO_AGAIN = 2.0  # s
PICTURE = bytes(128 * 72 * 3)


@dataclass
class Peer:
    """One client's connection; times are monotonic seconds.

    Attributes:
        waiting: when each event was said that is not acknowledged yet.
        asked: pings that were not answered yet.
        answers: seconds from a ping to its pong.
        acks: seconds from an event to its acknowledgement.
        errors: error replies, of those that came after welcome.
        dropped: messages of anyone that the server threw away, as its latest status says.
    """

    name: str
    dealer: "zmq.Socket[bytes]"
    due: float
    is_open: bool = False
    ticks: int = 0
    said: int = 0
    waiting: dict[int, float] = field(default_factory=dict)
    asked: set[float] = field(default_factory=set)
    answers: list[float] = field(default_factory=list)
    acks: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    dropped: int = 0
    told: float = 0.0  # when that status came

    def hear(self) -> None:
        """Take in all that has come."""
        while True:
            try:
                reply = decode_reply(self.dealer.recv(zmq.DONTWAIT))
            except zmq.Again:
                return
            now = time.monotonic()
            match reply:
                case Welcome():
                    self.is_open = True
                case Pong(asked):
                    self.asked.discard(asked)
                    self.answers.append(now - asked)
                case Ack(events):
                    self.acks += [now - self.waiting.pop(id) for id in events if id in self.waiting]
                case Error(code, about, why) if self.is_open:
                    self.errors.append(f"{code}: {about}: {why}")
                case Status(dropped=dropped):
                    self.dropped, self.told = dropped, now

    def speak(self, now: float) -> None:
        """Say what is due."""
        if not self.is_open:
            self.dealer.send(encode(Hello(1, now, engine=self.name, instance=self.name)))
            self.due = now + HELLO_AGAIN
            return
        self.due = max(self.due + PERIOD, now)
        self.asked.add(now)
        self.dealer.send(encode(Ping(now)))
        self.said += 1
        self.waiting[self.said] = now
        # on the beds' bus it is the generator's, which needs no takes of it
        self.dealer.send(encode(Event(self.said, f"{GOOD}{self.name}", now, bus="beds")))
        if self.ticks % FRAME_EVERY == 0:
            self.dealer.send(encode(Frame(128, 72, now, PICTURE)))
        self.ticks += 1


def main(endpoint: str, count: int) -> None:
    """Play until stdin ends."""
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with zmq.Context() as context:
        peers = _connect(context, endpoint, count)
        poller = zmq.Poller()
        for peer in peers:
            poller.register(peer.dealer, zmq.POLLIN)
        _play(peers, poller, lambda: all(peer.is_open for peer in peers))
        print(json.dumps("ready"), flush=True)
        start = time.monotonic()
        for number, peer in enumerate(peers):  # not all at the same moment
            peer.due = start + PERIOD * number / count
        _play(peers, poller, stop.is_set)
        for peer in peers:
            peer.due = float("inf")
        stopped = time.monotonic()

        def settled() -> bool:
            owed = any(peer.waiting or peer.asked or peer.told < stopped for peer in peers)
            return not owed or time.monotonic() > stopped + PATIENCE

        _play(peers, poller, settled)
        for peer in peers:
            peer.dealer.send(encode(Bye(time.monotonic())))
            peer.dealer.close(linger=200)
    print(json.dumps([_report(peer) for peer in peers]), flush=True)


def _connect(context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, count: int) -> list[Peer]:
    peers = []
    for number in range(count):
        dealer = context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.RCVHWM, 0)
        dealer.connect(endpoint)
        peers.append(Peer(f"client {number}", dealer, time.monotonic()))
    return peers


def _play(peers: list[Peer], poller: zmq.Poller, done: Callable[[], bool]) -> None:
    """Speak and listen until `done()`."""
    while not done():
        now = time.monotonic()
        for peer in peers:
            if peer.due <= now:
                peer.speak(now)
        wait = min(0.1, min(peer.due for peer in peers) - time.monotonic())
        ready = dict(poller.poll(max(0, round(wait * 1000))))
        for peer in peers:
            if peer.dealer in ready:
                peer.hear()


def _report(peer: Peer) -> dict[str, object]:
    return {
        "said": peer.said,
        "unacked": len(peer.waiting),
        "unanswered": len(peer.asked),
        "answers_ms": [1000 * seconds for seconds in peer.answers],
        "acks_ms": [1000 * seconds for seconds in peer.acks],
        "errors": peer.errors[:5],
        "dropped": peer.dropped,
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
