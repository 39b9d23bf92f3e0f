import struct
from pathlib import Path

import numpy as np
import pytest

from diegetic import timeline
from diegetic.errors import MediaError
from diegetic.snapshot import Event
from diegetic.stream import Change, ChunkRecord
from diegetic.timeline import Timeline, mel_spectrogram, of_stream

RATE = 48_000
HOP = 7680

pytest.importorskip("matplotlib")


def chunk(
    index: int,
    prompt: str = "rain",
    events: tuple[Event, ...] = (),
    changes: tuple[Change, ...] = (),
    threat: float = 0.0,
    first: int = 0,
) -> ChunkRecord:
    return ChunkRecord(
        index=index,
        start_sample=first + index * HOP,
        heard_from=first + index * HOP,
        stages_ms={"generate": 80.0},
        rho=0.0,
        prompt=prompt,
        events=events,
        changes=changes,
        parameters={"threat": threat},
    )


@pytest.mark.parametrize("hz", [100.0, 1000.0, 8000.0])
def test_a_full_scale_sine_reads_zero_decibels_at_its_pitch(hz: float) -> None:
    sine = np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)
    column = mel_spectrogram(sine, RATE)[:, 40]
    low, high = timeline._mel(timeline.LOW_HZ), timeline._mel(timeline.HIGH_HZ)
    expected = (timeline._mel(hz) - low) / (high - low) * (timeline.MELS + 1) - 1
    # the window smears a tone over 4 bins, which are a few rows wide in the bass
    assert abs(int(column.argmax()) - expected) <= 2
    assert column.max() == pytest.approx(0.0, abs=3.0)


def test_silence_stays_dark() -> None:
    assert mel_spectrogram(np.zeros(RATE, np.float32), RATE).max() < -150


@pytest.mark.parametrize("length", [1, 2047, 2048, 50_021])
def test_any_length_has_a_spectrogram(length: int) -> None:
    picture = mel_spectrogram(np.ones(length, np.float32), RATE, columns=10)
    assert picture.shape[0] == timeline.MELS
    assert 1 <= picture.shape[1] <= 10
    assert np.isfinite(picture).all()


def test_a_click_stays_visible_in_a_long_sound() -> None:
    samples = np.zeros(60 * RATE, np.float32)
    samples[30 * RATE] = 1.0
    picture = mel_spectrogram(samples, RATE, columns=50)
    loud = np.flatnonzero(picture.max(axis=0) > -80)
    assert len(loud) in (1, 2)
    assert loud[0] in (24, 25)


def test_a_timeline_says_when_prompts_change() -> None:
    records = [chunk(0, ""), chunk(1, "rain"), chunk(2, "rain"), chunk(3, "wind")]
    made = of_stream(records, hop=0.16)
    assert made.prompts == [(0.0, ""), (0.16, "rain"), (0.48, "wind")]
    assert made.seams == [0.16, 0.32, 0.48]
    assert made.compute[0] == (0.0, pytest.approx(0.5))


def test_a_recording_begins_at_zero_wherever_its_session_was() -> None:
    records = [chunk(0, first=HOP * 10), chunk(1, first=HOP * 10, events=(Event("shot", 1.9),))]
    made = of_stream(records, hop=0.16)
    assert made.seams == [pytest.approx(0.16)]
    assert made.events == [(pytest.approx(1.9 - 1.6), "shot")]


def test_what_follows_a_gap_is_heard_that_much_later() -> None:
    records = [chunk(index) for index in range(3)]
    made = of_stream(records, hop=0.16, underruns=[(HOP + 10, 480)])
    assert made.seams == [pytest.approx(0.16), pytest.approx(0.33)]
    assert made.underruns == [pytest.approx((HOP + 10) / RATE)]


def test_delays_belong_to_their_changes() -> None:
    change = Change("prompt", "wind", 0.0)
    records = [chunk(0, changes=(change,)), chunk(1), chunk(2, changes=(change, change))]
    made = of_stream(records, hop=0.16, knob_to_ear_ms=[100.0, 200.0])
    assert made.knob_to_ear_ms == [(0.0, 100.0), (0.32, 200.0)]


def test_parameters_are_followed_chunk_by_chunk() -> None:
    made = of_stream([chunk(0, threat=0.1), chunk(1, threat=0.9)], hop=0.16)
    assert made.parameters == {"threat": [(0.0, 0.1), (0.16, 0.9)]}


def test_an_empty_stream_has_an_empty_timeline() -> None:
    made = of_stream([], hop=0.16)
    assert not made.prompts
    assert not made.seams


def test_the_same_names_get_the_same_symbols() -> None:
    first = timeline.glyphs(["shot", "lift", "shot", "alarm"])
    assert first == timeline.glyphs(["alarm", "lift", "shot"])
    assert first["lift"] != first["alarm"]


def picture_size(path: Path) -> tuple[int, int]:
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height


FULL = Timeline(
    prompts=[(0.0, "rain"), (0.4, ""), (0.6, "a prompt that is far too long for its band")],
    events=[(0.1, "shot"), (0.5, "lift"), (0.99, "$no tex$")],
    parameters={"health": [(0.0, 1.0), (0.5, 0.2)], "unset": []},
    seams=[0.16, 0.32],
    underruns=[0.7],
    compute=[(0.0, 0.5), (0.16, 1.4)],
    knob_to_ear_ms=[(0.1, 250.0)],
    figures=[("0.50", "RTF p50"), ("1", "underruns")],
)


@pytest.mark.parametrize("what", [FULL, Timeline()], ids=["everything", "nothing"])
def test_a_picture_is_drawn_in_full_size(tmp_path: Path, what: Timeline) -> None:
    noise = np.random.default_rng(0).standard_normal((RATE, 2)).astype(np.float32) * 0.1
    path = timeline.draw(noise, RATE, what, tmp_path / "new" / "timeline.png")
    assert picture_size(path) == (1800, 1000)


def test_silence_and_one_sample_can_be_drawn(tmp_path: Path) -> None:
    path = tmp_path / "timeline.png"
    timeline.draw(np.zeros((1, 2), np.float32), RATE, Timeline(), path)
    assert path.stat().st_size > 1000


def test_nothing_at_all_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="at least one sample"):
        timeline.draw(np.zeros((0, 2), np.float32), RATE, Timeline(), tmp_path / "x.png")
