"""One producer, one consumer, two processes: stereo float32 in shared memory.

    | counters, each written by one side | underrun log | error text | samples (capacity, 2) |

The producer (the process that generates) creates and unlinks; the consumer (the player) attaches.
Indices only grow; a side publishes its index after it has touched the data. Every counter is one
aligned 64-bit word with a single writer, so no lock is shared between the processes and either may
die at any time.
"""

import sys
import threading
import time
from contextlib import suppress
from enum import IntEnum
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diegetic.config import CHANNELS
from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray

_MAGIC = 0x6469656765746963  # "diegetic"
_HEADER_WORDS = 64
_LOG_ENTRIES = 1024
_ERROR_BYTES = 1024
_CLOCK_SLOTS = 4
_FIRST_SAMPLE = _HEADER_WORDS * 8 + _LOG_ENTRIES * 16 + _ERROR_BYTES


class _Word(IntEnum):
    """Where each counter lives in the header."""

    MAGIC = 0
    CAPACITY = 1
    WRITE = 2  # samples ever written, by the producer
    READ = 3  # samples ever read, by the consumer
    PRODUCER_BEAT = 4  # monotonic ns
    CONSUMER_BEAT = 5
    COMMAND = 6  # by the producer
    STATUS = 7  # by the consumer
    UNDERRUNS = 8
    CONCEALED = 9  # samples played that were never written
    LATENCY_NS = 10  # declared by the device
    PRIME = 11  # samples to wait for before the first is played, by the producer
    ERROR_LENGTH = 12
    CLOCK_COUNT = 13
    CLOCK = 16  # _CLOCK_SLOTS pairs: samples read, monotonic ns at which they were handed over


class Command(IntEnum):
    """What the producer wants of the player."""

    PLAY = 0
    DRAIN = 1  # play what is buffered, then end
    STOP = 2  # fade and end now


class Status(IntEnum):
    """What the player says of itself."""

    STARTING = 0
    PLAYING = 1
    ENDED = 2
    DEVICE_FAILED = 3
    MEDIA_FAILED = 4


class Underrun(NamedTuple):
    """A gap in what was played: `position` and `length` in samples of the recording."""

    position: int
    length: int


class ClockReading(NamedTuple):
    """All samples before `sample` were with the device at monotonic `time` (s)."""

    sample: int
    time: float


class Ring:
    """A ring of `capacity` stereo samples; make one with `create` or `attach`."""

    def __init__(self, memory: SharedMemory, owner: bool) -> None:
        buffer = memory.buf
        assert buffer is not None
        self._memory = memory
        self._owner = owner
        self._words: NDArray[np.int64] = np.ndarray(_HEADER_WORDS, np.int64, buffer)
        self._log: NDArray[np.int64] = np.ndarray(
            (_LOG_ENTRIES, 2), np.int64, buffer, _HEADER_WORDS * 8
        )
        self._error: NDArray[np.uint8] = np.ndarray(
            _ERROR_BYTES, np.uint8, buffer, _FIRST_SAMPLE - _ERROR_BYTES
        )
        self.capacity = (memory.size - _FIRST_SAMPLE) // (CHANNELS * 4)
        if not owner:
            if int(self._words[_Word.MAGIC]) != _MAGIC:
                raise DiegeticError(f"shared memory {memory.name} holds no diegetic ring")
            self.capacity = int(self._words[_Word.CAPACITY])
        self._samples: FloatArray = np.ndarray(
            (self.capacity, CHANNELS), np.float32, buffer, _FIRST_SAMPLE
        )
        self._fence = threading.Lock()

    @classmethod
    def create(cls, capacity: int) -> "Ring":
        """Make a silent ring of `capacity` samples; the caller owns it and must `close` it."""
        memory = SharedMemory(create=True, size=_FIRST_SAMPLE + capacity * CHANNELS * 4)
        ring = cls(memory, owner=True)
        ring.capacity = capacity  # the system may have rounded the memory up to a page
        ring._samples = ring._samples[:capacity]
        ring._words[:] = 0
        ring._set(_Word.CAPACITY, capacity)
        ring.beat()
        ring._set(_Word.MAGIC, _MAGIC)
        return ring

    @classmethod
    def attach(cls, name: str) -> "Ring":
        """Open the ring that another process made.

        Raises:
            FileNotFoundError: there is none of that name.
            DiegeticError: the memory is something else.
        """
        return cls(_open_untracked(name), owner=False)

    @property
    def name(self) -> str:
        return self._memory.name

    # Both sides

    @property
    def written(self) -> int:
        return self._get(_Word.WRITE)

    @property
    def read_count(self) -> int:
        return self._get(_Word.READ)

    @property
    def available(self) -> int:
        """Samples that are written and not yet read."""
        return self.written - self.read_count

    @property
    def command(self) -> Command:
        return Command(self._get(_Word.COMMAND))

    @property
    def status(self) -> Status:
        return Status(self._get(_Word.STATUS))

    @property
    def underruns(self) -> int:
        return self._get(_Word.UNDERRUNS)

    @property
    def concealed(self) -> int:
        return self._get(_Word.CONCEALED)

    @property
    def prime(self) -> int:
        return self._get(_Word.PRIME)

    @property
    def latency(self) -> float:
        """Seconds between handing a sample to the device and hearing it, as the device declares."""
        return self._get(_Word.LATENCY_NS) / 1e9

    @property
    def error(self) -> str:
        return bytes(self._error[: self._get(_Word.ERROR_LENGTH)]).decode("utf-8", "replace")

    def underrun_log(self) -> list[Underrun]:
        """Return the first 1024 gaps, in order."""
        count = min(self.underruns, _LOG_ENTRIES)
        return [Underrun(int(p), int(n)) for p, n in self._log[:count]]

    def clock(self) -> ClockReading:
        """Return the newest reading, consistent even while it is being replaced."""
        while True:
            count = self._get(_Word.CLOCK_COUNT)
            slot = _Word.CLOCK + 2 * (count % _CLOCK_SLOTS)
            reading = ClockReading(self._get(slot), self._get(slot + 1) / 1e9)
            if self._get(_Word.CLOCK_COUNT) - count < _CLOCK_SLOTS - 1:
                return reading

    def close(self) -> None:
        """Let go of the memory; the creator also removes it."""
        empty = np.empty(0, np.int64)
        self._words, self._log = empty, empty
        self._error = np.empty(0, np.uint8)
        self._samples = np.empty((0, CHANNELS), np.float32)  # views must go before the mapping can
        with suppress(BufferError):
            self._memory.close()
        if self._owner:
            with suppress(FileNotFoundError):
                self._memory.unlink()

    # Producer

    def write(self, samples: FloatArray) -> int:
        """Copy as many of `samples` (n, 2) as fit; return how many did."""
        written = self.written
        count = min(len(samples), self.capacity - (written - self.read_count))
        start = written % self.capacity
        first = min(count, self.capacity - start)
        self._samples[start : start + first] = samples[:first]
        self._samples[: count - first] = samples[first:count]
        self._publish(_Word.WRITE, written + count)
        return count

    def tell(self, command: Command) -> None:
        self._publish(_Word.COMMAND, command)

    def set_prime(self, samples: int) -> None:
        """Ask that nothing is played before `samples` are buffered."""
        self._set(_Word.PRIME, samples)

    def beat(self) -> None:
        """Show that the producer lives."""
        self._set(_Word.PRODUCER_BEAT, time.monotonic_ns())

    def restart(self) -> None:
        """Get ready for a new player process after the last one died."""
        self._set(_Word.ERROR_LENGTH, 0)
        self._set(_Word.CONSUMER_BEAT, 0)
        self._publish(_Word.STATUS, Status.STARTING)

    def consumer_age(self) -> float:
        """Seconds since the player last showed that it lives; 0 before its first sign."""
        beat = self._get(_Word.CONSUMER_BEAT)
        return (time.monotonic_ns() - beat) / 1e9 if beat else 0.0

    # Consumer

    def read(self, count: int) -> FloatArray:
        """Take at most `count` samples, (n, 2)."""
        read = self.read_count
        count = min(count, self.written - read)
        with self._fence:  # the index is loaded before the data
            pass
        start = read % self.capacity
        first = min(count, self.capacity - start)
        samples = np.empty((count, CHANNELS), np.float32)
        samples[:first] = self._samples[start : start + first]
        samples[first:] = self._samples[: count - first]
        self._publish(_Word.READ, read + count)
        return samples

    def producer_age(self) -> float:
        """Seconds since the producer last showed that it lives."""
        return (time.monotonic_ns() - self._get(_Word.PRODUCER_BEAT)) / 1e9

    def set_latency(self, seconds: float) -> None:
        self._set(_Word.LATENCY_NS, round(seconds * 1e9))

    def set_clock(self, now_ns: int) -> None:
        """All samples read so far are with the device at monotonic `now_ns`; also a heartbeat."""
        count = self._get(_Word.CLOCK_COUNT) + 1
        slot = _Word.CLOCK + 2 * (count % _CLOCK_SLOTS)
        self._set(slot, self.read_count)
        self._set(slot + 1, now_ns)
        self._publish(_Word.CLOCK_COUNT, count)
        self._set(_Word.CONSUMER_BEAT, now_ns)

    def set_status(self, status: Status, error: str = "") -> None:
        text = error.encode()[:_ERROR_BYTES]
        self._error[: len(text)] = np.frombuffer(text, np.uint8)
        self._set(_Word.ERROR_LENGTH, len(text))
        self._publish(_Word.STATUS, status)

    def begin_underrun(self, position: int) -> None:
        """Count a gap that starts at `position` of the recording."""
        count = self.underruns
        if count < _LOG_ENTRIES:
            self._log[count] = (position, 0)
        self._publish(_Word.UNDERRUNS, count + 1)

    def extend_underrun(self, samples: int) -> None:
        """Lengthen the latest gap by `samples`."""
        if 0 < self.underruns <= _LOG_ENTRIES:
            self._log[self.underruns - 1, 1] += samples
        self._set(_Word.CONCEALED, self.concealed + samples)

    def _get(self, word: int) -> int:
        return int(self._words[word])

    def _set(self, word: int, value: int) -> None:
        self._words[word] = value

    def _publish(self, word: int, value: int) -> None:
        with self._fence:  # a memory barrier: ARM may otherwise show the index before the data
            pass
        self._words[word] = value


def _open_untracked(name: str) -> SharedMemory:
    """Attach unknown to the resource tracker: it would unlink the creator's memory at our exit."""
    if sys.version_info >= (3, 13):
        return SharedMemory(name=name, track=False)
    register = resource_tracker.register
    resource_tracker.register = lambda name, rtype: None
    try:
        return SharedMemory(name=name)
    finally:
        resource_tracker.register = register
