"""Speak to the server from a game: say it and forget it. Nothing here ever makes the game wait.

    game thread --say--> Link --worker thread--> server
                poll <-- replies <--'

Without a server every call does nothing but remember the newest state and the latest events.

Threads: every method may be called from any thread; none blocks on the network.
"""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from diegetic_bridge import arguments
from diegetic_bridge.link import BankProgress, ClientStats, Link
from diegetic_bridge.messages import (
    DEFAULT_ENDPOINT,
    MAX_AHEAD,
    VERSION,
    Bus,
    BusSpec,
    Error,
    Event,
    EventSpec,
    Frame,
    Hello,
    Layers,
    Listener,
    Loudness,
    Origin,
    Parameter,
    ParameterSpec,
    PcmSpec,
    PixelFormat,
    PopSnapshot,
    Prompt,
    PushSnapshot,
    Said,
    ServerMessage,
    SnapshotSpec,
    Switch,
    SwitchSpec,
    invalid,
)
from diegetic_bridge.pcm import PcmBuffer, PcmStats
from diegetic_bridge.security import ClientKeys
from diegetic_bridge.worker import REPLIES, Worker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = bytes | bytearray | memoryview | NDArray[np.uint8]

logger = logging.getLogger(__name__)

_WARNINGS = 64

Message = TypeVar("Message", bound=Said | Frame)


class Client:
    """One engine's connection to the sound server at `endpoint`; closes with `close` or `with`.

    States (prompt, layers, parameters, switches, buses, snapshots, loudness, listener): the newest
    value counts, and is sent again to a server that was restarted. Events arrive exactly once and
    in order at a server, also over a broken connection; one that finds no server until `event_ttl`
    seconds after its time is given up and counted, as is the oldest of more than 16,384, which
    `poll` tells. (A server that dies between playing an event and acknowledging it leaves it to its
    successor.) Frames: at most one waits, the newest; those it replaces are counted.

    Wrong arguments do not raise in the middle of a game: they are logged once and come out of
    `poll` as an `Error`, as do the server's.

    Args:
        endpoint: the server's ZeroMQ address.
        engine: who is speaking, for the server's log.
        parameters, switches: what the game is going to set.
        events: what it is going to post; a plain name has the defaults of `EventSpec`.
        buses, snapshots: the mix, besides the buses "master", "beds" and "events"; a parent, and
            what a bus ducks from, come before it.
        pcm: have the sound sent here, for `read_pcm`, instead of being played by the server.
        pcm_depth: seconds of it that are gathered before they are read; what the network needs.
        clock: the engine's monotonic time in seconds, at the pace of real time, never below zero.
        event_ttl: seconds that an event may wait for a server.
        keys: what a server wants that is reached from other machines: `ClientKeys.load(file)`.

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
        events: Sequence[EventSpec | str] = (),
        buses: Sequence[BusSpec] = (),
        snapshots: Sequence[SnapshotSpec] = (),
        pcm: PcmSpec | None = None,
        pcm_depth: float = 0.03,
        clock: Callable[[], float] = time.monotonic,
        event_ttl: float = 10.0,
        keys: ClientKeys | None = None,
    ) -> None:
        instance = uuid.uuid4().hex
        declared = {
            "parameters": parameters,
            "switches": switches,
            "events": events,
            "buses": buses,
            "snapshots": snapshots,
        }
        about = {
            "version": VERSION,
            "time": clock(),
            "engine": engine,
            "instance": instance,
            "pcm": msgspec.to_builtins(pcm),
            **{name: msgspec.to_builtins(list(specs)) for name, specs in declared.items()},
        }
        hello = msgspec.convert(about, Hello)
        self._pcm = PcmBuffer(hello.pcm, pcm_depth) if hello.pcm else None
        self._link = Link(hello, event_ttl, self._pcm)
        self._clock = clock
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._is_closed = False
        self._replies: deque[ServerMessage] = deque(maxlen=REPLIES)
        self._warned: set[tuple[str, str]] = set()
        self._worker = Worker(
            self._link,
            self._lock,
            endpoint=endpoint,
            identity=instance,
            clock=clock,
            note=self._note,
            keys=keys,
        )

    @property
    def stats(self) -> ClientStats:
        """A snapshot of the counters."""
        with self._lock:
            return self._link.stats

    @property
    def bank_progress(self) -> BankProgress | None:
        """How many sounds of declared events are ready, of how many; None until a server tells."""
        with self._lock:
            return self._link.bank

    def wait_for_bank(self, timeout: float = 60.0) -> BankProgress:
        """Wait until all sounds of declared events are ready, at most `timeout` s; return how many.

        Not for a game's thread: in one of its own, behind a loading screen. Other sounds may be
        wanted after a switch: what was said before counts.

        Raises:
            TimeoutError: they are not ready, and how far they are; or there is no server.
            RuntimeError: the client is closed.
        """
        with self._news:
            wait = arguments.patience(timeout)
            self._news.wait_for(lambda: self._link.ready_bank or self._is_closed, wait)
            return self._bank_or_why()

    def set_prompt(
        self,
        prompt: str | Mapping[str, float],
        guidance: float | None = None,
        ramp: float = 0.0,
    ) -> None:
        """Say what should be heard; "" is silence.

        Args:
            prompt: words, or up to three texts and their weights: {"rain": 3, "wind": 1}.
            guidance: how strictly; None leaves it.
            ramp: seconds in which what is heard becomes that.
        """
        about = {
            "guidance": arguments.number(guidance),
            "ramp": arguments.number(ramp),
            "time": self._clock(),
        }
        self._say(self._checked(Prompt, about | arguments.texts(prompt)))

    def set_layers(self, layers: Iterable[str]) -> None:
        """Have some of "ambience", "music" and "foley" heard in the endless sound; none is all."""
        self._say(self._checked(Layers, {"layers": arguments.names(layers), "time": self._clock()}))

    def set_parameter(self, name: str, value: float, ramp: float = 0.0) -> None:
        """Move a declared parameter to `value` over `ramp` seconds."""
        about = {"name": name, "value": arguments.number(value), "ramp": arguments.number(ramp)}
        self._say(self._checked(Parameter, about | {"time": self._clock()}))

    def set_switch(self, name: str, value: str) -> None:
        """Give a switch one of its values."""
        self._say(self._checked(Switch, {"name": name, "value": value, "time": self._clock()}))

    def post_event(
        self,
        name: str,
        gain_db: float = 0.0,
        position: Iterable[float] | None = None,
        occlusion: float = 0.0,
        at: float | None = None,
        bus: str = "",
    ) -> int:
        """Have something heard once; return its id, which an `Ack` names when it has arrived.

        Args:
            name: declared or not; an undeclared one takes its time to be made.
            gain_db: on top of the gain that it was declared with.
            position: (x, y, z) in metres, y up, -z forward; None is everywhere.
            occlusion: how much stands before it, 0 nothing, 1 a thick wall.
            at: when, on the engine's clock, a minute ahead at most; None is now.
            bus: through which it is heard; "" is the one that it was declared with.
        """
        with self._lock:
            event = self._link.next_id()
        now = self._clock()
        about = {
            "id": event,
            "name": name,
            "gain_db": arguments.number(gain_db),
            "position": arguments.vector(position),
            "occlusion": arguments.number(occlusion),
            "bus": bus,
            "time": now if at is None else arguments.number(at),
        }
        message = self._checked(Event, about)
        if message is not None and message.time - now > MAX_AHEAD:
            why = f"expected at most {MAX_AHEAD:g} s ahead, got {message.time - now:g}"
            self._refuse(Error("invalid", "time", why))
        else:
            self._say(message)
        return event

    def set_bus(
        self,
        name: str,
        gain_db: float | None = None,
        mute: bool | None = None,
        fade: float = 0.0,
    ) -> None:
        """Make a bus louder or quieter, (un)mute it, or both, over `fade` seconds.

        `name`: declared, or one of "master", "beds" and "events". None leaves a thing as it is.
        """
        about = {"name": name, "fade": arguments.number(fade), "time": self._clock()}
        if gain_db is not None or mute is None:
            self._say(self._checked(Bus, about | {"gain_db": arguments.number(gain_db)}))
        if mute is not None:
            self._say(self._checked(Bus, about | {"mute": mute}))

    def push_snapshot(self, name: str, fade: float = 0.0) -> None:
        """Bring in a declared snapshot of the mix over `fade` seconds; one that is in stays in."""
        about = {"name": name, "fade": arguments.number(fade), "time": self._clock()}
        self._say(self._checked(PushSnapshot, about))

    def pop_snapshot(self, name: str, fade: float = 0.0) -> None:
        """Let a snapshot of the mix go over `fade` seconds; one that is not in stays out."""
        about = {"name": name, "fade": arguments.number(fade), "time": self._clock()}
        self._say(self._checked(PopSnapshot, about))

    def set_loudness(self, lufs: float | None) -> None:
        """Have the whole mix steered towards `lufs` (-40 to -10, BS.1770); None is as it comes."""
        about = {"lufs": arguments.number(lufs), "time": self._clock()}
        self._say(self._checked(Loudness, about))

    def set_listener(
        self,
        position: Iterable[float],
        forward: Iterable[float] = (0.0, 0.0, -1.0),
        up: Iterable[float] = (0.0, 1.0, 0.0),
    ) -> None:
        """Say where the ears are (metres, y up), where they look, and where their own top is.

        `up` is the camera's, not the world's: that of one who looks straight down is level.
        """
        about = {
            "position": arguments.vector(position),
            "forward": arguments.vector(forward),
            "up": arguments.vector(up),
            "time": self._clock(),
        }
        self._say(self._checked(Listener, about))

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
        about = {"stride": stride, "origin": origin, "time": self._clock()}
        frame = self._checked(Frame, about | arguments.picture(pixels, width, height, format))
        if frame is not None:
            with self._lock:
                self._link.show(frame)
            self._worker.ring()

    def read_pcm(self, frames: int) -> "NDArray[np.float32]":
        """Return the next `frames` of sound, (frames, 2) in ±1, at the rate that was asked for.

        For the engine's audio callback: never waits, and is silent while there is no sound.

        Raises:
            ValueError: the client was made without `pcm`.
        """
        if self._pcm is None:
            raise ValueError("pcm: expected a PcmSpec when the client was made, got None")
        return self._pcm.read(frames)

    @property
    def pcm_stats(self) -> PcmStats:
        """How the sound gets here; all zero without `pcm`."""
        return self._pcm.stats if self._pcm else PcmStats()

    def poll(self) -> list[ServerMessage]:
        """Return what the server said since the last call: welcomes, acks, errors, status."""
        with self._lock:
            replies = list(self._replies)
            self._replies.clear()
        return replies

    def close(self) -> None:
        """Say goodbye if there is a server, and stop; waits for the network for 0.1 s at most."""
        self._worker.close()
        with self._news:
            self._is_closed = True
            self._news.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _bank_or_why(self) -> BankProgress:
        """Return how full the bank is, or raise why it is not; under the lock."""
        if self._is_closed:
            raise RuntimeError("bank: expected an open client, it is closed")
        if (bank := self._link.ready_bank) is not None:
            return bank
        raise TimeoutError(self._link.bank_trouble)

    def _checked(self, kind: type[Message], about: dict[str, Any]) -> Message | None:
        """Make a message within its limits, or put the error where `poll` finds it."""
        try:
            return msgspec.convert(about, kind)
        except ValueError as error:
            self._refuse(invalid(error))
            return None

    def _refuse(self, error: Error) -> None:
        with self._lock:
            self._link.refuse()
            self._note(error)

    def _say(self, message: Said | None) -> None:
        if message is not None:
            with self._lock:
                error = self._link.say(message)
                if error is not None:
                    self._note(error)
            self._worker.ring()

    def _note(self, reply: ServerMessage) -> None:
        """Keep a reply for `poll`; log an error, once for each thing that can be wrong."""
        self._replies.append(reply)
        self._news.notify_all()
        if isinstance(reply, Error) and len(self._warned) < _WARNINGS:
            about = (reply.code, reply.field)
            if about not in self._warned:
                self._warned.add(about)
                logger.warning("%s: %s: %s", reply.code, reply.field, reply.message)
