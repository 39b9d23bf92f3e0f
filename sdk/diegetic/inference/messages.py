"""What goes through the two pipes between a session and the process of its networks.

Each message is pickled, behind its length (eight bytes): both ends are the same version of the same
package, one of them started by the other, and nobody else has the pipes.
"""

import io
import logging
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diegetic.config import StreamConfig
from diegetic.generator import Backend
from diegetic.snapshot import Conditioning, Snapshot

_LENGTH = struct.Struct("<Q")
PIPE_SIZE = 1 << 18  # bytes: most messages are smaller


@dataclass(frozen=True)
class Open:
    """The first request: which networks to load."""

    config: StreamConfig
    nfe: int | None
    backend: Backend
    weights: Path | None


@dataclass(frozen=True)
class Place:
    """Where a stream is: the state `number`, or where it is not known, a fresh one at `position`.

    Attributes:
        number: of the state, unique as long as the session's process lives.
        seed: of the stream.
        position: latents made so far.
    """

    number: int
    seed: int
    position: int


@dataclass(frozen=True)
class Condition:
    """Ask for the conditioning of a snapshot.

    Attributes:
        snapshot: without its frames, and of its events the newest.
        frames: number and time (s) of each.
        pictures: the pixels of those that were not sent before.
        dropped: numbers of pictures that will not be shown again unless they are sent again.
    """

    snapshot: Snapshot
    frames: tuple[tuple[int, float], ...]
    pictures: dict[int, NDArray[np.uint8]]
    dropped: tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """Show a picture that snapshots are going to show.

    Attributes:
        number: of the picture.
        pixels: (height, width, 3) uint8.
        dropped: as of `Condition`.
    """

    number: int
    pixels: NDArray[np.uint8]
    dropped: tuple[int, ...]


@dataclass(frozen=True)
class Embed:
    """Ask for `text` as a unit vector."""

    text: str


@dataclass(frozen=True)
class Generate:
    """Ask for the next chunk.

    Attributes:
        place: before it.
        after: the number of the state after it.
        conditioning: of it.
        dropped: states that nobody can go back to any more.
    """

    place: Place
    after: int
    conditioning: Conditioning
    dropped: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """What was asked for, or why it cannot be had, and what was logged meanwhile."""

    value: object = None
    error: Exception | None = None
    logged: tuple[tuple[str, int, str], ...] = ()

    def unwrap(self) -> Any:
        """Log here what was logged there, and return or raise."""
        for name, level, text in self.logged:
            logging.getLogger(name).log(level, "%s", text)
        if self.error is not None:
            raise self.error
        return self.value


def send(pipe: io.RawIOBase, message: object) -> None:
    """Write a message.

    Raises:
        OSError: the other end is gone.
    """
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    view = memoryview(_LENGTH.pack(len(data)) + data)
    while view:
        view = view[pipe.write(view) or 0 :]


def receive(pipe: io.RawIOBase) -> Any:
    """Read a message, the only one on its way: who has asked waits for the answer.

    Mostly that is one read. Each gives up the interpreter, and in a process where another thread
    computes it takes a while to get that back.

    Raises:
        EOFError: the other end is gone.
    """
    data, missing = bytearray(), _LENGTH.size
    while missing > 0:
        part = pipe.read(max(missing, PIPE_SIZE))
        if not part:
            raise EOFError("the other end is gone")
        data += part
        length = _LENGTH.unpack_from(data)[0] if len(data) >= _LENGTH.size else 0
        missing = _LENGTH.size + length - len(data)
    return pickle.loads(memoryview(data)[_LENGTH.size :])
