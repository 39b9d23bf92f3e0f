"""Heavy machinery: motors that hum, gears that whine, presses and pistons that pound.

A. Farnell, "Designing Sound" (MIT Press 2010), Practical 21, "Motors": a machine is a cycle in
which the same parts touch in the same order. A motor hums at the mains or twice that and its
multiples; a gear of n teeth whines at n times its turns.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    band,
    burst,
    cycles,
    draw,
    length,
    noise,
    ring,
    scatter,
    staged,
    tone,
    wander,
)
from diegetic.training.synthesis.voice import Voice


def _motor(rng: Rng, count: int) -> Mono:
    """A motor under load: hum, the roar of its fan and bearings, a gear; (count,)."""
    hum_at = float(rng.choice([50.0, 60.0, 100.0, 120.0])) * rng.uniform(0.6, 1.1)
    load = 1 + 0.02 * wander(rng, count, max(3, round(2 * count / RATE)))
    hum = tone(hum_at * load, np.arange(1, 24.0) ** -draw(rng, 0.5, 1.3))
    turned = cycles(np.full(count, draw(rng, 24, 70)))
    beat = 1 + rng.uniform(0.1, 0.6) * np.cos(2 * np.pi * turned)
    roar = noise(rng, count, 120, draw(rng, 1500, 4500)) * beat
    rumble = noise(rng, count, 40, draw(rng, 120, 300)) * beat
    teeth = tone(draw(rng, 300, 1400) * load, np.array([1, 0.5, 0.3, 0.2]))
    return np.asarray(
        draw(rng, 0.4, 1.2) * hum
        + draw(rng, 0.25, 0.8) * roar
        + draw(rng, 0.4, 1.2) * rumble
        + draw(rng, 0.03, 0.3) * teeth
    )


def _stroke(rng: Rng, size: float) -> Mono:
    """Metal on metal: a thud, the ring of plates, and air let go; `size` from 0 to 1."""
    modes = draw(rng, 90, 260) * np.cumsum(rng.uniform(0.4, 1.6, 10))
    plates = ring(rng, modes, rng.uniform(0.1, 0.6, 10), rng.uniform(0.1, 1, 10) / 4)
    made = np.zeros(max(len(plates), length(0.8)))
    made[: len(plates)] += plates * (1.2 - size)
    for sound, level in (
        (burst(rng, 0.15 + 0.3 * size, 40, 400), 1.0 + size),
        (burst(rng, 0.06, 600, 7000), draw(rng, 0.1, 0.6)),
        (burst(rng, draw(rng, 0.2, 0.7), 1500, 9000), rng.uniform(0, 0.25)),
    ):
        made[: len(sound)] += level * sound[: len(made)]
    return made


def _pounded(rng: Rng, out: Mono, strokes: int, level: float) -> None:
    """Add `strokes` cycles of a few touches each to `out` (n, 2), evenly."""
    cycle = len(out) / RATE / strokes
    side = float(rng.uniform(-0.7, 0.7))
    for _ in range(int(rng.integers(1, 5))):
        sound = level * draw(rng, 0.2, 1.0) * _stroke(rng, float(rng.uniform()))
        place = float(rng.uniform())
        times = [(k + place + rng.normal(0, 0.004)) * cycle for k in range(strokes)]
        sounds = [sound * rng.uniform(0.8, 1) for _ in times]
        scatter(out, [max(0.0, time) for time in times], sounds, [side] * strokes)


def pounding(rng: Rng, seconds: float) -> FloatArray:
    """A factory: motors, and presses at their work."""
    count = length(seconds)
    made = np.stack([_motor(rng, count) for _ in range(2)], axis=1)
    made *= draw(rng, 0.15, 0.6) / np.std(made)
    for _ in range(int(rng.integers(1, 4))):
        _pounded(rng, made, max(2, round(seconds * draw(rng, 0.6, 4.0))), draw(rng, 0.4, 1.0))
    sides = [band(side, 30, draw(rng, 4000, 12_000)) for side in made.T]
    return staged(rng, np.stack(sides, axis=1), distant=0.3)


VOICES = (
    Voice("pounding machines", "bed", "door/mech", ("machine", "machines"), (5.0, 8.0), (
        "heavy machinery",
        "{a factory|a factory hall|heavy industry}",
        "heavy {machinery|machines} {pounding|working|at work|in a factory|}",
        "{presses|pistons|hammers} pounding {in a factory|}",
        "the {engine room|machine room} of a ship",
        "industrial {machinery|ambience|noise}",
    ), pounding),
)  # fmt: skip
