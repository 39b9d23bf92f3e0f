"""What an engine says to a server.

Positions are right-handed, in metres: x to the right, y up, -z forward.
"""

import math
from typing import Annotated

from msgspec import Meta, Struct

from diegetic_bridge.messages.fields import (
    BYTES_PER_PIXEL,
    MAX_BLEND,
    MAX_MESSAGE_BYTES,
    EventId,
    Gain,
    Layer,
    LoudnessTarget,
    Name,
    Origin,
    PixelFormat,
    Ramp,
    Share,
    Side,
    Text,
    Time,
    Value,
    Vector,
    Weight,
)
from diegetic_bridge.messages.specs import (
    BusSpec,
    EventSpec,
    ParameterSpec,
    PcmSpec,
    SnapshotSpec,
    SwitchSpec,
    bus_names,
    check_buses,
    check_once,
)

MAX_AHEAD = 60.0
"""Seconds that an event's time may lie ahead of the moment at which the server reads it."""

_LEAST_LENGTH = 1e-3  # of a direction, and of the sine between two that must differ


class Hello(Struct, frozen=True, tag="hello"):
    """The first message: who speaks, and what it is going to say.

    `instance` tells one run of a game from the next (any unique text). With it, a hello that is
    repeated after a broken connection resumes the session, and a second run under the same routing
    id replaces the first. Without it (""), a second hello is an error.

    `events`: a plain name is an event with the defaults of `EventSpec`. `pcm`: the engine wants the
    sound itself; None leaves it to the server's device.
    """

    version: Annotated[int, Meta(ge=1)]
    time: Time
    engine: Annotated[str, Meta(max_length=128)] = ""
    instance: Annotated[str, Meta(max_length=64)] = ""
    parameters: Annotated[list[ParameterSpec], Meta(max_length=256)] = []
    switches: Annotated[list[SwitchSpec], Meta(max_length=256)] = []
    events: Annotated[list[EventSpec | Name], Meta(max_length=1024)] = []
    buses: Annotated[list[BusSpec], Meta(max_length=64)] = []
    snapshots: Annotated[list[SnapshotSpec], Meta(max_length=64)] = []
    pcm: PcmSpec | None = None

    @property
    def event_specs(self) -> list[EventSpec]:
        """What `events` declares, each name once."""
        return list({spec.name: spec for spec in map(_spec, self.events)}.values())

    @property
    def bus_names(self) -> set[str]:
        """The buses that there are, built in or declared."""
        return bus_names(self.buses)

    def __post_init__(self) -> None:
        check_once("parameters", (parameter.name for parameter in self.parameters))
        check_once("switches", (switch.name for switch in self.switches))
        check_once("snapshots", (snapshot.name for snapshot in self.snapshots))
        check_buses(self.buses)
        buses = self.bus_names
        specs: dict[str, EventSpec] = {}
        for spec in map(_spec, self.events):
            if specs.setdefault(spec.name, spec) != spec:
                raise ValueError(f"events: expected each name once, got {spec.name!r} again")
            if spec.bus not in buses:
                raise ValueError(
                    f"events: expected a bus that there is for {spec.name!r}, got {spec.bus!r}"
                )
        for snapshot in self.snapshots:
            unknown = snapshot.gains_db.keys() - buses
            if unknown:
                raise ValueError(
                    f"snapshots: expected buses that there are in {snapshot.name!r}, "
                    f"got {min(unknown)!r}"
                )


class Frame(Struct, frozen=True, tag="frame"):
    """What the player sees. Only the newest matters: older ones may be dropped on the way.

    `pixels` holds `height` rows, `stride` bytes apart (0: no padding); the last row may lack its
    padding.
    """

    width: Side
    height: Side
    time: Time
    pixels: Annotated[bytes, Meta(max_length=MAX_MESSAGE_BYTES)]
    format: PixelFormat = "rgb24"
    stride: Annotated[int, Meta(ge=0, le=MAX_MESSAGE_BYTES)] = 0
    origin: Origin = "top"

    @property
    def row_bytes(self) -> int:
        """Bytes from the start of one row to the start of the next."""
        return self.stride or self.width * BYTES_PER_PIXEL[self.format]

    def __post_init__(self) -> None:
        used = self.width * BYTES_PER_PIXEL[self.format]
        if self.row_bytes < used:
            raise ValueError(
                f"stride: expected 0 or at least {used} ({self.width} pixels of {self.format}), "
                f"got {self.stride}"
            )
        most = self.row_bytes * self.height
        least = most - self.row_bytes + used
        if not least <= len(self.pixels) <= most:
            span = f"{most}" if least == most else f"{least} to {most}"
            raise ValueError(
                f"pixels: expected {span} bytes ({self.height} rows of {self.row_bytes}), "
                f"got {len(self.pixels)}"
            )


class Prompt(Struct, frozen=True, tag="prompt"):
    """What should be heard, in words; "" is silence.

    Attributes:
        guidance: how strictly, None leaves it.
        weight: of `text` against those of `blend`.
        blend: more texts, heard at the same time, each with its weight.
        ramp: seconds in which what is heard becomes that.
    """

    text: Annotated[str, Meta(max_length=2000)]
    time: Time
    guidance: Annotated[float, Meta(ge=1, le=5)] | None = None
    weight: Weight = 1.0
    blend: Annotated[dict[Text, Weight], Meta(max_length=MAX_BLEND)] = {}
    ramp: Ramp = 0.0

    @property
    def weights(self) -> dict[str, float]:
        """All texts and their weights."""
        return {self.text: self.weight, **self.blend}

    def __post_init__(self) -> None:
        if self.blend and not self.text:
            raise ValueError("text: expected words beside those of blend, got none")
        if self.text in self.blend:
            raise ValueError(f"blend: expected other texts than {self.text[:50]!r}, got it again")


class Layers(Struct, frozen=True, tag="layers"):
    """Which layers of the endless sound are heard; none means all."""

    layers: Annotated[list[Layer], Meta(max_length=3)]
    time: Time


class Parameter(Struct, frozen=True, tag="parameter"):
    """A declared parameter goes to `value` over `ramp` seconds."""

    name: Name
    value: Value
    time: Time
    ramp: Ramp = 0.0


class Switch(Struct, frozen=True, tag="switch"):
    """A switch takes one of its named values."""

    name: Name
    value: Name
    time: Time


class Event(Struct, frozen=True, tag="event"):
    """Something that is heard once. `id` is unique within a run; a repeated one is not heard.

    Attributes:
        time: when it is heard, up to `MAX_AHEAD` seconds ahead; one that is past is heard at once.
        gain_db: on top of the gain that the event was declared with.
        position: where it is; None is everywhere: in the middle, at any distance.
        occlusion: how much stands between it and the listener, 0 nothing, 1 a thick wall.
        bus: through which it is heard; "" is the one that the event was declared with.
    """

    id: EventId
    name: Name
    time: Time
    gain_db: Gain = 0.0
    position: Vector | None = None
    occlusion: Share = 0.0
    bus: Annotated[str, Meta(max_length=64)] = ""


class Bus(Struct, frozen=True, tag="bus"):
    """A bus becomes louder or quieter, or (un)mutes, over `fade` seconds; None leaves it."""

    name: Name
    time: Time
    gain_db: Gain | None = None
    mute: bool | None = None
    fade: Ramp = 0.0

    def __post_init__(self) -> None:
        if self.gain_db is None and self.mute is None:
            raise ValueError("gain_db: expected a gain or a mute, got neither")


class PushSnapshot(Struct, frozen=True, tag="push_snapshot"):
    """A declared snapshot of the mix comes in over `fade` seconds; one that is in stays in."""

    name: Name
    time: Time
    fade: Ramp = 0.0


class PopSnapshot(Struct, frozen=True, tag="pop_snapshot"):
    """A declared snapshot of the mix goes over `fade` seconds; one that is not in stays out."""

    name: Name
    time: Time
    fade: Ramp = 0.0


class Loudness(Struct, frozen=True, tag="loudness"):
    """The whole mix is steered towards a loudness, slowly; None leaves it as it comes.

    `lufs`: integrated, after ITU-R BS.1770.
    """

    time: Time
    lufs: LoudnessTarget | None = None


class Listener(Struct, frozen=True, tag="listener"):
    """Where the ears are, where they look and where their top is; directions of any length."""

    position: Vector
    time: Time
    forward: Vector = (0.0, 0.0, -1.0)
    up: Vector = (0.0, 1.0, 0.0)

    def __post_init__(self) -> None:
        for field, direction in (("forward", self.forward), ("up", self.up)):
            if _length(direction) < _LEAST_LENGTH:
                raise ValueError(f"{field}: expected a direction, got {list(direction)}")
        (x, y, z), (a, b, c) = self.forward, self.up
        across = (y * c - z * b, z * a - x * c, x * b - y * a)
        if _length(across) < _LEAST_LENGTH * _length(self.forward) * _length(self.up):
            raise ValueError(f"up: expected another direction than forward, got {list(self.up)}")


class Ping(Struct, frozen=True, tag="ping"):
    """Asks for a pong; its `time` keeps the server's view of the engine's clock fresh."""

    time: Time


class Bye(Struct, frozen=True, tag="bye"):
    """The engine is done; its session closes."""

    time: Time


Said = (
    Prompt
    | Layers
    | Parameter
    | Switch
    | Event
    | Bus
    | PushSnapshot
    | PopSnapshot
    | Loudness
    | Listener
)
"""What must arrive: a state's newest value, and every event."""

ClientMessage = Hello | Frame | Said | Ping | Bye


def _spec(event: EventSpec | str) -> EventSpec:
    return event if isinstance(event, EventSpec) else EventSpec(event)


def _length(vector: Vector) -> float:
    return math.hypot(*vector)
