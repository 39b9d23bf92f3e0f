"""`diegetic keys`: who may play from other machines."""

import argparse
from pathlib import Path

from diegetic.cli import shared
from diegetic.errors import DiegeticError

DEFAULT_FOLDER = Path("keys")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the step; what it makes is never overwritten."""
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    new = steps.add_parser(
        "new", help="make the keys of a server, or those of a client, which it then lets in"
    )
    new.add_argument(
        "folder", nargs="?", type=Path, default=DEFAULT_FOLDER, help="of the server's keys (keys)"
    )
    new.add_argument("--client", metavar="NAME", help="letters, digits, - and _")


def run(arguments: argparse.Namespace) -> int:
    """Make keys; say where they are, and where they belong."""
    from diegetic_bridge.security import new_client, new_server

    folder: Path = arguments.folder
    try:
        if arguments.client is None:
            path = new_server(folder)
            text = f"it stays here; diegetic serve --endpoint tcp://0.0.0.0:7776 --keys {folder}"
        else:
            path = new_client(folder, arguments.client)
            text = f"move it to that game's machine; Client(keys=ClientKeys.load({path.name!r}))"
    except ValueError as error:
        raise DiegeticError(str(error)) from error
    shared.console().print(f"{path}: {text}")
    return 0
