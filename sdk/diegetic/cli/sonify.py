"""`diegetic sonify`: a silent video gets its sound."""

import argparse
from pathlib import Path

from diegetic.cli import shared


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("video", type=Path, help="any file that FFmpeg reads")
    parser.add_argument("-o", "--output", type=Path, required=True, help="for example out.mp4")
    parser.add_argument("--prompt", default="", help="words that guide what is heard")
    shared.add_layers_argument(parser)
    shared.add_session_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the video with sound."""
    from diegetic import video

    total = video.duration(arguments.video)
    with shared.open_session(arguments) as session:
        if arguments.prompt:
            session.set_prompt(arguments.prompt)
        if arguments.layers:
            session.set_layers(arguments.layers)
        with shared.progress_bar() as bar:
            task = bar.add_task(arguments.video.name, total=total)
            seconds = video.sonify(
                session,
                arguments.video,
                arguments.output,
                on_progress=lambda done, _: bar.update(task, completed=done),
            )
    shared.console().print(f"{arguments.output}: {seconds:.1f} s of sound")
    return 0
