import gc
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from diegetic import cli
from diegetic.cli import bench
from diegetic.config import RATE, StreamConfig
from diegetic.errors import DeviceError, DiegeticError
from diegetic.latency import figures, game, scene, talk
from diegetic.latency.figures import build_report, rows
from diegetic.latency.game_process import UNREADY, GameProcess
from diegetic.latency.trial import Trial, measure
from diegetic.latency.twin import (
    UNDERRUN,
    UNHEARD,
    UNLIKE,
    PlayTimes,
    Twin,
    compare,
    first_difference,
)
from diegetic.mixer.limiter import DELAY
from diegetic.output import Output
from diegetic.ring import Underrun
from diegetic.session import Session
from diegetic.sink import ClockSink, PlayClock, Sink
from diegetic.snapshot import FloatArray
from diegetic_bridge.client import Client
from diegetic_bridge.link import BankProgress
from tone_generator import ToneGenerator, plain_conditioner


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    """A server freezes what is alive; the tests after it want their garbage collected."""
    yield
    gc.unfreeze()


def tones(seed: int = 0) -> Session:
    return Session(seed=seed, generator=ToneGenerator(), conditioner=plain_conditioner)


def sound(count: int) -> FloatArray:
    noise = np.random.default_rng(3).uniform(-0.9, 0.9, (count, 2))
    return noise.astype(np.float32)


# The twin


@pytest.mark.parametrize("place", [0, 1, 4098, 4999])
@pytest.mark.parametrize("channel", [0, 1])
def test_the_first_sample_that_differs_is_found(place: int, channel: int) -> None:
    twin = sound(5000)
    heard = twin.copy()
    heard[place, channel] += 2.0**-21  # -126 dBFS
    assert first_difference(heard, twin) == place


def test_what_two_formats_or_roundings_differ_by_is_no_difference() -> None:
    twin = sound(5000)
    in_24_bits = (np.round(twin.astype(np.float64) * 2**23) / 2**23).astype(np.float32)
    gained = twin * np.float32(0.7) * np.float32(1 / 0.7)
    assert not np.array_equal(in_24_bits, twin)
    assert not np.array_equal(gained, twin)
    assert first_difference(in_24_bits, twin) is None
    assert first_difference(gained, twin) is None


def test_what_is_no_number_differs() -> None:
    heard = sound(10)
    heard[7] = math.nan
    assert first_difference(heard, sound(10)) == 7


def test_a_length_is_no_difference() -> None:
    assert first_difference(sound(10), sound(20)) is None
    assert first_difference(sound(20), sound(10)) is None
    assert first_difference(sound(20)[:0], sound(20)) is None


def test_a_twin_is_made_as_far_as_it_is_needed_and_in_one_piece() -> None:
    twin = Twin(scene.prepare(tones()))
    parts = [twin.first(1000), twin.first(500), twin.first(20_001)]
    expected = scene.prepare(tones()).read(30_000 / RATE)[DELAY:]  # as a recording has it
    for part in parts:
        np.testing.assert_array_equal(part, expected[: len(part)])
    assert [len(part) for part in parts] == [1000, 500, 20_001]


def test_a_twin_that_is_there_is_not_made_again() -> None:
    session = scene.prepare(tones())
    twin = Twin(session)
    twin.first(20_000)
    made = session.time
    for _ in range(5):
        twin.first(20_000)
    assert session.time == made


# When a sample left


def clocked(seconds: float = 2.0, latency: float = 0.1, jitter: float = 0.0) -> PlayTimes:
    """A device that began at monotonic 50, looked at every 10 ms, and takes blocks of 256."""
    times = PlayTimes()
    rng = np.random.default_rng(4)
    for moment in np.arange(50.0, 50.0 + seconds, 0.01):
        sample = int((moment - 50.0) * RATE) // 256 * 256
        late = jitter * float(rng.exponential())
        times.add(float(moment), PlayClock(sample, 50.0 + sample / RATE + latency + late))
    return times


@pytest.mark.parametrize("sample", [0, 255, 48_000, 95_000, 100_000])
def test_a_sample_leaves_when_the_clock_says(sample: int) -> None:
    assert clocked().time_of(sample) == pytest.approx(50.1 + sample / RATE, abs=1e-6)


def test_a_late_reading_does_not_count() -> None:
    times = clocked(jitter=0.0005)
    times.add(51.5, PlayClock(72_000, 99.0))
    assert times.time_of(72_000) == pytest.approx(51.6, abs=0.001)


def test_what_the_device_had_is_known_at_every_moment() -> None:
    times = clocked()
    assert times.handed(49.0) == 0
    assert times.handed(51.0) == pytest.approx(48_000, abs=256 + 0.01 * RATE)
    assert times.handed(51.0) <= 48_000
    assert times.handed(math.inf) == times.handed(60.0) > 90_000


# Both together


def findings(change_at: int | None, gaps: tuple[Underrun, ...] = ()) -> tuple[float | None, str]:
    """What comes out when sound changed at that sample; it was asked for at monotonic 51."""
    twin = sound(2 * RATE)
    heard = twin[:90_000].copy()
    if change_at is not None:
        heard[change_at:] *= 0.5
    return compare(heard, twin, clocked(), 51.0, gaps)


def test_a_change_is_timed_from_its_sending_to_its_leaving_the_device() -> None:
    seconds, trouble = findings(57_600)
    assert trouble == ""
    assert seconds == pytest.approx(0.2 + 0.1, abs=1e-6)  # 9600 samples and the device


def test_a_gap_before_the_change_spoils_the_trial_and_one_after_does_not() -> None:
    assert findings(57_600, (Underrun(30_000, 480),)) == (None, UNDERRUN)
    assert findings(None, (Underrun(30_000, 480),)) == (None, UNDERRUN)
    assert findings(57_600, (Underrun(57_601, 480),))[1] == ""


def test_a_change_that_is_not_heard_is_said_to_be_so() -> None:
    assert findings(None) == (None, UNHEARD)


def test_sound_that_differs_before_the_change_could_be_heard_has_no_twin() -> None:
    assert findings(40_000) == (None, UNLIKE)
    # before the change is sent the device already has it
    assert findings(47_000) == (None, UNLIKE)


# Figures


def trial(kind: scene.Kind, ear: float | None, own: float | None = None) -> Trial:
    trouble = "" if ear is not None else UNHEARD
    return Trial(kind, ear, own, declared=0.1, trouble=trouble, rtf=(0.4, 0.5), underruns=1)


def test_there_is_a_row_for_each_kind_in_order() -> None:
    trials = [trial("event", 0.03), trial("prompt", 0.2, 0.1), trial("prompt", 0.4, 0.5)]
    trials += [trial("prompt", None, 0.7), trial("switch", None)]
    event, prompt, switch = rows(trials)
    assert (event.kind, event.measured, event.ratio) == ("event", 1, None)
    assert event.own_ms == {}
    assert prompt.measured == 2
    assert prompt.ear_ms == {"p50": 300.0, "p95": 390.0, "p99": 398.0}
    assert prompt.own_ms["p50"] == 300.0  # of the same trials
    assert prompt.ratio == pytest.approx((2.0 + 0.8) / 2)
    assert prompt.troubles == {UNHEARD: 1}
    assert (switch.measured, switch.ear_ms) == (0, {})


def test_a_report_is_plain_json_with_the_machine() -> None:
    trials = [trial("prompt", 0.2, 0.19), trial("event", None)]
    report = build_report(trials, config=StreamConfig(), output="the clock", nfe=4, backend="onnx")
    read = json.loads(json.dumps(report))
    assert read["machine"]["cores"] >= 1
    assert read["stream"]["hop"] == StreamConfig().hop
    assert read["declared_latency_ms"] == 100.0
    assert read["underruns"] == 2
    assert read["rtf"]["p50"] == 0.45
    assert read["changes"][0]["ear_ms"]["p95"] == 200.0
    assert read["trials"][1] == {
        "kind": "event",
        "ear_ms": None,
        "own_ms": None,
        "trouble": UNHEARD,
    }


def test_nothing_measured_has_no_figures() -> None:
    assert rows([]) == []
    assert figures.declared_ms([]) == 0.0
    assert figures.rtf([]) == {}


# Real trials: a game in its own process, a player, and tones for networks


def clock_sink(recording: Path) -> Sink:
    return ClockSink(record=recording)


def test_a_prompt_and_an_event_are_heard_and_what_makes_no_difference_is_not() -> None:
    told: list[Trial] = []
    kinds: list[scene.Kind] = ["prompt", "event", "parameter"]
    done = measure(tones, clock_sink, trials=1, kinds=kinds, on_trial=told.append)
    assert told == done
    *heard, parameter = done
    for one in heard:
        assert one.trouble == ""
        assert one.ear is not None
        assert one.ear > one.declared
        assert one.own is not None
        # both look at the same clock; they may take different readings of it
        assert one.ear == pytest.approx(one.own, abs=0.03)
    assert len(heard[0].rtf) > 1.0 / StreamConfig().hop
    assert (parameter.ear, parameter.trouble) == (None, UNHEARD)  # tones know no parameters


def test_sessions_that_do_not_repeat_themselves_are_found_out() -> None:
    seeds = iter(range(10))
    (one,) = measure(lambda: tones(next(seeds)), clock_sink, trials=1, kinds=["prompt"])
    assert (one.ear, one.trouble) == (None, UNLIKE)


def test_a_device_that_does_not_open_ends_it_with_its_own_words() -> None:
    class Missing(ClockSink):
        def start(self, prime: int = 0) -> None:
            raise DeviceError("no such device: USB")

    with pytest.raises(DiegeticError, match="no such device: USB"):
        measure(tones, lambda path: Missing(), trials=1, kinds=["prompt"])


def test_a_game_that_dies_is_an_error() -> None:
    with GameProcess() as process:
        process.close()
        process.close()
        with pytest.raises(DiegeticError, match="has ended"):
            process.begin("tcp://127.0.0.1:9", "prompt", 0.0)
        with pytest.raises(DiegeticError, match="has ended"):
            process.sent(5.0)


class Waiting:
    """A client whose bank is ready at some moment, or never; and a clock that sleeping moves."""

    def __init__(self, wanted: int, ready_at: float) -> None:
        self.now = 0.0
        self.wanted, self.ready_at = wanted, ready_at

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def bank_progress(self) -> BankProgress | None:
        if self.now < 1.0:
            return None
        return BankProgress(self.wanted if self.now >= self.ready_at else 0, self.wanted)


@pytest.mark.parametrize(
    ("wanted", "ready_at", "goes_on", "waited"),
    [(1, 2.0, True, 2.0), (1, math.inf, False, talk.BANK_PATIENCE), (0, math.inf, True, 3.0)],
)
def test_a_game_waits_for_its_event_but_not_for_good(
    monkeypatch: pytest.MonkeyPatch, wanted: int, ready_at: float, goes_on: bool, waited: float
) -> None:
    client = Waiting(wanted, ready_at)
    monkeypatch.setattr(game, "time", client)
    assert game.await_bank(cast(Client, client)) is goes_on
    assert client.now == pytest.approx(waited, abs=0.02)


# The command


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "WHAT"),
        (["latencies"], "latencies"),
        (["latency", "--trials", "0"], "at least 1"),
        (["latency", "--kinds", "frame"], "frame"),
        (["latency", "--hop", "-1"], "positive number"),
        (["latency", "--device", "1", "--no-device"], "not allowed"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["bench", *words])
    assert left.value.code == cli.USAGE_ERROR
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--hop", "0.05"], "hop must be a positive multiple of 0.02 s"),
        (["--hop", "0.04"], "overlap must be shorter than hop"),
        (["--lookahead", "0.21"], "lookahead must be"),
        (["--json", "/no/such/folder/x.json"], "cannot write"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "latency", *words]) == cli.USAGE_ERROR
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


def imagined(monkeypatch: pytest.MonkeyPatch, trials: list[Trial]) -> None:
    """Let the command come by these without measuring anything."""

    def remembered(*words: object, on_trial: object, **more: object) -> list[Trial]:
        assert callable(on_trial)
        for trial in trials:
            on_trial(trial)
        return trials

    monkeypatch.setattr("diegetic.latency.trial.measure", remembered)
    monkeypatch.setattr(bench.shared, "session_factory", lambda arguments, config: tones)
    monkeypatch.setattr(
        "diegetic.output.choose_output", lambda *a, **k: Output(False, None, "the clock")
    )


def test_the_command_shows_every_kind_and_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    imagined(monkeypatch, [trial("prompt", 0.2, 0.16), trial("event", None)])
    assert cli.main(["bench", "latency"]) == 1
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if line.startswith("prompt")]
    assert line.split() == ["prompt", "1", "200", "200", "200", "160", "160", "1.25"]
    assert f"event: 1 of 1 not measured: {UNHEARD}" in shown
    assert "device declares 100 ms" in shown
    assert "underruns: 2" in shown


def test_a_device_that_is_missing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*words: object, **more: object) -> Output:
        raise DeviceError("no audio output: USB")

    monkeypatch.setattr("diegetic.output.choose_output", missing)
    assert cli.main(["bench", "latency", "--device", "USB"]) == cli.USAGE_ERROR
    assert capsys.readouterr().err == "diegetic: no audio output: USB\n"


def test_the_networks_that_ship_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "latency.json"
    words = ["--trials", "1", "--kinds", "prompt", "event", "--no-device", "--nfe", "1"]
    status = cli.main(["bench", "latency", *words, "--json", str(target)])
    report = json.loads(target.read_text())
    assert [trial["kind"] for trial in report["trials"]] == ["prompt", "event"]
    # a machine with other work may be late, but what it plays is always that of the twin
    assert {trial["trouble"] for trial in report["trials"]} <= {
        "",
        UNDERRUN,
        UNHEARD,
        UNREADY,
    }
    heard = [trial for trial in report["trials"] if not trial["trouble"]]
    assert status == (0 if len(heard) == 2 else 1)
    assert all(trial["ear_ms"] > 0 for trial in heard)
    shown = capsys.readouterr().out
    assert "knob to ear" in shown
    assert "cores: " in shown
