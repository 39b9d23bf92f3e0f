"""Mixes of prompts: what is said becomes shares, and shares move in straight lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegetic.errors import DiegeticError
from diegetic.prompts import (
    LEAST_SHARE,
    MAX_TEXTS,
    NOTHING,
    Mix,
    Prompts,
    between,
    distance,
    in_words,
    mix_of,
    prompt_and_blend,
)
from diegetic.world import World

WORDS = ("", "rain", "wind", "fire", "silence", "a stream")
WEIGHTS = st.dictionaries(
    st.sampled_from(WORDS[1:]), st.floats(1e-300, 1e300), min_size=1, max_size=MAX_TEXTS
)
MIXES = st.one_of(st.sampled_from(WORDS).map(mix_of), WEIGHTS.map(mix_of))


def check(mix: Mix) -> None:
    shares = [share for _, share in mix]
    assert 1 <= len(mix) <= MAX_TEXTS
    assert len(dict(mix)) == len(mix)
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) > 0
    assert shares == sorted(shares, reverse=True)


def test_weights_become_shares_heaviest_first() -> None:
    assert mix_of({"wind": 1, "rain": 3}) == (("rain", 0.75), ("wind", 0.25))
    assert mix_of(" rain ") == mix_of({"rain": 7.0}) == (("rain", 1.0),)
    assert mix_of({"rain": 1, "wind": 2, " rain": 3}) == (("rain", 4 / 6), ("wind", 2 / 6))
    assert mix_of("") == mix_of(" \n") == NOTHING


@given(old=MIXES, new=MIXES, share=st.floats(0.0, 1.0))
def test_all_that_lies_between_two_mixes_is_a_mix(old: Mix, new: Mix, share: float) -> None:
    check(old)
    check(between(old, new, share))
    assert 0.0 <= distance(old, new) <= 1.0 + 1e-9
    assert distance(old, old) == 0.0
    assert distance(old, new) == pytest.approx(distance(new, old))


@given(old=MIXES, new=MIXES, share=st.floats(0.0, 1.0))
def test_a_snapshot_gets_no_more_than_it_has_slots_for_and_the_prompt_leads(
    old: Mix, new: Mix, share: float
) -> None:
    prompt, blend = prompt_and_blend(between(old, new, share))
    rest = 1.0 - sum(part for _, part in blend)
    assert len(blend) < MAX_TEXTS
    assert all(LEAST_SHARE * 0.98 <= part <= rest + 1e-9 for _, part in blend)
    assert prompt not in dict(blend)
    assert "" not in (dict(blend) if prompt else dict(blend) | {"x": 1})


def test_shares_move_in_straight_lines_and_texts_that_leave_go() -> None:
    prompts = Prompts()
    prompts.move(0.0, mix_of("rain"), 0.0)
    prompts.move(1.0, mix_of({"wind": 3, "rain": 1}), 4.0)
    for time, rain in ((0.9, 1.0), (1.0, 1.0), (2.0, 1 - 0.75 / 4), (4.0, 1 - 0.75 * 3 / 4)):
        assert dict(prompts.value(time))["rain"] == pytest.approx(rain)
    assert prompts.value(5.0) == (("wind", 0.75), ("rain", 0.25))
    prompts.move(6.0, mix_of("fire"), 1.0)
    assert dict(prompts.value(6.5)) == pytest.approx({"fire": 0.5, "wind": 0.375, "rain": 0.125})
    assert prompts.value(7.0) == (("fire", 1.0),)


def test_a_morph_that_interrupts_another_starts_from_what_is_heard() -> None:
    prompts = Prompts()
    prompts.move(0.0, mix_of("rain"), 0.0)
    prompts.move(0.0, mix_of("wind"), 2.0)
    prompts.move(1.0, mix_of("rain"), 1.0)
    assert [dict(prompts.value(time)).get("wind", 0.0) for time in (0.5, 1.0, 1.5, 2.0)] == [
        pytest.approx(share) for share in (0.25, 0.5, 0.25, 0.0)
    ]


def test_of_too_many_texts_the_heaviest_stay() -> None:
    old, new = mix_of({"rain": 5, "wind": 4, "fire": 1}), mix_of({"bees": 6, "rats": 4})
    mix = dict(between(old, new, 0.4))  # .3, .24, .06 and .24, .16
    assert mix == pytest.approx({"rain": 0.3 / 0.78, "wind": 0.24 / 0.78, "bees": 0.24 / 0.78})
    assert set(dict(between(old, new, 0.01))) == {"rain", "wind", "fire"}
    assert set(dict(between(old, new, 0.99))) == {"bees", "rats", "rain"}


def test_nothing_is_silence_as_a_part_of_a_mix_and_nothing_alone() -> None:
    assert prompt_and_blend(NOTHING) == ("", ())
    half = between(NOTHING, mix_of("rain"), 0.25)
    assert prompt_and_blend(half) == ("silence", (("rain", 0.25),))
    assert prompt_and_blend(between(NOTHING, mix_of("rain"), 0.001)) == ("", ())
    both = between(mix_of({"silence": 1, "rain": 2}), NOTHING, 0.5)
    prompt, [(text, share)] = prompt_and_blend(both)
    assert (prompt, text) == ("silence", "rain")
    assert share == pytest.approx(1 / 3)


def test_a_share_that_is_not_worth_a_slot_is_left_out() -> None:
    assert prompt_and_blend(mix_of({"rain": 0.995, "wind": 0.005})) == ("rain", ())
    assert prompt_and_blend(mix_of({"rain": 0.98, "wind": 0.02}))[1] == (("wind", 0.02),)


def test_a_mix_in_words() -> None:
    assert in_words(*prompt_and_blend(mix_of("rain"))) == "rain"
    assert in_words(*prompt_and_blend(mix_of({"wind": 1, "rain": 3}))) == "rain 75%, wind 25%"


def test_several_prompts_have_shares_and_the_heaviest_leads() -> None:
    world = World(lambda: 0.0)
    world.set_prompt({"wind": 1.0, "rain": 3.0})
    snapshot = world.snapshot(0.0, 0.16)
    assert (snapshot.prompt, snapshot.blend) == ("rain", (("wind", 0.25),))
    world.set_prompt("storm")
    snapshot = world.snapshot(0.0, 0.16)
    assert (snapshot.prompt, snapshot.blend) == ("storm", ())


def test_a_ramped_prompt_is_that_of_the_middle_of_each_chunk() -> None:
    world = World(lambda: 0.0)
    world.set_prompt("rain", at=0.0)
    world.set_prompt({"wind": 1}, at=1.0, ramp=2.0)
    blends = [world.snapshot(t0, t0 + 0.2) for t0 in (0.8, 1.4, 2.2, 2.9)]
    assert [snapshot.prompt for snapshot in blends] == ["rain", "rain", "wind", "wind"]
    assert [dict(snapshot.blend) for snapshot in blends] == [
        {},
        pytest.approx({"wind": 0.25}),
        pytest.approx({"rain": 0.35}),
        {},
    ]
    late = world.snapshot(2.2, 2.4, heard_from=2.3)
    assert dict(late.blend) == pytest.approx({"rain": 0.325})


def test_a_long_morph_survives_that_its_past_is_forgotten() -> None:
    world = World(lambda: 0.0)
    world.set_prompt("rain", at=0.0)
    world.set_prompt("wind", at=0.0, ramp=100.0)
    for second in (10, 30, 49):
        assert dict(world.snapshot(second - 0.01, second + 0.01).blend) == pytest.approx(
            {"wind": second / 100}
        )


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (7, "prompt must be text, or texts and their weights, got int"),
        (["rain"], "prompt must be text, or texts and their weights, got list"),
        ({}, "prompt must be 1 to 3 texts, got 0"),
        (dict.fromkeys("abcd", 1.0), "prompt must be 1 to 3 texts, got 4"),
        ({"": 1.0}, "text of the prompt must not be empty, got ''"),
        ({"rain": 1.0, " ": 1.0}, "text of the prompt must not be empty, got ' '"),
        ({7: 1.0}, "text of the prompt must be text, got int"),
        ({"x" * 2001: 1.0}, "text of the prompt must have at most 2000 characters, got 2001"),
        ({"rain": 0.0}, "weight of 'rain' must be above 0, got 0.0"),
        ({"rain": -1.0}, "weight of 'rain' must be above 0, got -1.0"),
        ({"rain": float("nan")}, "weight of 'rain' must be a finite number, got nan"),
        ({"rain": float("inf")}, "weight of 'rain' must be a finite number, got inf"),
        ({"rain": "much"}, "weight of 'rain' must be a finite number, got 'much'"),
        ({"rain": None}, "weight of 'rain' must be a finite number, got None"),
    ],
)
def test_what_is_no_prompt_is_refused(prompt: object, message: str) -> None:
    with pytest.raises(DiegeticError, match=message):
        mix_of(prompt)  # type: ignore[arg-type]
