"""What every sink can do."""

import os
from pathlib import Path
from typing import NamedTuple, Protocol

from diegetic.errors import MediaError
from diegetic.mixer.commands import Command
from diegetic.ring import MixCounts, Underrun, VoiceStart
from diegetic.snapshot import FloatArray


class PlayClock(NamedTuple):
    """The sample of that number leaves the device at monotonic `time` (s), as it declares."""

    sample: int
    time: float


class Sink(Protocol):
    """A place for a bed of (n, 2) float32 samples at 48 kHz, and for voices on top of it.

    *Bed samples* are those written. *Output samples* are those heard since the first sound: the bed
    and what was played where it was missing. They are the time of the mixer's commands.
    """

    def start(self, prime: int = 0) -> None:
        """Open; the bed begins once `prime` samples are buffered, voices begin when sent.

        Raises:
            DeviceError, MediaError: it cannot be opened.
        """

    def write(self, samples: FloatArray) -> None:
        """Queue `samples` (n, 2); wait while there is no room."""

    def revise(self, position: int, samples: FloatArray) -> bool:
        """Replace the bed from sample `position` on by `samples` (n, 2).

        Return False, and change nothing, when some of it is taken.

        Raises:
            ValueError: nothing was ever written at `position`.
        """

    def send(self, command: Command) -> None:
        """Tell the mixer; sent before `start`, it waits for it. Never waits for the player.

        Raises:
            DiegeticError: `command` breaks one of its limits.
        """

    def started(self) -> list[VoiceStart]:
        """Return the voices that began since the last call."""

    def taken(self) -> int:
        """Return the first bed sample that can still be revised."""

    def buffered(self) -> int:
        """Return the bed samples written that the mixer has not taken."""

    def played(self) -> int:
        """Return the bed samples heard: written, minus buffered, minus the declared latency."""

    def clock(self) -> PlayClock:
        """Return a bed sample and the time at which it leaves."""

    def output_clock(self) -> PlayClock:
        """Return an output sample and the time at which it leaves."""

    @property
    def latency(self) -> float:
        """Declared seconds between device and ear."""

    @property
    def underruns(self) -> int:
        """Times that the device was hungry and nothing was buffered."""

    @property
    def concealed(self) -> int:
        """Samples played that were never written."""

    @property
    def mix_counts(self) -> MixCounts:
        """What the mixer could not do as asked, and the most that its limiter took away."""

    @property
    def drift_ppm(self) -> float | None:
        """By how much the device is faster than 48 kHz; None until it is known."""

    def underrun_log(self) -> list[Underrun]:
        """Return where in the recording the gaps are."""

    def stop(self, drain: bool = True) -> None:
        """Play what is buffered (or fade out at once) and close; a second call does nothing."""


def check_writable(path: Path) -> None:
    """Raise MediaError unless a file at `path` can be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise MediaError(f"cannot write {path}: its folder does not exist, or it is one")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise MediaError(f"cannot write {path}: permission denied")
