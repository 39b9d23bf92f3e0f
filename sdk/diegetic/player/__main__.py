"""Run a player as a child process: `python -m diegetic.player '<options as JSON>'`."""

import gc
import io
import json
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diegetic.child_process import go_first
from diegetic.errors import DeviceError
from diegetic.mixer.commands import Command
from diegetic.player.commands import read_commands
from diegetic.player.loop import play
from diegetic.player.options import PlayerOptions
from diegetic.player.outputs import ClockOutput, DeviceOutput, Output, import_sounddevice
from diegetic.ring import Ring

PARENT_PATIENCE = 2.0  # s without a heartbeat; longer than any hold of the GIL seen
_NICENESS = -10
_TURN = 0.0005  # s that a thread may keep the interpreter: a clip must not hold up the sound


def main(arguments: list[str]) -> int:
    """Run as a child process; whatever goes wrong is told through the ring."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it says how to end
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(1)
    )  # by way of the recording's close
    if arguments == ["--devices"]:
        return _print_devices()
    options = PlayerOptions.from_json(arguments[0])
    gc.disable()
    go_first(_NICENESS)  # a little work, but at its time
    sys.setswitchinterval(_TURN)
    ring = Ring.attach(options.ring)
    commands: deque[Command] = deque()
    # Unbuffered: the end of the process would wait for a lock that a blocked reader holds
    pipe = io.FileIO(0, closefd=False)
    threading.Thread(target=read_commands, args=(pipe, commands), daemon=True).start()

    def make_output() -> Output:
        return DeviceOutput(options.device) if options.use_device else ClockOutput()

    done = play(
        ring,
        make_output,
        Path(options.record) if options.record else None,
        commands,
        journal_path=Path(options.journal) if options.journal else None,
        resumed=options.resumed,
        parent_lives=_parent_watch(ring, options.parent),
    )
    ring.close()
    return 0 if done else 1


def _parent_watch(ring: Ring, parent: int) -> Callable[[], bool]:
    """Return a function that tells whether the parent lives: by its id and by its heartbeat."""
    adopted = sys.platform != "win32" and os.getppid() == parent

    def lives() -> bool:
        if adopted and os.getppid() != parent:
            return False
        return ring.producer_age() < PARENT_PATIENCE

    return lives


def _print_devices() -> int:
    """Answer `--devices`: JSON behind a marker, for sound libraries print what they like."""
    try:
        sounddevice = import_sounddevice()
    except DeviceError as error:
        answer: dict[str, Any] = {"error": str(error)}
    else:
        default = sounddevice.default.device[1]
        answer = {
            "devices": [
                {
                    "index": device["index"],
                    "name": device["name"],
                    "host": sounddevice.query_hostapis(device["hostapi"])["name"],
                    "channels": device["max_output_channels"],
                    "rate": device["default_samplerate"],
                    "default": device["index"] == default,
                }
                for device in sounddevice.query_devices()
                if device["max_output_channels"] > 0
            ]
        }
    sys.stdout.write(f"\ndiegetic-devices {json.dumps(answer)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
