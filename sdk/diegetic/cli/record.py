"""`diegetic record`: serve one game, and keep all that it says, with the times."""

import argparse
from contextlib import suppress
from pathlib import Path

from diegetic.cli import serve, shared
from diegetic_bridge.tape import FRAME_RATE


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tape", type=Path, help="for example session.dgt")
    parser.add_argument(
        "--frames",
        type=shared.positive,
        default=FRAME_RATE,
        metavar="RATE",
        help=f"frames kept per second, at most ({FRAME_RATE:g})",
    )
    serve.configure_server(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until the game has left, or Ctrl-C."""
    from diegetic.tape import read_tape, recording

    with suppress(KeyboardInterrupt), recording(arguments.tape, arguments.frames) as tape:
        serve.run_server(arguments, tape)
    if not arguments.tape.exists():
        shared.console().print("no game came: there is no tape")
        return 0
    kept = read_tape(arguments.tape)
    shared.console().print(f"{kept.path}: {kept.seconds:.1f} s, {kept.messages} messages")
    return 0
