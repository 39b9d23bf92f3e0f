"""The engine's half of one connection: what to send next, what has not arrived. It knows no socket.

    away --connected--> knocking --welcome--> open --disconnected--> away
                          ^ `--error, silence: again after a while
                          `--------------"no-hello"------'

What the game says is kept by a key. A state (the prompt, the layers, a parameter, a switch, a bus,
whether a snapshot is in, the listener) is kept for good, its newest value only; an event until it
is acknowledged. Whenever a session opens, everything kept is sent again, in the order in which it
was said: a restarted server is up to date at once, and one that was there all along knows an event
by its id. A frame is kept only until a newer one comes.

Which sounds the bank is to have depends on hello, on switches, and on names that are posted
undeclared. Once all of that has been sent, a ping follows (or the hello was enough): a status that
has `heard` it tells of the bank that is wanted now, and none before it does.
"""

import heapq
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import msgspec

from diegetic_bridge.messages import (
    Ack,
    Bus,
    Bye,
    ClientMessage,
    Error,
    Event,
    Frame,
    Hello,
    Layers,
    Listener,
    Loudness,
    Parameter,
    Pcm,
    Ping,
    Pong,
    PopSnapshot,
    Prompt,
    PushSnapshot,
    Said,
    ServerMessage,
    Status,
    Switch,
    Welcome,
)
from diegetic_bridge.pcm import PcmBuffer

HELLO_AGAIN = 2.0
"""Seconds after which an unanswered or refused hello is repeated."""

PING_INTERVAL = 1.0
MAX_EVENTS = 16_384
"""More unacknowledged events than this are not kept: the oldest that waits goes, and is counted.

At ten thousand events a second a connection may be gone for a second and a half.
"""

WINDOW = 8192
"""Events on the way to the server at a time; others wait here until it acknowledges some.

So a slow server is not given what it has no time for: the system's buffers hold a hundred thousand
events, and pictures and newer values of states would wait behind them.
"""

MAX_NAMES = 1024
"""Undeclared names of events that make a difference to the bank: a server knows no more."""

Key = tuple[str, str | int]


class Phase(Enum):
    """How far the connection has come."""

    AWAY = "away"
    KNOCKING = "knocking"
    OPEN = "open"


class BankProgress(NamedTuple):
    """How many sounds of declared events are ready, of how many that are wanted."""

    ready: int
    wanted: int


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
    not heard. `pcm`: where the sound goes that the server sends.
    """

    def __init__(self, hello: Hello, event_ttl: float, pcm: PcmBuffer | None = None) -> None:
        self._hello = hello
        self._pcm = pcm
        self._ttl = event_ttl
        self._phase = Phase.AWAY
        self._kept: dict[Key, Said] = {}
        self._outbox: OrderedDict[Key, Said] = OrderedDict()
        self._unacked: OrderedDict[int, None] = OrderedDict()  # in the order of saying
        self._by_time: list[tuple[float, int]] = []  # a heap; those acknowledged are still in it
        self._is_full = False
        self._flying = 0  # events that were sent in this session, of those in _unacked
        self._frame: Frame | None = None
        self._next_id = 1
        self._hello_at = 0.0
        self._is_asking = False
        self._ping_at = 0.0
        self._frames_sent = 0
        self._frames_dropped = 0
        self._events_expired = 0
        self._errors = 0
        self._round_trip: float | None = None
        self._bank: BankProgress | None = None
        self._declared = frozenset(spec.name for spec in hello.event_specs)
        self._posted: set[str] = set()  # names that were not declared
        self._news: Key | None = None  # said last of what the bank depends on
        self._greeted = 0.0  # engine time of the newest hello or ping
        self._asked: float | None = None  # of the one that followed all news
        self._is_bank_ready = False

    @property
    def ready_bank(self) -> BankProgress | None:
        """How many sounds there are, when all that are wanted now are ready; else None."""
        return self.bank if self._is_bank_ready else None

    @property
    def bank_trouble(self) -> str:
        """Why there is no `ready_bank`."""
        if self._phase is not Phase.OPEN:
            return "bank: expected a server, none has answered"
        if self._bank is None or self._asked is None or self._bank.ready >= self._bank.wanted:
            return "bank: expected a word of it, the server has not said any yet"
        return f"bank: expected {self._bank.wanted} sounds, {self._bank.ready} are ready"

    @property
    def bank(self) -> BankProgress | None:
        """What the session's latest status said of the bank; None before the first."""
        return self._bank if self._phase is Phase.OPEN else None

    @property
    def phase(self) -> Phase:
        """How far the connection has come."""
        return self._phase

    @property
    def may_be_known(self) -> bool:
        """A session is open, or a hello is on its way: a bye makes sense."""
        return self._phase is Phase.OPEN or (self._phase is Phase.KNOCKING and self._is_asking)

    @property
    def stats(self) -> ClientStats:
        """A snapshot of the counters."""
        return ClientStats(
            connected=self._phase is Phase.OPEN,
            frames_sent=self._frames_sent,
            frames_dropped=self._frames_dropped,
            events_unacked=len(self._unacked),
            events_expired=self._events_expired,
            errors=self._errors,
            round_trip=self._round_trip,
        )

    def next_id(self) -> int:
        """Return an id that no event has had."""
        self._next_id += 1
        return self._next_id - 1

    def say(self, message: Said) -> Error | None:
        """Send a state or an event; an older value of a state that still waits is replaced.

        The error says that there are too many events; it comes once until there is room again.
        """
        key = _key(message)
        before = self._kept.pop(key, None)
        self._outbox.pop(key, None)
        self._kept[key] = self._outbox[key] = message
        if isinstance(message, Event):
            if message.name not in self._declared:
                self._note_name(key, message.name)
            return self._await_ack(message)
        if isinstance(message, Switch):
            if isinstance(before, Switch) and before.value == message.value:
                self._news = key  # it may still be waiting
            else:
                self._look_anew(key)
        return None

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
        self._is_asking = False

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
                    self._forget(event)
                self._is_full = self._is_full and len(self._unacked) > MAX_EVENTS // 2
            case Pong(time):
                self._round_trip = now - time
            case Error(code):
                self._errors += 1
                self._is_asking = False
                if code == "no-hello" and self._phase is Phase.OPEN:
                    self.connected(now)
            case Status(bank_ready=ready, bank_wanted=wanted):
                self._bank = BankProgress(ready, wanted)
                is_told = self._asked is not None and message.heard >= self._asked
                self._is_bank_ready = is_told and ready >= wanted
            case Pcm() if self._pcm is not None:
                self._pcm.push(message)

    def outgoing(self, now: float) -> ClientMessage | None:
        """Return what should be sent next, or None; it stays first until `sent` is told."""
        if self._phase is not Phase.OPEN:
            self._expire(now)
        if self._phase is Phase.KNOCKING and now >= self._hello_at:
            return msgspec.structs.replace(self._hello, time=now)
        if self._phase is not Phase.OPEN:
            return None
        if now >= self._ping_at:  # first: no flood may let the clocks drift apart
            return Ping(now)
        if self._asked is None and self._news not in self._outbox and now > self._greeted:
            return Ping(now)
        if self._outbox:
            first = next(iter(self._outbox.values()))
            if self._flying < WINDOW or not isinstance(first, Event):
                return first
        return self._frame

    def sent(self, message: ClientMessage, now: float) -> None:
        """Note that the socket has taken `message`; a newer one may wait in its place already."""
        match message:
            case Hello():
                self._hello_at = now + HELLO_AGAIN
                self._greeted = message.time
                self._is_asking = True
            case Ping():
                self._ping_at = now + PING_INTERVAL
                self._greeted = message.time
                if self._asked is None and self._news not in self._outbox:
                    self._asked = message.time
            case Frame():
                self._frames_sent += 1
                if self._frame is message:
                    self._frame = None
                else:  # counted as dropped when its successor came, but it got away
                    self._frames_dropped -= 1
            case Bye():
                self._phase = Phase.AWAY
            case _:
                key = _key(message)
                if self._outbox.get(key) is message:
                    del self._outbox[key]
                    self._flying += isinstance(message, Event)

    def due(self) -> float | None:
        """Return when `outgoing` has something even if nobody says anything; None: never."""
        return {Phase.KNOCKING: self._hello_at, Phase.OPEN: self._ping_at}.get(self._phase)

    def _open(self, now: float) -> None:
        self._phase = Phase.OPEN
        self._bank = None
        self._ping_at = now + PING_INTERVAL
        self._expire(now)
        self._flying = 0
        self._outbox = OrderedDict(self._kept)  # its order is that in which things were said
        wanted = [key for key, said in self._kept.items() if self._matters(said)]
        self._news, self._asked = (wanted[-1], None) if wanted else (None, self._greeted)

    def _matters(self, said: Said) -> bool:
        """Tell whether other sounds may be wanted after this."""
        return isinstance(said, Switch) or (
            isinstance(said, Event) and said.name not in self._declared
        )

    def _note_name(self, key: Key, name: str) -> None:
        """Remember that an undeclared event was posted: sounds of it are wanted from now on."""
        if name not in self._posted and len(self._posted) < MAX_NAMES:
            self._posted.add(name)
            self._look_anew(key)

    def _look_anew(self, key: Key) -> None:
        """The bank is wanted otherwise once `key` has arrived."""
        self._news, self._asked, self._is_bank_ready = key, None, False

    def _await_ack(self, event: Event) -> Error | None:
        """Keep count of an event until it is acknowledged; it may be one too many."""
        self._unacked[event.id] = None
        heapq.heappush(self._by_time, (event.time, event.id))
        if len(self._by_time) > 2 * MAX_EVENTS:
            self._by_time = [entry for entry in self._by_time if entry[1] in self._unacked]
            heapq.heapify(self._by_time)
        if len(self._unacked) <= MAX_EVENTS:
            return None
        oldest = next(iter(self._unacked))
        if self._phase is Phase.OPEN:  # what was sent may well be heard
            oldest = next(said.id for said in self._outbox.values() if isinstance(said, Event))
        self._give_up(oldest)
        if self._is_full:
            return None
        self._is_full = True
        why = f"expected at most {MAX_EVENTS} on the way, got one more: the oldest are given up"
        return Error("full", "events", why)

    def _expire(self, now: float) -> None:
        while self._by_time and now - self._by_time[0][0] > self._ttl:
            self._give_up(heapq.heappop(self._by_time)[1])

    def _give_up(self, event: int) -> None:
        if self._forget(event):
            self._events_expired += 1

    def _forget(self, event: int) -> bool:
        """Wait for this event's acknowledgement no longer; return False if nobody waited."""
        if event not in self._unacked:
            return False
        del self._unacked[event]
        del self._kept["event", event]
        if self._outbox.pop(("event", event), None) is None:
            self._flying -= 1
        return True


def _key(message: Said) -> Key:
    match message:
        case Event():
            return ("event", message.id)
        case Prompt() | Layers() | Loudness() | Listener():
            return (type(message).__name__, "")
        case Parameter() | Switch():
            return (type(message).__name__, message.name)
        case Bus():  # a gain and a mute said one after the other both count
            return ("gain" if message.mute is None else "mute", message.name)
        case PushSnapshot() | PopSnapshot():
            return ("snapshot", message.name)
