"""What the game last said, kept so that the generator can ask about any stretch of audio time.

    bridge's thread   set_prompt, set_layers, set_parameter, set_switch, post_event, push_frame
                                |  one small lock
    generator's thread          v
                      snapshot(t0, t1) -> Snapshot

Every setter takes `at`, the audio time in seconds at which it holds; None is now. The past is kept
for `HISTORY` seconds, so the generator may go back that far and ask again.
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diegetic.errors import DiegeticError
from diegetic.history import Parameter, Steps, Switch
from diegetic.layers import Layers, some_layers
from diegetic.limits import checked_number, checked_text
from diegetic.pixels import check_pixels
from diegetic.prompts import Prompt, Prompts, distance, mix_of, prompt_and_blend
from diegetic.snapshot import (
    DEFAULT_GUIDANCE,
    EVENT_SLOTS,
    FRAME_SLOTS,
    MAX_GUIDANCE,
    MIN_GUIDANCE,
    Event,
    Frame,
    Snapshot,
)

MAX_NAMES = 256  # parameters, switches
MAX_EVENTS = 10_000  # kept at once; more are refused, never dropped
CROWD = 64  # events of one second, of which some 25 can be heard: there is no room for more
MAX_RAMP = 3600.0
GAIN_DB = (-96.0, 24.0)

HISTORY = 5.0
RING = 1.0  # an event stays visible this long after it was heard
FRAME_AGE = 1.0
FRAME_SPACING = 0.1 - 1e-6  # frames come at round times, which floats miss by a little

S = TypeVar("S", bound=Parameter | Switch)
T = TypeVar("T")


@dataclass(frozen=True)
class Counters:
    """What the world was told so far.

    Attributes:
        late_events: events taken after their time, heard at the start of the next chunk.
        crowded_events: events beyond `EVENT_SLOTS` in one chunk; its newest are the ones heard.
        dropped_frames: frames that a newer one replaced before they could count as spaced apart.
    """

    prompts: int = 0
    layers: int = 0
    parameters: int = 0
    switches: int = 0
    events: int = 0
    frames: int = 0
    late_events: int = 0
    crowded_events: int = 0
    dropped_frames: int = 0


@dataclass
class _Posted:
    """An event and the time at which it is heard, once a chunk has taken it."""

    event: Event
    heard: float | None = None


class World:
    """Hold what one engine says; any thread may call any method, none waits for anything slow.

    Args:
        clock: audio time in seconds, for everything that comes without `at`.

    Every method raises DiegeticError, and changes nothing, if an argument is out of its limits.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._prompts = Prompts()
        self._guidance: Steps[float] = Steps()
        self._layers = Layers()
        self._parameters: dict[str, Parameter] = {}
        self._switches: dict[str, Switch] = {}
        self._events: list[_Posted] = []
        self._seconds: Counter[int] = Counter()  # of audio time: the events of each
        self._frames: list[Frame] = []
        self._counts = dict.fromkeys(Counters.__dataclass_fields__, 0)

    @property
    def counters(self) -> Counters:
        """What came in so far."""
        with self._lock:
            return Counters(**self._counts)

    def declare_parameter(
        self, name: str, minimum: float = 0.0, maximum: float = 1.0, default: float = 0.0
    ) -> None:
        """Announce a parameter; saying the same again changes nothing, another range resets it."""
        checked_text("parameter name", name)
        low = checked_number(f"minimum of parameter {name!r}", minimum)
        high = checked_number(f"maximum of parameter {name!r}", maximum)
        if not (low < high and math.isfinite(high - low)):
            raise DiegeticError(
                f"parameter {name!r}: minimum must be below maximum, got {low}, {high}"
            )
        start = checked_number(f"default of parameter {name!r}", default, low, high)
        with self._lock:
            known = self._parameters.get(name)
            if known is None or known.range != (low, high, start):
                _room("parameters", self._parameters, name)
                self._parameters[name] = Parameter(low, high, start)

    def declare_switch(self, name: str, values: Sequence[str]) -> None:
        """Announce a switch and the values it takes; saying the same again changes nothing."""
        checked_text("switch name", name)
        if isinstance(values, str) or not values or len(values) > MAX_NAMES:
            raise DiegeticError(
                f"values of switch {name!r} must be 1 to {MAX_NAMES} words, got {values!r}"
            )
        allowed = tuple(checked_text(f"value of switch {name!r}", value) for value in values)
        with self._lock:
            known = self._switches.get(name)
            if known is None or known.values != allowed:
                _room("switches", self._switches, name)
                self._switches[name] = Switch(allowed)

    def leave_foley(self) -> bool:
        """Take note that foley is made elsewhere; True if that is new.

        Where no layers are set, all but foley are asked for from now on, and foley as well while an
        event of this world is heard: it was left to this world because nothing else makes it.
        """
        with self._lock:
            new = not self._layers.foley_elsewhere
            self._layers.foley_elsewhere = True
            return new

    def set_prompt(self, prompt: Prompt, at: float | None = None, *, ramp: float = 0.0) -> float:
        """Say what is heard: words, or up to MAX_TEXTS texts and their weights; "" says nothing.

        Within `ramp` seconds the present mix becomes the new one. Returned is how much of the sound
        that changes, 0 to 1.
        """
        mix = mix_of(prompt)
        seconds = checked_number("ramp of the prompt", ramp, 0.0, MAX_RAMP)
        time = self._time(at)
        with self._lock:
            before = self._prompts.value(time)
            self._prompts.move(time, mix, seconds)
            self._counts["prompts"] += 1
            return distance(before, mix)

    def set_layers(self, layers: Iterable[str], *, at: float | None = None) -> bool:
        """Say which of LAYERS are heard; none means all. True if that is new."""
        wanted = some_layers(layers)
        time = self._time(at)
        with self._lock:
            self._counts["layers"] += 1
            return _replace(self._layers, time, wanted, self._layers.asked(-math.inf))

    def set_guidance(self, guidance: float, at: float | None = None) -> bool:
        """Say how strongly to follow, 1 to 5; 1 is plain. True if that is new."""
        value = checked_number("guidance", guidance, MIN_GUIDANCE, MAX_GUIDANCE)
        time = self._time(at)
        with self._lock:
            return _replace(self._guidance, time, value, DEFAULT_GUIDANCE)

    def set_parameter(
        self, name: str, value: float, ramp: float = 0.0, at: float | None = None
    ) -> float:
        """Move a declared parameter to `value`, kept within its range, over `ramp` seconds.

        Returned is how far it moves, as a share of its range.
        """
        target = checked_number(f"value of parameter {name!r}", value)
        seconds = checked_number(f"ramp of parameter {name!r}", ramp, 0.0, MAX_RAMP)
        time = self._time(at)
        with self._lock:
            parameter = self._parameters.get(name)
            if parameter is None:
                raise DiegeticError(
                    f"parameter must be declared ({_names(self._parameters)}), got {name!r}"
                )
            minimum, maximum, _ = parameter.range
            target = min(maximum, max(minimum, target))
            before = parameter.normalised(time)
            parameter.move(time, target, seconds)
            self._counts["parameters"] += 1
            return abs((target - minimum) / (maximum - minimum) - before)

    def set_switch(self, name: str, value: str, at: float | None = None) -> bool:
        """Turn a switch to `value`: one of those declared, or anything if it was not declared.

        True if that is new.
        """
        checked_text("switch name", name)
        checked_text(f"value of switch {name!r}", value)
        time = self._time(at)
        with self._lock:
            switch = self._switches.get(name)
            if switch is None:
                _room("switches", self._switches, name)
                switch = self._switches[name] = Switch(None)
            if switch.values is not None and value not in switch.values:
                raise DiegeticError(
                    f"switch {name!r} must be {_names(switch.values)}, got {value!r}"
                )
            self._counts["switches"] += 1
            return _replace(switch, time, value, None)

    def post_event(self, name: str, at: float | None = None, gain_db: float = 0.0) -> None:
        """Let `name` be heard once, at `at` or as soon after as a chunk can hold it."""
        checked_text("event name", name)
        gain = checked_number(f"gain_db of event {name!r}", gain_db, *GAIN_DB)
        event = Event(name, self._time(at), gain)
        with self._lock:
            if len(self._events) >= MAX_EVENTS:
                raise DiegeticError(
                    f"events kept must be at most {MAX_EVENTS}, got one more: {name!r}"
                )
            self._events.append(_Posted(event))
            self._seconds[math.floor(event.time)] += 1
            self._counts["events"] += 1

    def has_room(self, at: float) -> bool:
        """Tell whether fewer than `CROWD` events are known of the second of `at`."""
        with self._lock:
            return self._seconds[math.floor(at)] < CROWD

    def push_frame(self, pixels: NDArray[np.uint8], at: float | None = None) -> None:
        """Show what the player sees: (height, width, 3) uint8 RGB, top row first; it is copied.

        `at` is where in the sound it is first shown to the generator, later than now where sound is
        made ahead. One older than the newest is dropped.
        """
        frame = Frame(check_pixels(pixels).copy(), self._time(at))
        frame.pixels.setflags(write=False)
        with self._lock:
            self._counts["frames"] += 1
            frames = self._frames
            if frames and frame.time < frames[-1].time:
                self._counts["dropped_frames"] += 1
                return
            if len(frames) > 1 and frames[-1].time - frames[-2].time < FRAME_SPACING:
                frames.pop()  # it was only there as the newest
                self._counts["dropped_frames"] += 1
            frames.append(frame)
            # half a second more than is shown, for a generator that goes back
            while frames[0].time < frame.time - FRAME_AGE - 0.5:
                frames.pop(0)

    def settled_frames(self, after: float) -> tuple[Frame, ...]:
        """Return the frames later than `after` (s) that no newer one replaces, oldest first."""
        with self._lock:
            frames = self._frames
            if len(frames) > 1 and frames[-1].time - frames[-2].time < FRAME_SPACING:
                frames = frames[:-1]
            return tuple(frame for frame in frames if frame.time > after)

    def snapshot(self, t0: float, t1: float, heard_from: float | None = None) -> Snapshot:
        """Return what holds over [t0, t1), of which only what follows `heard_from` will be heard.

        Prompts, layers, guidance, switches and parameters are those of the middle of what is heard;
        the last two come in the order in which they last changed, newest last. Events are in order
        of time: those of [t0, t1), those of the past that no snapshot has taken yet, as if at `t0`,
        and those heard less than `RING` ago. Frames are the newest ones, oldest first, at least
        `FRAME_SPACING` apart and at most `FRAME_AGE` old; those that came for later, before the
        generator went back, count as seen at `t0`. Asking again gives the same events again.
        """
        start, end = checked_number("t0", t0), checked_number("t1", t1)
        if start >= end:
            raise DiegeticError(f"t1 must be after t0 ({start} s), got {end} s")
        middle = (max(start, start if heard_from is None else heard_from) + end) / 2
        with self._lock:
            self._forget(start - HISTORY)
            prompt, blend = prompt_and_blend(self._prompts.value(middle))
            guidance = self._guidance.last(middle)
            events = self._heard(start, end)
            parameters = {
                name: parameter.normalised(middle)
                for name, parameter in _by_change(self._parameters, middle)
            }
            switches = {
                name: change[1]
                for name, switch in _by_change(self._switches, middle)
                if (change := switch.last(middle))
            }
            return Snapshot(
                t0=start,
                t1=end,
                prompt=prompt,
                blend=blend,
                layers=self._layers.asked(middle, foley_here=bool(events)),
                guidance=guidance[1] if guidance else DEFAULT_GUIDANCE,
                parameters=parameters,
                switches=switches,
                events=events,
                frames=self._seen(start),
            )

    def _heard(self, t0: float, t1: float) -> tuple[Event, ...]:
        """Take the events due before `t1`; return those that start or still ring in [t0, t1)."""
        new = 0
        heard: list[Event] = []
        for posted in self._events:
            event = posted.event
            if event.time >= t1:
                continue
            if posted.heard is None:
                new += 1
                self._counts["late_events"] += event.time < t0
                posted.heard = max(event.time, t0)
            elif t0 < posted.heard:  # the generator went back: a late event may come earlier now
                posted.heard = max(event.time, t0)
            if posted.heard > t0 - RING:
                heard.append(Event(event.name, posted.heard, event.gain_db))
        self._counts["crowded_events"] += max(0, new - EVENT_SLOTS)
        return tuple(sorted(heard, key=lambda event: event.time))

    def _seen(self, t0: float) -> tuple[Frame, ...]:
        chosen: list[Frame] = []
        late = max(0.0, self._frames[-1].time - t0) if self._frames else 0.0
        for frame in reversed(self._frames):
            time = frame.time - late
            if time < t0 - FRAME_AGE:
                break
            if not chosen or chosen[-1].time - time >= FRAME_SPACING:
                chosen.append(Frame(frame.pixels, time))
        return tuple(reversed(chosen[:FRAME_SLOTS]))

    def _forget(self, horizon: float) -> None:
        self._prompts.forget(horizon)
        self._guidance.forget(horizon)
        self._layers.forget(horizon)
        for parameter in self._parameters.values():
            parameter.forget(horizon)
        for switch in self._switches.values():
            switch.forget(horizon)
        self._events = [p for p in self._events if p.heard is None or p.heard > horizon - RING]
        past = math.floor(horizon - RING)
        self._seconds = Counter({s: n for s, n in self._seconds.items() if s >= past and n})

    def _time(self, at: float | None) -> float:
        return self._clock() if at is None else checked_number("at", at)


def _replace(steps: Steps[T], time: float, value: T, unsaid: T | None) -> bool:
    """Let `value` hold from `time` on; return whether another one did before."""
    before = steps.last(time)
    steps.put(time, value)
    return (before[1] if before else unsaid) != value


def _by_change(lines: dict[str, S], time: float) -> list[tuple[str, S]]:
    """Sort by the last change before `time`, those never changed first, then as declared."""

    def changed(item: tuple[str, S]) -> float:
        change = item[1].last(time)
        return change[0] if change else -math.inf

    return sorted(lines.items(), key=changed)


def _room(what: str, known: dict[str, S], name: str) -> None:
    if name not in known and len(known) >= MAX_NAMES:
        raise DiegeticError(f"{what} must be at most {MAX_NAMES}, got one more: {name!r}")


def _names(names: Sequence[str] | dict[str, S]) -> str:
    """List some names for an error message."""
    listed = list(names)
    return (", ".join(listed[:10]) + (", …" if len(listed) > 10 else "")) or "none is"
