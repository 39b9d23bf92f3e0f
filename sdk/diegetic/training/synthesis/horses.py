"""Horses on hard ground: four hooves a stride, in the order of the gait.

The gaits are those of M. Hildebrand, "Symmetrical gaits of horses", Science 150, 1965, and "The
quadrupedal gaits of vertebrates", BioScience 39(11), 1989: a canter has three beats, a gallop four
quick ones before a pause. A hoof is a short knock of a hollow
thing, and the noise of what it strikes: A. Farnell, "Designing Sound" (MIT Press 2010), Practical
24, where a step is one, too.
"""

import numpy as np

from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    burst,
    draw,
    length,
    noise,
    ring,
    scatter,
    staged,
)
from diegetic.training.synthesis.voice import Voice

# Strides a second, slowest and quickest, and where in a stride the hooves fall.
_CANTER = (1.6, 1.9, (0.0, 0.27, 0.3, 0.55))
_GALLOP = (1.9, 2.5, (0.0, 0.16, 0.4, 0.55))
Gait = tuple[float, float, tuple[float, ...]]


def _hoof(rng: Rng, knock: float, dull: float) -> Mono:
    """One hoof: a knock at `knock` Hz, and noise from `dull` Hz up."""
    struck = burst(rng, draw(rng, 0.05, 0.12), dull, dull * draw(rng, 1.5, 3.5))
    modes = knock * np.array([1.0, rng.uniform(1.5, 1.9), rng.uniform(2.3, 2.9)])
    hollow = ring(
        rng, modes, draw(rng, 0.032, 0.056) * np.array([1, 0.8, 0.6]), np.array([1, 0.4, 0.2])
    )
    made = np.zeros(max(len(struck), len(hollow)))
    made[: len(struck)] += draw(rng, 0.4, 1.0) * struck
    made[: len(hollow)] += draw(rng, 0.5, 1.2) * hollow
    return made


def _horse(rng: Rng, out: Mono, gait: Gait, level: float) -> None:
    """Add one horse to `out` (n, 2): whole strides, so that it loops."""
    slowest, quickest, beats = gait
    seconds = len(out) / length(1.0)
    strides = max(1, round(seconds * draw(rng, slowest, quickest)))
    hooves = [(draw(rng, 620, 1200), draw(rng, 350, 870), draw(rng, 0.6, 1.0)) for _ in beats]
    side, begin = float(rng.uniform(-0.6, 0.6)), float(rng.uniform())
    for (knock, dull, loud), beat in zip(hooves, beats, strict=True):
        times = (np.arange(strides) + (begin + beat) % 1 + rng.normal(0, 0.008, strides)) / strides
        sounds = [
            level * loud * draw(rng, 0.7, 1.0) * _hoof(rng, knock * rng.uniform(0.96, 1.04), dull)
            for _ in range(strides)
        ]
        scatter(out, list(times.clip(0) * seconds), sounds, [side] * strides)


def galloping(rng: Rng, seconds: float) -> FloatArray:
    """One to three horses at a gallop, or a canter."""
    gait = _GALLOP if rng.random() < 0.7 else _CANTER
    made = np.zeros((length(seconds), 2))
    for number in range(int(rng.integers(1, 4))):
        _horse(rng, made, gait, 1.0 if number == 0 else draw(rng, 0.3, 0.9))
    ground = noise(rng, len(made), 100, draw(rng, 1500, 6000))
    made += (draw(rng, 0.01, 0.1) * np.abs(made).max() / np.abs(ground).max()) * ground[:, None]
    return staged(rng, made, distant=0.4)


VOICES = (
    Voice("galloping horse", "bed", "footstep", ("horse", "horses"), (4.0, 7.0), (
        "a horse galloping",
        "{a horse|horses|riders|the cavalry} {galloping|at a gallop}",
        "{galloping|pounding} hooves",
        "a horse {gallops|runs} {past|by|over hard ground|}",
        "{a rider|riders} on horseback at full speed",
    ), galloping),
)  # fmt: skip
