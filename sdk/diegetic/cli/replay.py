"""`diegetic replay`: what a recorded game sounds like, without the game."""

import argparse
from pathlib import Path

from diegetic.cli import shared
from diegetic.errors import DiegeticError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tape", type=Path, help="of `diegetic record`")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help=".wav, .flac (24 bit) or .ogg: made as fast as it goes, the same every time",
    )
    shared.add_output_arguments(parser)
    shared.add_session_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file, or play."""
    from diegetic.output import choose_output
    from diegetic.tape import play_tape, read_tape, render_tape

    if arguments.output is not None and (arguments.device or arguments.no_device):
        raise DiegeticError("expected -o or a device, got both")
    console = shared.console()
    tape = read_tape(arguments.tape)
    about = f"{tape.hello.engine or 'engine'}, {tape.seconds:.1f} s, {tape.messages} messages"
    console.print(f"{tape.path}: {about}{'' if tape.whole else '; cut short, the rest is missing'}")
    output = None
    if arguments.output is None:
        output = choose_output(arguments.device, no_device=arguments.no_device)
        console.print(f"playing on: {output.description}")
    live = output is not None
    with shared.open_session(arguments, live=live) as session, shared.progress_bar() as bar:
        task = bar.add_task(tape.path.name, total=tape.seconds)

        def show(done: float) -> None:
            bar.update(task, completed=done)

        if output is not None:
            play_tape(tape, session, output.sink(), show)
        else:
            level = render_tape(tape, session, arguments.output, show)
            console.print(f"{arguments.output}: {level:.1f} dBFS RMS")
    return 0
