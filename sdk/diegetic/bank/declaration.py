"""What an engine declares of a sound that is heard once: its words, how many takes, how long.

EventSpec("footstep", "footstep on {surface}")  +  {"surface": "grass"}
    -> Variant("footstep", (("surface", "grass"),)), in words "footstep on grass"
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import NamedTuple

from diegetic.config import RATE
from diegetic.errors import DiegeticError
from diegetic.limits import MAX_NAME
from diegetic.world import GAIN_DB

MAX_EVENTS = 1024  # declared at once
MAX_TEXT = 500
MAX_VARIATIONS = 16
MAX_SWITCHES = 4  # in one template
MIN_LENGTH, MAX_LENGTH = 0.05, 4.0
BYTES_PER_SAMPLE = 8  # float32, two channels


class Variant(NamedTuple):
    """A declared event under certain values of the switches that its template names, in order."""

    name: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class EventSpec:
    """One event that the bank shall have ready.

    Attributes:
        name: what the engine posts.
        text: what is heard, in words; `{surface}` stands for the value of the switch "surface".
            Nothing is the name itself.
        variations: takes to keep ready for each set of switch values, 1 to 16.
        length: of a take at most, in seconds, 0.05 to 4.
        gain_db: of its voices, -96 to 24.
        bus: of the mixer.

    Raises:
        DiegeticError: a field is out of its limits, or `text` is no template of this kind.
    """

    name: str
    text: str = ""
    variations: int = 5
    length: float = 1.0
    gain_db: float = 0.0
    bus: str = "events"

    def __post_init__(self) -> None:
        _check_text("event name", self.name, MAX_NAME)
        whose = f"of event {self.name!r}"
        _check_text(f"text {whose}", self.text, MAX_TEXT, empty=True)
        _check_text(f"bus {whose}", self.bus, MAX_NAME)
        if isinstance(self.variations, bool) or not isinstance(self.variations, int):
            raise DiegeticError(f"variations {whose} must be whole, got {self.variations!r}")
        _check_number(f"variations {whose}", self.variations, 1, MAX_VARIATIONS)
        _check_number(f"length {whose}", self.length, MIN_LENGTH, MAX_LENGTH)
        _check_number(f"gain_db {whose}", self.gain_db, *GAIN_DB)
        if len(self.switches) > MAX_SWITCHES:
            raise DiegeticError(
                f"text {whose} must name at most {MAX_SWITCHES} switches, got {len(self.switches)}"
            )
        if self.text and not any(part.strip() or switch for part, switch in self._parts):
            raise DiegeticError(f"text {whose} must say something, got {self.text!r}")

    @property
    def max_samples(self) -> int:
        return round(self.length * RATE)

    @property
    def max_bytes(self) -> int:
        """What one take occupies at most, decoded."""
        return self.max_samples * BYTES_PER_SAMPLE

    @cached_property
    def switches(self) -> tuple[str, ...]:
        """The switches that `text` depends on, each once, in the order of their first mention."""
        return tuple(dict.fromkeys(switch for _, switch in self._parts if switch is not None))

    def variant(self, switches: Mapping[str, str]) -> Variant:
        """Return which variant the values of all `switches` call for; an unset one is empty."""
        return Variant(self.name, tuple((name, switches.get(name, "")) for name in self.switches))

    def words(self, variant: Variant) -> str:
        """Return what is heard in `variant`, in words."""
        values = dict(variant.values)
        said = "".join(
            part + (values.get(switch, "") if switch is not None else "")
            for part, switch in self._parts
        )
        return " ".join(said.split()) or self.name

    @cached_property
    def _parts(self) -> tuple[tuple[str, str | None], ...]:
        """The template as pieces of plain text, each with the switch that follows it, if any."""
        if not self.text:
            return ((self.name.replace("_", " "), None),)
        wrong = f"text of event {self.name!r} must be words and {{switch}} names, got {self.text!r}"
        try:
            parsed = list(Formatter().parse(self.text))
        except ValueError as error:
            raise DiegeticError(f"{wrong}: {error}") from error
        for _, switch, form, conversion in parsed:
            if form or conversion or (switch is not None and not switch.strip()):
                raise DiegeticError(wrong)
        return tuple((plain, switch) for plain, switch, _, _ in parsed)


def _check_text(what: str, value: str, limit: int, *, empty: bool = False) -> None:
    if not isinstance(value, str):
        raise DiegeticError(f"{what} must be text, got {type(value).__name__}")
    if len(value) > limit or not (empty or value.strip()):
        least = 0 if empty else 1
        raise DiegeticError(f"{what} must have {least} to {limit} characters, got {value[:50]!r}")


def _check_number(what: str, value: float, low: float, high: float) -> None:
    if not isinstance(value, int | float) or not (math.isfinite(value) and low <= value <= high):
        raise DiegeticError(f"{what} must be a number from {low:g} to {high:g}, got {value!r}")


def same_sound(one: EventSpec, other: EventSpec) -> bool:
    """True when takes of `one` are takes of `other`."""
    return (one.text, one.length) == (other.text, other.length)


def check_room(events: int, new: Sequence[EventSpec]) -> None:
    """Raise DiegeticError if `events`, `new` ones among them, are too many."""
    if events > MAX_EVENTS:
        raise DiegeticError(f"events must be at most {MAX_EVENTS}, got one more: {new[-1].name!r}")
