"""Let a session hear a tape, in real time or as fast as sound can be made.

A recorded session has a journal, too (`diegetic.journal`): that is what the session did, when and
how often it changed its mind. A tape is what the engine said. The same tape and the same seed give
the same samples when they are rendered; played, the clock decides what comes in time.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from diegetic.config import RATE
from diegetic.errors import MediaError
from diegetic.interpreter import Interpreter, declare
from diegetic.render import STEP, render
from diegetic.session import Session
from diegetic.sink import Sink
from diegetic.snapshot import FloatArray
from diegetic_bridge.handler import deliver
from diegetic_bridge.messages import Hello
from diegetic_bridge.tape import Entry, Left, Picture, Tape, TapeWriter, open_tape

log = logging.getLogger(__name__)


def read_tape(path: Path) -> Tape:
    """Open the tape at `path`.

    Raises:
        MediaError: it cannot be read, is no tape, is damaged, or a later version made it.
    """
    with _media(f"cannot read {path}"):
        return open_tape(path)


@contextmanager
def recording(path: Path, frame_rate: float) -> Iterator[TapeWriter]:
    """A tape that is being written; `frame_rate` frames per second are kept.

    Raises:
        MediaError: it cannot be written.
    """
    with _media(f"cannot write {path}"):
        writer = TapeWriter(path, frame_rate=frame_rate)
    try:
        yield writer
    finally:
        with _media(f"cannot write {path}"):
            writer.close()


def render_tape(
    tape: Tape,
    session: Session,
    target: Path,
    on_progress: Callable[[float], None] = lambda done: None,
) -> float:
    """Write what a new `session` makes of `tape` to `target`; return the level, RMS in dBFS.

    Events are heard at their very sample; everything else from the chunk in which it was said.

    Raises:
        MediaError: `target` cannot be written, or the tape has changed meanwhile.
        DiegeticError: the session refuses what the engine declared.
    """
    declare(session, tape.hello)
    return render(_Heard(tape, session), target, max(tape.seconds, STEP), on_progress)


def play_tape(
    tape: Tape,
    session: Session,
    sink: Sink,
    on_progress: Callable[[float], None] = lambda done: None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Play what a new `session` makes of `tape` through `sink`, at the pace of `clock`.

    Raises:
        DeviceError, MediaError: the sink cannot be opened, or the tape has changed meanwhile.
        DiegeticError: the session refuses what the engine declared.
    """
    declare(session, tape.hello)
    interpreter = Interpreter(session)
    session.play(sink)
    start = clock()

    def wait(until: float) -> None:
        while (left := start + until - clock()) > 0:
            sleep(min(left, STEP))
            on_progress(min(clock() - start, tape.seconds))

    for entry in _entries(tape):
        wait(entry.arrival)
        _tell(interpreter, entry, start)
    session.stop()


class _Heard(Interpreter):
    """A session that is told what the tape holds up to the end of what is read."""

    def __init__(self, tape: Tape, session: Session) -> None:
        super().__init__()
        self.session: Session = session
        self._entries = _entries(tape)
        self._next = next(self._entries, None)
        self._read = 0  # samples

    def read(self, seconds: float) -> FloatArray:
        end = (self._read + round(seconds * RATE)) / RATE
        while self._next is not None and self._next.arrival < end:
            _tell(self, self._next, 0.0)
            self._next = next(self._entries, None)
        samples = self.session.read(seconds)
        self._read += len(samples)
        return samples

    def _audio_time(self, at: float) -> float:
        return max(at, self._read / RATE)


def _tell(interpreter: Interpreter, entry: Entry, start: float) -> None:
    """Deliver one message; what is refused was refused when it was said, too."""
    try:
        match entry.message:
            case Picture() as picture:
                deliver(interpreter, picture.frame(max(0.0, entry.at)), start + entry.at)
            case Hello() | Left():
                pass  # the session is open; when it ends, the tape does
            case message:
                deliver(interpreter, message, start + entry.at)
    except ValueError as error:
        log.warning("%.2f s: %s", entry.arrival, error)


def _entries(tape: Tape) -> Iterator[Entry]:
    with _media(f"cannot read {tape.path}"):
        yield from tape.entries()


@contextmanager
def _media(task: str) -> Iterator[None]:
    """Turn the bridge's errors into ours."""
    try:
        yield
    except OSError as error:
        raise MediaError(f"{task}: {error.strerror or error}") from error
    except ValueError as error:
        raise MediaError(str(error)) from error
