"""What a session did, as numbers that can be checked, and the machine they were taken on."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from diegetic import __version__
from diegetic.errors import MediaError
from diegetic.metrics import Metrics

MESSAGES = (
    "frames",
    "prompts",
    "parameters",
    "switches",
    "events",
    "errors",
    "dropped",
)
BANK = ("bank_ready", "bank_wanted", "events_missed", "events_late")


def machine() -> dict[str, object]:
    """Describe this machine: figures without it mean nothing."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 1,
        "os": platform.platform(terse=True),
        "python": platform.python_version(),
        "onnxruntime": installed_version("onnxruntime") or "missing",
        "diegetic": __version__,
    }


def cpu_model() -> str:
    """Return the processor's name as its maker gives it, or its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith(("model name", "Model")):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
            return found.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    return platform.processor() or platform.machine()


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution; nothing is imported."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def build_report(
    metrics: Metrics,
    *,
    seconds: float,
    device: str,
    underruns: int,
    counts: Mapping[str, int],
) -> dict[str, object]:
    """Put a session's figures together, ready for JSON.

    Args:
        metrics: timings of the session.
        seconds: length of what was played.
        device: what it was played on, in words.
        underruns: times that the device ran dry.
        counts: of bridge and bank; only `MESSAGES` and `BANK` are kept, missing ones are 0.
    """
    return {
        "seconds": round(seconds, 3),
        "device": device,
        "underruns": underruns,
        **metrics.summary(),
        "messages": {name: int(counts.get(name, 0)) for name in MESSAGES},
        "bank": {name: int(counts.get(name, 0)) for name in BANK},
        "machine": machine(),
    }


def write_report(report: Mapping[str, object], path: Path) -> None:
    """Write `report` to `path` as JSON.

    Raises:
        MediaError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise MediaError(f"cannot write {path}: {error.strerror}") from error
