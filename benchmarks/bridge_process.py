"""Processes of the bridge's benchmark: they answer with lines of JSON, and are gone at the end."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
END = 60.0  # s that a program may take to end when it is told to


class Program:
    """Python in a process of its own, that runs `command`, from now until the block is left."""

    def __init__(self, *command: object) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 closed by exit
        self._process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def hear(self) -> Any:
        """Return the next line that the program says, as JSON says it.

        Raises:
            SystemExit: it has ended instead.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args!r} has ended: {self.complaints()}")
        return json.loads(line)

    def ask(self, word: str) -> Any:
        """Say a line to the program; return its answer."""
        assert self._process.stdin is not None
        print(word, file=self._process.stdin, flush=True)
        return self.hear()

    def let_go(self, until: type = object) -> Any:
        """Close the program's stdin, which asks it to end; return what it says at last.

        `until`: of which type that is; what else it has said is passed over.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        while not isinstance(said := self.hear(), until):
            pass
        return said

    def kill(self) -> None:
        """Let it end at once, as by `kill -9`."""
        self._process.kill()
        self._process.wait()

    def wait(self) -> None:
        """Wait until it has ended by itself; what it says meanwhile is not heard.

        Raises:
            subprocess.TimeoutExpired: it does not end.
        """
        self._process.communicate(timeout=END)

    def complaints(self) -> str:
        """Return what it has written to stderr."""
        self._errors.seek(0)
        return self._errors.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        with self._errors, self._process:
            pass


def serving(endpoint: str) -> Program:
    """Return `diegetic serve` at `endpoint`, without a device."""
    return Program("-m", "diegetic", "serve", "--no-device", "--endpoint", endpoint)


def free_endpoint() -> str:
    """Return an address of this machine at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def load() -> str:
    """Return the machine's load averages of 1 and 5 minutes; "" where there is no such thing."""
    if sys.platform == "win32":
        return ""
    return "load {:.2f} {:.2f}".format(*os.getloadavg()[:2])
