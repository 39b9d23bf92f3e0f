"""The engine's half of one connection: what to send next, what has not arrived. It knows no socket.

    away --connected--> knocking --welcome--> open --disconnected--> away
                          ^ `--error, silence: again after a while
                          `--------------"no-hello"------'

What the game says is kept by a key. A state (the prompt, a parameter, a switch) is kept for good,
its newest value only; an event until it is acknowledged. Whenever a session opens, everything kept
is sent again, in the order in which it was said: a restarted server is up to date at once, and one
that was there all along knows an event by its id. A frame is kept only until a newer one comes.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

import msgspec

from diegetic_bridge.messages import (
    Ack,
    Bye,
    ClientMessage,
    Error,
    Event,
    Frame,
    Hello,
    Parameter,
    Ping,
    Pong,
    Prompt,
    ServerMessage,
    Status,
    Switch,
    Welcome,
)

HELLO_AGAIN = 2.0
"""Seconds after which an unanswered or refused hello is repeated."""

PING_INTERVAL = 1.0
MAX_EVENTS = 1024
"""More unacknowledged events than this are not kept: the oldest goes, and is counted."""

Said = Prompt | Parameter | Switch | Event
Key = tuple[str, str | int]


class Phase(Enum):
    """How far the connection has come."""

    AWAY = "away"
    KNOCKING = "knocking"
    OPEN = "open"


@dataclass(frozen=True)
class ClientStats:
    """How the client is doing.

    Attributes:
        connected: a session is open.
        frames_sent: frames given to the socket.
        frames_dropped: frames that made way for a newer one before the socket could take them.
        events_unacked: events that the server has not acknowledged yet.
        events_expired: events given up: no server took them in time, or too many were waiting.
        errors: error replies, and arguments refused by the client itself.
        round_trip: seconds from the last ping to its pong; None before the first.
    """

    connected: bool = False
    frames_sent: int = 0
    frames_dropped: int = 0
    events_unacked: int = 0
    events_expired: int = 0
    errors: int = 0
    round_trip: float | None = None


class Link:
    """State of one engine's connection; all times are seconds of the engine's clock.

    `event_ttl`: an event that has waited longer than this when a session opens (or while there is
    none) is given up and counted: a shot that is heard ten seconds late is worse than one that is
    not heard.
    """

    def __init__(self, hello: Hello, event_ttl: float) -> None:
        self._hello = hello
        self._ttl = event_ttl
        self._phase = Phase.AWAY
        self._kept: dict[Key, Said] = {}
        self._outbox: dict[Key, Said] = {}
        self._unacked: deque[int] = deque()
        self._frame: Frame | None = None
        self._next_id = 1
        self._hello_at = 0.0
        self._ping_at = 0.0
        self._frames_sent = 0
        self._frames_dropped = 0
        self._events_expired = 0
        self._errors = 0
        self._round_trip: float | None = None

    @property
    def phase(self) -> Phase:
        """How far the connection has come."""
        return self._phase

    @property
    def stats(self) -> ClientStats:
        """A snapshot of the counters."""
        return ClientStats(
            connected=self._phase is Phase.OPEN,
            frames_sent=self._frames_sent,
            frames_dropped=self._frames_dropped,
            events_unacked=sum(("event", event) in self._kept for event in self._unacked),
            events_expired=self._events_expired,
            errors=self._errors,
            round_trip=self._round_trip,
        )

    def next_id(self) -> int:
        """Return an id that no event has had."""
        self._next_id += 1
        return self._next_id - 1

    def say(self, message: Said) -> None:
        """Send a state or an event; an older value of a state that still waits is replaced."""
        key = _key(message)
        self._kept.pop(key, None)
        self._outbox.pop(key, None)
        self._kept[key] = self._outbox[key] = message
        if isinstance(message, Event):
            self._unacked.append(message.id)
            if self._phase is not Phase.OPEN:
                self._expire(message.time)
            while len(self._unacked) > MAX_EVENTS:
                self._give_up(self._unacked.popleft())

    def show(self, frame: Frame) -> None:
        """Send a frame when the socket takes it; one that still waits makes way and is counted."""
        if self._frame is not None:
            self._frames_dropped += 1
        self._frame = frame

    def refuse(self) -> None:
        """Count something that the client itself would not send."""
        self._errors += 1

    def connected(self, now: float) -> None:
        """The transport reaches a server: knock."""
        self._phase = Phase.KNOCKING
        self._hello_at = now

    def disconnected(self) -> None:
        """The transport is gone; what was on its way is lost."""
        self._phase = Phase.AWAY

    def receive(self, message: ServerMessage, now: float) -> None:
        """Take in what the server said."""
        match message:
            case Welcome():
                if self._phase is Phase.KNOCKING:
                    self._open(now)
            case Ack(events):
                for event in events:
                    self._kept.pop(("event", event), None)
                    self._outbox.pop(("event", event), None)
                while self._unacked and ("event", self._unacked[0]) not in self._kept:
                    self._unacked.popleft()
            case Pong(time):
                self._round_trip = now - time
            case Error(code):
                self._errors += 1
                if code == "no-hello" and self._phase is Phase.OPEN:
                    self.connected(now)
            case Status():
                pass

    def outgoing(self, now: float) -> ClientMessage | None:
        """Return what should be sent next, or None; it stays first until `sent` is told."""
        if self._phase is Phase.KNOCKING and now >= self._hello_at:
            return msgspec.structs.replace(self._hello, time=now)
        if self._phase is not Phase.OPEN:
            return None
        if self._outbox:
            return next(iter(self._outbox.values()))
        return self._frame or (Ping(now) if now >= self._ping_at else None)

    def sent(self, message: ClientMessage, now: float) -> None:
        """Note that the socket has taken `message`; a newer one may wait in its place already."""
        match message:
            case Hello():
                self._hello_at = now + HELLO_AGAIN
            case Ping():
                self._ping_at = now + PING_INTERVAL
            case Frame():
                self._frames_sent += 1
                if self._frame is message:
                    self._frame = None
                else:  # counted as dropped when its successor came, but it got away
                    self._frames_dropped -= 1
            case Prompt() | Parameter() | Switch() | Event():
                if self._outbox.get(_key(message)) is message:
                    del self._outbox[_key(message)]
            case Bye():
                self._phase = Phase.AWAY

    def due(self) -> float | None:
        """Return when `outgoing` has something even if nobody says anything; None: never."""
        return {Phase.KNOCKING: self._hello_at, Phase.OPEN: self._ping_at}.get(self._phase)

    def _open(self, now: float) -> None:
        self._phase = Phase.OPEN
        self._ping_at = now + PING_INTERVAL
        self._expire(now)
        self._outbox = dict(self._kept)  # its order is that in which things were said

    def _expire(self, now: float) -> None:
        while self._unacked:
            event = self._kept.get(("event", self._unacked[0]))
            if event is not None and now - event.time <= self._ttl:
                return
            self._give_up(self._unacked.popleft())

    def _give_up(self, event: int) -> None:
        if self._kept.pop(("event", event), None) is not None:
            self._outbox.pop(("event", event), None)
            self._events_expired += 1


def _key(message: Said) -> Key:
    match message:
        case Prompt():
            return ("prompt", "")
        case Parameter() | Switch():
            return (type(message).__name__, message.name)
        case Event():
            return ("event", message.id)
