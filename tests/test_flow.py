"""From noise to data: the right end, in the order that is promised."""

import numpy as np
import pytest

from diegetic.flow import flow_times, follow_flow
from diegetic.networks import FloatArray


def test_evaluations_go_from_noise_to_data_and_lie_closer_at_the_noisy_end() -> None:
    times = flow_times(4)
    assert times == pytest.approx([1.0, 6 / 7, 2 / 3, 2 / 5, 0.0])
    assert flow_times(1) == [1.0, 0.0]


def test_a_straight_flow_is_followed_exactly() -> None:
    noise = np.linspace(-1, 1, 7, dtype=np.float32)
    for nfe in (1, 2, 4):
        data = follow_flow(lambda x, t: np.ones_like(x), noise, nfe)
        np.testing.assert_allclose(data, noise - 1, atol=1e-6)


def test_twice_the_evaluations_leave_a_quarter_of_the_error() -> None:
    """dx/dt = 2 t x: x(0) = x(1) / e. Euler's method would leave half."""

    def velocity(x: FloatArray, t: float) -> FloatArray:
        return np.float32(2 * t) * x

    noise = np.ones(1, np.float32)
    errors = [abs(float(follow_flow(velocity, noise, nfe)[0]) - np.exp(-1)) for nfe in (8, 16, 32)]
    assert errors[0] / errors[1] > 3.2
    assert errors[1] / errors[2] > 3.2


def test_each_time_is_asked_once() -> None:
    asked: list[float] = []

    def velocity(x: FloatArray, t: float) -> FloatArray:
        asked.append(t)
        return x

    follow_flow(velocity, np.ones(1, np.float32), 4)
    assert asked == flow_times(4)[:-1]
