"""`diegetic render`: a scene in words becomes a sound file."""

import argparse
from pathlib import Path

from diegetic.cli import shared
from diegetic.config import RATE
from diegetic.render import render


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("prompt", help='what is heard, for example "rain on a tin roof"')
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help=".wav, .flac (24 bit) or .ogg"
    )
    parser.add_argument("--seconds", type=shared.positive, default=30.0, help="length (30)")
    parser.add_argument(
        "--guidance", type=shared.positive, help="how closely to follow the words, 1 to 5"
    )
    shared.add_session_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file."""
    with shared.open_session(arguments) as session:
        session.set_prompt(arguments.prompt)
        if arguments.guidance is not None:
            session.set_guidance(arguments.guidance)
        with shared.progress_bar() as bar:
            task = bar.add_task(arguments.prompt, total=arguments.seconds)
            level = render(
                session,
                arguments.output,
                arguments.seconds,
                on_progress=lambda done: bar.update(task, completed=done),
            )
            elapsed = bar.tasks[0].elapsed or 0.0
    shared.console().print(
        f"{arguments.output}: {arguments.seconds:g} s, {RATE // 1000} kHz stereo, "
        f"{level:.1f} dBFS RMS, made in {elapsed:.1f} s (RTF {elapsed / arguments.seconds:.2f})"
    )
    return 0
