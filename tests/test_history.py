"""Ramps that meet each other, and that outlive their past."""

import pytest

from diegetic.world import World


def threat(world: World, time: float) -> float:
    return world.snapshot(time - 0.01, time + 0.01).parameters["threat"]


def test_a_ramp_that_interrupts_another_starts_at_the_present_value() -> None:
    world = World(lambda: 0.0)
    world.declare_parameter("threat")
    world.set_parameter("threat", 1.0, ramp=1.0, at=0.0)
    world.set_parameter("threat", 0.0, ramp=1.0, at=0.5)
    values = [threat(world, time) for time in (0.25, 0.5, 1.0, 1.5)]
    assert values == pytest.approx([0.25, 0.5, 0.25, 0.0])


def test_ramps_do_not_depend_on_the_order_in_which_they_arrive() -> None:
    moves = [(0.0, 1.0), (0.5, 0.2), (0.9, 0.8)]
    curves = []
    for order in (moves, moves[::-1]):
        world = World(lambda: 0.0)
        world.declare_parameter("threat")
        for at, value in order:
            world.set_parameter("threat", value, ramp=1.0, at=at)
        curves.append([threat(world, t / 10) for t in range(25)])
    assert curves[0] == pytest.approx(curves[1])


def test_a_long_ramp_survives_that_its_past_is_forgotten() -> None:
    world = World(lambda: 0.0)
    world.declare_parameter("threat")
    world.set_parameter("threat", 1.0, ramp=100.0, at=0.0)
    for second in range(100):
        assert threat(world, second) == pytest.approx(second / 100)


def test_a_message_from_before_all_memory_does_not_bend_a_ramp() -> None:
    world = World(lambda: 0.0)
    world.declare_parameter("threat")
    world.set_parameter("threat", 1.0, ramp=100.0, at=0.0)
    threat(world, 50.0)
    world.set_parameter("threat", 0.7, at=-20.0)
    assert threat(world, 50.0) == pytest.approx(0.5)
