import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegetic.mixer.commands import SetListener, Vector
from diegetic.mixer.spatial import FARTHEST, Listener, ear_gains, listener, transfer

HERE = Listener()
COORDINATE = st.floats(-1e6, 1e6)


def placed(position: Vector, ears: Listener = HERE) -> tuple[float, float]:
    """The factors for a mono clip, (left, right)."""
    matrix = transfer(1.0, position, 0.0, ears)
    return float(matrix[0, :2].sum()), float(matrix[1, :2].sum())


def test_straight_ahead_at_a_metre_is_as_unplaced() -> None:
    assert placed((0.0, 0.0, -1.0)) == pytest.approx((1.0, 1.0))
    unplaced = transfer(1.0, None, 0.0, HERE)
    assert unplaced.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]


def test_right_is_right_and_behind_is_as_before() -> None:
    assert placed((1.0, 0.0, 0.0)) == pytest.approx((0.0, math.sqrt(2)), abs=1e-6)
    assert placed((-1.0, 0.0, 0.0)) == pytest.approx((math.sqrt(2), 0.0), abs=1e-6)
    assert placed((0.6, 0.0, 0.8)) == pytest.approx(placed((0.6, 0.0, -0.8)))
    assert placed((0.0, 1.0, 0.0)) == pytest.approx((1.0, 1.0))


@given(st.floats(0, 2 * math.pi), st.floats(1, 90))
def test_power_depends_on_distance_alone(azimuth: float, distance: float) -> None:
    left, right = placed((distance * math.sin(azimuth), 0.0, distance * math.cos(azimuth)))
    assert left**2 + right**2 == pytest.approx(2 / distance**2, rel=1e-5)


def test_half_as_far_is_six_decibels_more_between_one_metre_and_the_farthest() -> None:
    near, far = placed((0.0, 0.0, -4.0)), placed((0.0, 0.0, -8.0))
    assert near[0] / far[0] == pytest.approx(2.0)
    assert placed((0.0, 0.0, -0.1)) == pytest.approx((1.0, 1.0))
    assert placed((0.0, 0.0, -5 * FARTHEST)) == pytest.approx(placed((0.0, 0.0, -FARTHEST)))


def test_passing_through_the_head_does_not_jump() -> None:
    path = [placed((x / 100, 0.0, 0.0)) for x in range(-200, 201)]
    steps = [abs(b[0] - a[0]) for a, b in pairwise(path)]
    assert max(steps) < 0.05


def test_a_listener_that_turns_hears_the_world_turn() -> None:
    east = listener(SetListener(forward=(2.0, 0.0, 0.0)))  # north, -z, is at the left
    assert placed((0.0, 0.0, -1.0), east) == pytest.approx((math.sqrt(2), 0.0), abs=1e-6)
    upside_down = listener(SetListener(up=(0.0, -3.0, 0.0)))
    assert placed((1.0, 0.0, 0.0), upside_down) == pytest.approx((math.sqrt(2), 0.0), abs=1e-6)
    away = listener(SetListener(position=(10.0, 0.0, 0.0)))
    assert placed((9.0, 0.0, 0.0), away) == pytest.approx((math.sqrt(2), 0.0), abs=1e-6)


@given(st.tuples(COORDINATE, COORDINATE, COORDINATE), st.tuples(COORDINATE, COORDINATE, COORDINATE))
def test_every_place_has_finite_gains(position: Vector, ears: Vector) -> None:
    left, right = ear_gains(position, Listener(ears))
    assert 0 <= left <= 0.71 + 1e-9
    assert -1e-9 <= right <= 0.71


@given(st.floats(0, 1))
def test_occlusion_shares_the_sound_between_dry_and_muffled(occlusion: float) -> None:
    matrix = transfer(1.0, None, occlusion, HERE)
    kept = 10 ** (-6 * occlusion / 20)
    assert matrix[0, 0] + matrix[0, 2] == pytest.approx(kept, rel=1e-5)
    assert matrix[0, 2] == pytest.approx(kept * occlusion, rel=1e-5, abs=1e-7)
