import gc
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from diegetic import DiegeticError, Session, StreamConfig, WeightsError
from diegetic.conditioning import Conditioner
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.generator import ChunkGenerator, load_generator
from diegetic.inference import InferenceProcess
from diegetic.snapshot import Event, FloatArray, Frame, Snapshot, null_conditioning
from tone_generator import ToneGenerator

CONFIG = StreamConfig()
PATIENCE = 30.0

Here = tuple[ChunkGenerator, Conditioner]


@pytest.fixture(scope="module")
def networks() -> InferenceProcess:
    return InferenceProcess(CONFIG, nfe=1)


@pytest.fixture(scope="module")
def here() -> Here:
    return load_generator(nfe=1), Conditioner(TextEncoder(), ImageEncoder())


def gone(pid: int) -> bool:
    """Whether process `pid` ends within `PATIENCE`; one that nobody has waited for has ended."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def gone_now(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def pictures(count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(1).integers(0, 256, (count, 36, 64, 3), np.uint8))


def test_a_session_sounds_the_same_with_its_networks_elsewhere() -> None:
    def sound(isolated: bool) -> FloatArray:
        with Session(seed=3, nfe=1, isolated=isolated) as session:
            session.set_prompt({"rain on leaves": 2, "a stream": 1})
            for pixels in pictures(2):
                session.push_frame(pixels)
            first = session.read(0.5)
            session.post_event("shot")
            return np.concatenate([first, session.read(0.5)])

    ours = sound(isolated=True)
    assert ours.any()
    assert np.array_equal(ours, sound(isolated=False))


def test_what_was_said_and_shown_is_encoded_as_it_is_here(
    networks: InferenceProcess, here: Here
) -> None:
    _, conditioner = here
    shown = pictures(40)
    for newest in [*range(4, 40, 3), 5, 39]:  # on, further back than it remembers, and on
        frames = tuple(Frame(shown[n], n / 10) for n in range(newest - 4, newest))
        events = tuple(Event(f"shot {n}", 4.15 - n / 100) for n in range(9))
        snapshot = Snapshot(4.0, 4.16, "rain", frames=frames, events=events)
        ours, theirs = networks.conditioner(snapshot), conditioner(snapshot)
        for name, value in vars(theirs).items():
            assert np.array_equal(getattr(ours, name), value), name
    assert np.array_equal(networks.conditioner.embed("a dog"), conditioner.embed("a dog"))


def test_a_picture_that_was_looked_at_ahead_is_shown_the_same(
    networks: InferenceProcess, here: Here
) -> None:
    _, conditioner = here
    shown = pictures(40)
    for newest in range(4, 40):  # more than it remembers; the newest is not looked at
        networks.conditioner.look(shown[newest - 2])
        frames = tuple(Frame(shown[n], n / 10) for n in range(newest - 4, newest))
        snapshot = Snapshot(4.0, 4.16, "rain", frames=frames)
        ours, theirs = networks.conditioner(snapshot), conditioner(snapshot)
        assert np.array_equal(ours.frames, theirs.frames)


def test_a_state_can_be_gone_back_to_as_long_as_somebody_has_it(
    networks: InferenceProcess, here: Here
) -> None:
    generator, _ = here
    said = null_conditioning()
    first = networks.start(7)
    chunk, second = networks.generate(first, said)
    following, _ = networks.generate(second, said)
    assert np.array_equal(networks.generate(first, said)[0], chunk)
    assert np.array_equal(networks.generate(second, said)[0], following)
    theirs, after = generator.generate(generator.start(7), said)
    assert np.array_equal(chunk, theirs)
    assert np.array_equal(following, generator.generate(after, said)[0])


def test_states_that_nobody_has_are_dropped(networks: InferenceProcess) -> None:
    said = null_conditioning()
    _, state = networks.generate(networks.start(7), said)
    following, _ = networks.generate(state, said)
    twin = type(state)(state.place)  # names the same state, and is nobody's finalizer
    del state
    gc.collect()
    networks.generate(networks.start(0), said)  # takes the news along
    forgetful, _ = networks.generate(twin, said)
    assert not np.array_equal(forgetful, following)


def test_another_process_goes_on_where_one_was_killed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Session(seed=3, nfe=1, isolated=True) as session:
        session.set_prompt("rain")
        session.push_frame(pictures(1)[0])
        assert session.read(0.5).any()
        process, _ = session._networks.load()
        dead = process.pid
        os.kill(dead, signal.SIGKILL)
        assert session.read(0.5).any()
        assert session.time == pytest.approx(7 * CONFIG.hop)
        assert process.pid != dead
    assert "ended with code -9; another begins" in caplog.text


def test_a_stream_that_is_picked_up_has_the_noise_of_its_place(
    networks: InferenceProcess, here: Here
) -> None:
    generator, _ = here
    said = null_conditioning()
    after = networks.generate(networks.start(5), said)[1]
    networks.close()
    picked_up, _ = networks.generate(after, said)
    fresh = replace(generator.start(5), position=CONFIG.hop_latents)
    assert np.array_equal(picked_up, generator.generate(fresh, said)[0])


def test_an_answer_that_was_interrupted_is_not_taken_for_the_next(
    monkeypatch: pytest.MonkeyPatch, networks: InferenceProcess
) -> None:
    wanted = networks.conditioner(Snapshot(0.0, 0.16, "rain"))

    def interrupted(pipe: object) -> object:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr("diegetic.inference.process.receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        networks.conditioner.embed("words that nobody hears of")
    assert np.array_equal(networks.conditioner(Snapshot(0.0, 0.16, "rain")).words, wanted.words)


def test_processes_that_die_at_once_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stillborn = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr("diegetic.inference.process.command", lambda module: stillborn)
    with pytest.raises(DiegeticError, match=r"ended 3 times in a row, at last with code 3"):
        InferenceProcess(CONFIG)


def test_the_process_ends_with_its_session() -> None:
    with Session(nfe=1, isolated=True) as session:
        session.warm_up()
        pid = session._networks.load()[0].pid
        assert not gone_now(pid)
    assert gone_now(pid)


def test_the_process_ends_with_its_last_user() -> None:
    process = InferenceProcess(CONFIG, nfe=1)
    pid = process.pid
    del process
    gc.collect()
    assert gone_now(pid)


def test_the_process_does_not_outlive_a_killed_parent() -> None:
    program = (
        "import os, signal; from diegetic import StreamConfig\n"
        "from diegetic.inference import InferenceProcess\n"
        "print(InferenceProcess(StreamConfig(), nfe=1).pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program + "\n"], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
    assert gone(pid)


def test_what_is_wrong_there_is_told_here(
    networks: InferenceProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(WeightsError, match="no weights in"):
        InferenceProcess(CONFIG, weights=tmp_path)
    with pytest.raises(DiegeticError, match="seed must be in 0"):
        networks.generate(networks.start(-1), null_conditioning())
    switches = {f"switch {n}": "on" for n in range(9)}
    networks.conditioner(Snapshot(0.0, 0.16, "rain", switches=switches))
    assert "9 switches are set" in caplog.text
    assert networks.generate(networks.start(1), null_conditioning())[0].any()


def test_isolated_leaves_nothing_else_to_load() -> None:
    with pytest.raises(DiegeticError, match="leave both out"):
        Session(generator=ToneGenerator(), isolated=True)
