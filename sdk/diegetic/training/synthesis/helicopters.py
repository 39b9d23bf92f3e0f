"""Helicopters: the slap of blades, a turbine's whine, a tail rotor's buzz.

A. Farnell, "Designing Sound" (MIT Press 2010), Practical 25, "Helicopter"; the slap comes when a
blade cuts the vortex of the one before: J. G. Leishman, "Principles of Helicopter Aerodynamics"
(2nd ed., Cambridge 2006), chapter 8. Two to five blades pass ten to thirty times a second.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    band,
    cycles,
    draw,
    length,
    noise,
    staged,
    tone,
)
from diegetic.training.synthesis.voice import Voice


def _rotors(rng: Rng, doppler: Mono) -> Mono:
    """A helicopter whose sounds arrive `doppler` (n,) times as fast; (n,)."""
    count = len(doppler)
    blades = int(rng.integers(2, 6))
    course = draw(rng, 9.0, 26.0) * doppler
    passed = cycles(course)
    since = passed % 1.0
    each = rng.uniform(0.75, 1, blades)[passed.astype(int) % blades]
    sharp = draw(rng, 3, 9)
    slap = (
        each
        * np.exp(-sharp * since)
        * np.sin(np.pi / 2 * np.clip(since / rng.uniform(0.08, 0.3), 0, 1)) ** 2
    )
    chopped = noise(rng, count, draw(rng, 60, 200), draw(rng, 900, 3500)) * (0.12 + slap)
    thump = band(slap - slap.mean(), 12, draw(rng, 150, 400), 1.5)
    wash = noise(rng, count, 40, 900) * (0.6 + 0.4 * np.cos(2 * np.pi * passed))
    tail = tone(course * draw(rng, 4.2, 6.8), np.arange(1, 16.0) ** -draw(rng, 0.6, 1.5))
    whine = tone(draw(rng, 1800, 6500) * doppler, np.array([1, 0.3, 0.1]))
    hiss = noise(rng, count, 2000, 9000)
    return np.asarray(
        chopped / np.std(chopped)
        + draw(rng, 0.6, 2.0) * thump / np.std(thump)
        + draw(rng, 0.4, 1.6) * wash
        + draw(rng, 0.05, 0.4) * tail
        + draw(rng, 0.01, 0.12) * whine
        + draw(rng, 0.02, 0.15) * hiss
    )


def hovering(rng: Rng, seconds: float) -> FloatArray:
    """A helicopter that hovers, or flies with us."""
    return staged(rng, _rotors(rng, np.ones(length(seconds))))


def flyby(rng: Rng, seconds: float) -> FloatArray:
    """A helicopter that comes, passes and goes: louder, then lower."""
    time = np.arange(length(seconds)) / RATE - seconds * rng.uniform(0.35, 0.65)
    speed, away = draw(rng, 15, 60), draw(rng, 25, 90)
    way = speed * time
    distance = np.sqrt(way**2 + away**2)
    approaching = -speed * way / distance
    made = _rotors(rng, 1 / (1 - approaching / 343.0)) * away / distance
    side = np.pi / 4 * (1 + 0.8 * rng.choice([-1, 1]) * way / distance)
    return staged(rng, made[:, None] * np.stack([np.cos(side), np.sin(side)], axis=1))


VOICES = (
    Voice("helicopter", "bed", "vehicle", ("helicopter", "helicopters"), (4.5, 8.0), (
        "a helicopter",
        "a helicopter {hovering|overhead|over the battlefield|flying|}",
        "{the chopping|the rotor|} blades of a helicopter",
        "a {military|heavy|small|distant|} {helicopter|chopper} {in the air|}",
        "inside a helicopter",
    ), hovering),
    Voice("helicopter passing", "bed", "vehicle", ("helicopter", "helicopters"), (6.0, 9.0), (
        "a helicopter",
        "a helicopter {passing|flying by|flying past|passing overhead}",
        "a {helicopter|chopper} comes {near|closer} and {goes|flies off}",
        "a {military|rescue|} helicopter flying over",
    ), flyby),
)  # fmt: skip
