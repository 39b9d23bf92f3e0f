"""`diegetic extend`: more of a recorded sound or piece of music."""

import argparse

from diegetic.cli import shared


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    shared.add_edit_arguments(parser)
    parser.add_argument("--seconds", type=shared.positive, default=10.0, help="how much more (10)")


def run(arguments: argparse.Namespace) -> int:
    """Write the recording and what follows it."""
    from diegetic.inpaint import continue_audio
    from diegetic.sound_file import read_sound, write_sound

    given = read_sound(arguments.recording)
    generator, conditioner = shared.open_networks(arguments)
    said = shared.asked_for(arguments, conditioner)
    made = continue_audio(generator, given, said, arguments.seconds, arguments.seed)
    write_sound(arguments.output, made)
    shared.console().print(f"{arguments.output}: {arguments.seconds:g} s more")
    return 0
