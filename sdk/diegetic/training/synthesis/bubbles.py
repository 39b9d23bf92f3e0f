"""Bubbles under water: each a sine that rises a little and dies away.

A bubble of radius r metres rings at about 3/r Hz: M. Minnaert, "On musical air-bubbles and the
sounds of running water", Philosophical Magazine 16, 1933. Its damping and its rise: K. van den
Doel, "Physically based models for liquid sounds", ACM Transactions on Applied Perception 2(4),
2005. Also A. Farnell, "Designing Sound" (MIT Press 2010), Practical 12, "Bubbles".
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    draw,
    length,
    noise,
    scatter,
    staged,
    wander,
)
from diegetic.training.synthesis.voice import Voice


def _bubble(rng: Rng, radius: float, rise: float) -> Mono:
    """One bubble of `radius` metres; van den Doel's damping, `rise` is his ξ."""
    frequency = 3.0 / radius
    damping = 0.13 / radius + 0.0072 * radius**-1.5
    time = np.arange(length(min(0.5, 7.0 / damping))) / RATE
    angle = 2 * np.pi * frequency * (time + 0.5 * rise * damping * time**2)
    made = np.sin(angle) * np.exp(-damping * time)
    attack = min(len(made), length(0.002))
    made[:attack] *= np.linspace(0, 1, attack)
    return np.asarray(made)


def _swarm(rng: Rng, out: Mono, begin: float, seconds: float, rate: float, radius: float) -> None:
    """Add bubbles to `out`, `rate` a second, of radii round `radius`; large ones are louder."""
    count = max(1, int(rng.poisson(rate * seconds)))
    rise = draw(rng, 0.05, 0.4)
    radii = np.clip(radius * np.exp(rng.normal(0, 0.45, count)), 4e-4, 2.5e-2)
    times = begin + np.sort(rng.uniform(0, seconds, count))
    sounds = [
        _bubble(rng, float(r), rise) * (float(r) / radius) ** 1.2 * draw(rng, 0.15, 1.0)
        for r in radii
    ]
    scatter(out, [float(t) for t in times], sounds, list(rng.uniform(-0.8, 0.8, count)))


def rising(rng: Rng, seconds: float) -> FloatArray:
    """Bubbles that rise all the time, heard under water."""
    out = np.zeros((length(seconds), 2))
    for _ in range(int(rng.integers(1, 4))):
        _swarm(rng, out, 0.0, seconds, draw(rng, 6, 60), draw(rng, 2e-3, 9e-3))
    return staged(rng, _below(rng, out), distant=0.5)


def breathing(rng: Rng, seconds: float) -> FloatArray:
    """A diver: a gush of bubbles every few seconds."""
    out = np.zeros((length(seconds), 2))
    breaths = max(2, round(seconds / draw(rng, 1.5, 3.5)))
    size, rate = draw(rng, 3e-3, 1e-2), draw(rng, 30, 110)
    for k in range(breaths):
        _swarm(rng, out, k * seconds / breaths, float(rng.uniform(0.5, 1.3)), rate, size)
    return staged(rng, _below(rng, out), distant=0.5)


def _below(rng: Rng, out: Mono) -> Mono:
    """The dull noise of water round `out`."""
    swell = 1 + 0.3 * wander(rng, len(out), max(2, round(len(out) / RATE)))
    sea = np.stack([noise(rng, len(out), 30, draw(rng, 150, 600)) for _ in range(2)], axis=1)
    return out + draw(rng, 0.02, 0.5) * np.std(out) * swell[:, None] * sea


def blub(rng: Rng, seconds: float) -> FloatArray:
    """A few bubbles at once."""
    out = np.zeros((length(seconds), 2))
    span = max(0.1, seconds - 0.5)
    _swarm(
        rng, out, 0.02, span * float(rng.uniform(0.3, 1)), draw(rng, 8, 50), draw(rng, 2e-3, 8e-3)
    )
    return staged(rng, out, once=True, distant=0.4)


_NOUN = ("bubble", "bubbles")

VOICES = (
    Voice("bubbles under water", "bed", "nature", _NOUN, (4.5, 8.0), (
        "underwater bubbles",
        "{air |}bubbles rising {under water|from the deep|in water|}",
        "underwater{ ambience|} with {many |}bubbles",
        "bubbling water",
        "bubbles {in an aquarium|in a tank|under the sea|}",
    ), rising),
    Voice("diver's bubbles", "bed", "nature", _NOUN, (5.0, 8.0), (
        "underwater bubbles",
        "a diver {breathing|breathing out bubbles|under water}",
        "{gushes|bursts} of bubbles under water",
        "someone breathing out under water",
        "scuba bubbles",
    ), breathing),
    Voice("bubbles", "oneshot", "nature", _NOUN, (0.7, 1.8), (
        "bubbles",
        "a {few|couple of} bubbles",
        "a {blub|gurgle|plop} {under water|in water|}",
        "bubbles {popping up|rising|bursting}",
    ), blub),
)  # fmt: skip
