"""Fit the few-step solvers of `diegetic.flow`.

    python -m diegetic.training.solver [NFE ...]

For data that is normally distributed with spread s the velocity is known in closed form,

    v(x, t) = x (t - (1 - t) s²) / (t² + (1 - t)² s²),

and a solver turns noise of spread 1 into data of spread r(s). Times and factors are chosen so that
the mean of log(r(s) / s)² over the spreads that latents have is least. (A mean other than zero is
carried exactly by every consistent solver.) The idea of a solver fitted to its problem is that of
bespoke solvers (arXiv 2310.19075).
"""

import argparse
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from diegetic.flow import Solver, follow_flow, solver

SPREADS = np.geomspace(0.15, 4.0, 16)
STARTS = 30
_SMALL = 1e-4  # weight of the factors' squares: among equals the calmest


def gaussian_velocity(x: Any, t: float, spreads: NDArray[np.float64]) -> Any:
    """Velocity at `x` (..., S) of data with `spreads` (S,)."""
    variance = np.square(spreads)
    return x * (t - (1 - t) * variance) / (t * t + (1 - t) ** 2 * variance)


def spread_ratios(way: Solver, spreads: NDArray[np.float64]) -> NDArray[np.float64]:
    """What `way` makes of each of `spreads` (S,), against what it should be."""
    noise: Any = np.ones((1, 1, len(spreads)))  # finer than live: slopes are taken of it
    made = follow_flow(lambda x, t: gaussian_velocity(x, t, spreads), noise, way)
    return np.asarray(made[0, 0] / spreads, np.float64)


def fit_solver(nfe: int, seed: int = 0) -> Solver:
    """The best of `STARTS` descents from random beginnings."""
    rng = np.random.default_rng(seed)

    def unpack(values: NDArray[np.float64]) -> Solver:
        steps = np.exp(values[:nfe])
        inner = 1 - np.cumsum(steps / steps.sum())[:-1]
        return Solver((1.0, *map(float, inner), 0.0), (0.0, *map(float, -values[nfe:])))

    def cost(values: NDArray[np.float64]) -> float:
        ratios = spread_ratios(unpack(values), SPREADS)
        wrong = np.log(np.abs(ratios) + 1e-3) ** 2 + 4.0 * (ratios < 0)
        return float(wrong.mean() + _SMALL * np.square(values[nfe:]).sum())

    starts = (
        np.concatenate((rng.normal(0, 0.4, nfe), rng.normal(-0.3, 0.3, nfe - 1)))
        for _ in range(STARTS)
    )
    best = min((minimize(cost, start, method="BFGS") for start in starts), key=lambda r: r.fun)
    return unpack(best.x)


def main() -> None:
    """Print fitted solvers and how well they keep spreads, beside those in use."""
    parser = argparse.ArgumentParser(description="fit the few-step solvers of diegetic.flow")
    parser.add_argument("nfe", type=int, nargs="*", default=[2, 3, 4])
    for nfe in parser.parse_args().nfe:
        for name, way in (("fitted", fit_solver(nfe)), ("in use", solver(nfe))):
            ratios = spread_ratios(way, SPREADS)
            sys.stdout.write(
                f"{nfe} {name}: times {np.round(way.times, 3)}, factors {np.round(way.factors, 3)},"
                f" spread kept {ratios.min():.3f} .. {ratios.max():.3f}\n"
            )


if __name__ == "__main__":
    main()
