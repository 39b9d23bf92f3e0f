"""Whatever a game gets wrong has a clear answer, and the sound goes on: a real player plays it."""

import logging
import math
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diegetic import Session
from diegetic.bank import EventSpec
from diegetic.config import RATE, StreamConfig
from diegetic.errors import DeviceError, DiegeticError
from diegetic.live import LiveStream
from diegetic.mixer.commands import DeclareSnapshot, PopSnapshot, PushSnapshot, SetBus, SetListener
from diegetic.player import BLOCK, ClockOutput
from diegetic.sink import ClockSink, ThreadSink, drift, kinds
from diegetic.snapshot import FloatArray
from tone_generator import ToneGenerator, plain_conditioner

PROMPT = "rain on a roof"
RISE = StreamConfig().overlap_samples  # in which a session fades in
NAN = math.nan


def wait_until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Game:
    """A session that plays, with one take of a shot on a bus that nobody hears yet."""

    def __init__(self, folder: Path) -> None:
        self.session = Session(generator=ToneGenerator(), conditioner=plain_conditioner)
        self.session.declare_event(EventSpec("shot", variations=1, length=0.1))
        while self.session.bank.work():
            pass
        self.session.declare_parameter("threat")
        self.session.declare_switch("surface", ["grass", "stone"])
        self.session.mix(DeclareSnapshot("pause", {"beds": -6.0}))
        self.session.mix(SetBus("events", mute=True))
        self.session.set_prompt(PROMPT)
        self._path = folder / "take.wav"
        self.sink = ClockSink(record=self._path)
        self.session.play(self.sink)
        self.listen(0.2)

    @property
    def live(self) -> LiveStream:
        assert self.session.live is not None
        return self.session.live

    def listen(self, seconds: float) -> None:
        until = self.sink.output_clock().sample + round(seconds * RATE)
        wait_until(lambda: self.sink.output_clock().sample >= until)

    def end(self) -> None:
        """Hear one last good shot at its sample; the bed is there, and was never cut off."""
        self.listen(0.3)  # whatever was posted is over
        self.session.mix(SetBus("events", mute=False))
        self.listen(0.1)
        at = self.session.time + 0.3
        self.session.post_event("shot", at=at)
        wait_until(lambda: self.session.time > at + 0.4)
        self.session.stop()
        shot = self.session.voices()[-1]
        # On a busy machine a bed that no network makes may run dry, too
        gap = sum(length for start, length in self.sink.underrun_log() if start < shot.sample)
        assert shot.sample == shot.asked
        assert abs(shot.asked - gap - round(at * RATE)) <= BLOCK
        samples, _ = soundfile.read(self._path, dtype="float32", always_2d=True)
        before = samples[RISE : shot.sample, 0]
        assert np.abs(np.diff(before)).max() < 2.5 * np.abs(np.diff(tone(0, RATE))).max()
        # Where a future is taken back the tone fades into itself, which rounds
        wanted = tone(shot.sample - gap - 4800, 4800)
        np.testing.assert_allclose(before[-4800:], wanted, atol=2e-6)
        after = samples[shot.sample : shot.sample + 4000, 0]
        assert np.abs(after - tone(shot.sample - gap, len(after))).max() > 0.01


def tone(start: int, count: int) -> FloatArray:
    """What the generator makes of the prompt."""
    time = np.arange(start, start + count) / RATE
    return (0.5 * np.sin(2 * np.pi * 10 * len(PROMPT) * time)).astype(np.float32)


def test_what_is_wrong_is_refused_by_name_and_the_sound_goes_on(tmp_path: Path) -> None:
    game = Game(tmp_path)
    session = game.session
    cut, other = tmp_path / "cut.bank", tmp_path / "other.bank"
    session.bank.save(other)
    data = other.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("manifest.json", '{"format": "diegetic bank", "version": 7}')
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: session.post_event("shot", bus="nowhere"), "bus must be one of .*'nowhere'"),
        (lambda: session.post_event("shot", gain_db=NAN), "gain_db"),
        (lambda: session.post_event("shot", position=(NAN, 0.0, 0.0)), "position"),
        (lambda: session.post_event("shot", position=(0.0, math.inf, 0.0)), "position"),
        (lambda: session.post_event("shot", occlusion=NAN), "occlusion"),
        (lambda: session.post_event("shot", at=NAN), "at must be a finite time"),
        (lambda: session.post_event("shot", at=math.inf), "at must be a finite time"),
        (lambda: session.post_event(""), "event name must have 1 to"),
        (lambda: session.mix(SetBus("nowhere", gain_db=0.0)), "bus must be one of"),
        (lambda: session.mix(SetBus("beds", gain_db=NAN)), "gain_db"),
        (lambda: session.mix(PushSnapshot("never")), "snapshot must be one of pause, got 'never'"),
        (lambda: session.mix(PopSnapshot("never")), "snapshot must be one of pause, got 'never'"),
        (lambda: session.mix(SetListener((NAN, 0.0, 0.0))), "position"),
        (lambda: session.set_parameter("treat", 0.5), "treat"),
        (lambda: session.set_parameter("threat", NAN), "threat"),
        (lambda: session.set_switch("surface", "lava"), "surface.*lava"),
        (lambda: session.set_prompt("x" * 100_000), "prompt"),
        (lambda: session.set_prompt("wind", ramp=NAN), "ramp"),
        (lambda: session.set_prompt({"wind": NAN}), "weight"),
        (lambda: session.set_layers(["smell"]), "smell"),
        (lambda: session.push_frame(np.zeros((4, 4), np.uint8)), "pixels"),
        (lambda: session.bank.load(cut), r"cut\.bank is damaged or cut short"),
        (lambda: session.bank.load(other), "of version 1, got 'diegetic bank' of version 7"),
        (lambda: session.bank.load(tmp_path / "none.bank"), "cannot read bank"),
        (lambda: session.read(1.0), "stop\\(\\) it first"),
        (lambda: session.play(ClockSink()), "already playing"),
    ]
    for call, message in wrong:
        with pytest.raises(DiegeticError, match=message):
            call()
    game.end()


def test_an_hour_ahead_waits_and_the_past_is_heard_at_once_and_counted(tmp_path: Path) -> None:
    game = Game(tmp_path)
    game.session.post_event("shot", at=3600.0)
    game.session.post_event("shot", at=-3600.0)
    game.session.post_event("shot", at=0.0)
    wait_until(lambda: len(game.session.voices()) == 2)
    assert game.sink.mix_counts.late == 2
    assert game.sink.mix_counts.refused == 0
    game.end()
    assert [voice.asked for voice in game.session.voices()][:2] == [0, 0]
    assert len(game.session.voices()) == 3


def test_a_name_that_nobody_declared_is_an_event_from_then_on(tmp_path: Path) -> None:
    game = Game(tmp_path)
    game.session.post_event("anvil")
    assert game.session.bank.counters.missed == 1
    wait_until(lambda: game.session.bank.progress().events["anvil"].ready > 0)
    game.session.post_event("anvil")
    assert game.session.bank.counters.missed == 1
    game.listen(1.2)  # a take of one second
    game.end()


def test_ten_thousand_events_in_a_second_break_nothing(tmp_path: Path) -> None:
    game = Game(tmp_path)
    for _ in range(10_000):
        game.session.post_event("shot")
    assert game.session.bank.counters.posted == 10_000
    counts = game.sink.mix_counts
    game.listen(0.5)
    counts = game.sink.mix_counts
    begun = len(game.session.voices())
    assert begun > 0
    assert counts.refused + counts.stolen > 0  # and they are counted
    game.end()


def test_a_device_that_is_lost_and_found_needs_no_new_session(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The cable is pulled; the next two players find no device; the third one does."""
    pulled, missing = threading.Event(), [2]
    write_before = ClockOutput.write

    def write(self: ClockOutput, block: FloatArray) -> None:
        if pulled.is_set():
            raise DeviceError("the audio device is gone: cable pulled")
        write_before(self, block)

    def open_output() -> ClockOutput:
        if pulled.is_set():
            missing[0] -= 1
            if missing[0] >= 0:
                raise DeviceError("no audio output: Device unavailable")
            pulled.clear()
        return ClockOutput()

    monkeypatch.setattr(ClockOutput, "write", write)
    monkeypatch.setattr(kinds, "ClockOutput", open_output)
    with Session(generator=ToneGenerator(), conditioner=plain_conditioner) as session:
        session.declare_event(EventSpec("shot", variations=1, length=0.1))
        session.set_prompt(PROMPT)
        sink = ThreadSink(use_device=False)
        session.play(sink)
        wait_until(lambda: sink.played() > 20_000)
        pulled.set()
        session.set_prompt("storm")
        wait_until(lambda: sink.respawns == 3)
        before = sink.played()
        wait_until(lambda: sink.played() > before + 20_000)
        at = session.time + 0.3
        session.post_event("shot", at=at)
        wait_until(lambda: bool(session.voices()))
        [shot] = session.voices()
        assert shot.sample == shot.asked
        assert session.latest_record is not None
        assert session.latest_record.prompt == "storm"
    assert "the audio device is gone: cable pulled; starting another" in caplog.text
    assert caplog.text.count("Device unavailable; starting another") == 2


def test_a_device_that_lies_about_its_rate_is_told_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says 48 kHz and takes 44.1."""
    truth = 44_100 / 48_000

    def lying() -> ClockOutput:
        return ClockOutput(lambda: time.monotonic() * truth, lambda s: time.sleep(s / truth))

    monkeypatch.setattr(kinds, "ClockOutput", lying)
    monkeypatch.setattr(drift, "SETTLE", 0.1)
    monkeypatch.setattr(drift, "ENOUGH", 1.0)
    sink = ThreadSink(use_device=False, record=tmp_path / "take.wav")
    with Session(generator=ToneGenerator(), conditioner=plain_conditioner) as session:
        session.set_prompt(PROMPT)
        with caplog.at_level(logging.WARNING):
            session.play(sink)
            wait_until(lambda: "off its rate of 48 kHz" in caplog.text)
        assert sink.drift_ppm == pytest.approx((truth - 1) * 1e6, rel=0.3)
        before = sink.played()
        wait_until(lambda: sink.played() > before + 10_000)
    assert caplog.text.count("off its rate") == 1
    samples, _ = soundfile.read(tmp_path / "take.wav", dtype="float32", always_2d=True)
    first = min([start for start, _ in sink.underrun_log()] + [before])  # of a busy machine
    bed = samples[RISE:first, 0]
    assert len(bed) > 10_000
    np.testing.assert_allclose(bed, tone(RISE, len(bed)), atol=2e-6)
