"""How journals lie in files: a header and entries, each a MessagePack map behind its length.

The length is four bytes, little endian. A writer may die at any moment: cut short, a file ends with
its last whole entry.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from diegetic.errors import MediaError

_LENGTH = struct.Struct("<I")
_LONGEST = 64 * 1024 * 1024


class Versioned(Protocol):
    """What a file begins with."""

    @property
    def format(self) -> int: ...


H = TypeVar("H", bound=Versioned)
E = TypeVar("E")


def packed(entry: msgspec.Struct) -> bytes:
    """Return `entry` as it lies in a file."""
    data = msgspec.msgpack.encode(entry)
    return _LENGTH.pack(len(data)) + data


def read_entries(
    path: Path,
    what: str,
    known: int,
    header: "msgspec.msgpack.Decoder[H]",
    entry: "msgspec.msgpack.Decoder[E]",
) -> tuple[H, Iterator[E]]:
    """Open a file of `what`, of format `known`; entries are read as they are asked for.

    Raises:
        MediaError: the file cannot be read, is something else, is of another version or, when that
            entry is asked for, damaged; a cut end is no damage.
    """
    try:
        parts = whole_parts(path)
        found = header.decode(next(parts, b""))
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MediaError(f"{path} must be a {what} of diegetic, got something else") from error
    if found.format != known:
        raise MediaError(f"{path} must be a {what} of format {known}, got {found.format}")
    return found, _decoded(path, parts, entry)


def whole_parts(path: Path) -> Iterator[bytes]:
    """Yield what lies behind each length; what is cut off at the end is left out."""
    with path.open("rb") as file:
        while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
            (length,) = _LENGTH.unpack(head)
            if length > _LONGEST or len(part := file.read(length)) < length:
                return
            yield part


def cut_to_whole_parts(path: Path) -> None:
    """Leave out what a writer that died had half written."""
    end = sum(_LENGTH.size + len(part) for part in whole_parts(path))
    with path.open("r+b") as file:
        file.truncate(end)


def _decoded(
    path: Path, parts: Iterator[bytes], decoder: "msgspec.msgpack.Decoder[E]"
) -> Iterator[E]:
    for number, part in enumerate(parts, 1):
        try:
            yield decoder.decode(part)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MediaError(f"{path} is damaged at entry {number}: {error}") from error
