"""A ring, a player that empties it, and a supervisor that replaces the player."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DeviceError, MediaError
from diegetic.mixer.commands import Command, checked
from diegetic.player_process import START_PATIENCE
from diegetic.ring import ClockReading, MixCounts, Ring, Status, Underrun, VoiceStart
from diegetic.ring import Command as Wish
from diegetic.sink.drift import TOLERANCE_PPM, DriftMeter
from diegetic.sink.hosts import Host
from diegetic.sink.mix_state import MixState
from diegetic.sink.protocol import PlayClock, check_writable
from diegetic.sink.steady import SteadyTime
from diegetic.snapshot import FloatArray

CAPACITY = 4 * RATE
HANG_PATIENCE = 3.0  # s without a sign of the player before it is replaced
_BEAT = 0.05
_POLL = 0.004
_RESPAWN_PAUSES = (0.0, 0.2, 0.5, 1.0)

log = logging.getLogger(__name__)


class RingSink:
    """A sink of which `make_host(ring, resumed)` starts the player, which writes `files`."""

    def __init__(self, make_host: Callable[[Ring, bool], Host], *files: Path | None) -> None:
        self._make_host = make_host
        self._files = tuple(file for file in files if file is not None)
        self._ring: Ring | None = None
        self._host: Host | None = None
        self._stopping = threading.Event()
        self._supervisor: threading.Thread | None = None
        self._respawns = 0
        self._sending = threading.Lock()  # a command reaches this player or the next, and once
        self._mix_state = MixState()
        self._starts_seen = 0
        self._drift = DriftMeter()
        self._steady = SteadyTime()
        self._passed_on = ""  # the last that the player said
        self._final = _Counters()

    def start(self, prime: int = 0) -> None:
        """Start the player and wait until the device takes sound.

        Raises:
            DeviceError: the device, or PortAudio, is not to be had.
            MediaError: a file of it cannot be written.
        """
        if self._ring is not None:
            raise DeviceError("this sink is already started")
        for file in self._files:
            check_writable(file)
        self._ring = Ring.create(CAPACITY)
        self._ring.set_prime(min(prime, CAPACITY))
        self._stopping.clear()
        self._starts_seen = 0
        self._drift = DriftMeter()
        self._steady = SteadyTime()
        self._passed_on = ""
        try:
            self._await_player(self._start_host(self._ring, resumed=False))
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
        _check_shape(samples)
        done = ring.write(samples)
        while done < len(samples):
            if self._stopping.wait(_POLL):
                raise DeviceError("the sink was stopped")
            done += ring.write(samples[done:])

    def revise(self, position: int, samples: FloatArray) -> bool:
        """Replace the bed from sample `position` on by `samples` (n, 2).

        Return False, and change nothing, when some of it is taken.

        Raises:
            DeviceError: the sink is not started, or was stopped meanwhile.
            ValueError: nothing was ever written at `position`.
        """
        ring = self._open_ring()
        _check_shape(samples)
        room = max(0, CAPACITY - (position - ring.read_count))
        if not ring.revise(position, samples[:room]):
            return False
        self.write(samples[room:])
        return True

    def send(self, command: Command) -> None:
        """Tell the mixer, of this player and of any that replaces it.

        Raises:
            DiegeticError: `command` breaks one of its limits.
        """
        command = checked(command)
        with self._sending:
            position = self._ring.clock().output if self._ring else 0
            self._mix_state.note(command, time.monotonic(), position)
            if self._host is not None:
                self._host.send(command)

    def started(self) -> list[VoiceStart]:
        """Return the voices that began since the last call; of very many, the newest 1024."""
        if not self._ring:
            starts, self._final = list(self._final.starts), self._final._replace(starts=())
            return starts
        starts, self._starts_seen = self._ring.starts_since(self._starts_seen)
        return starts

    def taken(self) -> int:
        return self._ring.claimed if self._ring else self._final.read

    def buffered(self) -> int:
        return self._ring.available if self._ring else 0

    def played(self) -> int:
        if not self._ring:
            return self._final.read
        sample, leaves = self.clock()
        return max(0, sample - round(max(0.0, leaves - time.monotonic()) * RATE))

    def clock(self) -> PlayClock:
        reading, latency = self._reading()
        return PlayClock(reading.bed, reading.time + latency)

    def output_clock(self) -> PlayClock:
        reading, latency = self._reading()
        return PlayClock(reading.output, reading.time + latency)

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
    def mix_counts(self) -> MixCounts:
        return self._ring.mix_counts() if self._ring else self._final.mix

    @property
    def drift_ppm(self) -> float | None:
        """How much faster than 48 kHz the device takes samples; None in the first seconds."""
        return self._drift.ppm

    @property
    def respawns(self) -> int:
        """Times that the player had to be replaced."""
        return self._respawns

    @property
    def player_pid(self) -> int | None:
        """The process that plays, while it does."""
        return self._host.pid if self._host else None

    def underrun_log(self) -> list[Underrun]:
        return self._ring.underrun_log() if self._ring else list(self._final.log)

    def stop(self, drain: bool = True) -> None:
        """Play what is buffered, or fade out at once; end the player. Twice does nothing."""
        if not self._ring:
            return
        patience = 3.0 + self._ring.latency + (self._ring.available / RATE if drain else 0.0)
        self._stopping.set()
        self._ring.tell(Wish.DRAIN if drain else Wish.STOP)
        try:
            self._await_end(patience)
            self._pass_on(self._ring)
        finally:
            self._close()

    def _start_host(self, ring: Ring, *, resumed: bool) -> Host:
        """Start a player and bring its mixer to where the last one was."""
        host = self._make_host(ring, resumed)
        with self._sending:
            begun = {start.voice for start in ring.starts_since(0)[0]}
            position = ring.read_count + ring.concealed
            for command in self._mix_state.replay(time.monotonic(), position, begun):
                host.send(command)
            self._host = host
        return host

    def _await_player(self, host: Host) -> None:
        ring = self._open_ring()
        deadline = time.monotonic() + START_PATIENCE
        while ring.status is Status.STARTING:
            ring.beat()
            reason = host.ended()
            if reason is not None and ring.status is Status.STARTING:
                raise DeviceError(reason)
            if time.monotonic() > deadline:
                raise DeviceError(f"the player did not start within {START_PATIENCE:g} s")
            time.sleep(_POLL)
        if ring.status is Status.MEDIA_FAILED:
            raise MediaError(ring.error)
        if ring.status is Status.DEVICE_FAILED:
            raise DeviceError(ring.error)

    def _await_end(self, patience: float) -> None:
        ring, host = self._open_ring(), self._host
        deadline = time.monotonic() + patience
        while host is not None and host.ended() is None:
            ring.beat()
            # After the last word of the player only its sound library can keep it
            if ring.status is not Status.PLAYING:
                deadline = min(deadline, time.monotonic() + 1.0)
            if time.monotonic() > deadline:
                log.warning("the player did not end by itself")
                return
            time.sleep(_POLL)

    def _supervise(self) -> None:
        """Beat the heart, watch the rate, and replace a player that died or hangs."""
        ring = self._open_ring()
        failures, warned = 0, False
        while not self._stopping.wait(_BEAT):
            ring.beat()
            reading = ring.clock()
            self._drift.add(reading.time, reading.handed)
            self._steady(reading.handed, reading.time)
            drift = self._drift.ppm
            if drift is not None and abs(drift) > TOLERANCE_PPM and not warned:
                warned = True
                log.warning("the device runs %.1f %% off its rate of 48 kHz", drift / 1e4)
            host = self._host
            assert host is not None
            hangs, reason = ring.consumer_age() > HANG_PATIENCE, host.ended()
            if reason is None and not hangs:
                if ring.status is Status.PLAYING:
                    failures = 0
                    self._pass_on(ring)
                continue
            reason = "hangs" if hangs else ring.error or reason
            pause = _RESPAWN_PAUSES[min(failures, len(_RESPAWN_PAUSES) - 1)]
            log.warning("player: %s; starting another", reason)
            if not host.end():
                log.error("the player's thread hangs and cannot be replaced")
                self._stopping.wait()
                return
            ring.beat()
            if self._stopping.wait(pause):
                return
            failures += 1
            self._respawns += 1
            ring.restart()
            ring.beat()
            self._start_host(ring, resumed=True)

    def _pass_on(self, ring: Ring) -> None:
        """Log what the player could not do, once."""
        if ring.error and ring.error != self._passed_on:
            self._passed_on = ring.error
            log.warning("%s", ring.error)

    def _close(self) -> None:
        self._stopping.set()
        if self._supervisor is not None:
            self._supervisor.join()
            self._supervisor = None
        with self._sending:
            host, self._host = self._host, None
        gone = host is None or host.end()
        if self._ring is not None:
            starts = self.started()
            ring, self._ring = self._ring, None
            self._final = _Counters(
                read=ring.read_count,
                clock=ring.clock(),
                latency=ring.latency,
                underruns=ring.underruns,
                concealed=ring.concealed,
                mix=ring.mix_counts(),
                log=tuple(ring.underrun_log()),
                starts=tuple(starts),
            )
            if gone:
                ring.close()

    def _reading(self) -> tuple[ClockReading, float]:
        """Return the newest reading and how long after it sound is heard (s)."""
        if self._ring:
            reading = self._ring.clock()
            due = self._steady(reading.handed, reading.time)
            return reading._replace(time=due), self._ring.latency
        return self._final.clock, 0.0

    def _open_ring(self) -> Ring:
        if self._ring is None:
            raise DeviceError("the sink is not started")
        return self._ring


def _check_shape(samples: FloatArray) -> None:
    if samples.ndim != 2 or samples.shape[1] != CHANNELS:
        raise ValueError(f"samples must be (n, {CHANNELS}), got {samples.shape}")


class _Counters(NamedTuple):
    """What a player had counted when it ended."""

    read: int = 0
    clock: ClockReading = ClockReading(0, 0, 0, 0.0)
    latency: float = 0.0
    underruns: int = 0
    concealed: int = 0
    mix: MixCounts = MixCounts()
    log: tuple[Underrun, ...] = ()
    starts: tuple[VoiceStart, ...] = ()
