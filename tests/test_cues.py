"""Every event that is posted has one fate, and none is lost."""

import threading
from typing import cast

import pytest

from bank_generator import ClickGenerator, event_conditioner
from diegetic.bank import EventBank, EventSpec, VariationMaker
from diegetic.bed import Bed
from diegetic.config import StreamConfig
from diegetic.console import Console
from diegetic.cues import Cues, Fates
from diegetic.errors import DiegeticError
from diegetic.foley import Foley
from diegetic.live import LiveStream
from diegetic.metrics import Metrics
from diegetic.mixer.commands import BEDS, StartVoice
from diegetic.world import CROWD, MAX_EVENTS
from tone_generator import FakeSink


class Playing:
    """A live stream at audio time 10 s."""

    def audio_time(self, moment: float) -> float:
        return 10.0

    def output_sample(self, moment: float) -> int:
        return 480_000

    def output_of(self, sample: int) -> int:
        return sample


LIVE = cast(LiveStream, Playing())


class Stage:
    """Cues whose bed makes nothing, and whose mixer is a list of what it was told."""

    def __init__(self) -> None:
        networks = ClickGenerator(), event_conditioner
        self.bank = EventBank(VariationMaker(lambda: networks))
        self.bank.declare_switch("floor", ["wood", "stone"])
        self.bank.set_switches({"floor": "wood"})
        self.bank.declare(EventSpec("step", "step on {floor}", variations=1, length=0.2))
        self.sink, console, metrics = FakeSink(), Console(), Metrics()
        console.attach(self.sink)
        self.bed = Bed(StreamConfig(), 0, lambda: networks, metrics, None)
        self.cues = Cues(self.bed, self.bank, Foley(self.bank, console, metrics))

    def post(self, name: str = "step", at: float | None = None, bus: str | None = None) -> None:
        self.cues.post(name, at, 0.0, live=LIVE, bus=bus, position=None, occlusion=0.0, sent=100.0)

    @property
    def voices(self) -> int:
        return sum(isinstance(command, StartVoice) for command in self.sink.sent)


def test_before_the_takes_are_ready_the_bed_has_its_fill_and_no_game_is_told_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    for _ in range(CROWD + 30):
        stage.post()
    assert stage.cues.fates == Fates(bed=CROWD, over=30)
    assert stage.bed.world.counters.events == CROWD
    assert caplog.text.count("before their takes are ready") == 1
    stage.post(at=11.0)  # in another second there is room
    assert stage.cues.fates == Fates(bed=CROWD + 1, over=30)
    assert stage.voices == 0


def test_there_is_room_again_when_time_has_passed() -> None:
    stage = Stage()
    for second in range(20):
        for _ in range(CROWD + 1):
            stage.post(at=float(second))
        stage.bed.world.snapshot(second, second + 1.0)
    assert stage.cues.fates == Fates(bed=20 * CROWD, over=20)
    assert len(stage.bed.world._seconds) < 10


def test_a_take_of_its_own_or_the_nearest_is_played() -> None:
    stage = Stage()
    stage.bank.make_ready("step")
    stage.post()
    stage.bank.set_switches({"floor": "stone"})
    stage.post()
    stage.post()
    assert stage.cues.fates == Fates(own=1, nearest=2)
    assert stage.voices == 3


def test_what_belongs_to_the_bed_goes_there_and_its_limit_is_told() -> None:
    stage = Stage()
    stage.bank.make_ready("step")
    stage.cues.leave_to_bed("storm")
    stage.post("storm")
    stage.post(bus=BEDS)
    assert stage.cues.fates == Fates(bed=2)
    for _ in range(MAX_EVENTS - 2):
        stage.post("storm")
    with pytest.raises(DiegeticError, match="at most"):
        stage.post("storm")
    assert stage.cues.fates == Fates(bed=MAX_EVENTS, refused=1)


def test_what_is_wrong_is_refused_and_counted() -> None:
    stage = Stage()
    stage.bank.make_ready("step")
    for wrong in ({"bus": "brass"}, {"at": float("nan")}, {"name": "x" * 3000}):
        with pytest.raises(DiegeticError):
            stage.post(**wrong)
    assert stage.cues.fates == Fates(refused=3)
    assert stage.voices == 0


def test_of_a_flood_into_a_cold_bank_each_event_is_counted_once() -> None:
    stage, each, posters = Stage(), 3000, 4
    names = ["step", "shot", "door", "storm"]
    stage.cues.leave_to_bed("storm")

    def pour() -> None:
        for number in range(each):
            stage.post(names[number % 4] if number % 100 else "step", at=number / 1000)

    threads = [threading.Thread(target=pour) for _ in range(posters)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        stage.bank.work()
    for thread in threads:
        thread.join()
    fates = stage.cues.fates
    assert fates.posted == each * posters
    assert fates.refused == 0
    assert fates.own + fates.nearest == stage.voices
    assert fates.bed == stage.bed.world.counters.events
    counters = stage.bank.counters
    at_bed = sum(names[n % 4] == "storm" and n % 100 > 0 for n in range(each)) * posters
    assert counters.missed == fates.nearest + fates.over + (fates.bed - at_bed)
