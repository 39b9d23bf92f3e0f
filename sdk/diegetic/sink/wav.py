"""A WAV file, mixed and written as fast as sound is made."""

import threading
import time
from pathlib import Path

import numpy as np

from diegetic.config import CHANNELS
from diegetic.errors import MediaError
from diegetic.mixer.commands import Command, checked
from diegetic.mixer.mixer import Mixer
from diegetic.player import BLOCK
from diegetic.ring import MixCounts, Underrun, VoiceStart
from diegetic.sink.protocol import PlayClock
from diegetic.snapshot import FloatArray
from diegetic.wav import WavWriter


class WavSink:
    """A WAV file: what a device would play, without its pace.

    Nothing is buffered, so nothing can be revised; a command is heard from the next `write` on, or
    at the output sample that it names.
    """

    latency = 0.0
    underruns = 0
    concealed = 0
    drift_ppm = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: WavWriter | None = None
        self._mixer = Mixer(BLOCK)
        self._mixing = threading.Lock()  # commands come from any thread
        self._written = 0
        self._unrecorded = self._mixer.delay
        self._mixed = np.zeros((BLOCK, CHANNELS), np.float32)

    def start(self, prime: int = 0) -> None:
        """Open the file; `prime` means nothing to it.

        Raises:
            MediaError: the file cannot be written.
        """
        self._writer = WavWriter(self._path)

    def write(self, samples: FloatArray) -> None:
        """Mix and append `samples` (n, 2).

        Raises:
            MediaError: the sink is not started, or the disk is full.
        """
        if self._writer is None:
            raise MediaError(f"{self._path} is not open")
        self._append(self._writer, np.asarray(samples, np.float32))
        self._written += len(samples)

    def revise(self, position: int, samples: FloatArray) -> bool:
        """Append `samples` if `position` is the end of the file; return whether it is.

        Raises:
            MediaError: the sink is not started, or the disk is full.
            ValueError: nothing was ever written at `position`.
        """
        if not 0 <= position <= self._written:
            raise ValueError(f"position must be within 0..{self._written}, got {position}")
        if position < self._written:
            return False
        self.write(samples)
        return True

    def send(self, command: Command) -> None:
        """Tell the mixer.

        Raises:
            DiegeticError: `command` breaks one of its limits.
        """
        command = checked(command)
        with self._mixing:
            self._mixer.apply(command)

    def started(self) -> list[VoiceStart]:
        now = time.monotonic()
        with self._mixing:
            return [
                VoiceStart(voice, asked, sample, now)
                for voice, asked, sample in self._mixer.take_started()
            ]

    def taken(self) -> int:
        return self._written

    def buffered(self) -> int:
        return 0

    def played(self) -> int:
        return self._written

    def clock(self) -> PlayClock:
        return PlayClock(self._written, time.monotonic())

    def output_clock(self) -> PlayClock:
        return self.clock()

    @property
    def mix_counts(self) -> MixCounts:
        mixer = self._mixer
        return MixCounts(mixer.late, mixer.stolen, mixer.refused, mixer.deepest_reduction_db)

    def underrun_log(self) -> list[Underrun]:
        return []

    def stop(self, drain: bool = True) -> None:
        """Close the file."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._append(writer, np.zeros((self._mixer.delay, CHANNELS), np.float32))
            writer.close()

    def _append(self, writer: WavWriter, bed: FloatArray) -> None:
        for start in range(0, len(bed), BLOCK):
            block = bed[start : start + BLOCK]
            mixed = self._mixed[: len(block)]
            with self._mixing:
                self._mixer.mix(block, mixed)
            early = min(self._unrecorded, len(mixed))
            self._unrecorded -= early
            writer.write(mixed[early:])
