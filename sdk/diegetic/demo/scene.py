"""From what a game knows to what it says: prompts, switches, parameters, events; no game in here.

Reading ── place, held for a moment ──→ prompt, switches
        ── health, enemies, wounds ───→ parameters
        ── what rose, what fell ──────→ events
"""

import math
from dataclasses import dataclass

from diegetic.demo.terrain import SURFACES, Spot

AREAS = ("outdoors", "hall", "indoors")
EVENTS = {
    "shot": "a pistol shot",
    "hurt": "a man grunting in pain",
    "pickup": "picking up an item",
    "door": "a metal door opening",
}
HALL_HEIGHT = 192.0  # map units from floor to ceiling; a player is 56 tall
SETTLE = 0.8  # s that a new place must last before its words are said
HOLD = 5.0  # s that a prompt stays at least
DANGER, CALM = 0.6, 0.35  # threat at which a place becomes dangerous, and calm again
CLOSE = 256.0  # map units at which one enemy is a threat of 0.63
FRIGHT, RELEASE = 3.0, 1.5  # s: time constants of the fear after a wound, and of all fear
DOOR_PAUSE = 4.0  # s: using an open door again is no second event

_SURFACE_PROMPTS = {
    "lava": "a crackling fire",
    "water": "a stream of running water",
    "slime": "a bubbling stream in a stone cellar",
}
_OUTDOORS = "wind over an open courtyard at night"
_OUTDOOR_PROMPTS = {
    "grass": "crickets at night in the grass",
    "dirt": "birds and a light wind",
}
_OUTDOOR_DANGER = "a thunderstorm with heavy rain"
_HALL = "calm ambient music in a wide hall"
_INDOORS = "dripping water in a stone cellar"
_INDOOR_PROMPTS = {
    "metal": "humming machinery in a dark base corridor",
    "wood": "rain on a roof",
    "dirt": "wind in a cave",
}
_INDOOR_DANGER = "loud machinery and a rumbling train"


@dataclass(frozen=True)
class Reading:
    """One look at the game.

    Attributes:
        time: seconds, monotonic.
        health: 0 to 100, more with bonuses.
        weapon: number of the weapon in hand.
        ammo: rounds left for it.
        items: how many things were picked up for good.
        enemies: distances of the visible enemies in map units.
        spot: where the player stands, when it is known.
        door: number of a door that is being used, or None.
    """

    time: float
    health: float
    weapon: int
    ammo: float
    items: float
    enemies: tuple[float, ...] = ()
    spot: Spot | None = None
    door: int | None = None


@dataclass(frozen=True)
class Message:
    """What to say because of one reading; None and () are nothing new."""

    prompt: str | None = None
    area: str | None = None
    underfoot: str | None = None
    health: float | None = None
    threat: float | None = None
    events: tuple[str, ...] = ()


def area(spot: Spot) -> str:
    """Name the kind of place, one of `AREAS`."""
    if spot.outdoors:
        return "outdoors"
    return "hall" if spot.height >= HALL_HEIGHT else "indoors"


def prompt(spot: Spot, *, danger: bool) -> str:
    """Say what is heard at `spot`."""
    kind = area(spot)
    if danger:
        return _OUTDOOR_DANGER if kind == "outdoors" else _INDOOR_DANGER
    if spot.surface in _SURFACE_PROMPTS:
        return _SURFACE_PROMPTS[spot.surface]
    if kind == "outdoors":
        return _OUTDOOR_PROMPTS.get(spot.surface, _OUTDOORS)
    return _HALL if kind == "hall" else _INDOOR_PROMPTS.get(spot.surface, _INDOORS)


class Scene:
    """Turns one reading after the other into messages; says only what has changed."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._said = Message()
        self._said_at = -math.inf
        self._candidate: tuple[str, float] | None = None
        self._threat = 0.0
        self._fright = 0.0
        self._danger = False
        self._doors: dict[int, float] = {}

    def read(self, now: Reading) -> Message:
        """Return what is new in `now`, the reading that follows the last one."""
        before, self._last = self._last or now, now
        events = tuple(self._events(before, now))
        self._feel(before, now, wounded="hurt" in events)
        health = round(min(max(now.health, 0.0), 100.0) / 100, 2)
        threat = round(self._threat, 2)
        spot = now.spot
        place = area(spot) if spot else None
        underfoot = spot.surface if spot else None
        message = Message(
            prompt=self._prompt(spot, now.time),
            area=place if place != self._said.area else None,
            underfoot=underfoot if underfoot != self._said.underfoot else None,
            health=health if health != self._said.health else None,
            threat=threat if threat != self._said.threat else None,
            events=events,
        )
        self._said = Message(
            prompt=message.prompt or self._said.prompt,
            area=place or self._said.area,
            underfoot=underfoot or self._said.underfoot,
            health=health,
            threat=threat,
        )
        return message

    def restart(self) -> None:
        """Forget the last reading: to start anew is neither a wound nor a pickup."""
        self._last = None
        self._fright = 0.0

    def _events(self, before: Reading, now: Reading) -> list[str]:
        events = []
        if now.weapon == before.weapon and now.ammo < before.ammo:
            events.append("shot")
        if now.health < before.health:
            events.append("hurt")
        found_ammo = now.weapon == before.weapon and now.ammo > before.ammo
        if now.items > before.items or now.health > before.health or found_ammo:
            events.append("pickup")
        if now.door is not None:
            if now.time - self._doors.get(now.door, -math.inf) > DOOR_PAUSE:
                events.append("door")
            self._doors[now.door] = now.time
        return events

    def _feel(self, before: Reading, now: Reading, *, wounded: bool) -> None:
        """Threat follows enemies at once and wears off slowly."""
        passed = max(now.time - before.time, 0.0)
        self._fright = 1.0 if wounded else self._fright * math.exp(-passed / FRIGHT)
        pressure = sum(CLOSE / max(distance, CLOSE / 4) for distance in now.enemies)
        target = 1.0 - math.exp(-pressure - self._fright)
        faded = self._threat * math.exp(-passed / RELEASE)
        self._threat = max(target, faded)
        self._danger = self._threat > (CALM if self._danger else DANGER)

    def _prompt(self, spot: Spot | None, now: float) -> str | None:
        """The words for this place, once it has lasted; None when there is nothing new to say."""
        if spot is None:
            return None
        words = prompt(spot, danger=self._danger)
        if words == self._said.prompt:
            self._candidate = None
            return None
        if self._candidate is None or self._candidate[0] != words:
            self._candidate = (words, now)
        first = self._said.prompt is None
        lasted = now - self._candidate[1] >= SETTLE and now - self._said_at >= HOLD
        if not (first or lasted):
            return None
        self._candidate, self._said_at = None, now
        return words


__all__ = ["AREAS", "EVENTS", "SURFACES", "Message", "Reading", "Scene", "area", "prompt"]
