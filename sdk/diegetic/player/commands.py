"""The mixer's commands on their way to the player: each behind its length (four bytes).

    one alone   send -------------------------------------> pipe --> read_commands --> mixer
    a flood     send, send, send ... --thread, one write--^

Each write wakes the player, and lets other threads have the interpreter: commands that come close
together are written together.
"""

import io
import logging
import math
import select
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import IO

from diegetic.errors import DiegeticError
from diegetic.mixer.commands import Command, decode, encode

PACE = 0.004
"""Seconds from one write to the next; a command that comes sooner waits for others meanwhile."""

_LENGTH = struct.Struct("<I")
_ATOMIC = 512  # bytes: PIPE_BUF, as small as POSIX allows; a pipe takes them all or has no room
_PIECE = 1 << 16  # bytes read and written at a time; what a pipe holds

log = logging.getLogger(__name__)


class CommandWriter:
    """Writes commands to `pipe`: one that comes alone at once if there is room, else from a thread.

    `send` may be called by any thread, and a full pipe makes none wait. Commands arrive in the
    order in which they were sent. When the reader is gone, they go nowhere.
    """

    def __init__(
        self,
        pipe: IO[bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._pipe = pipe
        self._clock = clock
        self._sleep = sleep
        self._room = _room_of(pipe.fileno())
        self._come = threading.Condition()
        self._gathered: list[bytes] = []
        self._busy = False  # the thread is about to write: whoever comes must wait behind it
        self._closed = False
        self._next = -math.inf  # on the clock, when a write is due again
        self._thread = threading.Thread(target=self._run, name="player-commands", daemon=True)
        self._thread.start()

    def send(self, command: Command) -> None:
        data = encode(command)
        data = _LENGTH.pack(len(data)) + data
        with self._come:
            if self._closed:
                return
            if not self._busy:
                if len(data) <= _ATOMIC and self._clock() >= self._next and self._room():
                    self._write(data)
                    return
                self._busy = True
                self._come.notify()
            self._gathered.append(data)

    def close(self) -> None:
        """End the thread and close the pipe; call it when the reader is gone, for it may block."""
        with self._come:
            self._closed = True
            self._come.notify()
        self._thread.join()
        with suppress(OSError):  # what was not read breaks the pipe
            self._pipe.close()

    def _run(self) -> None:
        while self._wait():
            self._sleep(max(0.0, self._next - self._clock()))
            with self._come:
                gathered, self._gathered = self._gathered, []
            for data in _pieces(gathered):
                self._write(data)

    def _wait(self) -> bool:
        """Wait until there is something to write; False when there never will be."""
        with self._come:
            while not self._gathered:
                self._busy = False
                if self._closed:
                    return False
                self._come.wait()
            return True

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        with suppress(OSError, ValueError):
            while view:
                view = view[self._pipe.write(view) :]
        self._next = self._clock() + PACE


def _pieces(commands: Iterable[bytes]) -> Iterator[bytes]:
    """Join commands to pieces of at least `_PIECE` bytes, as long as there are that many."""
    joined: list[bytes] = []
    size = 0
    for data in commands:
        joined.append(data)
        size += len(data)
        if size >= _PIECE:
            yield b"".join(joined)
            joined, size = [], 0
    if joined:
        yield b"".join(joined)


def _room_of(pipe: int) -> Callable[[], bool]:
    """Return a function that tells whether `_ATOMIC` bytes can be written without waiting."""
    if sys.platform == "win32":  # has no way to ask
        return lambda: False
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return lambda: bool(poll.poll(0))


def read_commands(pipe: io.RawIOBase, commands: "deque[Command]") -> None:
    """Append what arrives at `pipe` to `commands`, until the writer is gone."""
    arrived = bytearray()
    while data := pipe.read(_PIECE):
        arrived += data
        done = 0
        with memoryview(arrived) as view:
            while (end := _end(view, done)) is not None:
                try:
                    commands.append(decode(bytes(view[done + _LENGTH.size : end])))
                except DiegeticError as error:
                    log.warning("%s", error)
                done = end
        del arrived[:done]


def _end(view: memoryview, start: int) -> int | None:
    """Return where the command that begins at `start` ends; None if it has not all arrived."""
    if len(view) < start + _LENGTH.size:
        return None
    end: int = start + _LENGTH.size + _LENGTH.unpack_from(view, start)[0]
    return end if end <= len(view) else None
