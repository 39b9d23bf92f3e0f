"""What an engine declares in its hello, so that tools can show it and sounds can be made ahead."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from diegetic_bridge.messages.fields import Gain, Name, Value

MASTER_BUS = "master"
BUILT_IN_BUSES = (MASTER_BUS, "beds", "events")
"""They are there without being declared: endless sound goes to "beds", events go to "events"."""

_DuckTime = Annotated[float, Meta(ge=0.001, le=10)]


class ParameterSpec(Struct, frozen=True):
    """A parameter that the engine will set: its name and range, so that tools can draw a slider."""

    name: Name
    minimum: Value = 0.0
    maximum: Value = 1.0
    default: Value = 0.0

    def __post_init__(self) -> None:
        if not self.minimum < self.maximum:
            raise ValueError(
                f"maximum: expected more than minimum ({self.minimum:g}), got {self.maximum:g}"
            )
        if not self.minimum <= self.default <= self.maximum:
            raise ValueError(
                f"default: expected {self.minimum:g} to {self.maximum:g}, got {self.default:g}"
            )


class SwitchSpec(Struct, frozen=True):
    """A switch that the engine will set, and the values that it can have."""

    name: Name
    values: Annotated[list[Name], Meta(min_length=1, max_length=256)]


class EventSpec(Struct, frozen=True):
    """An event that the engine will post; the server makes its sounds ahead of time.

    Attributes:
        name: what `Event.name` will say.
        text: what is heard, in words; `{surface}` stands for the value of the switch "surface".
            "" is the name itself.
        variations: how many takes of it are kept ready.
        length: of a take at most, in seconds.
        gain_db: of each of its sounds, on top of which comes `Event.gain_db`.
        bus: through which it is heard, built in or declared.
    """

    name: Name
    text: Annotated[str, Meta(max_length=500)] = ""
    variations: Annotated[int, Meta(ge=1, le=16)] = 5
    length: Annotated[float, Meta(ge=0.05, le=4)] = 1.0
    gain_db: Gain = 0.0
    bus: Name = "events"


class DuckSpec(Struct, frozen=True):
    """A bus makes room for another: while `source` is heard, it is `gain_db` quieter.

    `attack`, `release`: seconds that it takes to give way, and to come back.
    """

    source: Name
    gain_db: Annotated[float, Meta(ge=-60, le=0)] = -9.0
    attack: _DuckTime = 0.05
    release: _DuckTime = 0.5


class BusSpec(Struct, frozen=True):
    """A bus of the mixer: what is sent to it goes on to `parent`.

    "beds" and "events" may be declared to give them another parent or ducks; "master" may not.
    """

    name: Name
    parent: Name = MASTER_BUS
    ducks: Annotated[list[DuckSpec], Meta(max_length=8)] = []


class PcmSpec(Struct, frozen=True):
    """The engine plays the sound itself: it comes as `Pcm` messages, and no device is opened.

    Attributes:
        rate: samples per second of each channel.
        frames: samples of each channel in a message.
    """

    rate: Annotated[int, Meta(ge=8_000, le=192_000)] = 48_000
    frames: Annotated[int, Meta(ge=64, le=8192)] = 512


class SnapshotSpec(Struct, frozen=True):
    """A scene of the mix: while it is pushed, these gains are added to those of the buses."""

    name: Name
    gains_db: Annotated[dict[Name, Gain], Meta(max_length=64)]


def check_once(field: str, names: Iterable[str]) -> None:
    """Raise a `ValueError` about `field` if a name comes twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{field}: expected each name once, got {min(twice)!r} again")


def bus_names(buses: Iterable[BusSpec]) -> set[str]:
    """Return the names of all buses that there are when `buses` are declared."""
    return {*BUILT_IN_BUSES, *(bus.name for bus in buses)}


def check_buses(buses: Sequence[BusSpec]) -> None:
    """Raise a `ValueError` unless `buses`, made in this order, all lead to the master.

    A parent and what a bus ducks from come before it: no circle, and none waits for another.
    """
    check_once("buses", (bus.name for bus in buses))
    made = (set(BUILT_IN_BUSES) - {bus.name for bus in buses}) | {MASTER_BUS}
    for bus in buses:
        if bus.name == MASTER_BUS:
            raise ValueError(f"buses: expected other names than {MASTER_BUS!r}, got it")
        if bus.parent not in made:
            raise ValueError(
                f"buses: expected the parent of {bus.name!r} before it, got {bus.parent!r}"
            )
        for duck in bus.ducks:
            if duck.source not in made:
                raise ValueError(
                    f"buses: expected what {bus.name!r} ducks from before it, got {duck.source!r}"
                )
        made.add(bus.name)
