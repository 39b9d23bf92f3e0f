"""Layers over time, and who makes foley."""

import pytest

from diegetic.errors import DiegeticError
from diegetic.layers import some_layers
from diegetic.world import RING, World


def asked(world: World, time: float) -> frozenset[str]:
    return world.snapshot(time - 0.01, time + 0.01).layers


def test_layers_are_those_that_were_set_last_and_all_are_none() -> None:
    world = World(lambda: 0.0)
    assert asked(world, 0.0) == frozenset()
    assert world.set_layers(["music", "foley"], at=0.0)
    assert not world.set_layers(("foley", "music", "foley"), at=0.0)
    assert world.set_layers({"ambience"}, at=1.0)
    assert asked(world, 0.5) == {"music", "foley"}
    assert asked(world, 1.5) == {"ambience"}
    assert world.set_layers(iter(("foley", "music", "ambience")), at=2.0)
    assert not world.set_layers((), at=2.0)
    assert asked(world, 2.5) == frozenset()
    assert world.counters.layers == 5


def test_foley_that_is_made_elsewhere_is_asked_for_only_while_an_event_is_left_here() -> None:
    world = World(lambda: 0.0)
    assert world.leave_foley()
    assert not world.leave_foley()
    world.post_event("thunder", at=1.0)
    assert asked(world, 0.9) == {"ambience", "music"}
    assert asked(world, 1.5) == frozenset()
    assert asked(world, 1.6 + RING) == {"ambience", "music"}


def test_layers_that_were_set_win_over_who_makes_foley() -> None:
    world = World(lambda: 0.0)
    world.leave_foley()
    assert not world.set_layers(["music", "ambience"], at=0.0)
    assert world.set_layers([], at=1.0)
    world.post_event("thunder", at=0.0)
    assert asked(world, 0.5) == {"ambience", "music"}
    assert asked(world, 1.5) == frozenset()


@pytest.mark.parametrize(
    ("layers", "got"),
    [("music", "'music'"), (None, "None"), (["music", 7], "7"), ([["music"]], r"\['music'\]")],
)
def test_what_are_no_layers_is_refused(layers: object, got: str) -> None:
    with pytest.raises(DiegeticError, match=f"a list of some of ambience, music, foley, got {got}"):
        some_layers(layers)  # type: ignore[arg-type]
