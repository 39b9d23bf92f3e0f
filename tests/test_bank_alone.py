"""A game that ships with a bank of takes and no networks at all."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bank_generator import ClickGenerator, event_conditioner
from diegetic import DiegeticError, Session, cli
from diegetic.bank import EventBank, EventSpec, VariationMaker
from diegetic_bridge import Client, SwitchSpec
from diegetic_bridge import EventSpec as BridgeEvent

PATIENCE = 30.0

GAME = """
import sys
for heavy in ("onnxruntime", "torch", "zmq", "tokenizers"):
    sys.modules[heavy] = None  # importing it fails

from pathlib import Path
import numpy as np
from diegetic.bank import EventBank
from diegetic.console import Console
from diegetic.foley import Foley
from diegetic.metrics import Metrics
from diegetic.sink import WavSink

bank = EventBank()
bank.load(Path(sys.argv[1]))
bank.set_switches({"surface": "grass"})
assert bank.progress().present == (2, 2) and bank.wait_ready(0.0)
assert not bank.work()
console = Console()
sink = WavSink(Path(sys.argv[2]))
console.attach(sink)
foley = Foley(bank, console, Metrics())
sink.start()
for step, surface in enumerate(("grass", "stone", "grass")):
    bank.set_switches({"surface": surface})
    assert foley.post("footstep", at=12_000 * step)
assert not foley.post("never made")
sink.write(np.zeros((48_000, 2), np.float32))
foley.listen(latency=0.0)
sink.stop()
assert [voice.sample for voice in foley.records] == [0, 12_000, 24_000]
assert all(voice.exact for voice in foley.records)
"""


SERVER = """
import sys
for heavy in ("onnxruntime", "torch", "tokenizers"):
    sys.modules[heavy] = None
from diegetic import cli
sys.exit(cli.main(["serve", "--bank-only", "--no-device", *sys.argv[1:]]))
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A bank of two takes of footsteps on each of two surfaces."""
    networks = ClickGenerator(), event_conditioner
    bank = EventBank(VariationMaker(lambda: networks))
    bank.declare_switch("surface", ["grass", "stone"])
    bank.set_switches({"surface": "grass"})
    bank.declare(EventSpec("footstep", "footstep on {surface}", variations=2, length=0.2))
    while bank.work():
        pass
    path = tmp_path / "steps.bank"
    bank.save(path)
    return path


def test_a_saved_bank_is_heard_on_the_very_sample_without_networks(
    saved: Path, tmp_path: Path
) -> None:
    heard = tmp_path / "heard.wav"
    command = [sys.executable, "-c", GAME, str(saved), str(heard)]
    game = subprocess.run(command, capture_output=True, text=True, check=False)
    assert game.returncode == 0, game.stderr
    samples, _ = soundfile.read(heard, dtype="float32", always_2d=True)
    steps = samples[:36_000].reshape(3, 12_000, 2)
    assert (np.abs(steps[:, :96]).max((1, 2)) > 0.001).all()  # heard from the first 2 ms on
    assert not np.array_equal(steps[0], steps[1])


def test_a_session_of_a_bank_alone_plays_it_over_silence(saved: Path) -> None:
    with Session(backend="bank") as session:
        session.bank.load(saved)
        session.set_switch("surface", "stone")
        session.set_prompt("rain on a tin roof")  # which nobody makes
        session.declare_event(EventSpec("shot"))
        session.post_event("shot")  # of which there is no take
        assert not session.read(0.5).any()
        assert session.bank.counters.missed == 1
        session.post_event("footstep", at=0.75)
        samples = session.read(0.5)
        assert 12_000 <= np.flatnonzero(samples.any(axis=1))[0] < 12_500  # and the limiter's delay
        assert not session.bank.work()


def test_a_bank_alone_has_no_networks() -> None:
    for argument in ({"isolated": True}, {"generator": ClickGenerator()}):
        with pytest.raises(DiegeticError, match="backend 'bank' has no generator"):
            Session(backend="bank", **argument)


@pytest.mark.parametrize("words", [[], ["--bank", "there is none"]])
def test_the_server_wants_the_bank(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--bank-only", "--no-device", *words]) == cli.USAGE_ERROR
    assert "--bank-only needs a --bank that is there" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for a child there")
def test_a_server_plays_a_bank_without_networks(saved: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVER, "--bank", str(saved), "--record", str(tmp_path)]
    command += ["--endpoint", "tcp://127.0.0.1:0"]
    recording = tmp_path / "stream-001.wav"
    surface = SwitchSpec("surface", ["grass", "stone"])
    footstep = BridgeEvent("footstep", "footstep on {surface}", variations=2, length=0.2)

    def until(told: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not told():
            assert time.monotonic() < end
            time.sleep(0.01)

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            lines = iter(server.stdout.readline, "")
            endpoint = next(line for line in lines if line.startswith("listening on ")).split()[2]
            with Client(endpoint.rstrip(";"), switches=[surface], events=[footstep]) as client:
                client.set_switch("surface", "stone")
                until(lambda: client.bank_progress == (4, 4))
                client.post_event("footstep")
                until(lambda: client.stats.events_unacked == 0)
                told = recording.stat().st_size
                until(lambda: recording.stat().st_size > told + 8 * 24_000)  # half a second later
            server.send_signal(signal.SIGINT)
            assert server.wait(PATIENCE) == cli.INTERRUPTED
        finally:
            server.kill()
    samples, _ = soundfile.read(recording, dtype="float32")
    assert np.abs(samples).max() > 0.01
