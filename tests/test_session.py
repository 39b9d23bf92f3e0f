import runpy
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from bank_generator import ClickGenerator, event_conditioner
from diegetic import DiegeticError, Session, StreamConfig
from diegetic.bank import EventSpec
from diegetic.cues import Fates
from diegetic.mixer.commands import DeclareBus, PushSnapshot, SetBus
from diegetic.mixer.limiter import DELAY
from diegetic.snapshot import Conditioning, FloatArray, Snapshot
from tone_generator import FakeSink, ToneGenerator, plain_conditioner

HOP = 7680
OVERLAP = StreamConfig().overlap_samples


def make_session(seed: int = 0) -> Session:
    return Session(seed=seed, generator=ToneGenerator(), conditioner=plain_conditioner)


def read_in(pieces: list[float]) -> FloatArray:
    with make_session() as session:
        session.set_prompt("rain")
        return np.concatenate([session.read(piece) for piece in pieces])


def test_reading_in_pieces_equals_reading_at_once() -> None:
    whole = read_in([1.0])
    assert whole.shape == (48_000, 2)
    assert whole.dtype == np.float32
    assert np.array_equal(read_in([0.16, 0.001, 0.5, 0.019, 0.32]), whole)
    assert np.array_equal(read_in([1 / 48_000] * 5 + [1 - 5 / 48_000]), whole)


def test_a_tone_passes_the_seams_unchanged() -> None:
    sound = read_in([1.0])
    tone = 0.5 * np.sin(2 * np.pi * 40 * np.arange(48_000) / 48_000)
    assert not sound[:DELAY].any()  # the limiter looks ahead
    np.testing.assert_allclose(sound[DELAY + OVERLAP :, 0], tone[OVERLAP:-DELAY], atol=1e-6)


def test_the_same_seed_gives_the_same_samples_and_another_gives_others() -> None:
    def sound(seed: int) -> FloatArray:
        with make_session(seed) as session:
            session.set_prompt("rain")
            return session.read(0.5)

    assert np.array_equal(sound(3), sound(3))
    assert not np.allclose(sound(3), sound(4))


def test_nothing_said_is_silence() -> None:
    with make_session() as session:
        assert not session.read(0.5).any()


def test_a_change_is_heard_from_the_next_chunk_on_and_recorded_with_it() -> None:
    with make_session() as session:
        session.set_prompt("rain")
        session.read(0.16)
        session.set_prompt("wind", sent=5.0)
        session.set_prompt("storm", sent=6.0)  # "wind" will never be heard
        session.declare_switch("surface", ["grass", "stone"])
        session.set_switch("surface", "stone", sent=7.0)
        session.read(0.32)
        first, second, third = session.records()
        assert [c.name for c in first.changes] == ["rain"]
        assert [(c.name, c.sent) for c in second.changes] == [
            ("storm", 6.0),
            ("surface", 7.0),
        ]
        assert third.changes == ()
        assert (second.prompt, second.start_sample, second.index) == ("storm", HOP, 1)
        assert set(second.stages_ms) == {"conditioning", "generate", "crossfade"}
        assert session.metrics.counts()["chunks"] == 3


def test_an_event_is_a_voice_that_begins_at_the_very_sample() -> None:
    networks = ClickGenerator(), event_conditioner
    with Session(generator=networks[0], conditioner=networks[1]) as session:
        session.declare_event(EventSpec("shot", "a shot in the {place}", length=0.2))
        session.set_switch("place", "hall")
        session.post_event("shot", at=0.1)
        session.read(0.16)
        session.post_event("shot", sent=3.0)  # at once
        sound = session.read(0.32)
        session.mix(SetBus("events", mute=True))
        session.post_event("shot")
        session.read(0.16)
        first, second, third = session.voices()
        assert (first.name, first.asked, first.sample, first.exact) == ("shot", 4800, 4800, True)
        assert (second.asked, second.sample) == (-1, HOP)
        begin = np.flatnonzero(np.abs(sound[:, 0]) > 1e-4)[0]
        assert begin < DELAY + 100
        assert third.sample == 3 * HOP
        assert len(session.metrics.event_to_ear_ms()) == 3  # p50, p95, p99
        assert session.bank.counters.posted == 3


def test_an_event_on_the_bus_of_the_beds_is_left_to_the_bed() -> None:
    with make_session() as session:
        session.declare_event(EventSpec("thunder", bus="beds"))
        session.post_event("thunder", at=0.2)
        session.post_event("shot", bus="beds", sent=8.0)
        session.read(0.48)
        first, second, _ = session.records()
        assert [(event.name, event.time) for event in first.events] == [("shot", 0.0)]
        assert [(event.name, event.time) for event in second.events] == [("thunder", 0.2)]
        assert [change.sent for change in first.changes] == [8.0]
        assert session.bank.counters.posted == 0
        assert session.bank.progress().total.wanted == 0


def test_the_bed_leaves_foley_to_the_bank_as_soon_as_an_event_is_declared_for_it() -> None:
    with make_session() as session:
        session.declare_event(EventSpec("thunder", bus="beds"))
        session.read(0.16)
        session.declare_event(EventSpec("shot"))
        session.read(0.16)
        session.post_event("thunder")  # of the bed: it needs foley
        session.read(1.28)
        session.set_layers(["foley"], sent=4.0)
        session.read(0.16)
        session.set_layers([])
        session.read(0.16)
        asked = [record.layers for record in session.records()]
        under = frozenset({"ambience", "music"})
        assert asked[:3] == [frozenset(), under, frozenset()]
        assert asked[-3:] == [under, {"foley"}, frozenset()]
        [change] = session.records()[-2].changes
        assert (change.kind, change.name, change.sent) == ("layers", "foley", 4.0)


def test_a_mix_of_prompts_reaches_the_generator_and_the_record() -> None:
    said: list[Snapshot] = []

    def conditioner(snapshot: Snapshot) -> Conditioning:
        said.append(snapshot)
        return plain_conditioner(snapshot)

    with Session(generator=ToneGenerator(), conditioner=conditioner) as session:
        session.set_prompt({"wind": np.float32(1), "rain": np.float32(3)})
        session.read(0.16)
        session.set_prompt("fire", ramp=0.32)
        session.read(0.48)
        first, second, _, last = session.records()
    assert (first.prompt, first.blend) == ("rain", (("wind", 0.25),))
    assert [change.name for change in first.changes] == ["rain 75%, wind 25%"]
    assert second.prompt == "rain"
    assert dict(second.blend) == pytest.approx({"fire": 0.25, "wind": 0.1875})
    assert (last.prompt, last.blend) == ("fire", ())
    assert [snapshot.blend for snapshot in said] == [r.blend for r in session.records()]


def test_an_event_that_cannot_be_made_yet_is_left_to_the_bed() -> None:
    stream = FakeSink()
    with make_session() as session:
        session.play(stream)
        session.post_event("shot")
        while not any(record.events for record in session.records()):
            stream.pass_time(0.005)
        assert session.bank.counters.missed == 1
        assert session.fates == Fates(bed=1)
        session.stop(drain=False)


def test_the_mix_outlives_the_change_from_reading_to_playing_and_back() -> None:
    with make_session() as session:
        session.set_prompt("rain")
        session.mix(DeclareBus("radio"))
        session.mix(SetBus("beds", mute=True))
        assert not session.read(0.5)[-HOP:].any()
        sink = FakeSink()
        session.play(sink)
        assert SetBus("beds", mute=True) in sink.sent
        assert DeclareBus("radio") in sink.sent
        session.stop(drain=False)
        assert not session.read(0.5)[HOP:].any()  # the mute fades in
        session.mix(SetBus("beds", mute=False))
        assert session.read(0.5).any()


def test_what_the_mixer_does_not_know_is_refused() -> None:
    with make_session() as session:
        for wrong in (
            SetBus("brass", gain_db=1.0),
            DeclareBus("radio", parent="brass"),
            PushSnapshot("cave"),
            SetBus("beds", gain_db=float("nan")),
        ):
            with pytest.raises(DiegeticError):
                session.mix(wrong)
        with pytest.raises(DiegeticError, match="bus must be one of beds, events, master"):
            session.post_event("shot", bus="brass")
        with pytest.raises(DiegeticError, match="position"):
            session.post_event("shot", position=(0.0, float("nan"), 0.0))
        with pytest.raises(DiegeticError, match="at must be a finite time"):
            session.post_event("shot", at=float("nan"))


def test_parameters_switches_and_frames_reach_the_world() -> None:
    with make_session() as session:
        session.declare_parameter("threat", 0.0, 10.0)
        session.declare_switch("surface", ["grass", "gravel"])
        session.set_parameter("threat", 4.0, ramp=0.5)
        session.set_switch("surface", "grass")
        session.set_guidance(2.0)
        session.push_frame(np.zeros((4, 6, 3), np.uint8))
        session.read(0.16)
        kinds = [(c.kind, c.name) for c in session.records()[0].changes]
        assert kinds == [("parameter", "threat"), ("switch", "surface"), ("guidance", "")]
        for wrong in (
            lambda: session.set_parameter("thread", 1.0),
            lambda: session.set_parameter("threat", float("nan")),
            lambda: session.set_switch("surface", "lava"),
            lambda: session.set_prompt("x" * 3000),
            lambda: session.set_prompt({"rain": -1.0}),
            lambda: session.set_prompt("rain", ramp=-1.0),
            lambda: session.set_layers(["drums"]),
            lambda: session.push_frame(np.zeros((4, 6), np.uint8)),
        ):
            with pytest.raises(DiegeticError):
                wrong()
        session.read(0.16)
        assert session.records()[1].changes == ()  # what was refused changes nothing


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_length_that_is_none_is_refused(seconds: float) -> None:
    with make_session() as session, pytest.raises(DiegeticError, match="seconds must be"):
        session.read(seconds)


def test_a_generator_of_other_lengths_is_refused() -> None:
    with pytest.raises(DiegeticError, match="config"):
        Session(StreamConfig(hop=0.2), generator=ToneGenerator(), conditioner=plain_conditioner)


def test_playing_and_reading_exclude_each_other() -> None:
    with make_session() as session:
        sink = FakeSink()
        session.play(sink)
        assert session.playing
        with pytest.raises(DiegeticError, match="stop"):
            session.read(0.1)
        with pytest.raises(DiegeticError, match="already playing"):
            session.play(FakeSink())
        session.stop()
        assert not session.playing
        assert len(session.read(0.1)) == 4800


def test_a_play_ends_faded_and_the_next_one_fades_in() -> None:
    with make_session() as session:
        session.set_prompt("rain")
        for _ in range(2):
            sink = FakeSink()
            session.play(sink)
            while sink.buffered() < session.config.lookahead_samples:
                pass
            session.stop()
            assert sink.stopped is True
            assert np.abs(sink.sound[[0, -1]]).max() < 1e-3


def test_a_failing_generator_is_reported_by_stop(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(ToneGenerator):
        def generate(self, state, conditioning):  # type: ignore[no-untyped-def]
            if self.calls == 2:
                raise RuntimeError("out of memory")
            return super().generate(state, conditioning)

    session = Session(generator=Failing(), conditioner=plain_conditioner)
    sink = FakeSink()
    session.play(sink)
    live = session.live
    assert live is not None
    while live.error is None:
        pass
    with pytest.raises(RuntimeError, match="out of memory"):
        session.stop()
    assert sink.stopped is True
    assert "the generator stopped" in caplog.text
    session.stop()  # it has ended


def test_the_front_door_loads_neither_networks_nor_devices() -> None:
    code = (
        "import sys, diegetic; diegetic.Session().set_prompt('rain'); "
        "print([m for m in ('torch', 'onnxruntime', 'sounddevice', 'zmq') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_the_ten_lines_example_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    sinks: list[FakeSink] = []

    def fake_device() -> FakeSink:
        sinks.append(FakeSink())
        return sinks[-1]

    def sleep(seconds: float) -> None:
        for _ in range(round(seconds / 0.2)):
            while sinks[0].buffered() < StreamConfig().lookahead_samples:
                threading.Event().wait(0.001)
            sinks[0].pass_time(0.2)

    monkeypatch.setattr("diegetic.Session", lambda seed: make_session(seed))
    monkeypatch.setattr("diegetic.sink.DeviceSink", fake_device)
    monkeypatch.setattr("time.sleep", sleep)
    runpy.run_path(str(Path(__file__).parents[1] / "examples" / "ten_lines.py"))
    assert len(sinks[0].sound) > 9.5 * 48_000
    assert np.abs(sinks[0].sound).max() > 0.4
    assert sinks[0].stopped is True
