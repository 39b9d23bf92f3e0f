"""What a session was told and when, and what it made of it: enough to make the same sound again.

A journal is a sequence of entries in the order in which they took effect. A live session decides by
the clock when to take a future back; the decision is an entry, so a replay needs no clock:

    Prompted, Layered, Turned, Moved, Posted, Shown   the game said something, from `at` on
    WentBack, Skipped, Made, Placed, Ended            the next chunk, and where it was heard

That is the bed. Voices and buses are the mixer's, which is in another process: what it did is in
the journal of a sink (`diegetic.mix_journal`).

`diegetic.entries` says how that lies in the file.
"""

import logging
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from diegetic.config import StreamConfig
from diegetic.entries import packed, read_entries
from diegetic.errors import MediaError

FORMAT = 2

log = logging.getLogger(__name__)


class Header(msgspec.Struct, frozen=True, tag="diegetic journal"):
    """What the session was: the same samples come from the same of everything here."""

    format: int
    config: StreamConfig
    seed: int
    nfe: int
    weights: str  # their fingerprint, "" for a generator of one's own


class ParameterDeclared(msgspec.Struct, frozen=True, tag="parameter declared"):
    """A parameter and its range."""

    name: str
    minimum: float
    maximum: float
    default: float


class SwitchDeclared(msgspec.Struct, frozen=True, tag="switch declared"):
    """A switch and its values."""

    name: str
    values: list[str]


class FoleyLeft(msgspec.Struct, frozen=True, tag="foley left"):
    """Foley is made elsewhere: it is not the bed's unless asked for."""


class Prompted(msgspec.Struct, frozen=True, tag="prompt"):
    """What is heard, in words, or texts and their weights, arrived at within `ramp` seconds."""

    prompt: str | dict[str, float]
    at: float
    ramp: float


class Layered(msgspec.Struct, frozen=True, tag="layers"):
    """Which layers are heard; none means all."""

    layers: list[str]
    at: float


class Guided(msgspec.Struct, frozen=True, tag="guidance"):
    """How closely words are followed."""

    guidance: float
    at: float


class Moved(msgspec.Struct, frozen=True, tag="parameter"):
    """A parameter goes to `value` within `ramp` seconds."""

    name: str
    value: float
    ramp: float
    at: float


class Turned(msgspec.Struct, frozen=True, tag="switch"):
    """A switch takes a value."""

    name: str
    value: str
    at: float


class Posted(msgspec.Struct, frozen=True, tag="event"):
    """Something that the bed is to sound of once."""

    name: str
    gain_db: float
    at: float


class Shown(msgspec.Struct, frozen=True, tag="frame"):
    """A frame: (height, width, 3) uint8, deflated."""

    height: int
    width: int
    pixels: bytes
    at: float

    def unpack(self) -> NDArray[np.uint8]:
        """Return the pixels.

        Raises:
            MediaError: they are damaged.
        """
        try:
            flat = np.frombuffer(zlib.decompress(self.pixels), np.uint8)
            return flat.reshape(self.height, self.width, 3)
        except (zlib.error, ValueError) as error:
            raise MediaError(
                f"a frame must unpack to {self.width}x{self.height} pixels, got damage: {error}"
            ) from error


class WentBack(msgspec.Struct, frozen=True, tag="back"):
    """The next chunk is the one at sample `boundary`, heard from `splice` on."""

    boundary: int
    splice: int


class Skipped(msgspec.Struct, frozen=True, tag="skip"):
    """The next chunk is `hops` later."""

    hops: int


class Made(msgspec.Struct, frozen=True, tag="made"):
    """A chunk was made from all that was said before this entry."""


class Placed(msgspec.Struct, frozen=True, tag="placed"):
    """The newest chunk is heard from `first` on; its end, if it came too late to be heard."""

    first: int


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The stream faded out; what follows fades in."""


Entry = (
    ParameterDeclared
    | SwitchDeclared
    | FoleyLeft
    | Prompted
    | Layered
    | Guided
    | Moved
    | Turned
    | Posted
    | Shown
    | WentBack
    | Skipped
    | Made
    | Placed
    | Ended
)
_HEADER: msgspec.msgpack.Decoder[Header] = msgspec.msgpack.Decoder(Header)
_ENTRY: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


class Journal:
    """Writes entries to a file; any thread may add.

    What was added is in the file even if the process dies. When the disk is full, that is logged,
    and the session goes on without its journal.
    """

    def __init__(self, path: Path, header: Header) -> None:
        """Begin the file at `path`.

        Raises:
            MediaError: it cannot be written.
        """
        self._path = path
        self._lock = threading.Lock()
        try:
            self._file: BinaryIO = path.open("wb", buffering=0)
            try:
                self._write(header)
            except OSError:
                self._file.close()
                raise
        except OSError as error:
            raise MediaError(f"cannot write {path}: {error.strerror}") from error

    def add(self, entry: Entry) -> None:
        with self._lock:
            if self._file.closed:
                return
            try:
                self._write(entry)
            except OSError as error:
                self._file.close()
                log.error("the journal ends: cannot write %s: %s", self._path, error.strerror)

    def add_frame(self, pixels: NDArray[np.uint8], at: float) -> None:
        height, width, _ = pixels.shape
        self.add(Shown(height, width, zlib.compress(pixels.tobytes(), 1), at))

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _write(self, entry: Header | Entry) -> None:
        view = memoryview(packed(entry))
        while view:
            view = view[self._file.write(view) :]


def read_journal(path: Path) -> tuple[Header, Iterator[Entry]]:
    """Open a journal.

    Raises:
        MediaError: the file cannot be read, is no journal, is of another version or is damaged; a
            cut end is no damage.
    """
    return read_entries(path, "journal", FORMAT, _HEADER, _ENTRY)
