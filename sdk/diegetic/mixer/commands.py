"""What a mixer can be told: small messages that cross a pipe as they are called in a process.

Every field has its limit in its type, so what `decode` returns is safe to mix: NaN and infinity
pass no limit. Times named `at` are output samples, fades are seconds, gains are decibels, positions
are metres in a right-handed space (x right, y up, -z ahead).
"""

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError

NOW = -1
MASTER = "master"
BEDS = "beds"
EVENTS = "events"
SILENT_DB = -120.0  # the lowest gain there is; mute goes all the way
MAX_CLIP = 30.0  # s
MAX_SAMPLE = 16.0  # +24 dBFS: louder than anything meant, and far from overflow
_BYTES_PER_SAMPLE = 4 * CHANNELS

Id = Annotated[int, Meta(ge=0, lt=2**53)]
At = Annotated[int, Meta(ge=NOW, lt=2**53)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
GainDb = Annotated[float, Meta(ge=SILENT_DB, le=24)]
Seconds = Annotated[float, Meta(ge=0, le=60)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
Vector = tuple[Coordinate, Coordinate, Coordinate]


class LoadClip(Struct, frozen=True, tag="load_clip"):
    """Keep `samples`: float32 little-endian, (n, 2) interleaved. A clip of the same id is replaced.

    A clip is played as it is, sample for sample: its own ends must be faded.
    """

    id: Id
    samples: Annotated[
        bytes, Meta(min_length=_BYTES_PER_SAMPLE, max_length=int(MAX_CLIP * RATE) * 8)
    ]

    def __post_init__(self) -> None:
        if len(self.samples) % _BYTES_PER_SAMPLE:
            raise ValueError(
                f"samples must be a multiple of {_BYTES_PER_SAMPLE} bytes (float32, 2 channels), "
                f"got {len(self.samples)} bytes"
            )
        values = np.frombuffer(self.samples, "<f4")
        # NaN fails both comparisons.
        if len(values) and not (values.min() >= -MAX_SAMPLE and values.max() <= MAX_SAMPLE):
            raise ValueError(f"samples must be finite and within +-{MAX_SAMPLE:g}")


class DropClip(Struct, frozen=True, tag="drop_clip"):
    """Forget a clip; voices that play it go on."""

    id: Id


class StartVoice(Struct, frozen=True, tag="start_voice"):
    """Play a clip once, its first sample at output sample `at` (NOW: the next one).

    `position` None is the clip as it is: centred and unattenuated. `voice` names it for MoveVoice
    and StopVoice; an id may be used again once its voice has ended.
    """

    voice: Id
    clip: Id
    at: At = NOW
    gain_db: GainDb = 0.0
    bus: Name = EVENTS
    position: Vector | None = None
    occlusion: Fraction = 0.0


class MoveVoice(Struct, frozen=True, tag="move_voice"):
    """A voice is somewhere else now. One that has ended is no error: it may just have done so."""

    voice: Id
    position: Vector | None
    occlusion: Fraction = 0.0


class StopVoice(Struct, frozen=True, tag="stop_voice"):
    """Fade a voice out (10 ms at least); one that has not begun will not."""

    voice: Id
    fade: Seconds = 0.01


class Duck(Struct, frozen=True):
    """While the bus `source` sounds, its listener is lowered to `gain_db`.

    `attack` and `release` are the time constants of going down and of coming back.
    """

    source: Name
    gain_db: Annotated[float, Meta(ge=-60, le=0)]
    attack: Annotated[float, Meta(ge=0.001, le=10)] = 0.05
    release: Annotated[float, Meta(ge=0.001, le=10)] = 0.5


class DeclareBus(Struct, frozen=True, tag="declare_bus"):
    """Make a bus, or change the parent and the ducks of one that is there."""

    name: Name
    parent: Name = MASTER
    ducks: Annotated[list[Duck], Meta(max_length=16)] = []


class SetBus(Struct, frozen=True, tag="set_bus"):
    """Change a bus' own gain, its mute, or both (None leaves it), from output sample `at` on."""

    name: Name
    gain_db: GainDb | None = None
    mute: bool | None = None
    fade: Seconds = 0.0
    at: At = NOW


class DeclareSnapshot(Struct, frozen=True, tag="declare_snapshot"):
    """Name a set of gains, added in dB to those of the buses while the snapshot is pushed."""

    name: Name
    gains_db: Annotated[dict[Name, GainDb], Meta(max_length=64)]


class PushSnapshot(Struct, frozen=True, tag="push_snapshot"):
    """Put a snapshot on top. Pushed twice, it counts twice."""

    name: Name
    fade: Seconds = 0.0


class PopSnapshot(Struct, frozen=True, tag="pop_snapshot"):
    """Take the newest of that name away."""

    name: Name
    fade: Seconds = 0.0


class SetListener(Struct, frozen=True, tag="set_listener"):
    """Where the ears are. `forward` and `up` need no unit length, only different directions."""

    position: Vector = (0.0, 0.0, 0.0)
    forward: Vector = (0.0, 0.0, -1.0)
    up: Vector = (0.0, 1.0, 0.0)

    @property
    def right(self) -> Vector:
        """Forward x up: out of the right ear, of any length."""
        (a, b, c), (x, y, z) = self.forward, self.up
        return (b * z - c * y, c * x - a * z, a * y - b * x)

    def __post_init__(self) -> None:
        # The negation catches NaN too.
        if not math.hypot(*self.right) > 1e-6 * math.hypot(*self.forward) * math.hypot(*self.up):
            raise ValueError(
                "forward and up must be two directions, "
                f"got forward {self.forward} and up {self.up}"
            )


class SetMaster(Struct, frozen=True, tag="set_master"):
    """The loudness to steer towards (None: as it comes) and the true peak never to pass."""

    loudness_lufs: Annotated[float, Meta(ge=-40, le=-10)] | None = None
    ceiling_dbtp: Annotated[float, Meta(ge=-24, le=-1)] = -1.0


Command = (
    LoadClip
    | DropClip
    | StartVoice
    | MoveVoice
    | StopVoice
    | DeclareBus
    | SetBus
    | DeclareSnapshot
    | PushSnapshot
    | PopSnapshot
    | SetListener
    | SetMaster
)


def _plain(value: object) -> object:
    """Return a number of numpy's as Python's own."""
    if isinstance(value, np.generic):
        number: object = value.item()
        return number
    raise TypeError(f"expected numbers, texts and bytes, got {type(value).__name__}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)


def encode(command: Command) -> bytes:
    """Return `command` for the pipe."""
    return _encoder.encode(command)


def decode(data: bytes | memoryview) -> Command:
    """Return the command that `encode` made `data` from.

    Raises:
        DiegeticError: `data` is no command, or breaks a limit.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DiegeticError(f"mixer command: {error}") from error


def checked(command: Command) -> Command:
    """Return `command` with all its limits checked, as if it had crossed the pipe.

    Raises:
        DiegeticError: it breaks a limit, or cannot be sent at all.
    """
    try:
        return decode(encode(command))
    except (TypeError, OverflowError, msgspec.MsgspecError) as error:
        raise DiegeticError(f"mixer command: {error}") from error
