"""Start player processes, and ask one which devices there are."""

import json
import subprocess
from dataclasses import dataclass

from diegetic.child_process import command, environment, flags
from diegetic.errors import DeviceError
from diegetic.player.options import PlayerOptions

_MODULE = "diegetic.player"
START_PATIENCE = 20.0  # s for a Python process to start on a busy machine


@dataclass(frozen=True)
class DeviceInfo:
    """An audio output: `index` or `name` choose it; `host` is the system that offers it."""

    index: int
    name: str
    host: str
    channels: int
    rate: float
    default: bool


def list_devices() -> list[DeviceInfo]:
    """Return the audio outputs of this machine.

    A child process looks: PortAudio never refreshes its list, and some configurations abort it.

    Raises:
        DeviceError: PortAudio is missing or broken.
    """
    found = subprocess.run(
        command(_MODULE, "--devices"),
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_PATIENCE,
        check=False,
    )
    for line in found.stdout.splitlines():
        marker, _, answer = line.partition(" ")
        if marker == "diegetic-devices":
            parsed = json.loads(answer)
            if "error" in parsed:
                raise DeviceError(parsed["error"])
            return [DeviceInfo(**device) for device in parsed["devices"]]
    raise DeviceError(obituary(found.returncode))


def spawn(options: PlayerOptions) -> subprocess.Popen[bytes]:
    """Start a player, its commands on its stdin.

    It is out of reach of the terminal's Ctrl-C: the parent says how to end.
    """
    quiet = subprocess.DEVNULL  # a killed sound server makes its library print gigabytes
    return subprocess.Popen(
        command(_MODULE, options.to_json()),
        env=_environment(),
        stdin=subprocess.PIPE,
        bufsize=0,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
        creationflags=flags(first=True),
    )


def _environment() -> dict[str, str]:
    """Return an environment in which a player starts no threads for arithmetic."""
    return environment() | {"OPENBLAS_NUM_THREADS": "1"}


def obituary(code: int) -> str:
    """Return why a player that said nothing may have ended."""
    return (
        f"the player process ended with code {code} before it could say why;"
        " the system's audio library may have no usable configuration"
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Make sure that a player is gone."""
    if process.poll() is None:
        process.kill()
    process.wait()
