"""`diegetic attach`: let anything that moves be heard, and say in words what it is."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from diegetic.cli import shared
from diegetic.errors import DiegeticError

if TYPE_CHECKING:
    from diegetic.video import Pixels


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--screen", action="store_true", help="what the first screen shows")
    source.add_argument(
        "--window", metavar="TITLE", help="a window: its title, or a part of it that no other has"
    )
    source.add_argument("--webcam", metavar="N", help="a camera: its number, on Windows its name")
    source.add_argument("--video", type=Path, metavar="FILE", help="any file that FFmpeg reads")
    parser.add_argument(
        "--region",
        type=region,
        metavar="X,Y,W,H",
        help="with --screen: a part of the desktop, in pixels",
    )
    parser.add_argument("--prompt", default="", help="words to begin with")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep the sound, as a WAV file")
    shared.add_output_arguments(parser)
    shared.add_session_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show and listen until there is nothing more to see, or "quit" is typed."""
    from diegetic.attach import attach
    from diegetic.output import choose_output

    pictures = _pictures(arguments)
    console = shared.console()
    output = choose_output(arguments.device, no_device=arguments.no_device)
    console.print(f"playing on: {output.description}")
    with shared.open_session(arguments, live=True) as session:
        session.set_prompt(arguments.prompt)
        session.play(output.sink(arguments.record))
        console.print('type what should be heard, line by line; "quit" ends')
        shown = attach(session, pictures, sys.stdin)
    console.print(f"{shown} pictures shown")
    return 0


def region(text: str) -> tuple[int, int, int, int]:
    """Four whole numbers between commas, the last two above zero, for argparse."""
    try:
        left, top, width, height = (int(number) for number in text.split(","))
    except ValueError:
        left = top = width = height = 0
    if width < 1 or height < 1:
        raise argparse.ArgumentTypeError(f"expected left,top,width,height in pixels, got {text!r}")
    return left, top, width, height


def _pictures(arguments: argparse.Namespace) -> "Iterator[Pixels]":
    from diegetic.attach import (
        Region,
        camera_pictures,
        screen_pictures,
        video_pictures,
        window_pictures,
    )

    if arguments.region is not None and not arguments.screen:
        raise DiegeticError("expected --region together with --screen, got it alone")
    if arguments.screen:
        return screen_pictures(Region(*arguments.region) if arguments.region else None)
    if arguments.window is not None:
        return window_pictures(arguments.window)
    if arguments.webcam is not None:
        return camera_pictures(arguments.webcam)
    return video_pictures(arguments.video)
