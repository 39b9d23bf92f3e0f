"""The order in which takes are made, as a pure function."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegetic.bank.declaration import EventSpec, Variant
from diegetic.bank.plan import WORN, Take, next_want, slots

MEMORY = 64 * 2**20
STEP = EventSpec("footstep", "footstep on {surface}", variations=3)
SHOT = EventSpec("shot", variations=2)
ALLOWED = {"surface": ("concrete", "grass", "metal")}
GRASS = {"surface": "grass"}

Held = dict[Variant, list[Take]]


def on(surface: str) -> Variant:
    return Variant("footstep", (("surface", surface),))


def prepare_all(
    specs: list[EventSpec],
    present: dict[str, str],
    allowed: dict[str, tuple[str, ...]],
    memory: int,
) -> list[Variant]:
    """Make what is wanted until nothing is; return it in order."""
    made: list[Variant] = []
    held: Held = defaultdict(list)
    wanted = slots(specs, present, allowed, memory)
    while want := next_want(wanted, held):
        held[want.variant].append(Take(len(made), 0))
        made.append(want.variant)
        assert len(made) <= len(wanted)
    return made


def test_all_events_come_once_before_any_comes_twice_and_neighbours_after_that() -> None:
    made = prepare_all([STEP, SHOT], GRASS, ALLOWED, MEMORY)
    grass, shot = on("grass"), Variant("shot")
    others = [on("concrete"), on("metal")]
    assert made == [grass, shot, grass, shot, grass, *others, *others, *others]


def test_nothing_more_is_wanted_when_all_is_there() -> None:
    held = {on("grass"): [Take(0, 0)]}
    one = EventSpec("footstep", STEP.text, variations=1)
    assert next_want(slots([one], GRASS, {}, MEMORY), held) is None


def test_an_event_that_was_posted_in_vain_comes_first() -> None:
    wanted = slots([STEP, SHOT], GRASS, ALLOWED, MEMORY)
    hurried = next_want(wanted, {}, [on("metal")])
    assert hurried is not None
    assert hurried.variant == on("metal")


def test_hurry_ends_with_the_first_take() -> None:
    wanted = slots([STEP, SHOT], GRASS, ALLOWED, MEMORY)
    want = next_want(wanted, {on("metal"): [Take(0, 0)]}, [on("metal")])
    assert want is not None
    assert want.variant == on("grass")


def test_what_no_slot_is_for_cannot_be_hurried() -> None:
    want = next_want(slots([STEP], GRASS, {}, MEMORY), {}, [on("lava")])
    assert want is not None
    assert want.variant == on("grass")


def test_the_most_worn_take_is_replaced_when_nothing_is_missing() -> None:
    one = EventSpec("shot", variations=3)
    held = {Variant("shot"): [Take(0, WORN), Take(1, WORN + 1), Take(2, WORN + 1)]}
    want = next_want(slots([one], {}, {}, MEMORY), held)
    assert want is not None
    assert want.replaces == 1  # of two alike the older


def test_a_take_that_is_not_worn_stays() -> None:
    one = EventSpec("shot", variations=1)
    wanted = slots([one], {}, {}, MEMORY)
    assert next_want(wanted, {Variant("shot"): [Take(0, WORN - 1)]}) is None


def test_a_missing_take_comes_before_a_fresh_one() -> None:
    held = {Variant("shot"): [Take(0, 100), Take(1, 100)]}
    want = next_want(slots([SHOT, STEP], GRASS, {}, MEMORY), held)
    assert want is not None
    assert (want.variant, want.replaces) == (on("grass"), None)


def test_little_memory_goes_to_first_takes() -> None:
    wanted = slots([STEP, SHOT], GRASS, ALLOWED, STEP.max_bytes * 2)
    assert [(slot.variant.name, slot.index) for slot in wanted] == [("footstep", 0), ("shot", 0)]


def test_a_take_that_is_too_long_lets_shorter_ones_pass() -> None:
    long, short = EventSpec("long", length=4.0), EventSpec("short", length=0.1, variations=1)
    assert [slot.spec for slot in slots([long, short], {}, {}, short.max_bytes)] == [short]


def test_a_switch_that_no_event_depends_on_makes_no_neighbours() -> None:
    assert len(slots([SHOT], GRASS, ALLOWED, MEMORY)) == SHOT.variations


names = st.sampled_from(["a", "b", "c"])
templates = st.sampled_from(["", "x", "x {surface}", "{surface} {gait}", "{gait}"])
specs = st.lists(
    st.builds(
        EventSpec,
        name=st.sampled_from(["e1", "e2", "e3", "e4"]),
        text=templates,
        variations=st.integers(1, 4),
        length=st.sampled_from([0.05, 0.31, 1.0]),
    ),
    max_size=4,
    unique_by=lambda spec: spec.name,
)
allowed = st.dictionaries(
    st.sampled_from(["surface", "gait"]), st.lists(names, max_size=3).map(tuple)
)


@settings(max_examples=40, deadline=None)
@given(specs, st.dictionaries(st.sampled_from(["surface", "gait"]), names), allowed)
def test_every_value_of_every_switch_is_prepared_in_the_end(
    specs: list[EventSpec], present: dict[str, str], allowed: dict[str, tuple[str, ...]]
) -> None:
    made = prepare_all(specs, present, allowed, MEMORY)
    for spec in specs:
        turned = [
            {**present, switch: value}
            for switch in spec.switches
            for value in allowed.get(switch, ())
        ]
        for values in [present, *turned]:
            assert made.count(spec.variant(values)) == spec.variations


@settings(max_examples=40, deadline=None)
@given(specs, allowed, st.integers(0, 3_000_000))
def test_what_is_wanted_always_fits_memory(
    specs: list[EventSpec], allowed: dict[str, tuple[str, ...]], memory: int
) -> None:
    wanted = slots(specs, {}, allowed, memory)
    assert sum(slot.spec.max_bytes for slot in wanted) <= memory
    assert len({(slot.variant, slot.index) for slot in wanted}) == len(wanted)


@pytest.mark.parametrize("events", [0, 256])
def test_a_plan_for_any_number_of_events_ends(events: int) -> None:
    many = [EventSpec(f"e{n}", "{a} {b}", variations=16, length=4.0) for n in range(events)]
    values = {switch: tuple(map(str, range(256))) for switch in "ab"}
    assert len(slots(many, {}, values, MEMORY)) <= MEMORY // EventSpec("x", length=4.0).max_bytes
