"""A game that ships with a bank of takes and no networks at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from bank_generator import ClickGenerator, event_conditioner
from diegetic.bank import EventBank, EventSpec, VariationMaker

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


def test_a_saved_bank_is_heard_on_the_very_sample_without_networks(tmp_path: Path) -> None:
    networks = ClickGenerator(), event_conditioner
    bank = EventBank(VariationMaker(lambda: networks))
    bank.declare_switch("surface", ["grass", "stone"])
    bank.set_switches({"surface": "grass"})
    bank.declare(EventSpec("footstep", "footstep on {surface}", variations=2, length=0.2))
    while bank.work():
        pass
    saved, heard = tmp_path / "steps.bank", tmp_path / "heard.wav"
    bank.save(saved)
    command = [sys.executable, "-c", GAME, str(saved), str(heard)]
    game = subprocess.run(command, capture_output=True, text=True, check=False)
    assert game.returncode == 0, game.stderr
    samples, _ = soundfile.read(heard, dtype="float32", always_2d=True)
    steps = samples[:36_000].reshape(3, 12_000, 2)
    assert (np.abs(steps[:, :96]).max((1, 2)) > 0.001).all()  # heard from the first 2 ms on
    assert not np.array_equal(steps[0], steps[1])
