"""Clocks: an escapement that strikes wood, brass and glass at regular times.

A. Farnell, "Designing Sound" (MIT Press 2010), Practical 20, "Clocks": a tick is several contacts
within some milliseconds (the pallet unlocks, is pushed, drops), each heard through the modes of the
works and of the case; tick and tock differ because the two pallets do.
"""

import numpy as np

from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    burst,
    draw,
    length,
    ring,
    scatter,
    staged,
)
from diegetic.training.synthesis.voice import Voice


def _contact(rng: Rng, works: Mono, case: Mono, pitch: float) -> Mono:
    """One contact: modes of the works (brass, short), of the case (wood, low), and a click."""
    frequencies = np.concatenate([works, case]) * pitch
    decays = np.concatenate(
        [rng.uniform(0.005, 0.03, len(works)), rng.uniform(0.012, 0.05, len(case))]
    )
    gains = np.concatenate([rng.uniform(0.3, 1, len(works)), rng.uniform(0.05, 0.5, len(case))])
    made = ring(rng, frequencies, decays, gains)
    click = burst(rng, draw(rng, 0.005, 0.02), 1500, 14_000)[: len(made)]
    made[: len(click)] += draw(rng, 0.8, 4.0) * click
    return np.asarray(made / np.abs(made).max())


def _beats(rng: Rng, seconds: float, rate: float) -> Mono:
    """Ticks at `rate` a second, tick and tock in turn; (n, 2)."""
    works = np.sort(np.exp(rng.uniform(np.log(1500), np.log(9000), int(rng.integers(6, 14)))))
    case = np.sort(np.exp(rng.uniform(np.log(180), np.log(1200), int(rng.integers(1, 4)))))
    state = int(rng.integers(2**32))
    gaps = np.cumsum(np.append(0, rng.uniform(0.002, 0.014, int(rng.integers(1, 3)))))
    steps = np.append(1, rng.uniform(0.2, 0.8, len(gaps) - 1))
    pallets = []
    for pitch in (1.0, draw(rng, 0.7, 0.98)):
        pallet = np.zeros(length(0.25))
        for gap, step in zip(gaps, steps, strict=True):
            # The same pallet meets the same metal: every contact is drawn alike.
            sound = step * _contact(np.random.default_rng(state), works, case, pitch)
            at = length(float(gap))
            pallet[at : at + len(sound)] += sound[: len(pallet) - at]
        pallets.append(pallet)
    count = max(2, 2 * round(seconds * rate / 2))
    out = np.zeros((length(count / rate), 2))
    limp = rng.uniform(-0.04, 0.04)
    times = [(k + (limp if k % 2 else 0)) / rate + rng.normal(0, 0.0006) for k in range(count)]
    sounds = [pallets[k % 2] * rng.uniform(0.85, 1.0) for k in range(count)]
    scatter(out, [max(0.0, t) for t in times], sounds, [float(rng.uniform(-0.3, 0.3))] * count)
    hiss = rng.standard_normal(len(out))[:, None] * np.abs(out).max()
    return np.asarray(out + hiss * draw(rng, 1e-4, 1e-3))  # the room that it stands in


def clock(rng: Rng, seconds: float) -> FloatArray:
    """A pendulum clock: one or two beats a second."""
    return staged(rng, _beats(rng, seconds, draw(rng, 0.9, 2.2)), distant=0.4)


VOICES = (
    Voice("ticking clock", "bed", "door/mech", ("tick", "ticks"), (4.5, 8.0), (
        "a clock ticking",
        "a {large|wall|pendulum|grandfather|slow|wooden} clock ticking",
        "tick tock",
        "the {slow|steady|regular} ticking of {a clock|a wall clock|an old clock}",
        "a ticking clock {in a quiet room|on the wall|}",
        "clock ticking",
    ), clock),
)  # fmt: skip
