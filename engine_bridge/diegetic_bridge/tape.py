"""A tape: all that an engine said in one session, and when, in a file.

    BridgeServer --> Recorder --> handler
                        `--queue--> TapeWriter's thread --> file --> Tape

The file is parts, one behind the other: the length and the CRC-32 of what follows (4 bytes each,
little endian), then a MessagePack value. The first part is a Header, the second an Entry with the
hello, the last one with Left. What was written before a crash is there: cut short, a tape ends with
its last whole part. Of frames, only some are kept, deflated row by row.
"""

import logging
import queue
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from diegetic_bridge.handler import Ear, Handler, WelcomeInfo, deliver
from diegetic_bridge.messages import MAX_PART_BYTES, Frame, Hello, Said
from diegetic_bridge.messages.fields import Side
from diegetic_bridge.pixels import to_rgb

FORMAT = 1
FRAME_RATE = 2.0
"""Frames kept per second, unless told otherwise."""

_PART = struct.Struct("<II")
_LONGEST = 2 * MAX_PART_BYTES  # a deflated picture may be a little longer than it was
_DEPTH = 3  # bytes of a pixel
_MOMENT = msgspec.Meta(ge=-1e10, le=1e10)

logger = logging.getLogger(__name__)


class Header(msgspec.Struct, frozen=True, tag="diegetic tape"):
    """What the file is."""

    format: int


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    """A frame: RGB, top row first; each row less the one above, deflated."""

    width: Side
    height: Side
    pixels: bytes

    @classmethod
    def of(cls, frame: Frame) -> "Picture":
        """Pack `frame`; what is not seen (padding, alpha) is left out."""
        rows: NDArray[np.uint8] = to_rgb(frame)
        steps = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))  # wraps around, as uint8 do
        return cls(frame.width, frame.height, zlib.compress(steps.tobytes(), 6))

    def frame(self, moment: float) -> Frame:
        """Return the frame as one of engine time `moment`.

        Raises:
            ValueError: the pixels are not those of such a picture.
        """
        size = self.width * self.height * _DEPTH
        try:
            flat = zlib.decompressobj().decompress(self.pixels, size + 1)
        except zlib.error as error:
            raise ValueError(f"pixels: expected a deflated picture, got {error}") from error
        if len(flat) != size:
            raise ValueError(f"pixels: expected {size} bytes, got {len(flat)}")
        steps = np.frombuffer(flat, np.uint8).reshape(self.height, self.width, _DEPTH)
        rows = np.cumsum(steps, axis=0, dtype=np.uint8)
        return Frame(self.width, self.height, moment, rows.tobytes())


class Left(msgspec.Struct, frozen=True, tag="left"):
    """The session was over: the engine said bye, or vanished."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A message: when it arrived, and when it happened, in seconds since the hello arrived."""

    arrival: Annotated[float, _MOMENT]
    at: Annotated[float, _MOMENT]
    message: Hello | Said | Picture | Left


_HEADER: msgspec.msgpack.Decoder[Header] = msgspec.msgpack.Decoder(Header)
_ENTRY: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


class TapeWriter:
    """Writes one session to the file at `path`; a thread of its own waits for the disk.

    Args:
        path: of a file that is not there yet; it stays only if there was a session.
        frame_rate: frames kept per second, at most.

    Raises:
        OSError: the file cannot be written, or is there.
    """

    def __init__(self, path: Path, *, frame_rate: float = FRAME_RATE) -> None:
        self._path = path
        self._file: BinaryIO = path.open("xb")
        self._spacing = 1 / frame_rate
        self._next_frame = float("-inf")
        self._start: float | None = None
        self._waiting: queue.SimpleQueue[Entry | tuple[float, float, Frame] | None] = (
            queue.SimpleQueue()
        )
        self._over = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._write, name="tape", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """The engine has left; nothing more is written."""
        return self._over.is_set()

    def hear(self, message: Hello | Said | Frame | Left, arrival: float, at: float) -> None:
        """Keep a message; times are monotonic seconds. Never waits; one thread at a time.

        A session is from its Hello to its Left; what comes before or after is left out.
        """
        if self.over or (self._start is None) is not isinstance(message, Hello):
            return
        if self._start is None:
            self._start = arrival
        arrival, at = arrival - self._start, at - self._start
        if isinstance(message, Frame):
            if arrival >= self._next_frame:
                self._next_frame = arrival + self._spacing
                self._waiting.put((arrival, at, message))
            return
        self._waiting.put(Entry(arrival, at, message))
        if isinstance(message, Left):
            self._over.set()

    def close(self) -> None:
        """Write what waits and close the file; may be called again.

        Raises:
            OSError: something could not be written.
        """
        self._over.set()
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()
        if self._start is None:
            self._path.unlink(missing_ok=True)
        if self._failure is not None:
            raise self._failure

    def _write(self) -> None:
        try:
            with self._file:
                self._put(Header(FORMAT))
                while True:
                    if self._waiting.empty():
                        self._file.flush()
                    entry = self._waiting.get()
                    if entry is None:
                        return
                    if isinstance(entry, tuple):
                        arrival, at, frame = entry
                        entry = Entry(arrival, at, Picture.of(frame))
                    self._put(entry)
        except OSError as error:
            logger.error("the tape ends here: %s", error)
            self._failure = error
            self._over.set()

    def _put(self, part: Header | Entry) -> None:
        data = msgspec.msgpack.encode(part)
        self._file.write(_PART.pack(len(data), zlib.crc32(data)) + data)


class Recorder:
    """A handler that keeps on tape what it passes on to another one, of one engine at a time.

    A hello that the other one refuses is not kept; all else is, before it is passed on.
    """

    def __init__(
        self, handler: Handler, tape: TapeWriter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._handler = handler
        self._ear: Ear = handler
        self._tape = tape
        self._clock = clock

    def on_open(self, hello: Hello, peer: str) -> WelcomeInfo:
        now = self._clock()
        info = self._handler.on_open(hello, peer)
        self._ear = info.ear or self._handler
        self._tape.hear(hello, now, now)
        return replace(info, ear=None)

    def _pass_on(self, message: Said | Frame, at: float) -> None:
        self._tape.hear(message, self._clock(), at)
        deliver(self._ear, message, at)

    on_prompt = on_layers = on_parameter = on_switch = on_event = _pass_on
    on_bus = on_push_snapshot = on_pop_snapshot = on_loudness = on_listener = on_frame = _pass_on

    def on_close(self, peer: str) -> None:
        now = self._clock()
        self._tape.hear(Left(), now, now)
        self._handler.on_close(peer)


@dataclass(frozen=True)
class Tape:
    """What is on a tape.

    Attributes:
        path: where it is.
        hello: how the engine began.
        seconds: from the hello to the last message.
        messages: how many there are after the hello, frames included.
        whole: False when it is cut short, as by a crash.
    """

    path: Path
    hello: Hello
    seconds: float
    messages: int
    whole: bool

    def entries(self) -> Iterator[Entry]:
        """Read what came after the hello, in the order of its arrival, while it is asked for.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged; not where it has not changed since `open_tape`.
        """
        with self.path.open("rb") as file:
            parts = _entries(self.path, file)
            next(parts)
            yield from parts


def open_tape(path: Path) -> Tape:
    """Look through the whole file at `path`.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no tape, one of a later format, damaged, or cut before the hello.
    """
    with path.open("rb") as file:
        parts = _entries(path, file)
        first = next(parts, None)
        if first is None:
            raise ValueError(f"{path} must hold a session, got a tape that is cut before its hello")
        if not isinstance(first.message, Hello):
            raise ValueError(f"{path} is damaged at part 2: expected a hello")
        messages, last = 0, first
        for last in parts:
            messages += not isinstance(last.message, Left)
    return Tape(path, first.message, last.arrival, messages, isinstance(last.message, Left))


def _entries(path: Path, file: BinaryIO) -> Iterator[Entry]:
    parts = _parts(path, file)
    try:
        header = _HEADER.decode(next(parts, b""))
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} must be a tape of diegetic, got something else") from error
    if header.format > FORMAT:
        raise ValueError(
            f"{path} must be a tape of format {FORMAT} at most, got {header.format}: "
            "a later version of diegetic made it"
        )
    before = 0.0
    for number, part in enumerate(parts, 2):
        try:
            entry = _ENTRY.decode(part)
        except msgspec.DecodeError as error:
            raise ValueError(f"{path} is damaged at part {number}: {error}") from error
        if entry.arrival < before:
            raise ValueError(f"{path} is damaged at part {number}: it goes back in time")
        before = entry.arrival
        yield entry


def _parts(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Read part after part; one that is cut off at the end is left out."""
    number = 0
    while len(head := file.read(_PART.size)) == _PART.size:
        number += 1
        length, checksum = _PART.unpack(head)
        data = file.read(length) if length <= _LONGEST else b""
        if length <= _LONGEST and len(data) < length:
            return
        if zlib.crc32(data) != checksum or length > _LONGEST:
            if number == 1:
                raise ValueError(f"{path} must be a tape of diegetic, got something else")
            raise ValueError(f"{path} is damaged at part {number}")
        yield data
