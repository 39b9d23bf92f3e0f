"""One block at a time: voices and the bed into buses, master, loudness, limiter.

    position  |<---------------- block ---------------->|<- ...
    stretches |<- ... ->|<- SetBus at ->|<-    ...    ->|

Time is the output's sample count. A block is cut into *stretches* where a bus was told to change at
a sample of its own, and at the ends of *intervals* (multiples of `block`, counted from sample 0) at
which ducks and loudness take their steps. So the sound does not depend on how it is cut into calls.
"""

import logging
from bisect import insort
from collections import deque

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError
from diegetic.mixer.buses import Buses
from diegetic.mixer.commands import (
    BEDS,
    MAX_SAMPLE,
    Command,
    DeclareBus,
    DeclareSnapshot,
    DropClip,
    LoadClip,
    MoveVoice,
    PopSnapshot,
    PushSnapshot,
    SetBus,
    SetListener,
    SetMaster,
    StartVoice,
    StopVoice,
    checked,
)
from diegetic.mixer.limiter import DELAY, Limiter
from diegetic.mixer.loudness import Leveller
from diegetic.mixer.ramp import Stretch, amplitude
from diegetic.mixer.room import Room, line
from diegetic.mixer.voices import Started, Voices
from diegetic.snapshot import FloatArray

MAX_SCHEDULED = 1024  # changes of buses that lie ahead
REFUSALS_KEPT = 16
_LOUDEST = 1000.0  # +60 dBFS: what any gains make of more is cut off, unheard by the limiter
_BUFFER = 16  # samples, the least: else numpy copies what it spreads over rows, row by row
_log = logging.getLogger(__name__)


class Mixer:
    """Mix the bed and voices, as told by commands. One thread owns a mixer.

    Args:
        block: most samples of one `mix`, 16 to 1024, and the length of an interval.
        voices: most voices heard at once.
        position: output sample that comes first; a player that takes over goes on counting.

    Attributes:
        delay: sample n of the stream leaves as output n + `delay` (the limiter's look-ahead).
        position: output samples mixed so far, `delay` not counted.
        refused: commands (and beds) that could not be used.
        refusals: why, the newest 16.
    """

    def __init__(self, block: int = 256, voices: int = 48, position: int = 0) -> None:
        if not 16 <= block <= 1024:
            raise DiegeticError(f"block must be 16 to 1024 samples, got {block}")
        if voices < 1:
            raise DiegeticError(f"voices must be at least 1, got {voices}")
        self.delay = DELAY
        self.position = position
        self.refused = 0
        self.refusals: deque[str] = deque(maxlen=REFUSALS_KEPT)
        self._block = block
        self._voices = Voices(block, voices)
        self._buses = Buses(block)
        self._room = Room(block)
        self._leveller = Leveller()
        self._limiter = Limiter(block)
        self._scheduled: list[tuple[int, int, SetBus]] = []  # by time, then by arrival
        self._arrivals = 0
        self._level = (1.0, 1.0)  # factor of the leveller at the ends of the present interval
        self._bed = np.zeros((CHANNELS, block), np.float32)
        self._phase = ((np.arange(block) + 1.0) / block).astype(np.float32)

    @property
    def late(self) -> int:
        """Voices whose `at` had passed when they were asked for."""
        return self._voices.late

    @property
    def stolen(self) -> int:
        """Voices that gave way to louder ones."""
        return self._voices.stolen

    @property
    def sounding(self) -> int:
        """Voices that are heard now."""
        return self._voices.sounding

    @property
    def reduction_db(self) -> float:
        """How much the limiter took away at most in the last block."""
        return self._limiter.reduction_db

    @property
    def deepest_reduction_db(self) -> float:
        """How much the limiter ever took away."""
        return self._limiter.deepest_db

    @property
    def loudness_gain_db(self) -> float:
        """What is added on the way to the loudness target."""
        return self._leveller.gain_db

    def take_started(self) -> list[Started]:
        """Return the voices that began since the last call (the newest 4096), in order."""
        return self._voices.take_started()

    def apply(self, command: Command) -> None:
        """Do as told from the next sample on. What cannot be done is counted, and said why."""
        try:
            # A clip checked itself when it was made, and is too long to go through the codec.
            self._obey(command if isinstance(command, LoadClip) else checked(command))
        except DiegeticError as error:
            self._refuse(f"{type(command).__name__}: {error}")

    def mix(self, bed: FloatArray, out: FloatArray) -> None:
        """Mix the next n <= block samples of `bed` (n, 2) into `out` (n, 2); they may be one array.

        Raises:
            ValueError: the shapes do not fit.
        """
        if bed.shape != out.shape or bed.shape[1:] != (CHANNELS,) or len(bed) > self._block:
            raise ValueError(
                f"bed and out must be (<= {self._block}, {CHANNELS}) alike, "
                f"got {bed.shape} and {out.shape}"
            )
        done = 0
        usual = np.setbufsize(_BUFFER)
        try:
            while done < len(bed):
                stretch = self._next_stretch(len(bed) - done)
                part = slice(done, done + stretch.count)
                out[part] = self._mix(bed[part], stretch).T
                self.position = stretch.end
                done += stretch.count
        finally:
            np.setbufsize(usual)

    def _next_stretch(self, most: int) -> Stretch:
        """Return what can be mixed in one go, after doing what is scheduled for its beginning."""
        end = min(self.position + most, (self.position // self._block + 1) * self._block)
        while self._scheduled and self._scheduled[0][0] <= self.position:
            self._buses.set(self._scheduled.pop(0)[2], self.position)
        if self._scheduled:
            end = min(end, self._scheduled[0][0])
        self._room.clear()
        return Stretch(self.position, end - self.position, self._room)

    def _mix(self, bed: FloatArray, stretch: Stretch) -> FloatArray:
        """Return the (2, count) that leave for `stretch`."""
        mine = self._bed[:, : stretch.count]
        mine[:] = bed.T
        self._mend(mine)
        self._buses.add(BEDS, mine)
        for bus, samples in self._voices.mix(stretch):
            self._buses.add(bus, samples)
        master = self._buses.mix(stretch)
        np.clip(master, -_LOUDEST, _LOUDEST, out=master)
        self._lift(master, stretch)
        return self._limiter.process(master)

    def _mend(self, bed: FloatArray) -> None:
        """Replace what no ear should meet: one NaN would stay in every filter for good."""
        # NaN fails both comparisons.
        if bed.min() >= -MAX_SAMPLE and bed.max() <= MAX_SAMPLE:
            return
        self._refuse(f"bed must be finite and within +-{MAX_SAMPLE:g}")
        np.nan_to_num(bed, copy=False, posinf=MAX_SAMPLE, neginf=-MAX_SAMPLE)
        np.clip(bed, -MAX_SAMPLE, MAX_SAMPLE, out=bed)

    def _lift(self, master: FloatArray, stretch: Stretch) -> None:
        """Multiply by the leveller's gain, a straight line over each interval."""
        offset = stretch.position % self._block
        if offset == 0:
            gain_db = self._leveller.step(self._block / RATE)
            self._level = (self._level[1], amplitude(gain_db))
        self._leveller.hear(master)  # after the step: how much is heard by then depends on the cut
        before, after = self._level
        if before != after:
            phase = self._phase[offset : offset + stretch.count]
            master *= line(before, after, phase, stretch.room)
        elif after != 1.0:
            master *= after

    def _obey(self, command: Command) -> None:
        match command:
            case LoadClip():
                self._voices.load(command)
            case DropClip():
                self._voices.drop(command)
            case StartVoice():
                self._buses.check(command.bus)
                self._voices.start(command, self.position)
            case MoveVoice():
                self._voices.move(command, self.position)
            case StopVoice():
                self._voices.stop(command, self.position)
            case DeclareBus():
                self._buses.declare(command)
            case SetBus():
                self._schedule(command)
            case DeclareSnapshot():
                self._buses.declare_snapshot(command)
            case PushSnapshot():
                self._buses.push(command, self.position)
            case PopSnapshot():
                self._buses.pop(command, self.position)
            case SetListener():
                self._voices.set_listener(command, self.position)
            case SetMaster():
                self._leveller.steer(command.loudness_lufs)
                self._limiter.set_ceiling(command.ceiling_dbtp)

    def _schedule(self, command: SetBus) -> None:
        self._buses.check(command.name)
        if command.at <= self.position:
            self._buses.set(command, self.position)
            return
        if len(self._scheduled) >= MAX_SCHEDULED:
            raise DiegeticError(f"bus changes that lie ahead must be at most {MAX_SCHEDULED}")
        self._arrivals += 1
        insort(self._scheduled, (command.at, self._arrivals, command))

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self.refusals.append(reason)
        _log.debug("refused: %s", reason)
