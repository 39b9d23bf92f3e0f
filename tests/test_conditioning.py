"""Snapshots become token slots: which slot, which time, which value, computed how often."""

import logging

import numpy as np
import pytest
from numpy.typing import NDArray

from diegetic.conditioning import BLACK, Conditioner
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.snapshot import (
    BLEND_TOKENS,
    DEFAULT_GUIDANCE,
    EVENT_SLOTS,
    EVENT_TOKENS,
    FRAME_SLOTS,
    FRAME_TOKENS,
    LAYER_TOKENS,
    LAYERS,
    PARAMETER_SLOTS,
    PARAMETER_TOKENS,
    SLOTS,
    SWITCH_TOKENS,
    TEXT_SLOTS,
    WORD_SLOTS,
    Conditioning,
    Event,
    FloatArray,
    Frame,
    Snapshot,
    null_conditioning,
)
from diegetic.world import World

T0, T1 = 10.0, 10.16
SWITCH_0, PARAMETER_0 = SWITCH_TOKENS.start, PARAMETER_TOKENS.start
EVENT_0, FRAME_0 = EVENT_TOKENS.start, FRAME_TOKENS.start


class CountingImageEncoder(ImageEncoder):
    """The real encoder, which counts what it was asked."""

    asked = 0

    def encode(self, pixels: NDArray[np.uint8]) -> FloatArray:
        self.asked += 1
        return super().encode(pixels)


@pytest.fixture(scope="module")
def text() -> TextEncoder:
    return TextEncoder()


@pytest.fixture
def image() -> CountingImageEncoder:
    return CountingImageEncoder()


@pytest.fixture
def conditioner(text: TextEncoder, image: CountingImageEncoder) -> Conditioner:
    return Conditioner(text, image)


def frame(time: float, shade: int = 90) -> Frame:
    return Frame(np.full((72, 128, 3), shade, np.uint8), time)


def assert_same(actual: Conditioning, expected: Conditioning) -> None:
    for name in ("words", "frames", "values", "times", "present"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), name)
    assert actual.guidance == expected.guidance


def test_a_full_snapshot_fills_the_slots_in_their_order(
    conditioner: Conditioner, text: TextEncoder, image: CountingImageEncoder
) -> None:
    shown = (frame(9.3, 40), frame(10.1, 200))
    out = conditioner(
        Snapshot(
            T0,
            T1,
            prompt="rain on a roof",
            layers=frozenset({"music"}),
            guidance=2.5,
            parameters={"threat": 0.75},
            switches={"surface": "grass"},
            events=(Event("shot", 9.5, gain_db=-6.0), Event("step", 10.05)),
            frames=shown,
        )
    )
    expected = null_conditioning()
    expected.words[:TEXT_SLOTS] = text.encode("rain on a roof")
    expected.words[SWITCH_0] = text.encode("surface grass")[0]
    expected.words[PARAMETER_0] = text.encode("threat")[0]
    expected.words[EVENT_0] = text.encode("shot")[0]
    expected.words[EVENT_0 + 1] = text.encode("step")[0]
    expected.frames[:2] = [image.encode(f.pixels) for f in shown]
    np.testing.assert_array_equal(out.words, expected.words)
    np.testing.assert_array_equal(out.frames, expected.frames)

    said = [0, 1, 2, 3, 4, LAYER_TOKENS.start + LAYERS.index("music"), SWITCH_0, PARAMETER_0]
    happened = [EVENT_0, EVENT_0 + 1, FRAME_0, FRAME_0 + 1]
    assert np.flatnonzero(out.present).tolist() == said + happened
    values = {0: 1.0, PARAMETER_0: 0.75, EVENT_0: 0.501187, EVENT_0 + 1: 1.0}
    times = {EVENT_0: -0.5, EVENT_0 + 1: 0.05, FRAME_0: -0.7, FRAME_0 + 1: 0.1}
    assert out.values == pytest.approx([values.get(slot, 0.0) for slot in range(SLOTS)])
    assert out.times == pytest.approx([times.get(slot, 0.0) for slot in range(SLOTS)], abs=1e-6)
    assert out.guidance == 2.5


def test_further_prompts_take_their_share_and_the_words_of_the_first_alone_are_hidden(
    conditioner: Conditioner, text: TextEncoder
) -> None:
    blend = (("wind", 0.3), ("thunder", 0.2))
    out = conditioner(Snapshot(T0, T1, prompt="rain on a roof", blend=blend))
    begin = BLEND_TOKENS.start
    assert np.flatnonzero(out.present).tolist() == [0, begin, begin + 1]
    assert out.values[[0, begin, begin + 1]] == pytest.approx([0.5, 0.3, 0.2])
    np.testing.assert_array_equal(out.words[begin], text.encode("wind")[0])
    np.testing.assert_array_equal(out.words[begin + 1], text.encode("thunder")[0])


def test_the_layout_is_as_the_model_was_trained() -> None:
    starts = (BLEND_TOKENS.start, LAYER_TOKENS.start, SWITCH_0, PARAMETER_0, EVENT_0, FRAME_0)
    assert starts == (12, 14, 17, 19, 22, 26)
    assert FRAME_0 == WORD_SLOTS
    assert FRAME_0 + FRAME_SLOTS == SLOTS


@pytest.mark.parametrize(
    "nothing",
    [
        Snapshot(T0, T1, guidance=3.0),
        Snapshot(T0, T1, guidance=3.0, parameters={"threat": 1.0}),
        Snapshot(T0, T1, guidance=3.0, prompt="  "),
    ],
)
def test_nothing_said_is_the_prompt_silence(
    conditioner: Conditioner, text: TextEncoder, nothing: Snapshot
) -> None:
    out = conditioner(nothing)
    assert_same(out, conditioner.silence())
    assert_same(out, conditioner(Snapshot(0.0, 1.0, prompt="silence")))
    np.testing.assert_array_equal(out.words[0], text.encode("silence")[0])
    assert out.present.any()


def test_one_thing_is_enough_to_break_the_silence(conditioner: Conditioner) -> None:
    for snapshot, slot in (
        (Snapshot(T0, T1, switches={"surface": "grass"}), SWITCH_0),
        (Snapshot(T0, T1, events=(Event("shot", T0),)), EVENT_0),
        (Snapshot(T0, T1, frames=(frame(T0),)), FRAME_0),
    ):
        assert np.flatnonzero(conditioner(snapshot).present).tolist() == [slot]


def test_a_black_frame_shows_nothing(conditioner: Conditioner) -> None:
    black, shown = frame(T0 - 0.2, shade=BLACK), frame(T0)
    nothing = conditioner(Snapshot(T0, T1, guidance=5.0))
    assert_same(conditioner(Snapshot(T0, T1, frames=(black,), guidance=5.0)), nothing)
    assert nothing.guidance == DEFAULT_GUIDANCE  # silence needs no more
    both = conditioner(Snapshot(T0, T1, frames=(black, shown)))
    assert_same(both, conditioner(Snapshot(T0, T1, frames=(shown,))))


def test_the_answer_is_the_callers_own(conditioner: Conditioner) -> None:
    snapshot = Snapshot(T0, T1, prompt="rain", frames=(frame(T0),))
    first, second = conditioner(snapshot), conditioner(snapshot)
    first.words[:] = first.frames[:] = 0.0
    assert second.words.any()
    assert_same(conditioner(snapshot), second)


def test_the_parameters_changed_last_win_and_keep_their_places(
    conditioner: Conditioner, text: TextEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(lambda: 0.0)
    names = ["wind", "threat", "health", "speed", "depth"]
    for name in names:
        world.declare_parameter(name)
    world.set_prompt("a cave")
    with caplog.at_level(logging.WARNING):
        for at, moved in enumerate(["threat", "depth", "wind", "depth"]):
            world.set_parameter(moved, 0.5, at=at)
            seen = conditioner(world.snapshot(at, at + 0.1))
    expected = [text.encode(name)[0] for name in ("depth", "threat", "wind")]
    np.testing.assert_array_equal(seen.words[PARAMETER_0:EVENT_0], expected)
    assert seen.values[PARAMETER_0:EVENT_0].tolist() == [0.5] * PARAMETER_SLOTS
    assert [record.message for record in caplog.records] == [
        "5 parameters are set, the model sees the 3 changed last"
    ]


def test_of_many_events_the_latest_are_seen_in_order_of_time(conditioner: Conditioner) -> None:
    events = tuple(Event("shot", T0 + 0.01 * index) for index in (3, 1, 5, 0, 2, 4))
    out = conditioner(Snapshot(T0, T1, events=events))
    times = out.times[EVENT_0 : EVENT_0 + EVENT_SLOTS]
    assert times == pytest.approx([0.02, 0.03, 0.04, 0.05], abs=1e-6)


def test_a_frame_is_encoded_once_while_it_is_visible(
    conditioner: Conditioner, image: CountingImageEncoder
) -> None:
    frames = [frame(T0 + 0.2 * index, shade=20 + index) for index in range(10)]
    for index in range(len(frames)):
        visible = tuple(frames[max(0, index - 3) : index + 1])
        conditioner(Snapshot(T0, T1, frames=visible))
        assert image.asked == index + 1
    conditioner(Snapshot(T0, T1))
    conditioner(Snapshot(T0, T1, frames=tuple(frames[-1:])))
    assert image.asked == len(frames)  # others may have been asked about meanwhile
    conditioner(Snapshot(T0, T1, frames=tuple(frames[:1])))
    assert image.asked == len(frames) + 1  # it was long out of sight, so it was forgotten


def test_a_frame_that_was_looked_at_ahead_is_not_encoded_again(
    conditioner: Conditioner, image: CountingImageEncoder
) -> None:
    shown = frame(T0, shade=90)
    conditioner.look(shown.pixels)
    assert image.asked == 1
    ahead = conditioner(Snapshot(T0, T1, frames=(shown,)))
    assert image.asked == 1
    again = frame(T0, shade=90)
    np.testing.assert_array_equal(
        ahead.frames, conditioner(Snapshot(T0, T1, frames=(again,))).frames
    )


def test_more_frames_than_slots_keep_the_newest(
    conditioner: Conditioner, image: CountingImageEncoder
) -> None:
    frames = tuple(frame(9.0 + 0.2 * index, shade=40 * index) for index in range(6))
    out = conditioner(Snapshot(T0, T1, frames=frames))
    assert image.asked == FRAME_SLOTS
    assert out.times[FRAME_0:] == pytest.approx([-0.6, -0.4, -0.2, 0.0], abs=1e-6)


def test_an_event_moves_into_the_past_chunk_by_chunk(conditioner: Conditioner) -> None:
    world = World(lambda: 0.0)
    world.post_event("shot", at=0.2)
    times = []
    for chunk in range(9):
        out = conditioner(world.snapshot(chunk * 0.16, (chunk + 1) * 0.16))
        times.append(float(out.times[EVENT_0]) if out.present[EVENT_0] else None)
    assert times[0] is None
    assert times[1:8] == pytest.approx([0.2 - 0.16 * chunk for chunk in range(1, 8)], abs=1e-6)
    assert times[8] is None
