"""Follow a flow from noise to latents in few evaluations.

Rectified flow (arXiv 2209.03003): x_t = (1 - t) data + t noise, and the network knows dx/dt.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from diegetic.networks import FloatArray

SHIFT = 2.0  # towards the noise, where it is decided what kind of sound it will be


def flow_times(nfe: int) -> list[float]:
    """The `nfe` times of the evaluations and the end, from 1 (noise) to 0 (data).

    Even steps, shifted as in Esser et al. (arXiv 2403.03206, section 5.3.2).
    """
    even = (1 - k / nfe for k in range(nfe + 1))
    return [SHIFT * t / (1 + (SHIFT - 1) * t) for t in even]


def follow_flow(
    velocity: Callable[[FloatArray, float], FloatArray], noise: FloatArray, nfe: int
) -> FloatArray:
    """Integrate dx/dt = `velocity`(x, t) from `noise` at t = 1 to t = 0 in `nfe` evaluations.

    Adams-Bashforth of second order: the velocity in the middle of a step is extrapolated from this
    evaluation and the one before (Hairer, Norsett, Wanner: Solving Ordinary Differential Equations
    I, section III.5, variable steps). With four evaluations Euler's method loses what makes rain
    rough.
    """
    x, before, past = noise, None, 0.0
    for t, following in pairwise(flow_times(nfe)):
        now, step = velocity(x, t), following - t
        slope = now
        if before is not None:
            slope = now + np.float32(step / (2 * past)) * (now - before)
        x = x + np.float32(step) * slope
        before, past = now, step
    return x
