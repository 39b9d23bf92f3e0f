"""How a module of this package runs in a process of its own.

A plain subprocess, not multiprocessing: that would run the user's main module once more in the
child.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "linux":
    import fcntl


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs `module` with this very Python."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return an environment in which the child finds this very package."""
    found: dict[str, str] = dict(os.environ)
    here = str(Path(__file__).resolve().parents[1])
    inherited = found.get("PYTHONPATH")
    found["PYTHONPATH"] = os.pathsep.join([here, inherited] if inherited else [here])
    return found


def go_first(niceness: int) -> None:
    """Ask to run before others, from within. Not every system grants it.

    On Windows who starts a process asks for it: see `flags`.
    """
    if sys.platform != "win32":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, niceness)


def widen(pipe: int, size: int) -> None:
    """Ask for room for `size` bytes in `pipe`, a file descriptor. Only Linux has a way to."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)


def flags(*, first: bool) -> int:
    """What a child is started with on Windows: no window, no Ctrl-C, and `first` before others."""
    if sys.platform == "win32":
        kind = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        if first:
            return kind | subprocess.HIGH_PRIORITY_CLASS
        return kind | subprocess.ABOVE_NORMAL_PRIORITY_CLASS
    return 0
