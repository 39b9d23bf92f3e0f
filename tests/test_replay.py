import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from diegetic import Session
from diegetic.bank import EventSpec
from diegetic.errors import DiegeticError, MediaError
from diegetic.journal import Shown
from diegetic.mixer.limiter import DELAY
from diegetic.replay import replay
from diegetic.snapshot import LAYERS, Conditioning, FloatArray, Snapshot
from test_live import Stage
from tone_generator import ToneGenerator, plain_conditioner


def telling(snapshot: Snapshot) -> Conditioning:
    """Let the pitch tell of the prompts, their shares and the layers."""
    conditioning = plain_conditioner(snapshot)
    conditioning.words[0, 0] += sum(len(text) * share for text, share in snapshot.blend)
    conditioning.words[0, 0] += sum(2.0 ** LAYERS.index(layer) for layer in snapshot.layers)
    return conditioning


def heard_again(path: Path) -> FloatArray:
    return replay(path, generator=ToneGenerator(), conditioner=telling)


def test_a_session_full_of_changes_replays_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    session = Session(generator=ToneGenerator(), conditioner=telling, record=path)
    stage = Stage(cost=0.05, session=session)
    rng = np.random.default_rng(7)
    stage.session.declare_parameter("threat")
    stage.session.declare_switch("surface", ["grass", "stone"])
    for index in range(80):
        stage.session.set_prompt("rain" * int(rng.integers(1, 5)))
        if index % 3 == 0:
            weights = {"wind": float(rng.uniform(0.1, 1)), "a stream": float(rng.uniform(0.1, 1))}
            stage.session.set_prompt(weights, ramp=float(rng.choice([0.0, 0.3, 3.0])))
        if index > 20 and index % 7 == 4:
            stage.session.set_layers(rng.choice(LAYERS, int(rng.integers(0, 3))))
        if index == 3:
            stage.session.declare_event(EventSpec("door"))
        stage.session.set_parameter("threat", float(rng.uniform()), 0.1)
        stage.session.set_switch("surface", str(rng.choice(["grass", "stone"])))
        stage.post(f"shot {index}")
        stage.session.push_frame(rng.integers(0, 255, (9, 16, 3), np.uint8))
        stage.run(float(rng.uniform(0.0, 0.25)))
        if index % 20 == 10:  # a stall in the middle of a new future: some chunks come too late
            stage.run(1.0)
            stage.session.set_prompt("storm front")
            stage.live.step()
            stage.sink.pass_time(stage.sink.buffered() / 48_000 - 0.06)
    counts = stage.session.metrics.counts()
    assert counts["chunks made again"] > 40
    assert counts["chunks skipped"] > 0
    with stage.session:
        pass
    again = heard_again(path)
    assert np.array_equal(again, stage.sink.sound)


def test_reading_replays_and_a_cut_file_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    with Session(generator=ToneGenerator(), conditioner=plain_conditioner, record=path) as session:
        session.set_prompt("rain")
        first = session.read(0.32)
        session.set_prompt("storm")
        whole = np.concatenate([first, session.read(0.32)])
    bed = heard_again(path)
    assert np.abs(bed[:-DELAY] - whole[DELAY:]).max() < 1e-6  # read is mixed, the limiter is late
    path.write_bytes(path.read_bytes()[:-5])
    assert np.array_equal(heard_again(path), bed[: 3 * 7680])


def test_a_replay_knows_from_when_on_foley_was_the_banks(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    with Session(generator=ToneGenerator(), conditioner=telling, record=path) as session:
        session.set_prompt("rain")
        first = session.read(0.32)
        session.declare_event(EventSpec("shot"))
        whole = np.concatenate([first, session.read(0.64)])
        assert [len(record.layers) for record in session.records()] == [0, 0, 2, 2, 2, 2]
    assert np.abs(heard_again(path)[:-DELAY] - whole[DELAY:]).max() < 1e-6


def test_the_shipped_networks_replay_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    session = Session(record=path)
    stage = Stage(cost=0.06, session=session)
    for prompt in ("rain on a tin roof", "wind", "a stream"):
        session.set_prompt(prompt)
        stage.run(0.3)
    assert session.metrics.counts()["chunks made again"] > 0
    with session:
        pass
    assert np.abs(stage.sink.sound).max() > 0.01
    assert np.array_equal(replay(path), stage.sink.sound)


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    with pytest.raises(MediaError, match="cannot read"):
        heard_again(path)
    for data in (b"", b"RIFF" * 100, struct.pack("<I", 3) + b"abc"):
        path.write_bytes(data)
        with pytest.raises(MediaError, match="must be a journal"):
            heard_again(path)


def test_a_journal_of_another_format_or_other_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    with Session(generator=ToneGenerator(), conditioner=plain_conditioner, record=path):
        pass
    with pytest.raises(DiegeticError, match="replayed with weights of its own generator"):
        replay(path)
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data)
    header = msgspec.msgpack.decode(data[4 : 4 + length])
    header["format"] = 99
    changed = msgspec.msgpack.encode(header)
    path.write_bytes(struct.pack("<I", len(changed)) + changed + data[4 + length :])
    with pytest.raises(MediaError, match="format 2, got 99"):
        heard_again(path)


def test_damage_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    with Session(generator=ToneGenerator(), conditioner=plain_conditioner, record=path) as session:
        session.set_prompt("rain")
    data = path.read_bytes()
    for broken in (data[:-10] + b"x" * 10, data.replace(b"rain", b"\xff\xff\xff\xff")):
        path.write_bytes(broken)
        with pytest.raises(MediaError, match="damaged at entry 1"):
            heard_again(path)


def test_a_frame_that_does_not_unpack_is_an_error_of_ours() -> None:
    good = zlib.compress(bytes(6 * 3))
    assert Shown(2, 3, good, 0.0).unpack().shape == (2, 3, 3)
    for pixels, height in ((b"nothing", 2), (good[:-4], 2), (good, 3)):
        with pytest.raises(MediaError, match=f"unpack to 3x{height} pixels"):
            Shown(height, 3, pixels, 0.0).unpack()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot write"):
        Session(generator=ToneGenerator(), record=tmp_path / "none" / "x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is full")
def test_a_full_disk_is_named_at_the_start_and_logged_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(MediaError, match="cannot write /dev/full: No space left"):
        Session(generator=ToneGenerator(), record=Path("/dev/full"))
    path = tmp_path / "session.journal"
    with Session(generator=ToneGenerator(), conditioner=telling, record=path) as session:
        session.set_prompt("rain")
        first = session.read(0.16)
        assert session._journal is not None
        session._journal._file.close()
        session._journal._file = io.FileIO("/dev/full", "wb")
        session.set_prompt("storm")
        session.read(0.16)
    assert caplog.text.count("the journal ends: cannot write") == 1
    assert np.abs(heard_again(path)[:-DELAY] - first[DELAY:]).max() < 1e-6


def test_what_a_process_that_died_had_added_is_there(tmp_path: Path) -> None:
    path = tmp_path / "session.journal"
    code = """
import os, sys
from pathlib import Path
from diegetic import Session
from tone_generator import ToneGenerator, plain_conditioner
path = Path(sys.argv[1])
session = Session(generator=ToneGenerator(), conditioner=plain_conditioner, record=path)
session.set_prompt("rain")
session.read(0.48)
os._exit(9)
"""
    place = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code, str(path)], env=place).returncode == 9
    assert len(heard_again(path)) == round(0.48 * 48_000)
