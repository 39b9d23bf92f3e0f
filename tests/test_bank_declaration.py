"""What an engine may declare, and what a template says."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegetic.bank import EventSpec, Variant
from diegetic.errors import DiegeticError


def test_a_template_depends_on_the_switches_it_names_each_once() -> None:
    spec = EventSpec("step", "a {gait} step on {surface}, {gait}")
    assert spec.switches == ("gait", "surface")


def test_switch_values_fill_the_template() -> None:
    spec = EventSpec("footstep", "footstep on {surface}")
    variant = spec.variant({"surface": "grass", "weather": "rain"})
    assert variant == Variant("footstep", (("surface", "grass"),))
    assert spec.words(variant) == "footstep on grass"


def test_an_unset_switch_says_nothing() -> None:
    spec = EventSpec("footstep", "footstep on {surface}")
    assert spec.words(spec.variant({})) == "footstep on"


def test_an_event_without_text_is_its_name_in_words() -> None:
    spec = EventSpec("door_open")
    assert spec.words(spec.variant({"surface": "grass"})) == "door open"
    assert spec.switches == ()


def test_words_are_never_empty() -> None:
    for spec in (EventSpec("_"), EventSpec("x", "{surface}")):
        assert spec.words(spec.variant({})) == spec.name


def test_braces_can_be_said() -> None:
    spec = EventSpec("x", "a {{brace}}")
    assert (spec.switches, spec.words(spec.variant({}))) == ((), "a {brace}")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "event name"),
        ("name", "x" * 201, "event name"),
        ("name", 7, "event name"),
        ("text", "x" * 501, "text of event"),
        ("text", " ", "must say something"),
        ("text", "on {surface", "must be words"),
        ("text", "on {}", "must be words"),
        ("text", "on {surface!r}", "must be words"),
        ("text", "on {surface:>9}", "must be words"),
        ("text", "{a}{b}{c}{d}{e}", "at most 4 switches"),
        ("variations", 0, "variations"),
        ("variations", 17, "variations"),
        ("variations", 2.5, "variations"),
        ("variations", True, "variations"),
        ("length", 0.0, "length"),
        ("length", 4.1, "length"),
        ("length", math.nan, "length"),
        ("length", "long", "length"),
        ("gain_db", math.inf, "gain_db"),
        ("gain_db", 60.0, "gain_db"),
        ("bus", "", "bus"),
    ],
)
def test_what_is_out_of_limits_is_refused_by_name(field: str, value: object, message: str) -> None:
    with pytest.raises(DiegeticError, match=message):
        EventSpec(**{"name": "step", field: value})  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_any_text_is_a_template_or_an_error(text: str, switches: dict[str, str]) -> None:
    try:
        spec = EventSpec("x", text)
    except DiegeticError:
        return
    assert spec.words(spec.variant(switches))
