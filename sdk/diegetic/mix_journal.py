"""What a player mixed, block by block: enough to mix it again, to the bit.

    Joined                       a player begins, with a mixer that knows nothing
    Told                         the mixer was told something, from its next sample on
    Whole, Part, Rested          the next blocks: all bed, bed that ran dry, voices alone
    Finished                     the last of the bed, and the fade

A session's journal tells what the bed is; this one tells what was heard over it, and when. Of the
bed there are checksums alone. A clip is written once, when a voice first plays it.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from diegetic.config import RATE
from diegetic.entries import cut_to_whole_parts, packed, read_entries
from diegetic.errors import MediaError
from diegetic.mixer.commands import Command, DropClip, LoadClip, StartVoice
from diegetic.snapshot import FloatArray

FORMAT = 1


class Header(msgspec.Struct, frozen=True, tag="diegetic mix journal"):
    """What all entries are about."""

    format: int
    block: int  # samples that are mixed at a time


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """A player begins at output sample `position`; sample `read` of the bed is its first."""

    position: int
    read: int
    resumed: bool


class Told(msgspec.Struct, frozen=True, tag="told"):
    """The mixer was told `command`."""

    command: Command


class Whole(msgspec.Struct, frozen=True, tag="whole"):
    """So many blocks of the bed; `crc` (CRC-32) is that of their samples, float32."""

    blocks: int
    crc: int


class Part(msgspec.Struct, frozen=True, tag="part"):
    """A block for which the bed had `count` samples only."""

    count: int
    crc: int


class Rested(msgspec.Struct, frozen=True, tag="rested"):
    """A block before the bed began."""


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The last `count` samples of the bed, and the fade of all that sounded."""

    count: int
    crc: int


Entry = Joined | Told | Whole | Part | Rested | Finished
_HEADER: msgspec.msgpack.Decoder[Header] = msgspec.msgpack.Decoder(Header)
_ENTRY: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


class MixJournal:
    """Writes down what one player does; the player's loop alone calls it.

    Raises, every method: MediaError: the disk is full or gone.
    """

    def __init__(self, path: Path, block: int, *, append: bool = False) -> None:
        """Begin the file at `path`, or go on with the one that another player left.

        Raises:
            MediaError: it cannot be written.
        """
        self._path = path
        self._block = block
        self._blocks = 0  # whole ones that are not written yet
        self._crc = 0
        self._most = RATE // block  # a second: what a player that is killed takes with it
        self._unplayed: dict[int, LoadClip] = {}
        append = append and path.is_file()
        try:
            if append:
                cut_to_whole_parts(path)
            self._file: BinaryIO = path.open("ab" if append else "wb")
        except OSError as error:
            raise MediaError(f"cannot write {path}: {error.strerror}") from error
        if not append:
            self._write(Header(FORMAT, block))

    def joined(self, position: int, read: int, *, resumed: bool) -> None:
        self._add(Joined(position, read, resumed))

    def told(self, command: Command) -> None:
        """Note `command`; of clips only those that are played."""
        match command:
            case LoadClip():
                self._unplayed[command.id] = command
                return
            case DropClip():
                if self._unplayed.pop(command.id, None) is not None:
                    return
            case StartVoice() if command.clip in self._unplayed:
                self._add(Told(self._unplayed.pop(command.clip)))
        self._add(Told(command))

    def mixed(self, bed: FloatArray) -> None:
        """Note a block of which `bed` (n, 2) was there."""
        if len(bed) < self._block:
            self._add(Part(len(bed), checksum(bed)))
            return
        self._blocks += 1
        self._crc = checksum(bed, self._crc)
        if self._blocks >= self._most:
            self._flush()

    def rested(self) -> None:
        self._add(Rested())

    def finished(self, bed: FloatArray) -> None:
        self._add(Finished(len(bed), checksum(bed)))

    def close(self) -> None:
        if not self._file.closed:
            try:
                self._flush()
            finally:
                self._file.close()

    def _add(self, entry: Entry) -> None:
        if self._blocks:
            self._flush()
        self._write(entry)

    def _flush(self) -> None:
        """Write what has come together, to the disk as far as the system goes."""
        if self._blocks:
            self._write(Whole(self._blocks, self._crc))
            self._blocks, self._crc = 0, 0
        try:
            self._file.flush()
        except OSError as error:
            raise MediaError(f"cannot write {self._path}: {error.strerror}") from error

    def _write(self, entry: Header | Entry) -> None:
        try:
            self._file.write(packed(entry))
        except OSError as error:
            raise MediaError(f"cannot write {self._path}: {error.strerror}") from error


def checksum(bed: FloatArray, before: int = 0) -> int:
    """Return the CRC-32 of `bed` (n, 2), going on from that of what came before it."""
    return zlib.crc32(bed.astype("<f4", order="C", copy=False).tobytes(), before)


def read_mix_journal(path: Path) -> tuple[Header, Iterator[Entry]]:
    """Open a mix journal.

    Raises:
        MediaError: the file cannot be read, is none, is of another version or is damaged; a cut end
            is no damage.
    """
    return read_entries(path, "mix journal", FORMAT, _HEADER, _ENTRY)
