from dataclasses import replace

import pytest

from diegetic.config import RATE
from diegetic.pending import MOST_EVENTS, Pending
from diegetic.stream import Change, ChangeKind


@pytest.mark.parametrize("kind", ["prompt", "layers"])
def test_the_newest_of_a_kind_of_which_there_is_one_replaces_the_others(kind: ChangeKind) -> None:
    pending = Pending()
    pending.note(Change(kind, "old", 1.0))
    pending.note(Change(kind, "new", 2.0))
    assert [change.name for change in pending.take(RATE, 0)] == ["new"]


def test_parameters_and_switches_replace_those_of_their_name_and_events_nothing() -> None:
    pending = Pending()
    kinds: tuple[ChangeKind, ...] = ("parameter", "switch", "event")
    for kind in kinds:
        for name, sent in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
            pending.note(Change(kind, name, sent))
    taken = [(change.name, change.sent) for change in pending.take(RATE, 0)]
    assert taken == [("b", 2.0), ("a", 3.0)] * 2 + [("a", 1.0), ("b", 2.0), ("a", 3.0)]


def test_what_replaces_something_material_that_nobody_heard_is_material() -> None:
    pending = Pending()
    jump = Change("prompt", "storm", 1.0)
    pending.note(jump)
    pending.note(replace(jump, sent=2.0, material=False))  # the same again, or a ramp from there
    assert pending.material_from() == 0
    [change] = pending.take(RATE, 0)
    assert (change.sent, change.material) == (2.0, True)
    pending.note(replace(jump, sent=3.0, material=False))
    assert pending.material_from() is None


def test_what_is_for_later_waits_for_its_chunk() -> None:
    pending = Pending()
    pending.note(Change("layers", "music", 1.0, at=0.5))
    assert pending.material_from() == RATE // 2
    assert pending.take(RATE // 2, 0) == ()
    assert len(pending.take(2 * RATE, 0)) == 1


def test_of_a_flood_of_events_some_are_noted_until_they_are_taken() -> None:
    pending = Pending()
    for _ in range(2):
        for number in range(10 * MOST_EVENTS):
            pending.note(Change("event", f"shot {number}", 1.0))
        assert len(pending.take(RATE, 0)) == MOST_EVENTS
    pending.put_back([Change("event", "shot", 1.0)])
    for number in range(10 * MOST_EVENTS):
        pending.note(Change("event", f"shot {number}", 1.0))
    pending.note(Change("prompt", "rain", 1.0))
    assert len(pending.take(RATE, 0)) == MOST_EVENTS + 1
