"""Takes in the making, with a generator of clicks."""

import numpy as np
import pytest

from bank_generator import ClickGenerator, event_conditioner
from diegetic.bank import EventSpec, Variant, VariationMaker
from diegetic.bank.maker import ATTEMPTS, LEAD
from diegetic.bank.prepare import TARGET_LUFS, momentary_lufs
from diegetic.config import RATE
from diegetic.snapshot import Conditioning, FloatArray, Snapshot

SHOT = EventSpec("shot")


def make(
    generator: ClickGenerator, spec: EventSpec = SHOT, number: int = 0, seed: int = 0
) -> FloatArray:
    making = VariationMaker(lambda: (generator, event_conditioner), seed).begin(
        spec, Variant(spec.name), number
    )
    for calls in range(1, 200):
        clip = making.step()
        assert generator.calls == calls  # one chunk a step
        if clip is not None:
            return clip
    raise AssertionError("a take must end")


def test_a_take_is_a_clip_that_starts_at_once_and_is_of_one_loudness() -> None:
    clip = make(ClickGenerator(decay=0.2))
    assert np.argmax(np.abs(clip[:, 0]) > 0.1 * np.abs(clip).max()) <= RATE // 1000
    assert momentary_lufs(clip) == pytest.approx(TARGET_LUFS, abs=0.1)


def test_a_take_ends_with_its_sound() -> None:
    short, long = ClickGenerator(decay=0.01), ClickGenerator(decay=10.0)
    assert len(make(short, EventSpec("shot", length=2.0))) < 0.2 * RATE
    assert len(make(long, EventSpec("shot", length=2.0))) == 2 * RATE
    assert short.calls < long.calls / 3


def test_a_take_depends_on_seed_name_words_and_number_alone() -> None:
    generator = ClickGenerator()
    first = make(generator)
    generator.calls = 0
    np.testing.assert_array_equal(make(generator), first)
    others = [
        make(ClickGenerator(), number=1),
        make(ClickGenerator(), seed=1),
        make(ClickGenerator(), EventSpec("shot", "a loud shot")),
        make(ClickGenerator(), EventSpec("gun", "shot")),
    ]
    for other in others:
        assert not np.array_equal(other, first)


def test_a_take_in_which_nothing_is_heard_is_made_again() -> None:
    generator = ClickGenerator(deaf=1)
    assert np.abs(make(generator)).max() > 0.1
    assert len(set(generator.seeds)) == 2


def test_a_sound_that_never_comes_ends_as_silence() -> None:
    generator = ClickGenerator(deaf=100)
    assert not make(generator).any()
    assert len(generator.seeds) == ATTEMPTS


def test_the_event_is_said_as_long_as_in_training_and_silence_around_it() -> None:
    said: list[Snapshot] = []

    def conditioner(snapshot: Snapshot) -> Conditioning:
        said.append(snapshot)
        return event_conditioner(snapshot)

    slow = ClickGenerator(decay=10.0)
    making = VariationMaker(lambda: (slow, conditioner)).begin(
        EventSpec("step", "step on {surface}", length=3.0),
        Variant("step", (("surface", "ice"),)),
        0,
    )
    while making.step() is None:
        pass
    assert {snapshot.prompt for snapshot in said} == {"silence"}
    assert {snapshot.layers for snapshot in said} == {frozenset({"foley"})}
    for snapshot in said:
        visible = snapshot.t0 - 1.0 < LEAD < snapshot.t1
        assert [(e.name, e.time) for e in snapshot.events] == [("step on ice", LEAD)] * visible
    assert any(snapshot.events for snapshot in said)
