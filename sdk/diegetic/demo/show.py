"""The demo: a server in this process, the game in another, and a folder of what happened.

game process ──bridge──→ Server → Session → device or clock
                            └→ stream.wav   └→ report.json, timeline.png
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from diegetic import report, timeline
from diegetic.config import RATE
from diegetic.errors import DiegeticError, MediaError
from diegetic.metrics import Metrics
from diegetic.output import Output
from diegetic.server import Server, ServerStatus
from diegetic.session import Session

LOOPBACK = "tcp://127.0.0.1:0"  # a free port
LOOK = 0.1  # s between two looks at the game and the status
LEAVE = 5.0  # s that the game has to go when asked

OnStatus = Callable[[ServerStatus, float], None]


@dataclass(frozen=True)
class Plan:
    """What is played.

    Attributes:
        command: starts the game; the endpoint is added to it.
        folder: receives stream.wav, report.json and timeline.png.
        title: of the picture.
    """

    command: tuple[str, ...]
    folder: Path
    title: str


def doom(map_name: str, seconds: float, seed: int, folder: Path) -> Plan:
    """The plan for ViZDoom on `map_name` of Freedoom.

    Raises:
        DiegeticError: ViZDoom is missing, or has no such map.
    """
    from diegetic.demo.game import wad_path
    from diegetic.demo.terrain import Terrain

    Terrain(wad_path(), map_name)
    command = [sys.executable, "-m", "diegetic.demo.game", "--map", map_name]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    return Plan(tuple(command), folder, f"diegetic · Freedoom {map_name}")


def run(
    plan: Plan,
    make_session: Callable[[], Session],
    output: Output,
    on_status: OnStatus = lambda status, elapsed: None,
) -> dict[str, object]:
    """Play until the game ends and leave the folder; return the report.

    When interrupted, the folder is finished first.

    Raises:
        DiegeticError: the game failed, or never connected.
        MediaError: the folder cannot be written.
    """
    wav = plan.folder / "stream.wav"
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"cannot write {plan.folder}: {error.strerror}") from error
    server = Server(LOOPBACK, make_session=make_session, make_sink=lambda: output.sink(wav))
    try:
        with server:
            _play(plan.command, server, on_status)
    finally:
        made = _finish(plan, server, output, wav)
    if made is None:
        raise DiegeticError("the game ended without a word to the server")
    return made


def _play(command: tuple[str, ...], server: Server, on_status: OnStatus) -> None:
    start = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        game = subprocess.Popen(
            [*command, "--endpoint", server.endpoint],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
        )
        try:
            while game.poll() is None:
                on_status(server.status(), time.monotonic() - start)
                time.sleep(LOOK)
        finally:
            _end(game)
        if game.returncode != 0:
            raise DiegeticError(f"the game failed: {_last_line(complaints)}")


def _end(game: "subprocess.Popen[bytes]") -> None:
    if game.poll() is None:
        game.terminate()
        try:
            game.wait(LEAVE)
        except subprocess.TimeoutExpired:
            game.kill()
            game.wait()


def _last_line(complaints: IO[str]) -> str:
    complaints.seek(0)
    lines = complaints.read().strip().splitlines()
    return lines[-1].removeprefix("game: ") if lines else "it said nothing"


def _finish(plan: Plan, server: Server, output: Output, wav: Path) -> dict[str, object] | None:
    """Write report.json and timeline.png; None when no engine ever came."""
    import soundfile

    session, sink = server.session, server.sink
    if session is None or sink is None:
        return None
    try:
        samples, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise MediaError(f"cannot read {wav}: {error.error_string}") from error
    status = server.status()
    made = report.build_report(
        session.metrics,
        seconds=len(samples) / RATE,
        device=output.description,
        underruns=sink.underruns,
        counts={name: value for name, value in status.items() if isinstance(value, int)},
    )
    report.write_report(made, plan.folder / "report.json")
    if len(samples):
        events = timeline.of_stream(
            session.records(),
            hop=session.config.hop,
            voices=session.voices(),
            underruns=sink.underrun_log(),
            knob_to_ear_ms=session.metrics.knob_to_ear_values_ms(),
            title=plan.title,
            figures=_figures(session.metrics, sink.underruns),
        )
        timeline.draw(samples, RATE, events, plan.folder / "timeline.png")
    return made


def _figures(metrics: Metrics, underruns: int) -> list[tuple[str, str]]:
    figures = []
    rtf, delay = metrics.rtf(), metrics.knob_to_ear_ms()
    for name in ("p50", "p95"):
        if name in rtf:
            figures.append((f"{rtf[name]:.2f}", f"RTF {name}"))
    for name in ("p50", "p95"):
        if name in delay:
            figures.append((f"{delay[name]:.0f} ms", f"knob to ear {name}"))
    voice = metrics.event_to_ear_ms()
    if "p95" in voice:
        figures.append((f"{voice['p95']:.0f} ms", "event to ear p95"))
    return [*figures, (str(underruns), "underruns")]
