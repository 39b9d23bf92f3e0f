"""Debian packages by name from any suite, through the machine's apt but with a state of our own."""

import logging
import os
import shutil
import subprocess
import threading
from collections import defaultdict
from pathlib import Path

from diegetic.errors import DiegeticError

_log = logging.getLogger(__name__)

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Apt:
    """Downloads packages below `root`; safe to use from several threads.

    The archive's address is read from the machine's configured sources and only the suite's
    name is replaced, so whatever mirror or proxy the machine is set up with is used.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def download(self, package: str, suite: str) -> tuple[Path, str]:
        """Return the .deb of `package` in `suite`, downloaded unless it is there, and its version.

        Raises:
            DiegeticError: apt is not there, knows no such package, or could not download it.
        """
        folder = self._root / "debs" / suite
        folder.mkdir(parents=True, exist_ok=True)
        found = _newest(folder, package)
        if found is None:
            self._update(suite)
            scratch = (
                folder / f".{package}"
            )  # so that a torn download is never taken for a whole one
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            self._run(suite, ["download", package], scratch)
            loaded = _newest(scratch, package)
            if loaded is None:
                raise DiegeticError(f"apt brought no file for {package!r} of suite {suite!r}")
            found = loaded.rename(folder / loaded.name)
            scratch.rmdir()
        return found, found.name.split("_")[1].replace("%3a", ":")

    def _update(self, suite: str) -> None:
        """Read the package lists of `suite`, once."""
        with self._guard:
            lock = self._locks[suite]
        state = self._root / "apt" / suite
        with lock:
            if (state / "updated").exists():
                return
            for name in ("state/lists/partial", "cache/archives/partial", "parts"):
                (state / name).mkdir(parents=True, exist_ok=True)
            signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
            source = f"deb {signed}{_archive_address()} {suite} main\n"
            (state / "sources.list").write_text(source, encoding="utf-8")
            self._run(suite, ["update"], state)
            (state / "updated").touch()

    def _run(self, suite: str, arguments: list[str], cwd: Path) -> None:
        state = self._root / "apt" / suite
        options = {
            "Dir::State": state / "state",
            "Dir::State::status": os.devnull,
            "Dir::Cache": state / "cache",
            "Dir::Etc::sourcelist": state / "sources.list",
            "Dir::Etc::sourceparts": state / "parts",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        command = [_apt_get(), *(f"-o{key}={value}" for key, value in options.items()), *arguments]
        run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            _log.debug("%s: %s", " ".join(arguments), run.stderr)
            what = " ".join(arguments)
            reason = next(
                (x for x in run.stderr.splitlines() if x.startswith("E:")), "no reason given"
            )
            raise DiegeticError(f"apt-get {what} failed for suite {suite!r}: {reason}")


def _newest(folder: Path, package: str) -> Path | None:
    found = sorted(folder.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def _apt_get() -> str:
    program = shutil.which("apt-get")
    if program is None:
        raise DiegeticError("Debian packages need the program apt-get, which is not installed here")
    return program


def _archive_address() -> str:
    """Return the address of Debian's archive as this machine is configured to reach it."""
    format_ = "$(ORIGIN)|$(COMPONENT)|$(LABEL)|$(REPO_URI)"
    run = subprocess.run(
        [_apt_get(), "indextargets", "--format", format_, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in run.stdout.splitlines():
        origin, component, label, address = line.split("|", 3)
        if (origin, component, label) == ("Debian", "main", "Debian"):
            return address
    raise DiegeticError(
        "fetching needs a machine whose apt is set up for Debian's main archive and updated once"
    )
