"""The command line: `diegetic COMMAND`; a command's module is loaded when it is asked for.

Each command lives in a module of its name here, with two functions: `configure(parser)` declares
its arguments, `run(arguments)` does the work and returns the exit code.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from diegetic import __version__
from diegetic.errors import DiegeticError

COMMANDS = {
    "demo": "play a game and let it be heard: ViZDoom, live, with a report at the end",
    "render": "write a scene to a sound file",
    "extend": "go on from a recorded sound or piece of music",
    "inpaint": "make a stretch of a recording anew",
    "sonify": "give a silent video its sound",
    "serve": "wait for a game and play what it sends",
    "record": "serve one game and keep all that it says",
    "replay": "hear a recorded game again, without the game",
    "attach": "let anything that moves be heard: a screen, a camera, a video",
    "keys": "make the keys that let games on other machines in",
    "devices": "list the audio devices",
    "doctor": "show what is installed, what would be used, and what is missing",
    "bench": "measure on this machine how soon a change is heard",
    "data": "fetch and build the training data",
    "train": "train the networks",
    "eval": "render, judge and save a table of what the networks reach",
}

EXTRAS = {
    "demo": "demo",
    "sonify": "demo",
    "attach": "demo",
    "data": "train",
    "train": "train",
    "eval": "judge",
}

USAGE_ERROR = 2
INTERRUPTED = 130


class Command(Protocol):
    """What every module of a command offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 well, 2 an error of the user's, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="diegetic", description="Streaming generative audio for games."
    )
    parser.add_argument("--version", action="version", version=f"diegetic {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens to stderr")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = next((word for word in words if not word.startswith("-")), None)
    try:
        command: Command | None = None
        for name, help_text in COMMANDS.items():
            subparser = commands.add_parser(name, help=help_text, description=_sentence(help_text))
            if name == asked:
                command = cast(Command, import_module(f"diegetic.cli.{name}"))
                command.configure(subparser)
        arguments = parser.parse_args(words)
        if command is None:
            parser.error(f"unknown command {asked!r}")
        logging.basicConfig(
            level=logging.INFO if arguments.verbose else logging.WARNING,
            format="%(name)s: %(message)s",
        )
        return command.run(arguments)
    except DiegeticError as error:
        sys.stderr.write(f"diegetic: {' '.join(str(error).split())}\n")
        return USAGE_ERROR
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "diegetic", "diegetic_bridge", "diegetic_kernels"):
            raise
        extra = EXTRAS.get(asked or "", "dev")
        sys.stderr.write(f"diegetic: {asked} needs {package}: pip install 'diegetic[{extra}]'\n")
        return USAGE_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("diegetic: interrupted\n")
        return INTERRUPTED


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
