"""Where everything lies in a ring's memory, and what is read from it.

| counters, each written by one side | underruns | voice starts | error text | samples |
"""

from enum import IntEnum
from typing import NamedTuple

MAGIC = 0x6469656765746964  # "diegetid": of another layout than the last
HEADER_WORDS = 64
LOG_ENTRIES = 1024
UNDERRUN_WORDS = 2
START_WORDS = 4
ERROR_BYTES = 1024
CLOCK_SLOTS = 4
CLOCK_WORDS = 4

UNDERRUNS_AT = HEADER_WORDS * 8
STARTS_AT = UNDERRUNS_AT + LOG_ENTRIES * UNDERRUN_WORDS * 8
ERROR_AT = STARTS_AT + LOG_ENTRIES * START_WORDS * 8
SAMPLES_AT = ERROR_AT + ERROR_BYTES


class Word(IntEnum):
    """Where each counter lives in the header."""

    MAGIC = 0
    CAPACITY = 1
    WRITE = 2  # samples ever written, by the producer; a revision takes it back
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
    CLAIM = 14  # the consumer may be reading up to here: no revision before it
    STARTS = 15  # voices ever started
    CLOCK = 16  # CLOCK_SLOTS readings: bed, output, handed, monotonic ns
    LATE = CLOCK + CLOCK_SLOTS * CLOCK_WORDS
    STOLEN = LATE + 1
    REFUSED = LATE + 2
    REDUCTION = LATE + 3  # of the limiter, in thousandths of a dB


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
    """What was with the device at monotonic `time` (s).

    Attributes:
        bed: samples of the ring.
        output: samples of the mix (bed and concealment, from the first that sounded).
        handed: samples of any kind: also the silence before the first.
    """

    bed: int
    output: int
    handed: int
    time: float


class VoiceStart(NamedTuple):
    """A voice began: asked for and done in samples of the output (asked -1: at once).

    `time` is the monotonic moment (s) at which its first sample was with the device.
    """

    voice: int
    asked: int
    sample: int
    time: float


class MixCounts(NamedTuple):
    """What the mixer could not do as asked, and by how much the limiter ever reduced (dB)."""

    late: int = 0
    stolen: int = 0
    refused: int = 0
    reduction_db: float = 0.0
