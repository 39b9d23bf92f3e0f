import logging

import pytest

from bank_generator import ClickGenerator, event_conditioner
from diegetic.bank import EventBank, EventSpec, VariationMaker
from diegetic.console import Console
from diegetic.errors import DiegeticError
from diegetic.foley import Foley
from diegetic.metrics import Metrics
from diegetic.mixer.commands import DropClip, LoadClip, StartVoice
from diegetic.ring import VoiceStart
from tone_generator import FakeSink


class Stage:
    """Foley whose mixer is a list of what it was told."""

    def __init__(self) -> None:
        networks = ClickGenerator(), event_conditioner
        self.bank = EventBank(VariationMaker(lambda: networks))
        self.bank.declare(EventSpec("shot", variations=2, length=0.2, gain_db=-3.0))
        self.sink = FakeSink()
        self.console = Console()
        self.console.attach(self.sink)
        self.metrics = Metrics()
        self.foley = Foley(self.bank, self.console, self.metrics)

    def voices(self) -> list[StartVoice]:
        return [command for command in self.sink.sent if isinstance(command, StartVoice)]


def test_a_take_is_with_the_mixer_before_its_voice_and_its_gain_is_added() -> None:
    stage = Stage()
    while stage.foley.work():
        pass
    assert stage.foley.post("shot", at=1234, gain_db=-6.0, position=(1.0, 2.0, -3.0), occlusion=0.5)
    [voice] = stage.voices()
    loaded = [command.id for command in stage.sink.sent if isinstance(command, LoadClip)]
    assert len(loaded) == 2
    assert voice.clip in loaded
    assert (voice.at, voice.gain_db, voice.bus) == (1234, -9.0, "events")
    assert (voice.position, voice.occlusion) == ((1.0, 2.0, -3.0), 0.5)


def test_what_was_heard_is_recorded_with_its_delay() -> None:
    stage = Stage()
    while stage.foley.work():
        pass
    stage.foley.post("shot", at=500, sent=99.0)
    [voice] = stage.voices()
    stage.sink.starts = [VoiceStart(voice.voice, 500, 500, 99.01), VoiceStart(777, 0, 0, 99.0)]
    stage.foley.listen(latency=0.02)
    [record] = stage.foley.records
    assert (record.name, record.asked, record.sample, record.exact) == ("shot", 500, 500, True)
    assert stage.metrics.event_to_ear_ms()["p50"] == pytest.approx(30.0)


def test_nothing_is_played_where_nothing_is_made() -> None:
    stage = Stage()
    assert not stage.foley.post("shot")
    assert stage.voices() == []


def test_a_wrong_value_is_refused_and_leaves_nothing_waiting() -> None:
    stage = Stage()
    while stage.foley.work():
        pass
    for wrong in ({"gain_db": float("nan")}, {"bus": "brass"}, {"occlusion": 2.0}):
        with pytest.raises(DiegeticError):
            stage.foley.post("shot", **wrong)
    assert stage.voices() == []
    assert not stage.foley._on_the_way


def test_another_mixer_is_told_of_all_takes() -> None:
    stage = Stage()
    while stage.foley.work():
        pass
    other = FakeSink()
    stage.console.attach(other)
    stage.foley.load()
    assert sum(isinstance(command, LoadClip) for command in other.sent) == 2
    assert not any(isinstance(command, DropClip) for command in other.sent)


def test_a_bank_that_fails_makes_no_more_takes_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage()

    def fail() -> bool:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(stage.bank, "work", fail)
    with caplog.at_level(logging.ERROR):
        assert not stage.foley.work()
        assert not stage.foley.work()
    assert [record.message for record in caplog.records] == ["the event bank makes no more takes"]
    assert stage.metrics.counts()["bank failures"] == 1
