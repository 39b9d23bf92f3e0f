import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge_recorder import ANYWHERE, WAIT, Recorder, hear, until
from diegetic import cli
from diegetic.bank import EventSpec
from diegetic.cli import shared
from diegetic.config import RATE
from diegetic.mixer.commands import SetBus, SetListener, SetMaster
from diegetic.tape import play_tape, read_tape, render_tape
from diegetic.world import Counters
from diegetic_bridge import (
    Ack,
    BridgeServer,
    Client,
    Event,
    Prompt,
)
from diegetic_bridge.tape import Left, open_tape
from engine_tape import PIXELS, full_tape, make_session, rendered, write_tape
from tone_generator import FakeSink


@pytest.fixture
def tones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of the command line without networks."""
    monkeypatch.setattr(
        shared, "open_session", lambda arguments, live: make_session(arguments.seed)
    )


# What is heard


def test_the_same_tape_and_seed_make_the_same_samples(tmp_path: Path) -> None:
    tape = full_tape(tmp_path / "a.dgt")
    first = rendered(tape, tmp_path / "1.wav")
    assert len(first) == 2 * RATE
    assert np.abs(first).max() > 0.1
    assert np.array_equal(first, rendered(tape, tmp_path / "2.wav"))
    assert not np.array_equal(first, rendered(tape, tmp_path / "3.wav", seed=1))


def test_a_tape_renders_what_a_session_that_is_told_the_same_reads(tmp_path: Path) -> None:
    tape = full_tape(tmp_path / "a.dgt")
    hop = 0.16
    with make_session() as session:
        session.declare_parameter("threat")
        session.declare_switch("surface", ["grass", "stone"])
        ears = SetListener((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
        told = [
            (0.1, lambda: session.set_prompt("rain on a roof")),
            (0.3, lambda: session.set_parameter("threat", 0.5)),
            (0.5, lambda: session.push_frame(PIXELS)),
            (0.7, lambda: session.post_event("shot", at=0.7)),
            (0.9, lambda: session.set_switch("surface", "stone")),
            (1.0, lambda: session.mix(SetBus("beds", -6.0, None, 0.0))),
            (1.05, lambda: session.mix(SetMaster(-30.0))),
            (1.1, lambda: session.mix(ears)),
            (1.42, lambda: session.set_prompt({"storm": 1.0, "wind": 0.5}, ramp=0.2)),
        ]
        pieces = []
        for step in range(13):
            while told and told[0][0] < (step + 1) * hop:
                told.pop(0)[1]()
            pieces.append(session.read(hop))
    wanted = np.concatenate(pieces)[: 2 * RATE]
    got = rendered(tape, tmp_path / "1.wav")
    fade = RATE // 20
    assert np.abs(got[:-fade] - wanted[:-fade]).max() < 2.0**-23  # the file has 24 bits


def test_events_are_rendered_at_their_very_sample(tmp_path: Path) -> None:
    moments = [0.21, 0.5, 0.83, 1.17]
    said = [(m, Event(k, "shot", m)) for k, m in enumerate(moments)]
    tape = read_tape(write_tape(tmp_path / "a.dgt", *said))
    with make_session() as session:
        session.declare_event(EventSpec("shot"))
        render_tape(tape, session, tmp_path / "a.wav")
        assert [voice.sample for voice in session.voices()] == [round(m * RATE) for m in moments]


def test_a_cut_tape_is_rendered_up_to_the_cut_and_says_so(
    tmp_path: Path, tones: None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = full_tape(tmp_path / "a.dgt")
    whole = rendered(path, tmp_path / "whole.wav")
    path.write_bytes(path.read_bytes()[:-60])
    assert cli.main(["replay", str(path), "-o", str(tmp_path / "cut.wav")]) == 0
    shown = capsys.readouterr().out
    assert "test, 1.1 s, 8 messages; cut short, the rest is missing" in shown
    cut, _ = soundfile.read(tmp_path / "cut.wav", dtype="float32")
    assert len(cut) == round(1.1 * RATE)
    assert np.array_equal(cut[:RATE], whole[:RATE])


def test_the_shipped_networks_render_a_tape_the_same_every_time(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "a.dgt", (0.0, Prompt("rain on a tin roof", 0.0)), length=0.48)
    sounds = []
    for name in ("1.wav", "2.wav"):
        assert cli.main(["replay", str(tape), "-o", str(tmp_path / name)]) == 0
        sounds.append(soundfile.read(tmp_path / name)[0])
    assert np.abs(sounds[0]).max() > 0.01
    assert np.array_equal(*sounds)


def test_live_a_tape_is_told_at_its_own_pace(tmp_path: Path) -> None:
    path = full_tape(tmp_path / "a.dgt")
    now = [100.0]
    told: list[tuple[float, Counters]] = []
    session = make_session()

    def sleep(seconds: float) -> None:
        told.append((now[0] - 100.0, session._bed.world.counters))
        now[0] += seconds

    progress: list[float] = []
    with session:
        play_tape(
            read_tape(path), session, FakeSink(), progress.append, clock=lambda: now[0], sleep=sleep
        )
    assert now[0] == pytest.approx(102.0)
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(2.0)
    for moment, counters in told:
        if min(abs(moment - said) for said in (0.1, 0.5, 0.9, 1.42)) < 1e-6:
            continue  # just about to be said
        assert counters.prompts == (moment >= 0.1) + (moment >= 1.42)
        assert counters.frames == (moment >= 0.5)
        assert counters.switches == (moment >= 0.9)
    assert not session.playing


@pytest.mark.parametrize("command", ["record", "replay", "attach"])
def test_the_commands_explain_themselves(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([command, "--help"])
    assert left.value.code == 0
    assert f"diegetic {command}" in capsys.readouterr().out


def test_a_file_and_a_device_at_once_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["replay", str(tmp_path / "a.dgt"), "-o", "x.wav", "--no-device"]
    assert cli.main(words) == cli.USAGE_ERROR
    assert "expected -o or a device, got both" in capsys.readouterr().err


# The command in a process of its own

TONES = """
import sys
from diegetic import Session, cli
from diegetic.cli import shared
from tone_generator import ToneGenerator, plain_conditioner
session = lambda: Session(generator=ToneGenerator(), conditioner=plain_conditioner)
shared.open_session = lambda arguments, live: session()
shared.session_factory = lambda arguments: session
sys.exit(cli.main(sys.argv[1:]))
"""


def start(*words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-u", "-c", TONES, *words]
    place = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=place)


@pytest.mark.parametrize("end", ["bye", "interrupt", "kill"])
def test_a_game_is_recorded_until_it_or_the_recorder_ends(end: str, tmp_path: Path) -> None:
    if end == "interrupt" and sys.platform == "win32":
        pytest.skip("Windows has no SIGINT for another process")
    path = tmp_path / "session.dgt"
    words = ["record", str(path), "--endpoint", ANYWHERE, "--no-device", "--frames", "4"]
    with start(*words) as process:
        assert process.stdout is not None
        shown = ""
        while "listening on" not in shown:
            shown = process.stdout.readline()
            assert shown, "the recorder ended"
        client = Client(shown.split()[2].rstrip(";"), engine="test", events=["shot"])
        try:
            client.set_prompt("rain on a roof")
            client.push_frame(PIXELS)
            client.post_event("shot")
            hear(client, Ack)
            until(lambda: path.stat().st_size > 0 and open_or_none(path) == 3)
            if end == "interrupt":
                process.send_signal(signal.SIGINT)
                process.wait(WAIT)
            elif end == "kill":
                process.kill()
                process.wait(WAIT)
        finally:
            client.close()
        rest = process.stdout.read()
        process.wait(WAIT)
    tape = read_tape(path)
    assert tape.whole is (end != "kill")
    assert tape.hello.engine == "test"
    kinds = [type(entry.message) for entry in tape.entries()]
    assert sorted(kind.__name__ for kind in kinds if kind is not Left) == [
        "Event",
        "Picture",
        "Prompt",
    ]
    if end != "kill":
        assert process.returncode == 0
        assert "3 messages" in rest
    assert len(rendered(path, tmp_path / "out.wav"))


def open_or_none(path: Path) -> int | None:
    """How many messages are there by now, if any."""
    try:
        return open_tape(path).messages
    except ValueError:
        return None


def test_without_a_game_there_is_no_tape(tmp_path: Path) -> None:
    path = tmp_path / "session.dgt"
    with BridgeServer(ANYWHERE, Recorder()) as taken:
        words = ["record", str(path), "--endpoint", taken.endpoint, "--no-device"]
        with start(*words) as process:
            process.wait(WAIT)
    assert process.returncode == cli.USAGE_ERROR
    assert not path.exists()


def test_a_tape_plays_at_the_pace_of_the_clock(tmp_path: Path) -> None:
    path = write_tape(tmp_path / "a.dgt", (0.1, Prompt("rain", 0.1)), length=0.5)
    with start("replay", str(path), "--no-device") as process:
        assert process.stdout is not None
        shown = process.stdout.read()
        process.wait(WAIT)
    assert process.returncode == 0
    assert "test, 0.5 s, 1 messages" in shown
    assert "paced by the clock" in shown
