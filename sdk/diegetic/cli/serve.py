"""`diegetic serve`: wait for a game and play what it sends, until Ctrl-C."""

import argparse
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.live import Live

from diegetic.cli import shared
from diegetic.errors import DiegeticError, MediaError
from diegetic_bridge.messages import DEFAULT_ENDPOINT

if TYPE_CHECKING:
    from diegetic_bridge.security import ServerKeys
    from diegetic_bridge.tape import TapeWriter

LOOK = 0.125  # s between two status lines


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--endpoint", default=DEFAULT_ENDPOINT, help=f"({DEFAULT_ENDPOINT})")
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER", help="keep what each engine heard, as WAV files"
    )
    parser.add_argument(
        "--bank", type=Path, metavar="FILE", help="takes of events to start with, and to keep"
    )
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="FOLDER",
        help="let in the clients listed there, also from other machines; see `diegetic keys`",
    )
    shared.add_output_arguments(parser)
    shared.add_session_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted; that is the normal end."""
    run_server(arguments)
    return 0


def run_server(arguments: argparse.Namespace, tape: "TapeWriter | None" = None) -> None:
    """Serve until interrupted, or until the engine that `tape` keeps has left."""
    from diegetic.cli.status import status_lines
    from diegetic.output import choose_output
    from diegetic.server import Server

    keys = _keys(arguments.endpoint, arguments.keys)
    console = shared.console()
    folder: Path | None = arguments.record
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(f"cannot write {folder}: {error.strerror}") from error
    output = choose_output(arguments.device, no_device=arguments.no_device)
    console.print(f"playing on: {output.description}")
    server = Server(
        arguments.endpoint,
        make_session=shared.session_factory(arguments),
        make_sink=lambda: output.sink(_free_name(folder) if folder else None),
        bank=arguments.bank,
        tape=tape,
        keys=keys,
    )
    with server:
        console.print(f"listening on {server.endpoint}; Ctrl-C ends")
        start = time.monotonic()
        with Live(console=console, refresh_per_second=8, transient=True) as live:
            while tape is None or not tape.over:
                live.update(status_lines(server.status(), time.monotonic() - start))
                time.sleep(LOOK)


def _keys(endpoint: str, folder: Path | None) -> "ServerKeys | None":
    """Read the keys, and refuse an address that needs some before the networks are loaded."""
    from diegetic_bridge.security import ServerKeys, require_keys

    try:
        keys = None if folder is None else ServerKeys.load(folder)
        require_keys(endpoint, keys)
    except ValueError as error:
        raise DiegeticError(str(error)) from error
    return keys


def _free_name(folder: Path) -> Path:
    """The first of stream-001.wav, stream-002.wav ... that is not there yet."""
    names = (folder / f"stream-{number:03d}.wav" for number in itertools.count(1))
    return next(name for name in names if not name.exists())
