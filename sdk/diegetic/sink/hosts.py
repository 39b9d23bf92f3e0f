"""What a player runs in: a process of its own, or a thread of this one."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from diegetic import player_process
from diegetic.mixer.commands import Command
from diegetic.player import Output, PlayerOptions, play
from diegetic.player.commands import CommandWriter
from diegetic.ring import Ring


class Host(Protocol):
    """A running player."""

    pid: int | None

    def send(self, command: Command) -> None:
        """Pass `command` on to the mixer."""

    def ended(self) -> str | None:
        """Return why the player ended, or None while it lives."""

    def end(self) -> bool:
        """Make sure that the player is gone; False if it cannot be made to go."""


class ProcessHost:
    """A player process; the robust one."""

    def __init__(self, options: PlayerOptions) -> None:
        self._process = player_process.spawn(options)
        self.pid: int | None = self._process.pid
        assert self._process.stdin is not None
        self._writer = CommandWriter(self._process.stdin)

    def send(self, command: Command) -> None:
        self._writer.send(command)

    def ended(self) -> str | None:
        code = self._process.poll()
        return None if code is None else player_process.obituary(code)

    def end(self) -> bool:
        player_process.end(self._process)
        self._writer.close()
        return True


class ThreadHost:
    """A player thread: no child process, but whatever holds the GIL holds it up too."""

    pid: int | None = None

    def __init__(
        self,
        ring: Ring,
        make_output: Callable[[], Output],
        record: Path | None,
        *,
        journal: Path | None,
        resumed: bool,
    ) -> None:
        self._commands: deque[Command] = deque()
        self._left = threading.Event()
        self._thread = threading.Thread(
            target=play,
            args=(ring, make_output, record, self._commands),
            kwargs={
                "journal_path": journal,
                "resumed": resumed,
                "parent_lives": lambda: not self._left.is_set(),
            },
            name="player",
            daemon=True,
        )
        self._thread.start()

    def send(self, command: Command) -> None:
        self._commands.append(command)

    def ended(self) -> str | None:
        return None if self._thread.is_alive() else "the player's thread has ended"

    def end(self) -> bool:
        self._left.set()
        self._thread.join(1.0)
        return not self._thread.is_alive()
