"""The mixer's commands on their way to the player: each behind its length (four bytes)."""

import io
import logging
import queue
import select
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from diegetic.errors import DiegeticError
from diegetic.mixer.commands import Command, decode, encode

_LENGTH = struct.Struct("<I")
_ATOMIC = 512  # bytes: PIPE_BUF, as small as POSIX allows; a pipe takes them all or has no room

log = logging.getLogger(__name__)


class CommandWriter:
    """Writes commands to `pipe`: at once if there is room, else from a thread of its own.

    `send` may be called by any thread, and a full pipe makes none wait. Commands arrive in the
    order in which they were sent. When the reader is gone, they go nowhere.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._room = _room_of(pipe.fileno())
        self._lock = threading.Lock()
        self._queued = 0  # not yet written; whoever comes must wait behind them
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="player-commands", daemon=True)
        self._thread.start()

    def send(self, command: Command) -> None:
        data = encode(command)
        data = _LENGTH.pack(len(data)) + data
        with self._lock:
            if not self._queued and len(data) <= _ATOMIC and self._room():
                with suppress(OSError, ValueError):
                    self._pipe.write(data)
                return
            self._queued += 1
            self._queue.put(data)

    def close(self) -> None:
        """End the thread and close the pipe; call it when the reader is gone, for it may block."""
        self._queue.put(None)
        self._thread.join()
        with suppress(OSError):  # what was not read breaks the pipe
            self._pipe.close()

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            view = memoryview(data)
            with suppress(OSError, ValueError):
                while view:
                    view = view[self._pipe.write(view) :]
            with self._lock:
                self._queued -= 1


def _room_of(pipe: int) -> Callable[[], bool]:
    """Return a function that tells whether `_ATOMIC` bytes can be written without waiting."""
    if sys.platform == "win32":  # has no way to ask
        return lambda: False
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return lambda: bool(poll.poll(0))


def read_commands(pipe: io.RawIOBase, commands: "deque[Command]") -> None:
    """Append what arrives at `pipe` to `commands`, until the writer is gone."""
    while True:
        length = _take(pipe, _LENGTH.size)
        data = _take(pipe, _LENGTH.unpack(length)[0]) if length else b""
        if not data:
            return
        try:
            commands.append(decode(data))
        except DiegeticError as error:
            log.warning("%s", error)


def _take(pipe: io.RawIOBase, count: int) -> bytes | memoryview:
    """Return `count` bytes, or none at the end of the stream."""
    data = bytearray(count)
    view, have = memoryview(data), 0
    while have < count:
        got = pipe.readinto(view[have:])
        if not got:
            return b""
        have += got
    return view
