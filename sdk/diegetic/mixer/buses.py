"""Buses: a tree of sums, each with a gain, a mute, snapshots on top, and ducks.

    voices -> footsteps --\
                           events --\
    bed ---------- beds ------------ master -> out

What a bus is multiplied by is, in this order of thought: its own gain plus those of all pushed
snapshots plus its deepest duck (decibels, added), and its mute (a factor). Each goes its own way in
its own time, so what is taken away again leaves no trace.
"""

import math
from dataclasses import dataclass

import numpy as np
from msgspec import structs

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError
from diegetic.mixer.commands import (
    BEDS,
    EVENTS,
    MASTER,
    DeclareBus,
    DeclareSnapshot,
    Duck,
    PopSnapshot,
    PushSnapshot,
    SetBus,
)
from diegetic.mixer.ramp import FADE, RAMP, Ramp, Stretch, amplitude
from diegetic.mixer.room import line, plus, times
from diegetic.snapshot import FloatArray

MAX_BUSES = 64
MAX_DEPTH = 8  # of the tree, master included: with MAX_GAIN_DB on each, nothing overflows
MAX_GAIN_DB = 24.0  # of one bus, snapshots included
MAX_SNAPSHOTS = 64
MAX_PUSHED = 16
DUCK_FROM_DB = -60.0  # a source this loud (RMS) begins to duck
DUCK_FULL_DB = -40.0  # and does so fully here; between them softly, so that no threshold flutters
_RESTING_DB = 1e-3  # a duck this close to where it is going has arrived
_TINY = 1e-12
_NEPERS = np.float32(math.log(10.0) / 20.0)  # per dB


@dataclass
class _Pushed:
    """A snapshot that counts, as far as its `weight` (0 to 1) says."""

    name: str
    gains_db: dict[str, float]
    weight: Ramp


@dataclass
class _Follower:
    """How deep a duck is now."""

    duck: Duck
    depth_db: float = 0.0

    def step(self, level_db: float, seconds: float) -> None:
        """Follow a source of `level_db` for `seconds`."""
        share = (level_db - DUCK_FROM_DB) / (DUCK_FULL_DB - DUCK_FROM_DB)
        target = self.duck.gain_db * min(max(share, 0.0), 1.0)
        constant = self.duck.attack if target < self.depth_db else self.duck.release
        self.depth_db = target + (self.depth_db - target) * math.exp(-seconds / constant)
        if abs(self.depth_db - target) < _RESTING_DB:
            self.depth_db = target


class _Bus:
    """One node: its settings, and its sum of the stretch being mixed."""

    def __init__(self, name: str, parent: str, block: int) -> None:
        self.name = name
        self.parent = parent
        self.gain_db = Ramp(0.0)
        self.mute = Ramp(1.0)
        self.followers: list[_Follower] = []
        self.duck = (1.0, 1.0)  # factor at the ends of the present interval
        self.samples = np.zeros((CHANNELS, block), np.float32)
        self.filled = False
        self.energy = 0.0  # of the present interval, after all gains

    def add(self, samples: FloatArray) -> None:
        """Add (2, count) to the sum."""
        sum_ = self.samples[:, : samples.shape[1]]
        if self.filled:
            sum_ += samples
        else:
            sum_[:] = samples
            self.filled = True


class Buses:
    """The tree; intervals of `block` samples, counted from sample 0, pace the ducks."""

    def __init__(self, block: int) -> None:
        self._block = block
        self._phase = ((np.arange(block) + 1.0) / block).astype(np.float32)
        self._copy = np.zeros(CHANNELS * block, np.float32)
        self._buses: dict[str, _Bus] = {}
        self._order: list[_Bus] = []  # children before parents
        self._heard: set[str] = set()  # sources of ducks
        self._snapshots: dict[str, dict[str, float]] = {}
        self._pushed: list[_Pushed] = []
        self._buses[MASTER] = _Bus(MASTER, "", block)
        for name in (BEDS, EVENTS):
            self._buses[name] = _Bus(name, MASTER, block)
        self._sort()

    def check(self, name: str) -> None:
        """Refuse a bus that is not there.

        Raises:
            DiegeticError: naming those that are.
        """
        if name not in self._buses:
            raise DiegeticError(f"bus must be one of {', '.join(self._buses)}, got {name!r}")

    # Commands. `position` is the next sample to be mixed.

    def declare(self, command: DeclareBus) -> None:
        if command.name == MASTER:
            raise DiegeticError(f"bus must not be {MASTER!r}: it has neither parent nor ducks")
        self.check(command.parent)
        for duck in command.ducks:
            self.check(duck.source)
        if command.name in self._line(command.parent):
            raise DiegeticError(
                f"parent of {command.name!r} must not lie below it, got {command.parent!r}"
            )
        bus = self._buses.get(command.name)
        if bus is None and len(self._buses) >= MAX_BUSES:
            raise DiegeticError(f"buses must be at most {MAX_BUSES}, got {command.name!r} too")
        if len(self._line(command.parent)) + self._height(command.name) > MAX_DEPTH:
            raise DiegeticError(f"buses must lie at most {MAX_DEPTH} deep, got {command.name!r}")
        if bus is None:
            bus = self._buses[command.name] = _Bus(command.name, command.parent, self._block)
        bus.parent = command.parent
        before = {follower.duck.source: follower for follower in bus.followers}
        bus.followers = []
        for duck in command.ducks:
            old = before.pop(duck.source, None)
            bus.followers.append(_Follower(duck, old.depth_db if old else 0.0))
        for old in before.values():  # no longer asked for: come back as slowly as declared
            bus.followers.append(_Follower(structs.replace(old.duck, gain_db=0.0), old.depth_db))
        self._sort()

    def set(self, command: SetBus, position: int) -> None:
        self.check(command.name)
        bus = self._buses[command.name]
        fade = round(command.fade * RATE)
        if command.gain_db is not None:
            bus.gain_db.go(command.gain_db, position, max(RAMP, fade))
        if command.mute is not None:
            bus.mute.go(0.0 if command.mute else 1.0, position, max(FADE, fade))

    def declare_snapshot(self, command: DeclareSnapshot) -> None:
        for name in command.gains_db:
            self.check(name)
        if command.name not in self._snapshots and len(self._snapshots) >= MAX_SNAPSHOTS:
            raise DiegeticError(
                f"snapshots must be at most {MAX_SNAPSHOTS}, got {command.name!r} too"
            )
        self._snapshots[command.name] = command.gains_db

    def push(self, command: PushSnapshot, position: int) -> None:
        gains_db = self._snapshots.get(command.name)
        if gains_db is None:
            raise DiegeticError(
                f"snapshot must be one of {', '.join(self._snapshots) or '(none)'}, "
                f"got {command.name!r}"
            )
        if len(self._pushed) >= MAX_PUSHED:
            raise DiegeticError(f"pushed snapshots must be at most {MAX_PUSHED}")
        pushed = _Pushed(command.name, gains_db, Ramp(0.0))
        pushed.weight.go(1.0, position, max(RAMP, round(command.fade * RATE)))
        self._pushed.append(pushed)

    def pop(self, command: PopSnapshot, position: int) -> None:
        for pushed in reversed(self._pushed):
            if pushed.name == command.name and pushed.weight.target:
                pushed.weight.go(0.0, position, max(RAMP, round(command.fade * RATE)))
                return
        raise DiegeticError(f"snapshot must be a pushed one, got {command.name!r}")

    def _line(self, name: str) -> list[str]:
        """Return `name`, its parent, and so on up to master."""
        line = []
        while name:
            line.append(name)
            name = self._buses[name].parent
        return line

    def _height(self, name: str) -> int:
        """Return how many buses lie on the longest way down from `name`, itself counted."""
        lines = (self._line(other) for other in self._buses)
        return max((line.index(name) + 1 for line in lines if name in line), default=1)

    def _sort(self) -> None:
        self._order = sorted(self._buses.values(), key=lambda bus: -len(self._line(bus.name)))
        self._heard = {f.duck.source for bus in self._order for f in bus.followers}

    # Mixing

    def add(self, name: str, samples: FloatArray) -> None:
        """Add (2, count) to a bus for the stretch that `mix` comes to next."""
        self._buses[name].add(samples)

    def mix(self, stretch: Stretch) -> FloatArray:
        """Return the sum of all, (2, count); a view that the next stretch overwrites.

        A stretch never crosses an interval's end.
        """
        offset = stretch.position % self._block
        if offset == 0:
            self._follow()
        self._pushed = [
            pushed
            for pushed in self._pushed
            if pushed.weight.target or not pushed.weight.rests(stretch.position)
        ]
        for bus in self._order:
            if not bus.filled:
                continue
            samples = bus.samples[:, : stretch.count]
            gain = self._gain(bus, stretch, offset)
            if isinstance(gain, np.ndarray) or gain != 1.0:
                samples *= gain
            if bus.name in self._heard:
                bus.energy += self._energy(samples)
            bus.filled = False
            if bus.parent:
                self._buses[bus.parent].add(samples)
        return self._buses[MASTER].samples[:, : stretch.count]

    def _energy(self, samples: FloatArray) -> float:
        """Return the sum of squares of (2, count): of a whole block where it is, else of a copy."""
        if samples.shape[1] < self._block:
            copy = self._copy[: samples.size].reshape(samples.shape)
            copy[:] = samples
            samples = copy
        return float(np.vdot(samples, samples))

    def _gain(self, bus: _Bus, stretch: Stretch, offset: int) -> "float | FloatArray":
        """Return what `bus` is multiplied by: one number while nothing moves, else (count,)."""
        level_db = stretch.values(bus.gain_db)
        for pushed in self._pushed:
            if bus.name in pushed.gains_db:
                share = times(stretch.values(pushed.weight), pushed.gains_db[bus.name])
                level_db = plus(level_db, share)
        if isinstance(level_db, np.ndarray):
            np.minimum(level_db, MAX_GAIN_DB, out=level_db)
            level_db *= _NEPERS
            gain: float | FloatArray = np.exp(level_db, out=level_db)
        else:
            gain = amplitude(min(level_db, MAX_GAIN_DB))
        gain = times(gain, stretch.values(bus.mute))
        before, after = bus.duck
        if before != after:
            phase = self._phase[offset : offset + stretch.count]
            gain = times(gain, line(before, after, phase, stretch.room))
        elif after != 1.0:
            gain = times(gain, after)
        return gain

    def _follow(self) -> None:
        """An interval is over: see how loud the sources were, and where the ducks go next."""
        if not self._heard:
            return
        seconds = self._block / RATE
        mean = 1.0 / (self._block * CHANNELS)
        for bus in self._order:
            for follower in bus.followers:
                energy = self._buses[follower.duck.source].energy * mean
                follower.step(10.0 * math.log10(energy + _TINY), seconds)
            deepest = min((follower.depth_db for follower in bus.followers), default=0.0)
            bus.duck = (bus.duck[1], amplitude(deepest))
        for bus in self._order:
            bus.energy = 0.0
