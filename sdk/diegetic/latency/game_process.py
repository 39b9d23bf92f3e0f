"""Start the game's process and talk with it, without ever waiting for good."""

import json
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from diegetic.errors import DiegeticError
from diegetic.latency.scene import Kind
from diegetic.latency.talk import BANK_PATIENCE, CONNECT_PATIENCE, Answer, Task

UNREADY = "the event's sound was not made in time"
_COMMAND = (sys.executable, "-m", "diegetic.latency.game")
_START_PATIENCE = 30.0
_LEAVE_PATIENCE = 10.0


class UnreadyError(DiegeticError):
    """The event's sound was not there in time: the game goes on without having said it."""


class GameProcess:
    """The other process; it lives as long as this is open, and plays one trial after another.

    One thread owns it.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="bench-game", daemon=True)
        self._reader.start()
        self._deadline = 0.0

    def begin(self, endpoint: str, kind: Kind, after: float) -> None:
        """Let it connect to `endpoint` and say `kind` of change after so many seconds.

        Raises:
            DiegeticError: the process is gone.
        """
        task: Task = {"endpoint": endpoint, "kind": kind, "after": after}
        patience = _START_PATIENCE + CONNECT_PATIENCE + BANK_PATIENCE + after
        self._deadline = time.monotonic() + patience
        self._tell(json.dumps(task))

    def sent(self, timeout: float) -> float | None:
        """Return when it said it (monotonic s), or None if it has not within `timeout` seconds.

        Raises:
            UnreadyError: it waited for the event's sound in vain.
            DiegeticError: it could not.
        """
        answer = self._hear(timeout)
        return None if answer is None else answer.get("sent")

    def leave(self) -> None:
        """Let it disconnect, and wait until it has.

        Raises:
            DiegeticError: the process is gone or hangs.
        """
        self._deadline = time.monotonic() + _LEAVE_PATIENCE
        self._tell("")
        while self._hear(_LEAVE_PATIENCE) is None:
            pass

    def close(self) -> None:
        """End the process; a second call does nothing."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(OSError):
                self._process.stdin.close()
            self._process.terminate()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise DiegeticError("the game's process has ended") from error

    def _hear(self, timeout: float) -> Answer | None:
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            if time.monotonic() > self._deadline:
                raise DiegeticError("the game's process does not answer") from None
            return None
        if answer is None:
            raise DiegeticError("the game's process has ended")
        if "unready" in answer:
            raise UnreadyError(UNREADY)
        if "error" in answer:
            raise DiegeticError(f"the game could not play: {answer['error']}")
        return answer

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(json.loads(line))
        self._answers.put(None)
