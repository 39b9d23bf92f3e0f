"""From noise to data: the right end, in the order that is promised, spreads kept."""

import numpy as np
import pytest

from diegetic.flow import Known, follow_flow, solver
from diegetic.networks import FloatArray
from diegetic.training.solver import SPREADS, fit_solver, spread_ratios


@pytest.mark.parametrize("nfe", [1, 2, 3, 4, 5, 8, 32])
def test_evaluations_go_from_noise_to_data(nfe: int) -> None:
    way = solver(nfe)
    assert (way.times[0], way.times[-1]) == (1.0, 0.0)
    assert len(way.times) == nfe + 1
    assert len(way.factors) == nfe
    assert all(a > b for a, b in zip(way.times, way.times[1:], strict=False))


def test_a_straight_flow_is_followed_exactly() -> None:
    noise = np.linspace(-1, 1, 7, dtype=np.float32)[None, :, None]
    for nfe in (1, 2, 4, 16):
        data = follow_flow(lambda x, t: np.ones_like(x), noise, solver(nfe))
        np.testing.assert_allclose(data, noise - 1, atol=1e-6)
        assert data.dtype == np.float32


def test_twice_the_evaluations_leave_a_quarter_of_the_error() -> None:
    """dx/dt = 2 t x: x(0) = x(1) / e. Euler's method would leave half."""

    def velocity(x: FloatArray, t: float) -> FloatArray:
        return np.float32(2 * t) * x

    noise = np.ones((1, 1, 1), np.float32)
    errors = [
        abs(float(follow_flow(velocity, noise, solver(nfe)).item()) - np.exp(-1))
        for nfe in (8, 16, 32)
    ]
    assert errors[0] / errors[1] > 3.2
    assert errors[1] / errors[2] > 3.2


@pytest.mark.parametrize(("nfe", "off"), [(4, 0.015), (3, 0.08)])
def test_few_evaluations_keep_the_spread_of_data(nfe: int, off: float) -> None:
    """Even steps with Adams and Bashforth's factors keep 15 % of the smallest."""
    ratios = spread_ratios(solver(nfe), SPREADS)
    np.testing.assert_allclose(ratios, 1.0, atol=off)


def test_the_solvers_in_use_are_those_that_fitting_gives() -> None:
    fitted, used = fit_solver(3), solver(3)
    np.testing.assert_allclose(fitted.times, used.times, atol=2e-3)
    np.testing.assert_allclose(fitted.factors, used.factors, atol=2e-3)


def test_each_time_is_asked_once() -> None:
    asked: list[float] = []

    def velocity(x: FloatArray, t: float) -> FloatArray:
        asked.append(t)
        return x

    follow_flow(velocity, np.ones((1, 1, 1), np.float32), solver(4))
    assert asked == list(solver(4).times[:-1])


def test_what_is_known_is_kept_and_seen_as_noisy_as_the_rest() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((1, 6, 3)).astype(np.float32)
    truth = rng.standard_normal((1, 6, 3)).astype(np.float32)
    mask = np.arange(6) >= 4
    seen: list[tuple[float, FloatArray]] = []

    def velocity(x: FloatArray, t: float) -> FloatArray:
        seen.append((t, x.copy()))
        return np.ones_like(x)

    out = follow_flow(velocity, noise, solver(4), Known(truth, mask))
    np.testing.assert_array_equal(out[:, mask], truth[:, mask])
    np.testing.assert_allclose(out[:, ~mask], noise[:, ~mask] - 1, atol=1e-6)
    for t, x in seen:
        expected = (1 - t) * truth[:, mask] + t * noise[:, mask]
        np.testing.assert_allclose(x[:, mask], expected, atol=1e-6)
