"""Where sound goes: a device, the clock (no device), or a file; one face for all.

    generator's thread --write--> ring ==> player process ==> device or clock, and WAV
                                   ^ supervisor thread: heartbeat, respawn

`write`, `buffered`, `played` and `clock` may be called by one generating thread; `start` and `stop`
by the thread that owns the session; the counters by anyone.
"""

import logging
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from diegetic import player_process
from diegetic.config import CHANNELS, RATE
from diegetic.errors import DeviceError, MediaError
from diegetic.player import PlayerOptions
from diegetic.player_process import START_PATIENCE, DeviceInfo, list_devices
from diegetic.ring import Command, Ring, Status, Underrun
from diegetic.snapshot import FloatArray
from diegetic.wav import WavWriter

CAPACITY = 4 * RATE
HANG_PATIENCE = 3.0  # s without a sign of the player before it is replaced
_BEAT = 0.05
_POLL = 0.004
_RESPAWN_PAUSES = (0.0, 0.2, 0.5, 1.0)

__all__ = [
    "CAPACITY",
    "ClockSink",
    "DeviceInfo",
    "DeviceSink",
    "PlayClock",
    "Sink",
    "WavSink",
    "check_writable",
    "list_devices",
]

log = logging.getLogger(__name__)


class PlayClock(NamedTuple):
    """The sample of that number leaves the device at monotonic `time` (s), as it declares."""

    sample: int
    time: float


class Sink(Protocol):
    """A place for (n, 2) float32 samples at 48 kHz."""

    def start(self, prime: int = 0) -> None:
        """Open; sound begins once `prime` samples are buffered.

        Raises:
            DeviceError, MediaError: it cannot be opened.
        """

    def write(self, samples: FloatArray) -> None:
        """Queue `samples` (n, 2); wait while there is no room."""

    def buffered(self) -> int:
        """Return the samples written that the device has not been given."""

    def played(self) -> int:
        """Return the samples heard: written, minus buffered, minus the declared latency."""

    def clock(self) -> PlayClock:
        """Return a sample and the time at which it leaves."""

    @property
    def latency(self) -> float:
        """Declared seconds between device and ear."""

    @property
    def underruns(self) -> int:
        """Times that the device was hungry and nothing was buffered."""

    @property
    def concealed(self) -> int:
        """Samples played that were never written."""

    def underrun_log(self) -> list[Underrun]:
        """Return where in the recording the gaps are."""

    def stop(self, drain: bool = True) -> None:
        """Play what is buffered (or fade out at once) and close; a second call does nothing."""


class _PlayerSink:
    """A player process and the ring that feeds it."""

    def __init__(self, *, use_device: bool, device: str | int | None, record: Path | None) -> None:
        self._use_device = use_device
        self._device = device
        self._record = record
        self._ring: Ring | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._supervisor: threading.Thread | None = None
        self._respawns = 0
        self._final = _Counters()

    def start(self, prime: int = 0) -> None:
        """Start the player and wait until the device takes sound.

        Raises:
            DeviceError: the device, or PortAudio, is not to be had.
            MediaError: the recording cannot be written.
        """
        if self._ring is not None:
            raise DeviceError("this sink is already started")
        if self._record is not None:
            check_writable(self._record)
        self._ring = Ring.create(CAPACITY)
        self._ring.set_prime(min(prime, CAPACITY))
        self._stopping.clear()
        try:
            self._process = self._spawn(resumed=False)
            self._await_player(self._process)
        except BaseException:
            self._close()
            raise
        self._supervisor = threading.Thread(target=self._supervise, name="player-supervisor")
        self._supervisor.daemon = True
        self._supervisor.start()

    def write(self, samples: FloatArray) -> None:
        """Queue `samples` (n, 2); wait while the ring is full.

        Raises:
            DeviceError: the sink is not started, or was stopped meanwhile.
        """
        ring = self._open_ring()
        if samples.ndim != 2 or samples.shape[1] != CHANNELS:
            raise ValueError(f"samples must be (n, {CHANNELS}), got {samples.shape}")
        done = ring.write(samples)
        while done < len(samples):
            if self._stopping.wait(_POLL):
                raise DeviceError("the sink was stopped")
            done += ring.write(samples[done:])

    def buffered(self) -> int:
        return self._ring.available if self._ring else 0

    def played(self) -> int:
        if not self._ring:
            return self._final.read
        sample, leaves = self.clock()
        return max(0, sample - round(max(0.0, leaves - time.monotonic()) * RATE))

    def clock(self) -> PlayClock:
        if not self._ring:
            return PlayClock(self._final.read, self._final.time)
        sample, time_given = self._ring.clock()
        return PlayClock(sample, time_given + self._ring.latency)

    @property
    def latency(self) -> float:
        return self._ring.latency if self._ring else self._final.latency

    @property
    def underruns(self) -> int:
        return self._ring.underruns if self._ring else self._final.underruns

    @property
    def concealed(self) -> int:
        return self._ring.concealed if self._ring else self._final.concealed

    @property
    def respawns(self) -> int:
        """Times that the player process had to be replaced."""
        return self._respawns

    @property
    def player_pid(self) -> int | None:
        """The process that plays, while it does."""
        return self._process.pid if self._process else None

    def underrun_log(self) -> list[Underrun]:
        return self._ring.underrun_log() if self._ring else list(self._final.log)

    def stop(self, drain: bool = True) -> None:
        """Play what is buffered, or fade out at once; end the player. Twice does nothing."""
        if not self._ring or not self._process:
            return
        patience = 3.0 + self._ring.latency + (self._ring.available / RATE if drain else 0.0)
        self._stopping.set()
        self._ring.tell(Command.DRAIN if drain else Command.STOP)
        try:
            self._await_end(self._process, patience)
            if self._ring.error:
                log.warning("%s", self._ring.error)
        finally:
            self._close()

    def _spawn(self, *, resumed: bool) -> subprocess.Popen[bytes]:
        return player_process.spawn(
            PlayerOptions(
                ring=self._open_ring().name,
                parent=os.getpid(),
                use_device=self._use_device,
                device=self._device,
                record=str(self._record.absolute()) if self._record else "",
                resumed=resumed,
            )
        )

    def _await_player(self, process: subprocess.Popen[bytes]) -> None:
        ring = self._open_ring()
        deadline = time.monotonic() + START_PATIENCE
        while ring.status is Status.STARTING:
            ring.beat()
            if process.poll() is not None and ring.status is Status.STARTING:
                raise DeviceError(player_process.obituary(process.returncode))
            if time.monotonic() > deadline:
                raise DeviceError(f"the player did not start within {START_PATIENCE:g} s")
            time.sleep(_POLL)
        if ring.status is Status.MEDIA_FAILED:
            raise MediaError(ring.error)
        if ring.status is Status.DEVICE_FAILED:
            raise DeviceError(ring.error)

    def _await_end(self, process: subprocess.Popen[bytes], patience: float) -> None:
        ring = self._open_ring()
        deadline = time.monotonic() + patience
        while process.poll() is None:
            ring.beat()
            # After the last word of the player only its sound library can keep it
            if ring.status is not Status.PLAYING:
                deadline = min(deadline, time.monotonic() + 1.0)
            if time.monotonic() > deadline:
                log.warning("the player did not end by itself")
                return
            time.sleep(_POLL)

    def _supervise(self) -> None:
        """Beat the heart, and replace a player that died or hangs."""
        ring = self._open_ring()
        failures = 0
        while not self._stopping.wait(_BEAT):
            ring.beat()
            process = self._process
            assert process is not None
            hangs = ring.consumer_age() > HANG_PATIENCE
            if process.poll() is None and not hangs:
                failures = 0 if ring.status is Status.PLAYING else failures
                continue
            reason = (
                "hangs" if hangs else ring.error or player_process.obituary(process.poll() or 0)
            )
            pause = _RESPAWN_PAUSES[min(failures, len(_RESPAWN_PAUSES) - 1)]
            log.warning("player: %s; starting another", reason)
            player_process.end(process)
            ring.beat()
            if self._stopping.wait(pause):
                return
            failures += 1
            self._respawns += 1
            ring.restart()
            ring.beat()
            self._process = self._spawn(resumed=True)

    def _close(self) -> None:
        self._stopping.set()
        if self._supervisor is not None:
            self._supervisor.join()
            self._supervisor = None
        if self._process is not None:
            player_process.end(self._process)
            self._process = None
        if self._ring is not None:
            ring, self._ring = self._ring, None
            self._final = _Counters(
                read=ring.read_count,
                time=ring.clock().time,
                latency=ring.latency,
                underruns=ring.underruns,
                concealed=ring.concealed,
                log=tuple(ring.underrun_log()),
            )
            ring.close()

    def _open_ring(self) -> Ring:
        if self._ring is None:
            raise DeviceError("the sink is not started")
        return self._ring


class DeviceSink(_PlayerSink):
    """An audio device, by name, index, or None for the default; `record` keeps what was played."""

    def __init__(self, device: str | int | None = None, *, record: Path | None = None) -> None:
        super().__init__(use_device=True, device=device, record=record)


class ClockSink(_PlayerSink):
    """No device: sound passes at the pace of the clock; `record` keeps what was played."""

    def __init__(self, *, record: Path | None = None) -> None:
        super().__init__(use_device=False, device=None, record=record)


class WavSink:
    """A WAV file, written as fast as sound is made."""

    latency = 0.0
    underruns = 0
    concealed = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: WavWriter | None = None
        self._written = 0

    def start(self, prime: int = 0) -> None:
        """Open the file; `prime` means nothing to it.

        Raises:
            MediaError: the file cannot be written.
        """
        self._writer = WavWriter(self._path)

    def write(self, samples: FloatArray) -> None:
        """Append `samples` (n, 2).

        Raises:
            MediaError: the sink is not started, or the disk is full.
        """
        if self._writer is None:
            raise MediaError(f"{self._path} is not open")
        self._writer.write(np.asarray(samples, np.float32))
        self._written += len(samples)

    def buffered(self) -> int:
        return 0

    def played(self) -> int:
        return self._written

    def clock(self) -> PlayClock:
        return PlayClock(self._written, time.monotonic())

    def underrun_log(self) -> list[Underrun]:
        return []

    def stop(self, drain: bool = True) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def check_writable(path: Path) -> None:
    """Raise MediaError unless a file at `path` can be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise MediaError(f"cannot write {path}: its folder does not exist, or it is one")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise MediaError(f"cannot write {path}: permission denied")


class _Counters(NamedTuple):
    """What a player had counted when it ended."""

    read: int = 0
    time: float = 0.0
    latency: float = 0.0
    underruns: int = 0
    concealed: int = 0
    log: tuple[Underrun, ...] = ()
