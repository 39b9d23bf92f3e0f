"""Wolves: howls that glide up, hold, waver and fall, with a few strong harmonics.

J. B. Theberge and J. B. Falls, "Howling as a means of communication in timber wolves", American
Zoologist 7(2), 1967: a fundamental of 150 to 780 Hz, up to twelve harmonics, 0.5 to 11 seconds.
Wolves of a pack keep off each other's pitch, so that beats and dissonance make few sound like many:
F. H. Harrington, "Timber wolf howling playback studies", Animal Behaviour 37(4), 1989.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    band,
    decay,
    draw,
    length,
    noise,
    resonant,
    scatter,
    staged,
    tone,
    wander,
)
from diegetic.training.synthesis.voice import Voice


def _course(rng: Rng, count: int, pitch: float) -> Mono:
    """The frequency of a howl that holds `pitch` Hz: it rises fast, breaks perhaps, and falls."""
    seconds = count / RATE
    place = np.arange(count) / count
    rise = min(0.45, draw(rng, 0.06, 0.7) / seconds)
    fall = min(0.5, rng.uniform(0.45, 1.4) / seconds)
    begins, ends = -rng.uniform(3, 13), -rng.uniform(5, 11)
    up = begins * (1 - np.sin(np.pi / 2 * np.clip(place / rise, 0, 1)))
    down = ends * np.clip((place - 1 + fall) / fall, 0, 1) ** 1.6
    droop = -rng.uniform(-1.5, 3) * place
    steps = up + down + droop
    if rng.uniform() < 0.4:
        at = rng.uniform(0.25, 0.7)
        steps = steps + rng.uniform(-1, 2) / (1 + np.exp(-(place - at) * seconds / 0.05))
    slow = wander(rng, count, max(3, round(3 * seconds)))
    quick = wander(rng, count, max(3, round(12 * seconds)))
    steps = steps + draw(rng, 0.04, 0.5) * slow + draw(rng, 0.06, 0.35) * quick
    return np.asarray(pitch * 2 ** (steps / 12))


def _howl(rng: Rng, seconds: float, pitch: float) -> Mono:
    """One howl of peak 1, through a mouth that opens to an o."""
    count = length(seconds)
    course = _course(rng, count, pitch)
    place = np.arange(count) / count
    clear = tone(course, np.arange(1, 5.0) ** -draw(rng, 1.5, 3.2))
    full = tone(course, np.arange(1, 13.0) ** -draw(rng, 0.8, 1.5))
    swell = np.clip(place * seconds / draw(rng, 0.03, 0.12), 0, 1) ** 1.5
    swell *= np.clip((1 - place) * seconds / rng.uniform(0.4, 1.3), 0, 1) ** 1.5
    swell *= 1 + draw(rng, 0.1, 0.3) * wander(rng, count, max(3, round(draw(rng, 3, 12) * seconds)))
    breath = noise(rng, count, pitch, 4 * pitch) * draw(rng, 0.014, 0.04)
    made = (clear + draw(rng, 0.05, 0.5) * swell * full + breath) * swell
    mouth = [draw(rng, 450, 800), draw(rng, 900, 1500)]
    made = resonant(made, mouth, [250, 400], [draw(rng, 0.3, 2), draw(rng, 0.2, 1)])
    return np.asarray(made / np.abs(made).max())


def _valley(rng: Rng, dry: Mono, seconds: float) -> Mono:
    """`dry` (n, 2) in open land: a long dull echo from woods and hills; it goes round."""
    tail = min(length(seconds), len(dry))
    sides = []
    for side in dry.T:
        echo = np.zeros(len(dry))
        echo[:tail] = band(rng.standard_normal(tail) * decay(tail, seconds), 150, 2500, 1.0)
        echo /= np.sqrt((echo**2).sum())
        sides.append(np.fft.irfft(np.fft.rfft(side) * np.fft.rfft(echo), len(dry)))
    return np.asarray(dry + draw(rng, 0.05, 0.5) * np.stack(sides, axis=1))


def howling(rng: Rng, seconds: float) -> FloatArray:
    """A pack: one wolf begins, others join at pitches of their own."""
    out = np.zeros((length(seconds), 2))
    pitch = draw(rng, 480, 660)
    wolves = int(rng.integers(2, 6))
    for k in range(wolves):
        own = pitch * (1.0 if k == 0 else draw(rng, 0.8, 1.25))
        loud = 1.0 if k == 0 else draw(rng, 0.2, 0.8)
        pan = float(rng.uniform(-0.8, 0.8))
        at = 0.1 if k == 0 else float(rng.uniform(0, seconds))
        for _ in range(2):
            lasts = min(draw(rng, 2.8, 4.7), 0.6 * seconds)
            howl = _howl(rng, lasts, own * draw(rng, 0.94, 1.06))
            scatter(out, [at], [loud * howl], [pan])
            at += lasts + draw(rng, 0.3, 2.0)
    out = _valley(rng, out, draw(rng, 0.5, 1.7))
    air = np.stack([noise(rng, len(out), 60, draw(rng, 400, 1500)) for _ in range(2)], axis=1)
    return staged(rng, out + draw(rng, 0.002, 0.015) * air)


def howl(rng: Rng, seconds: float) -> FloatArray:
    """One wolf howls once."""
    lasts = seconds - rng.uniform(0.4, 0.9)
    out = np.zeros((length(2 * seconds), 2))
    scatter(out, [0.02], [_howl(rng, lasts, draw(rng, 450, 700))], [rng.uniform(-0.5, 0.5)])
    out = _valley(rng, out, draw(rng, 0.5, 1.6))[: length(seconds)]
    return staged(rng, out, once=True)


VOICES = (
    Voice("howling wolves", "bed", "creature", ("wolf", "wolves"), (6.0, 9.0), (
        "wolves howling",
        "{several|a pack of|distant|} wolves howling {at night|in the forest|in the distance|}",
        "a wolf pack howling {at the moon|at night|}",
        "{the howls|the howling} of {wolves|a wolf pack}",
        "wolves howling to each other {in the mountains|}",
    ), howling),
    Voice("wolf howl", "oneshot", "creature", ("wolf", "wolves"), (3.6, 5.5), (
        "a wolf howling",
        "a {lone|single|distant|} wolf {howling|howls} {at the moon|at night|in the forest|}",
        "{the|a long|a lonely} howl of a wolf",
        "a wolf howl",
        "a {werewolf|wolf} howling",
    ), howl),
)  # fmt: skip
