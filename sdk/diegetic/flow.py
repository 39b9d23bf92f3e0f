"""Follow a flow from noise to latents in few evaluations.

Rectified flow (arXiv 2209.03003): x_t = (1 - t) data + t noise, and the network knows dx/dt.

The step from t to s takes the velocity here and the one before: (s - t) (v + b (v - v_before)).
For few evaluations times and factors b are fitted (`diegetic.training.solver`) so that for normally
distributed data of any spread that our latents have, .15 to 4, the result has that spread within
1 % (4 evaluations; 3: 7 %). Adams and Bashforth's factors on as many steps lose up to 80 % of it
where the spread is small: rain gets smooth. For more evaluations than were fitted they are used
after all (Hairer, Norsett, Wanner: Solving Ordinary Differential Equations I, section III.5,
variable steps).

A student (`diegetic.training.student`) was trained on even steps without factors. Each of its
evaluations guesses the data, and a part of the way there is gone (DDIM, arXiv 2010.02502, in the
words of rectified flow); the noise that a stream starts from is all that is random. It goes the
ways that it was trained on and no others: between them nothing says how good it would be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from diegetic.errors import DiegeticError
from diegetic.networks import FloatArray

USUAL_NFE = 4  # evaluations per chunk where nobody asks for a number,
STUDENT_NFE = 2  # and of a student
STUDENT_WAYS = (1, 2, 4)  # evaluations that a student is trained with; each has the times before it


@dataclass(frozen=True)
class Solver:
    """`times` of the evaluations and the end, from 1 (noise) to 0; `factors`, one a step."""

    times: tuple[float, ...]
    factors: tuple[float, ...]


_FITTED = {
    1: Solver((1.0, 0.0), (0.0,)),
    2: Solver((1.0, 0.436, 0.0), (0.0, 2.001)),
    3: Solver((1.0, 0.731, 0.181, 0.0), (0.0, 0.856, 1.086)),
    4: Solver((1.0, 0.823, 0.439, 0.115, 0.0), (0.0, 0.697, 0.649, 0.952)),
}


@dataclass(frozen=True)
class Known:
    """Latents that are given: `latents` (1, T, C), where `mask` (T,) is True."""

    latents: FloatArray
    mask: NDArray[np.bool_]


def solver(nfe: int) -> Solver:
    """The solver with `nfe` evaluations."""
    if nfe in _FITTED:
        return _FITTED[nfe]
    times = np.linspace(1.0, 0.0, nfe + 1)
    steps = -np.diff(times)
    factors = np.concatenate(([0.0], steps[1:] / (2 * steps[:-1])))
    return Solver(tuple(times.tolist()), tuple(factors.tolist()))


def student_solver(nfe: int) -> Solver:
    """The way that a student goes with `nfe` evaluations, one of `STUDENT_WAYS`.

    Raises:
        DiegeticError: no student was trained with that many.
    """
    if nfe not in STUDENT_WAYS:
        *some, last = STUDENT_WAYS
        raise DiegeticError(
            f"nfe must be {', '.join(map(str, some))} or {last} with the weights of a student, "
            f"which was trained with no other, got {nfe}"
        )
    return Solver(tuple(np.linspace(1.0, 0.0, nfe + 1).tolist()), (0.0,) * nfe)


def usual_evaluations(distilled: bool) -> int:
    """Evaluations per chunk of a student, or of a teacher, where nobody asks for a number."""
    return STUDENT_NFE if distilled else USUAL_NFE


def follow_flow(
    velocity: Callable[[FloatArray, float], FloatArray],
    noise: FloatArray,
    way: Solver,
    known: Known | None = None,
) -> FloatArray:
    """Integrate dx/dt = `velocity`(x, t) from `noise` (1, T, C) at t = 1 to t = 0.

    What is `known` is put, as noisy as the rest, in its place before each evaluation (as in
    RePaint, arXiv 2201.09865), and comes out as it is.
    """
    x, before = noise, None
    for t, after, factor in zip(way.times, way.times[1:], way.factors, strict=False):
        if known is not None:
            noisy = (1 - t) * known.latents + t * noise
            x = np.where(known.mask[:, None], noisy, x)
        now = velocity(x, t)
        slope = now if before is None else now + factor * (now - before)
        x = cast(FloatArray, x + (after - t) * slope)
        before = now
    return x if known is None else np.where(known.mask[:, None], known.latents, x)
