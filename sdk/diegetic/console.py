"""The mixing console of a session: tells whoever mixes, and tells all of it to the next one.

read  bed --> the console's own Mixer --> samples
play  bed --> the sink, whose player has a Mixer of its own, in its own process
"""

import threading
import time

import numpy as np

from diegetic.errors import DiegeticError
from diegetic.mixer.commands import (
    BEDS,
    EVENTS,
    MASTER,
    Command,
    DeclareBus,
    DeclareSnapshot,
    DropClip,
    LoadClip,
    PopSnapshot,
    PushSnapshot,
    SetBus,
    StartVoice,
    checked,
)
from diegetic.mixer.mixer import Mixer
from diegetic.player import BLOCK
from diegetic.ring import VoiceStart
from diegetic.sink import Sink
from diegetic.sink.mix_state import MixState
from diegetic.snapshot import FloatArray

_PASSING = (LoadClip, DropClip, StartVoice)  # what a next mixer need not be told


class Console:
    """Buses, snapshots, listener and voices of one session; any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = MixState()
        self._buses = {MASTER, BEDS, EVENTS}
        self._snapshots: set[str] = set()
        self._sink: Sink | None = None
        self._mixer = Mixer(BLOCK)

    def send(self, command: Command) -> None:
        """Tell the mixer, and remember what lasts.

        Raises:
            DiegeticError: `command` breaks a limit, or names a bus or snapshot that there is not.
        """
        command = checked(command)
        with self._lock:
            self._check_names(command)
            if not isinstance(command, _PASSING):
                self._state.note(command, time.monotonic(), self._position())
            if self._sink is None:
                self._mixer.apply(command)
            else:
                self._sink.send(command)

    def attach(self, sink: Sink) -> None:
        """From now on `sink` mixes; it is told all that lasts but clips."""
        with self._lock:
            self._sink = sink
            self._mixer = Mixer(BLOCK)  # lets go of its clips
            for command in self._state.replay(time.monotonic(), 0, set()):
                sink.send(command)

    def detach(self, position: int) -> None:
        """From output sample `position` on the console mixes; it is told all but clips."""
        with self._lock:
            self._sink = None
            self._mixer = Mixer(BLOCK, position=position)
            for command in self._state.replay(time.monotonic(), 0, set()):
                self._mixer.apply(command)

    def mix(self, bed: FloatArray) -> FloatArray:
        """Mix the next `bed` (n, 2); what comes out is the limiter's look-ahead late."""
        out = np.empty_like(bed)
        with self._lock:
            for start in range(0, len(bed), BLOCK):
                self._mixer.mix(bed[start : start + BLOCK], out[start : start + BLOCK])
        return out

    def started(self) -> list[VoiceStart]:
        """Return the voices that began since the last call."""
        with self._lock:
            if self._sink is not None:
                return self._sink.started()
            now = time.monotonic()
            return [
                VoiceStart(voice, asked, sample, now)
                for voice, asked, sample in self._mixer.take_started()
            ]

    def _position(self) -> int:
        return self._mixer.position if self._sink is None else self._sink.output_clock().sample

    def _check_names(self, command: Command) -> None:
        """Refuse what the mixer would only count."""
        match command:
            case DeclareBus(name, parent, ducks):
                for known in (parent, *(duck.source for duck in ducks)):
                    self._check("bus", known, self._buses)
                self._buses.add(name)
            case SetBus(name):
                self._check("bus", name, self._buses)
            case StartVoice():
                self._check("bus", command.bus, self._buses)
            case DeclareSnapshot(name, gains):
                for bus in gains:
                    self._check("bus", bus, self._buses)
                self._snapshots.add(name)
            case PushSnapshot(name) | PopSnapshot(name):
                self._check("snapshot", name, self._snapshots)

    def _check(self, what: str, name: str, known: set[str]) -> None:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none is declared"
            raise DiegeticError(f"{what} must be one of {listed}, got {name!r}")
