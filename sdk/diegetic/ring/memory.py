"""The ring itself: who may touch which word, and in which order.

    producer   write ------------------------>  WRITE      (and back, by `revise`)
    consumer   read    CLAIM ... copy ... READ

The producer (the process that generates) creates and unlinks; the consumer (the player) attaches.
A side publishes its index after it has touched the data. Every counter is one aligned 64-bit word
with a single writer, so no lock is shared between the processes and either may die at any time.

A revision and a read agree as in Dekker's mutual exclusion: each side first announces (the producer
lowers WRITE, the consumer raises CLAIM) and then looks at the other's announcement, so at least one
of them sees the other; the producer gives way, and the consumer reads no further than WRITE.
"""

import sys
import threading
import time
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from diegetic.config import CHANNELS
from diegetic.errors import DiegeticError
from diegetic.ring.layout import (
    CLOCK_SLOTS,
    CLOCK_WORDS,
    ERROR_AT,
    ERROR_BYTES,
    HEADER_WORDS,
    LOG_ENTRIES,
    MAGIC,
    SAMPLES_AT,
    START_WORDS,
    STARTS_AT,
    UNDERRUN_WORDS,
    UNDERRUNS_AT,
    ClockReading,
    Command,
    MixCounts,
    Status,
    Underrun,
    VoiceStart,
    Word,
)
from diegetic.snapshot import FloatArray

_FRAME_BYTES = CHANNELS * 4
_REVISION_TURNS = 10
_REVISION_PAUSE = 1e-4  # s


class Ring:
    """A ring of `capacity` stereo samples; make one with `create` or `attach`."""

    def __init__(self, memory: SharedMemory, owner: bool) -> None:
        buffer = memory.buf
        assert buffer is not None
        self._memory = memory
        self._owner = owner
        self._words: NDArray[np.int64] = np.ndarray(HEADER_WORDS, np.int64, buffer)
        self._underruns: NDArray[np.int64] = np.ndarray(
            (LOG_ENTRIES, UNDERRUN_WORDS), np.int64, buffer, UNDERRUNS_AT
        )
        self._starts: NDArray[np.int64] = np.ndarray(
            (LOG_ENTRIES, START_WORDS), np.int64, buffer, STARTS_AT
        )
        self._error: NDArray[np.uint8] = np.ndarray(ERROR_BYTES, np.uint8, buffer, ERROR_AT)
        self.capacity = (memory.size - SAMPLES_AT) // _FRAME_BYTES
        if not owner:
            if int(self._words[Word.MAGIC]) != MAGIC:
                raise DiegeticError(f"shared memory {memory.name} holds no diegetic ring")
            self.capacity = int(self._words[Word.CAPACITY])
        self._samples: FloatArray = np.ndarray(
            (self.capacity, CHANNELS), np.float32, buffer, SAMPLES_AT
        )
        self._bytes = buffer[SAMPLES_AT:]
        self._fence = threading.Lock()

    @classmethod
    def create(cls, capacity: int) -> "Ring":
        """Make a silent ring of `capacity` samples; the caller owns it and must `close` it."""
        memory = SharedMemory(create=True, size=SAMPLES_AT + capacity * _FRAME_BYTES)
        ring = cls(memory, owner=True)
        ring.capacity = capacity  # the system may have rounded the memory up to a page
        ring._samples = ring._samples[:capacity]
        ring._words[:] = 0
        ring._set(Word.CAPACITY, capacity)
        ring.beat()
        ring._set(Word.MAGIC, MAGIC)
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
        return self._get(Word.WRITE)

    @property
    def read_count(self) -> int:
        return self._get(Word.READ)

    @property
    def claimed(self) -> int:
        """The first sample that the consumer has not taken, nor is taking."""
        return max(self._get(Word.CLAIM), self.read_count)

    @property
    def available(self) -> int:
        """Samples that are written and not yet read."""
        return max(0, self.written - self.read_count)

    @property
    def command(self) -> Command:
        return Command(self._get(Word.COMMAND))

    @property
    def status(self) -> Status:
        return Status(self._get(Word.STATUS))

    @property
    def underruns(self) -> int:
        return self._get(Word.UNDERRUNS)

    @property
    def concealed(self) -> int:
        return self._get(Word.CONCEALED)

    @property
    def prime(self) -> int:
        return self._get(Word.PRIME)

    @property
    def latency(self) -> float:
        """Seconds between handing a sample to the device and hearing it, as the device declares."""
        return self._get(Word.LATENCY_NS) / 1e9

    @property
    def error(self) -> str:
        return bytes(self._error[: self._get(Word.ERROR_LENGTH)]).decode("utf-8", "replace")

    def underrun_log(self) -> list[Underrun]:
        """Return the first 1024 gaps, in order."""
        count = min(self.underruns, LOG_ENTRIES)
        return [Underrun(int(p), int(n)) for p, n in self._underruns[:count]]

    def starts_since(self, count: int) -> tuple[list[VoiceStart], int]:
        """Return the voices that began after the first `count`, and how many ever did.

        The newest 1024 are kept.
        """
        total = self._get(Word.STARTS)
        with self._fence:  # the index is loaded before the data
            pass
        kept = range(max(count, total - LOG_ENTRIES), total)
        rows = [[int(word) for word in self._starts[index % LOG_ENTRIES]] for index in kept]
        fresh = self._get(Word.STARTS) - LOG_ENTRIES  # before it, rows were replaced meanwhile
        return [
            VoiceStart(voice, asked, sample, time_ns / 1e9)
            for index, (voice, asked, sample, time_ns) in zip(kept, rows, strict=True)
            if index >= fresh
        ], total

    def mix_counts(self) -> MixCounts:
        return MixCounts(
            self._get(Word.LATE),
            self._get(Word.STOLEN),
            self._get(Word.REFUSED),
            self._get(Word.REDUCTION) / 1000,
        )

    def clock(self) -> ClockReading:
        """Return the newest reading, consistent even while it is being replaced."""
        while True:
            count = self._get(Word.CLOCK_COUNT)
            slot = Word.CLOCK + CLOCK_WORDS * (count % CLOCK_SLOTS)
            bed, output, handed, time_ns = self._words[slot : slot + CLOCK_WORDS].tolist()
            if self._get(Word.CLOCK_COUNT) - count < CLOCK_SLOTS - 1:
                return ClockReading(bed, output, handed, time_ns / 1e9)

    def close(self) -> None:
        """Let go of the memory; the creator also removes it."""
        empty = np.empty(0, np.int64)
        self._words, self._underruns, self._starts = empty, empty, empty
        self._error = np.empty(0, np.uint8)
        self._samples = np.empty((0, CHANNELS), np.float32)  # views must go before the mapping can
        self._bytes.release()
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
        self._copy(written, samples[:count])
        self._publish(Word.WRITE, written + count)
        return count

    def revise(self, position: int, samples: FloatArray) -> bool:
        """Replace all that was written from sample `position` on by `samples` (n, 2).

        Return False, and change nothing, when the consumer may already be reading there.

        Raises:
            ValueError: `position` was never written, or `samples` do not fit.
        """
        written = self.written
        if not 0 <= position <= written:
            raise ValueError(f"position must be within 0..{written}, got {position}")
        if self.claimed > position:
            return False
        if len(samples) > self.capacity - (position - self.read_count):
            raise ValueError(f"samples must fit the ring, got {len(samples)}")
        samples = np.ascontiguousarray(samples, np.float32)
        self._set(Word.WRITE, position)
        self._barrier()
        if self._get(Word.CLAIM) > position:
            self._set(Word.WRITE, written)
            return False
        self._copy(position, samples)
        self._publish(Word.WRITE, position + len(samples))
        return True

    def _copy(self, position: int, samples: FloatArray) -> None:
        """Put `samples` at `position`, round the end of the memory.

        As bytes: numpy would let go of the GIL, and a revision could then take as long as another
        thread likes while the consumer finds nothing to read.
        """
        start = position % self.capacity
        first = min(len(samples), self.capacity - start)
        source = np.ascontiguousarray(samples, np.float32).reshape(-1).view(np.uint8).data
        split, start = first * _FRAME_BYTES, start * _FRAME_BYTES
        self._bytes[start : start + split] = source[:split]
        self._bytes[: len(source) - split] = source[split:]

    def tell(self, command: Command) -> None:
        self._publish(Word.COMMAND, command)

    def set_prime(self, samples: int) -> None:
        """Ask that nothing is played before `samples` are buffered."""
        self._set(Word.PRIME, samples)

    def beat(self) -> None:
        """Show that the producer lives."""
        self._set(Word.PRODUCER_BEAT, time.monotonic_ns())

    def restart(self) -> None:
        """Get ready for a new player process after the last one died."""
        self._set(Word.ERROR_LENGTH, 0)
        self._set(Word.CONSUMER_BEAT, 0)
        self._publish(Word.STATUS, Status.STARTING)

    def consumer_age(self) -> float:
        """Seconds since the player last showed that it lives; 0 before its first sign."""
        beat = self._get(Word.CONSUMER_BEAT)
        return (time.monotonic_ns() - beat) / 1e9 if beat else 0.0

    # Consumer

    def read(self, count: int) -> FloatArray:
        """Take at most `count` samples, (n, 2)."""
        read = self.read_count
        wanted = max(0, min(count, self.written - read))
        count = self._claim(read, wanted)
        for _ in range(_REVISION_TURNS):
            if count == wanted:
                break
            time.sleep(_REVISION_PAUSE)  # a revision is under way and takes microseconds
            count = self._claim(read, wanted)
        start = read % self.capacity
        first = min(count, self.capacity - start)
        samples = np.empty((count, CHANNELS), np.float32)
        samples[:first] = self._samples[start : start + first]
        samples[first:] = self._samples[: count - first]
        self._publish(Word.READ, read + count)
        return samples

    def _claim(self, read: int, count: int) -> int:
        """Announce a read of `count` samples at `read`; return how many of them are there."""
        while True:
            self._set(Word.CLAIM, read + count)
            self._barrier()
            left = max(0, self.written - read)
            if left >= count:
                return count
            count = left

    def producer_age(self) -> float:
        """Seconds since the producer last showed that it lives."""
        return (time.monotonic_ns() - self._get(Word.PRODUCER_BEAT)) / 1e9

    def set_latency(self, seconds: float) -> None:
        self._set(Word.LATENCY_NS, round(seconds * 1e9))

    def set_clock(self, bed: int, output: int, handed: int, now_ns: int) -> None:
        """Tell what was with the device at monotonic `now_ns`; also a heartbeat."""
        count = self._get(Word.CLOCK_COUNT) + 1
        slot = Word.CLOCK + CLOCK_WORDS * (count % CLOCK_SLOTS)
        self._words[slot : slot + CLOCK_WORDS] = (bed, output, handed, now_ns)
        self._publish(Word.CLOCK_COUNT, count)
        self._set(Word.CONSUMER_BEAT, now_ns)

    def log_start(self, voice: int, asked: int, sample: int, now_ns: int) -> None:
        """Note that a voice began."""
        count = self._get(Word.STARTS)
        self._starts[count % LOG_ENTRIES] = (voice, asked, sample, now_ns)
        self._publish(Word.STARTS, count + 1)

    def set_mix_counts(self, counts: MixCounts) -> None:
        self._set(Word.LATE, counts.late)
        self._set(Word.STOLEN, counts.stolen)
        self._set(Word.REFUSED, counts.refused)
        self._set(Word.REDUCTION, round(counts.reduction_db * 1000))

    def set_status(self, status: Status, error: str = "") -> None:
        text = error.encode()[:ERROR_BYTES]
        self._error[: len(text)] = np.frombuffer(text, np.uint8)
        self._set(Word.ERROR_LENGTH, len(text))
        self._publish(Word.STATUS, status)

    def begin_underrun(self, position: int) -> None:
        """Count a gap that starts at `position` of the recording."""
        count = self.underruns
        if count < LOG_ENTRIES:
            self._underruns[count] = (position, 0)
        self._publish(Word.UNDERRUNS, count + 1)

    def extend_underrun(self, samples: int) -> None:
        """Lengthen the latest gap by `samples`."""
        if 0 < self.underruns <= LOG_ENTRIES:
            self._underruns[self.underruns - 1, 1] += samples
        self.conceal(samples)

    def conceal(self, samples: int) -> None:
        """Count `samples` played that were never written."""
        self._set(Word.CONCEALED, self.concealed + samples)

    def _get(self, word: int) -> int:
        number: int = self._words.item(word)
        return number

    def _set(self, word: int, value: int) -> None:
        self._words[word] = value

    def _barrier(self) -> None:
        """Let no later load pass an earlier store.

        One turn of a lock orders too little on ARM (a store may sink into it, a load may rise into
        it); a release followed by an acquire keeps the two apart.
        """
        with self._fence:
            pass
        with self._fence:
            pass

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
