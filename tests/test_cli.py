import argparse
import hashlib
import importlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from rich.console import Console

from diegetic import cli, sink
from diegetic.cli import doctor, serve, shared
from diegetic.cli.render import blended
from diegetic.cli.status import status_lines
from diegetic.errors import DeviceError, DiegeticError
from diegetic.output import choose_output
from diegetic.server import ServerStatus
from diegetic.session import Session
from diegetic.sink import ClockSink, DeviceInfo, DeviceSink
from diegetic.snapshot import Conditioning, Snapshot
from tone_generator import ToneGenerator, plain_conditioner

MINE = ["demo", "render", "extend", "inpaint", "sonify", "serve", "keys", "devices", "doctor"]


@pytest.fixture
def tones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions without networks."""

    def session(arguments: argparse.Namespace) -> Session:
        made = ToneGenerator()
        return Session(seed=arguments.seed, generator=made, conditioner=plain_conditioner)

    monkeypatch.setattr(shared, "open_session", session)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in cli.COMMANDS)


@pytest.mark.parametrize("command", MINE)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([command, "--help"])
    assert left.value.code == 0
    assert f"diegetic {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["rendr"],
        ["render"],
        ["render", "rain"],
        ["render", "rain", "-o", "x.wav", "--seconds", "0"],
        ["render", "rain", "-o", "x.wav", "--seconds", "nan"],
        ["render", "rain", "-o", "x.wav", "--nfe", "0"],
        ["render", "rain", "-o", "x.wav", "--backend", "abacus"],
        ["render", "rain", "-o", "x.wav", "--layers", "ambience,drums"],
        ["render", "rain", "-o", "x.wav", "--layers", ""],
        ["extend", "a.wav"],
        ["extend", "a.wav", "-o", "x.wav", "--seconds", "0"],
        ["inpaint", "a.wav", "-o", "x.wav", "--start", "1"],
        ["inpaint", "a.wav", "-o", "x.wav", "--start", "1", "--end", "later"],
        ["sonify", "a.mp4", "-o", "x.mp4", "--layers", "drums"],
        ["serve", "--device", "1", "--no-device"],
        ["serve", "--max-sessions", "0"],
        ["serve", "--max-sessions", "257"],
        ["serve", "--max-sessions", "many"],
        ["serve", "--compute", "tpu"],
        ["record", "a.dgt", "--max-sessions", "2"],
    ],
)
def test_a_wrong_command_line_is_a_usage_error(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == cli.USAGE_ERROR


def test_a_command_loads_only_what_it_needs() -> None:
    code = (
        "import sys; from diegetic import cli\n"
        "try: cli.main(['render', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'onnxruntime', 'vizdoom', 'matplotlib', 'av', 'sounddevice'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_an_error_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.mp4")
    command = [sys.executable, "-m", "diegetic", "sonify", missing, "-o", str(tmp_path / "o.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == cli.USAGE_ERROR
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"diegetic: cannot read {missing}")


def test_an_interruption_is_told_by_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("diegetic.cli.devices"), "run", interrupted)
    assert cli.main(["devices"]) == cli.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


def test_a_missing_package_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vizdoom", None)  # as if it were not installed
    monkeypatch.setattr(cli, "import_module", lambda name: importlib.import_module("vizdoom.lib"))
    assert cli.main(["demo"]) == cli.USAGE_ERROR
    assert capsys.readouterr().err == "diegetic: demo needs vizdoom: pip install 'diegetic[demo]'\n"


@pytest.mark.usefixtures("tones")
def test_render_writes_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rain.wav"
    assert cli.main(["render", "rain", "-o", str(path), "--seconds", "0.5", "--guidance", "3"]) == 0
    info = soundfile.info(path)
    assert (info.frames, info.samplerate, info.channels) == (24_000, 48_000, 2)
    assert str(path) in capsys.readouterr().out


def test_render_blends_prompts_and_chooses_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(generator=ToneGenerator(), conditioner=plain_conditioner)
    monkeypatch.setattr(shared, "open_session", lambda arguments: session)
    words = ["render", "rain on a roof:3", "wind", "-o", str(tmp_path / "a.wav")]
    assert cli.main([*words, "--seconds", "0.1", "--layers", "ambience, music"]) == 0
    [record] = session.records()
    assert (record.prompt, record.blend) == ("rain on a roof", (("wind", 0.25),))
    assert record.layers == {"ambience", "music"}


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        (["rain"], "rain"),
        (["a train at 12:30"], "a train at 12:30"),  # alone, it has no weight
        (["rain", "wind"], {"rain": 1.0, "wind": 1.0}),
        (["rain:3", "wind:0.5"], {"rain": 3.0, "wind": 0.5}),
        (["Title: rain", "a: b: 2"], {"Title: rain": 1.0, "a: b": 2.0}),
        (["at 12:30:1", "wind:nan"], {"at 12:30": 1.0, "wind:nan": 1.0}),
        (["rain:1", "rain:2"], {"rain": 3.0}),
        (["rain:", ":3"], {"rain:": 1.0, "": 3.0}),
    ],
)
def test_a_weight_is_a_number_behind_the_last_colon(
    words: list[str], prompt: str | dict[str, float]
) -> None:
    assert blended(words) == prompt


@pytest.mark.usefixtures("tones")
@pytest.mark.parametrize("words", [["rain:0", "wind"], list("abcd"), ["rain", ":3"]])
def test_prompts_that_cannot_be_blended_are_one_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a.wav"
    assert cli.main(["render", *words, "-o", str(target)]) == cli.USAGE_ERROR
    assert capsys.readouterr().err.startswith("diegetic: ")
    assert not target.exists()


def test_render_shows_a_picture_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Snapshot] = []

    def conditioner(snapshot: Snapshot) -> Conditioning:
        seen.append(snapshot)
        return plain_conditioner(snapshot)

    session = Session(generator=ToneGenerator(), conditioner=conditioner)
    monkeypatch.setattr(shared, "open_session", lambda arguments: session)
    Image.new("RGB", (64, 48), (10, 200, 30)).save(tmp_path / "meadow.png")
    words = ["render", "--image", str(tmp_path / "meadow.png"), "-o", str(tmp_path / "a.wav")]
    assert cli.main([*words, "--seconds", "1"]) == 0
    assert len(seen) == 7
    for snapshot in seen:
        assert snapshot.frames[-1].time == snapshot.t0
        assert snapshot.frames[-1].pixels.shape == (72, 128, 3)
        np.testing.assert_allclose(snapshot.frames[-1].pixels[36, 64], (10, 200, 30), atol=3)


@pytest.mark.usefixtures("tones")
def test_render_needs_words_or_a_picture_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for words, complaint in (
        ([], "expected a prompt or --image"),
        (["--image", str(tmp_path / "text.png")], f"cannot read {tmp_path / 'text.png'}"),
        (["--image", str(tmp_path / "none.png")], f"cannot read {tmp_path / 'none.png'}"),
    ):
        target = tmp_path / "a.wav"
        assert cli.main(["render", *words, "-o", str(target)]) == cli.USAGE_ERROR
        assert capsys.readouterr().err.startswith(f"diegetic: {complaint}")
        assert not target.exists()


@pytest.mark.usefixtures("tones")
def test_the_same_seed_renders_the_same_file(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        words = ["render", "rain", "-o", str(tmp_path / f"{name}.wav"), "--seed", seed]
        assert cli.main([*words, "--seconds", "0.2"]) == 0
    a, b, c = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.usefixtures("tones")
def test_sonify_adds_sound_to_a_video(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "in.mp4"), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for _ in range(20):
            frame = av.VideoFrame.from_ndarray(np.zeros((36, 64, 3), np.uint8), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    target = tmp_path / "out.mp4"
    words = ["sonify", str(tmp_path / "in.mp4"), "-o", str(target), "--prompt", "wind"]
    assert cli.main(words) == 0
    with av.open(str(target)) as made:
        sound = np.concatenate([f.to_ndarray() for f in made.decode(audio=0)], axis=1)
    assert np.sqrt(np.mean(sound**2)) > 0.1


# Where sound goes


def device(default: bool = True) -> DeviceInfo:
    return DeviceInfo(0, "Speakers", "ALSA", 2, 48_000.0, default)


def test_devices_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sink, "list_devices", lambda: [device()])
    assert cli.main(["devices"]) == 0
    shown = capsys.readouterr().out
    assert "Speakers" in shown
    assert "48000 Hz" in shown


def test_a_machine_without_devices_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sink, "list_devices", lambda: [])
    assert cli.main(["devices"]) == 0
    assert "no audio device" in capsys.readouterr().out


def test_a_missing_portaudio_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[DeviceInfo]:
        raise DeviceError("PortAudio is missing:\n install libportaudio2")

    monkeypatch.setattr(sink, "list_devices", broken)
    assert cli.main(["devices"]) == cli.USAGE_ERROR
    assert capsys.readouterr().err == "diegetic: PortAudio is missing: install libportaudio2\n"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What PortAudio of this imaginary machine offers, and why it refuses to open it."""
    facts: dict[str, object] = {"devices": [device()], "refuses": None}

    def start(self: DeviceSink, prime: int = 0) -> None:
        if facts["refuses"]:
            raise DeviceError(str(facts["refuses"]))

    monkeypatch.setattr("diegetic.output.list_devices", lambda: facts["devices"])
    monkeypatch.setattr(DeviceSink, "start", start)
    return facts


def test_the_default_device_is_taken_if_it_opens(machine: dict[str, object]) -> None:
    output = choose_output()
    assert output.audible
    assert output.description == "Speakers (ALSA)"
    assert isinstance(output.sink(), DeviceSink)


@pytest.mark.parametrize("trouble", ["no devices", "no default", "refuses"])
def test_without_a_device_the_clock_sets_the_pace(machine: dict[str, object], trouble: str) -> None:
    if trouble == "refuses":
        machine["refuses"] = "it is busy"
    else:
        machine["devices"] = [] if trouble == "no devices" else [device(default=False)]
    output = choose_output()
    assert not output.audible
    assert "paced by the clock" in output.description
    assert isinstance(output.sink(), ClockSink)


def test_a_device_that_was_asked_for_must_open(machine: dict[str, object]) -> None:
    assert choose_output("3").device == 3
    assert choose_output("USB").device == "USB"
    machine["refuses"] = "no such device"
    with pytest.raises(DeviceError, match="no such device"):
        choose_output("USB")


def test_no_device_is_opened_when_none_is_wanted(machine: dict[str, object]) -> None:
    machine["refuses"] = "do not touch"
    assert not choose_output(no_device=True).audible


# Doctor


def names(checks: list[doctor.Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def test_whole_weights_are_good_and_damaged_ones_are_bad(tmp_path: Path) -> None:
    for folder in ("whole", "broken"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.onnx").write_bytes(b"weights")
        digest = hashlib.sha256(b"weights").hexdigest()
        (tmp_path / folder / "SHA256SUMS").write_text(f"{digest}  net.onnx\n")
    (tmp_path / "broken" / "net.onnx").write_bytes(b"weightz")
    found = names(list(doctor.weight_checks(tmp_path)))
    name = tmp_path.name
    assert found == {f"{name}/broken": "bad", f"{name}/whole": "good"}


@pytest.mark.usefixtures("tones")
def test_doctor_is_content_with_a_machine_that_makes_sound(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "onnxruntime" in shown
    assert "GPU" in shown
    assert "many sessions" in shown
    assert "sound can be made" in shown


def test_doctor_says_when_no_sound_can_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(arguments: argparse.Namespace) -> Session:
        raise DiegeticError("the weights have left")

    monkeypatch.setattr(shared, "open_session", broken)
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "the weights have left" in shown
    assert "no sound can be made" in shown


# Serve


STATUS = ServerStatus(
    playing=True,
    engine="ViZDoom",
    prompt="rain on a tin roof",
    rtf_p95=0.71,
    chunk_ms_p99=44.0,
    stages_ms_p99={"generate": 40.0},
    knob_to_ear_ms_p50=251.0,
    event_to_ear_ms_p50=20.0,
    buffered_ms=240.0,
    underruns=0,
    chunks=10,
    frames=15,
    prompts=1,
    parameters=2,
    switches=3,
    events=4,
    bank_ready=7,
    bank_wanted=12,
    events_missed=0,
    events_late=0,
    fates={"own": 4},
    voices_stolen=0,
    voices_refused=0,
    errors=0,
    dropped=0,
    strangers=0,
)


def shown(status: ServerStatus) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(status_lines(status, elapsed=83.0))
    return console.export_text()


def test_the_status_says_how_it_is_going() -> None:
    text = shown(STATUS)
    for word in (
        "01:23",
        "ViZDoom",
        "rain on a tin roof",
        "0.71",
        "251 ms",
        "underruns 0",
        "ready 7/12",
    ):
        assert word in text
    assert "errors" not in text


def test_the_status_tells_of_errors_and_of_waiting() -> None:
    text = shown({**STATUS, "playing": False, "errors": 2, "strangers": 3})
    assert "waiting for a game" in text
    assert "errors 2" in text
    assert "turned away 3" in text


def test_recordings_do_not_overwrite_each_other(tmp_path: Path) -> None:
    first, second = (next(serve.free_names(tmp_path)) for _ in range(2))
    assert first == second
    first.write_bytes(b"")
    names = serve.free_names(tmp_path)
    assert len({first, next(names), next(names)}) == 3  # also before the file is there
