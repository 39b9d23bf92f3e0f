"""The server's half of one connection: bytes in, effects out. It knows no socket and no thread.

new --hello--> asked --accept--> open --bye, another run's hello--> new
                 `----refuse---> new
"""

from collections import deque
from dataclasses import asdict, dataclass
from itertools import islice

from msgspec import Struct

from diegetic_bridge.clock import ClockOffset
from diegetic_bridge.messages import (
    MAX_AHEAD,
    VERSION,
    Ack,
    Bus,
    Bye,
    Error,
    Event,
    Frame,
    Hello,
    Layers,
    Listener,
    Loudness,
    Parameter,
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
    decode,
)

REMEMBERED_EVENTS = 32_768
"""Ids of so many latest events are kept to know a repeated one; a client has fewer on the way."""

MAX_ACKED = 1024
"""Events that are acknowledged by one message: one who does not read costs no more each time."""


@dataclass(frozen=True)
class Health:
    """How the sound is doing; the fields are those of `Status`."""

    rtf: float = 0.0
    underruns: int = 0
    bank_ready: int = 0
    bank_wanted: int = 0
    events_missed: int = 0
    events_late: int = 0
    heard: float = 0.0


@dataclass
class Counts:
    """What has happened so far; the fields are those of `Status`."""

    frames: int = 0
    frames_conflated: int = 0
    prompts: int = 0
    layers: int = 0
    parameters: int = 0
    switches: int = 0
    events: int = 0
    buses: int = 0
    snapshots: int = 0
    listeners: int = 0
    errors: int = 0
    dropped: int = 0
    unsent: int = 0

    def status(self, health: Health) -> Status:
        """Return the counts and `health` as a message."""
        return Status(**asdict(self), **asdict(health))


class Open(Struct, frozen=True):
    """The peer asks for a session; answer with `Connection.accept` or `Connection.refuse`."""

    hello: Hello


class Reply(Struct, frozen=True):
    """Send this to the peer."""

    message: ServerMessage


class Deliver(Struct, frozen=True):
    """Hand this to the session; it happened `at` (seconds of the server's clock)."""

    message: Said | Frame
    at: float


class Close(Struct, frozen=True):
    """The session is over."""

    reason: str


Effect = Open | Reply | Deliver | Close


class Connection:
    """One engine's connection. `counts` may be shared with other connections of the same thread.

    Attributes:
        heard: the engine's time of its newest hello or ping.
    """

    def __init__(self, counts: Counts | None = None) -> None:
        self.counts = counts if counts is not None else Counts()
        self.clock = ClockOffset()
        self.heard = 0.0
        self._hello: Hello | None = None
        self._welcome: Welcome | None = None
        self._switches: dict[str, list[str]] = {}
        self._parameters: set[str] = set()
        self._buses: set[str] = set()
        self._snapshots: set[str] = set()
        self._pushed: set[str] = set()
        self._seen: set[int] = set()
        self._order: deque[int] = deque()
        self._acks: deque[int] = deque(maxlen=REMEMBERED_EVENTS)

    @property
    def is_open(self) -> bool:
        """True from `accept` until the session is over."""
        return self._welcome is not None

    def receive(self, data: bytes, now: float) -> list[Effect]:
        """Take in one message that arrived at server time `now`; return what to do, in order.

        Bad bytes never raise: they become an error reply, are counted and go no further.
        """
        message = decode(data)
        if isinstance(message, Error):
            return [self.bad(message)]
        if isinstance(message, Hello):
            return self._greet(message, now)
        if not self.is_open:
            kind = type(message).__struct_config__.tag
            return [self.bad(Error("no-hello", "type", f"expected hello first, got {kind}"))]
        if isinstance(message, Event):  # its time may lie ahead: it says nothing of the clock
            self._acks.append(message.id)  # a wrong one need not come again either
            return self._pass_on(message, now)
        self.clock.observe(message.time, now)
        match message:
            case Ping():
                self.heard = message.time
                return [Reply(Pong(message.time, now))]
            case Bye():
                self.close()
                return [Close("the engine said bye")]
        return self._pass_on(message, now)

    def accept(self, session: str, rate: int, latency_ms: float, pcm: bool = False) -> Reply:
        """Open the session that an `Open` asked for."""
        self._welcome = Welcome(VERSION, session, rate, latency_ms, pcm)
        return Reply(self._welcome)

    def refuse(self, error: Error) -> Reply:
        """Do not open the session that an `Open` asked for; the peer may ask again."""
        self._hello = None
        self.counts.errors += 1
        return Reply(error)

    def close(self) -> None:
        """End the session from this side, as when the peer has vanished."""
        self._hello = self._welcome = None

    def bad(self, error: Error) -> Reply:
        """Count a message that is thrown away; return the reply that says why."""
        self.counts.errors += 1
        self.counts.dropped += 1
        return Reply(error)

    def acks(self) -> Ack | None:
        """Return the acknowledgement that is due, if any; `acknowledged` says that it went out."""
        return Ack(list(islice(self._acks, MAX_ACKED))) if self._acks else None

    def acknowledged(self, ack: Ack) -> None:
        """Forget what `ack` says, the newest that `acks` returned: it is on its way."""
        for _ in ack.events:
            self._acks.popleft()

    def _greet(self, hello: Hello, now: float) -> list[Effect]:
        if hello.version > VERSION:
            why = f"expected at most {VERSION}, got {hello.version}"
            return [self.bad(Error("version", "version", why))]
        effects: list[Effect] = []
        if self._hello is not None and self._welcome is not None:
            if hello.instance == self._hello.instance:
                if not hello.instance:
                    why = "expected one hello per connection (or an instance, to resume)"
                    return [self.bad(Error("second-hello", "type", why))]
                self.clock.observe(hello.time, now)
                self.heard = hello.time
                return [Reply(self._welcome)]
            self.close()
            effects.append(Close("another run took its place"))
        self._begin(hello, now)
        return [*effects, Open(hello)]

    def _begin(self, hello: Hello, now: float) -> None:
        self._hello = hello
        self._parameters = {parameter.name for parameter in hello.parameters}
        self._switches = {switch.name: switch.values for switch in hello.switches}
        self._buses = hello.bus_names
        self._snapshots = {snapshot.name for snapshot in hello.snapshots}
        self._pushed.clear()
        self._seen.clear()
        self._order.clear()
        self._acks.clear()
        self.clock = ClockOffset()
        self.clock.observe(hello.time, now)
        self.heard = hello.time

    def _pass_on(self, message: Said | Frame, now: float) -> list[Effect]:
        at = self.clock.to_server_time(message.time)
        error = self._wrong(message, at - now)
        if error is not None:
            return [self.bad(error)]
        if self._is_repeated(message):
            return []
        self._count(message)
        return [Deliver(message, at)]

    def _wrong(self, message: Said | Frame, ahead: float) -> Error | None:
        """Return what is wrong with a message `ahead` seconds from now, as far as hello tells."""
        match message:
            case Event(time=time, bus=bus):
                if ahead > MAX_AHEAD:
                    why = f"expected at most {MAX_AHEAD:g} s ahead, got {ahead:g} ({time:g})"
                    return Error("invalid", "time", why)
                if bus and bus not in self._buses:
                    return _undeclared("bus", self._buses, bus)
            case Bus(name) if name not in self._buses:
                return _undeclared("name", self._buses, name)
            case Parameter(name) if name not in self._parameters:
                return _undeclared("name", self._parameters, name)
            case PushSnapshot(name) | PopSnapshot(name) if name not in self._snapshots:
                return _undeclared("name", self._snapshots, name)
            case Switch(name, value) if value not in self._switches.get(name, [value]):
                return _undeclared("value", self._switches[name], value)
        return None

    def _count(self, message: Said | Frame) -> None:
        match message:
            case Event():
                self.counts.events += 1
            case Frame():
                self.counts.frames += 1
            case Prompt():
                self.counts.prompts += 1
            case Layers():
                self.counts.layers += 1
            case Parameter():
                self.counts.parameters += 1
            case Switch():
                self.counts.switches += 1
            case Bus() | Loudness():
                self.counts.buses += 1
            case PushSnapshot() | PopSnapshot():
                self.counts.snapshots += 1
            case Listener():
                self.counts.listeners += 1

    def _is_repeated(self, message: Said | Frame) -> bool:
        """Tell whether this was said before, as it is after a broken connection; take note of it.

        States are the same when they are said again; events are not, nor are snapshots pushed.
        """
        match message:
            case Event(id):
                if id in self._seen:
                    return True
                self._seen.add(id)
                self._order.append(id)
                if len(self._order) > REMEMBERED_EVENTS:
                    self._seen.discard(self._order.popleft())
            case PushSnapshot(name):
                if name in self._pushed:
                    return True
                self._pushed.add(name)
            case PopSnapshot(name):
                if name not in self._pushed:
                    return True
                self._pushed.remove(name)
        return False


def _undeclared(field: str, declared: "set[str] | list[str]", got: str) -> Error:
    known = ", ".join(sorted(declared)) or "nothing"
    return Error("undeclared", field, f"expected one of hello's ({known[:150]}), got {got!r}")
