"""`diegetic serve`: wait for games and play what they send, until Ctrl-C."""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from diegetic.cli import shared
from diegetic.errors import DiegeticError, MediaError
from diegetic.slots.work import MOST_SESSIONS
from diegetic_bridge.messages import DEFAULT_ENDPOINT

if TYPE_CHECKING:
    from diegetic.session import Session
    from diegetic.sink import Sink
    from diegetic.slots.service import SlotService
    from diegetic_bridge.security import ServerKeys
    from diegetic_bridge.tape import TapeWriter

LOOK = 0.125  # s between two status lines
LOOK_AT_MANY = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    configure_server(parser)
    parser.add_argument(
        "--max-sessions",
        type=_sessions,
        default=1,
        metavar="N",
        help="games at a time (1); with more the sound goes back into each game, as PCM",
    )
    parser.add_argument(
        "--compute",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="what makes the chunks of many games: the GPU if there is one, else the processor "
        "(auto); one game is played by the processor unless cuda is asked for",
    )


def configure_server(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a server for one game."""
    parser.set_defaults(max_sessions=1, compute="auto")
    parser.add_argument("--endpoint", default=DEFAULT_ENDPOINT, help=f"({DEFAULT_ENDPOINT})")
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER", help="keep what each engine heard, as WAV files"
    )
    parser.add_argument(
        "--bank", type=Path, metavar="FILE", help="takes of events to start with, and to keep"
    )
    parser.add_argument(
        "--bank-only",
        action="store_true",
        help="play the takes of --bank and nothing else, without networks",
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
    from diegetic.cli.status import sessions_table, status_lines
    from diegetic.server import Server

    keys = _keys(arguments.endpoint, arguments.keys)
    console = shared.console()
    many = arguments.max_sessions > 1
    make_sink, record, where = _outputs(arguments)
    console.print(f"playing on: {where}")
    with ExitStack() as stack:
        service: SlotService[Any] | None = None
        let_go: Callable[[Session], None] = _nothing
        if arguments.bank_only:
            make_session = _bank_sessions(arguments)
        elif many or arguments.compute == "cuda":
            service = stack.enter_context(_shared_engine(arguments))
            make_session, let_go = _sessions_on(service, arguments.seed)
        else:
            make_session = shared.session_factory(arguments)
        server = stack.enter_context(
            Server(
                arguments.endpoint,
                make_session=make_session,
                make_sink=make_sink,
                let_go=let_go,
                record=record,
                max_sessions=arguments.max_sessions,
                bank=arguments.bank,
                tape=tape,
                keys=keys,
            )
        )
        console.print(f"listening on {server.endpoint}; Ctrl-C ends")
        start = time.monotonic()

        def look() -> RenderableType:
            elapsed = time.monotonic() - start
            if many and service is not None:
                return sessions_table(server, service, elapsed)
            return status_lines(server.status(), elapsed)

        with Live(console=console, refresh_per_second=8, transient=True) as live:
            while tape is None or not tape.over:
                live.update(look())
                time.sleep(LOOK_AT_MANY if many else LOOK)


def free_names(folder: Path) -> Iterator[Path]:
    """Those of stream-001.wav, stream-002.wav ... that are not there yet, each once."""
    names = (folder / f"stream-{number:03d}.wav" for number in itertools.count(1))
    return (name for name in names if not name.exists())


def _outputs(
    arguments: argparse.Namespace,
) -> "tuple[Callable[[], Sink] | None, Callable[[], Path] | None, str]":
    """What makes sinks, what names recordings, and in words where the sound goes."""
    from diegetic.output import choose_output

    many = arguments.max_sessions > 1
    if many and arguments.device is not None:
        raise DiegeticError(
            f"--device plays for one game, and --max-sessions is {arguments.max_sessions}: "
            "leave one of them out"
        )
    folder: Path | None = arguments.record
    record: Callable[[], Path] | None = None
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(f"cannot write {folder}: {error.strerror}") from error
        names = free_names(folder)
        record = lambda: next(names)  # noqa: E731
    if many and not arguments.no_device:
        return None, record, "the games themselves (a hello must ask for PCM)"
    output = choose_output(arguments.device, no_device=arguments.no_device)
    return lambda: output.sink(record() if record else None), record, output.description


@contextmanager
def _shared_engine(arguments: argparse.Namespace) -> "Iterator[SlotService[Any]]":
    """The engine that sessions share, warm; who asks gets to see how far the warm-up is."""
    from diegetic.slots.opening import Wish, open_engine, sessions_in_time
    from diegetic.slots.service import SlotService

    console = shared.console()
    wish = Wish(
        sessions=arguments.max_sessions,
        compute=arguments.compute,
        weights=arguments.weights,
        backend=arguments.backend,
        nfe=arguments.nfe,
    )
    start = time.monotonic()
    with _warm_up_bar() as bar:
        task = bar.add_task("warming up", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"warming up: {what}", completed=done, total=total)

        opened = open_engine(wish, progress)
    console.print(f"computing on: {opened.description}")
    try:
        with SlotService(opened.engine) as service:
            took, room = time.monotonic() - start, sessions_in_time(service)
            console.print(f"warm after {took:.1f} s; in real time: {_of(room, wish.sessions)}")
            if not room:
                raise DiegeticError(
                    f"{opened.description}: too slow for even one session in real time; "
                    "try a smaller --nfe"
                )
            yield service
    finally:
        opened.engine.close()


def _sessions_on(
    service: "SlotService[Any]", seed: int
) -> "tuple[Callable[[], Session], Callable[[Session], None]]":
    from diegetic.conditioning import Conditioner
    from diegetic.encoders import ImageEncoder, TextEncoder
    from diegetic.slots.sessions import SharedSessions

    text, image = TextEncoder(), ImageEncoder()
    sessions = SharedSessions(service, lambda: Conditioner(text, image), seed)
    return sessions.make, sessions.let_go


def _bank_sessions(arguments: argparse.Namespace) -> "Callable[[], Session]":
    from diegetic.session import Session

    if arguments.bank is None or not arguments.bank.is_file():
        raise DiegeticError(
            f"--bank-only needs a --bank that is there, got {arguments.bank or 'none'}; "
            "`diegetic serve --bank FILE` makes one while a game is played"
        )
    return lambda: Session(seed=arguments.seed, backend="bank")


def _nothing(session: "Session") -> None:
    """A session with an engine of its own is let go of by nobody."""


def _of(room: int, wanted: int) -> str:
    if room == wanted:
        return f"all {wanted} sessions" if wanted > 1 else "the session"
    return f"{room} of {wanted} sessions, more are refused"


def _warm_up_bar() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _sessions(text: str) -> int:
    """A number of sessions, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SESSIONS:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 1 to {MOST_SESSIONS}, got {text!r}"
        )
    return int(text)


def _keys(endpoint: str, folder: Path | None) -> "ServerKeys | None":
    """Read the keys, and refuse an address that needs some before the networks are loaded."""
    from diegetic_bridge.security import ServerKeys, require_keys

    try:
        keys = None if folder is None else ServerKeys.load(folder)
        require_keys(endpoint, keys)
    except ValueError as error:
        raise DiegeticError(str(error)) from error
    return keys
