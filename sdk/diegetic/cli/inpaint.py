"""`diegetic inpaint`: a stretch of a recording made anew, so that it fits to both sides."""

import argparse

from diegetic.cli import shared


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    shared.add_edit_arguments(parser)
    parser.add_argument("--start", type=shared.positive, required=True, help="of the gap (s)")
    parser.add_argument("--end", type=shared.positive, required=True, help="of the gap (s)")


def run(arguments: argparse.Namespace) -> int:
    """Write the recording with its gap filled."""
    from diegetic.inpaint import inpaint
    from diegetic.sound_file import read_sound, write_sound

    given = read_sound(arguments.recording)
    generator, conditioner = shared.open_networks(arguments)
    said = shared.asked_for(arguments, conditioner)
    whole = inpaint(generator, given, arguments.start, arguments.end, said, arguments.seed)
    write_sound(arguments.output, whole)
    shared.console().print(
        f"{arguments.output}: made anew from {arguments.start:g} to {arguments.end:g} s"
    )
    return 0
