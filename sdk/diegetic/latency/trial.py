"""Run trials: a real server, a real client in its own process, a recording, and its twin."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diegetic.errors import DiegeticError, MediaError
from diegetic.latency import scene
from diegetic.latency.game_process import UNREADY, GameProcess, UnreadyError
from diegetic.latency.scene import KINDS, Kind
from diegetic.latency.twin import PlayTimes, Twin, compare
from diegetic.server import Server
from diegetic.session import Session
from diegetic.sink import Sink
from diegetic.snapshot import FloatArray

BEFORE = 1.0  # s of undisturbed sound
AFTERWARDS = 0.8  # s in which the change must be heard
_MARGIN = 0.4  # s on top of what the stream promises, where that is longer
_LOOK = 0.01  # s between two looks at the play clock


@dataclass(frozen=True)
class Trial:
    """One change, heard or not.

    Attributes:
        kind: what was changed.
        ear: seconds from the client's send to the first sample that differs, leaving the device.
        own: what the session itself measured of it, in seconds.
        declared: seconds of `ear` that the device declares as its own.
        trouble: why `ear` is not known; "" if it is.
        rtf: of each chunk that was made.
        underruns: times that the device ran dry.
    """

    kind: Kind
    ear: float | None
    own: float | None
    declared: float
    trouble: str = ""
    rtf: tuple[float, ...] = ()
    underruns: int = 0


def measure(
    make_session: Callable[[], Session],
    make_sink: Callable[[Path], Sink],
    *,
    trials: int = 20,
    kinds: Sequence[Kind] = KINDS,
    seed: int = 0,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Change something `trials` times per kind, each time in a fresh session; return all trials.

    The changes of a kind fall evenly on the phases of a hop, at a random place in each part of it.
    The kinds take turns: what else the machine does meets all of them.

    Args:
        make_session: sessions that make the same samples; they may share networks.
        make_sink: where a session plays, and records what is heard to that file.
        trials: of each kind.
        kinds: what is changed.
        seed: of the phases.
        on_trial: is told of each when it is done.

    Raises:
        DiegeticError: the game or the server fails.
        DeviceError, MediaError: the sink cannot be opened, or its recording cannot be read.
    """
    quiet = scene.prepare(make_session())
    quiet.warm_up()
    twin, config = Twin(quiet), quiet.config
    rng = np.random.default_rng(seed)
    phases = {kind: rng.permutation(trials) + rng.random(trials) for kind in kinds}
    done: list[Trial] = []
    with (
        tempfile.TemporaryDirectory(prefix="diegetic-", ignore_cleanup_errors=True) as folder,
        GameProcess() as game,
    ):
        recording = Path(folder) / "heard.wav"
        for number in range(trials):
            for kind in kinds:
                phase = float(phases[kind][number]) / trials
                after = config.lookahead + BEFORE + phase * config.hop
                server = Server(
                    "tcp://127.0.0.1:0",
                    make_session=lambda: scene.prepare(make_session()),
                    make_sink=lambda: make_sink(recording),
                )
                try:
                    trial = _run(server, game, kind, after, recording, twin)
                except UnreadyError:
                    trial = Trial(kind, None, None, 0.0, UNREADY)
                    game.leave()
                done.append(trial)
                recording.unlink(missing_ok=True)
                on_trial(trial)
    return done


def _run(
    server: Server, game: GameProcess, kind: Kind, after: float, recording: Path, twin: Twin
) -> Trial:
    times = PlayTimes()
    with server:
        game.begin(server.endpoint, kind, after)
        while (sent := game.sent(_LOOK)) is None:
            if server.session is not None and server.sink is not None:
                _check(server.session)
                times.add(time.monotonic(), server.sink.output_clock())
        session, sink = server.session, server.sink
        live = session.live if session else None
        if session is None or sink is None or live is None:
            raise DiegeticError("the sound ended before the change was sent")
        end = sent + max(AFTERWARDS, live.latency + _MARGIN)
        while (now := time.monotonic()) < end:
            _check(session)
            times.add(now, sink.output_clock())
            time.sleep(_LOOK)
        declared, until = sink.latency, times.handed(math.inf)
        game.leave()
    heard = _read(recording, until)
    finding = compare(heard, twin.first(len(heard)), times, sent, sink.underrun_log())
    return Trial(
        kind=kind,
        ear=finding.seconds,
        own=_own(session, kind),
        declared=declared,
        trouble=finding.trouble,
        rtf=tuple(session.metrics.rtf_values()),
        underruns=sink.underruns,
    )


def _check(session: Session) -> None:
    """Raise DiegeticError if the generator of a playing `session` is no more."""
    error = session.live.error if session.live else None
    if error is not None:
        raise DiegeticError(f"the sound ended: {error}") from error


def _own(session: Session, kind: Kind) -> float | None:
    """Return what `session` measured of the one change (s), None if it did not."""
    if kind == "event" and (voices := session.metrics.event_to_ear_ms()):
        return voices["p50"] / 1000  # of one
    records = session.records()
    opening = len(records[0].changes) if records else 0  # what was said before the first sample
    later = session.metrics.knob_to_ear_values_ms()[opening:]
    return later[0] / 1000 if later else None


def _read(recording: Path, count: int) -> FloatArray:
    """Return the first `count` samples, or all if there are fewer, (n, 2)."""
    import soundfile

    try:
        samples, _ = soundfile.read(recording, frames=count, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise MediaError(f"cannot read the recording {recording}: {error}") from error
    heard: FloatArray = samples
    return heard
