"""Wind: air past edges, which whistle at a pitch that follows the gusts, and the rush of the rest.

A. Farnell, "Designing Sound" (MIT Press 2010), Practical 18, "Wind": what is heard is what stands
in the way. An edge of width d sheds vortices at about .2 v / d (V. Strouhal, "Ueber eine besondere
Art der Tonerregung", Annalen der Physik 241, 1878), so the pitch of a howl rises with the speed v;
the power of the noise goes with a high power of it, and gusts are slow.
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
    staged,
    wander,
)
from diegetic.training.synthesis.voice import Voice

_BLOCK = 1024  # samples of a window whose noise is filtered together


def _gusts(rng: Rng, count: int, depth: float) -> Mono:
    """The wind's speed, around 1: slow gusts and a little of faster ones; (count,)."""
    seconds = count / RATE
    slow = wander(rng, count, max(2, round(seconds / draw(rng, 0.8, 2.5))))
    fast = wander(rng, count, max(4, round(seconds * draw(rng, 1.5, 5))))
    return np.asarray(1 + depth * (0.8 * slow + 0.2 * fast))


def _swept(rng: Rng, centre: Mono, sharpness: float) -> Mono:
    """Noise in a band that moves with `centre` (n,) Hz, `sharpness` times as wide as that; (n,).

    Windows of noise, each with its own band, are added where they overlap; the last goes round.
    """
    count = len(centre)
    frames = -(-count // (_BLOCK // 2))
    f = np.fft.rfftfreq(_BLOCK, 1 / RATE)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_BLOCK) / _BLOCK)
    white = np.fft.rfft(rng.standard_normal((frames, _BLOCK)))
    middle = centre[np.minimum(np.arange(frames) * (_BLOCK // 2), count - 1)][:, None]
    gains = 1 / (1 + ((f - middle) / (sharpness * middle)) ** 2)
    made = np.fft.irfft(white * gains, _BLOCK) * np.sqrt(hann)
    made /= np.sqrt(np.square(gains).sum(1, keepdims=True))
    out = np.zeros(count)
    for k, window in enumerate(made):
        out[(k * (_BLOCK // 2) + np.arange(_BLOCK)) % count] += window
    return np.asarray(out / np.std(out))


def _blown(rng: Rng, seconds: float, depth: float, howl: float) -> Mono:
    """Wind for both ears, (n, 2): the rush, and howls of `howl` times its level."""
    count = length(seconds)
    speed = np.maximum(_gusts(rng, count, depth), 0.15)
    power = draw(rng, 1.5, 3.0)
    rush_at = draw(rng, 120, 520)
    sides = []
    for _ in range(2):
        own = speed * (1 + 0.08 * wander(rng, count, max(3, round(2 * seconds))))
        rush = _swept(rng, rush_at * own**1.2, draw(rng, 0.25, 0.9)) * own**power
        low = noise(rng, count, 30, draw(rng, 90, 200)) * own**power
        leaves = noise(rng, count, 900, draw(rng, 2500, 6000)) * own ** (power + 1)
        sides.append(rush + rng.uniform(0.5, 1.1) * low + rng.uniform(0.08, 0.3) * leaves)
    made = np.stack(sides, axis=1)
    for _ in range(int(rng.integers(1, 3))):
        edge = draw(rng, 200, 500)
        there = np.clip((speed - rng.uniform(0.5, 1.0)) * 2, 0, None) ** 1.5
        tone = _swept(rng, edge * speed, draw(rng, 0.02, 0.12)) * there
        side = rng.uniform(0.3, 1.0, 2)
        made += howl * tone[:, None] * side / 2
    return np.asarray(made)


def steady(rng: Rng, seconds: float) -> FloatArray:
    """Wind over open land."""
    made = _blown(rng, seconds, rng.uniform(0.25, 0.5), rng.uniform(0.1, 0.6))
    return staged(rng, made, distant=0.3)


def howling(rng: Rng, seconds: float) -> FloatArray:
    """Wind through gaps and round corners: it howls as it rises."""
    made = _blown(rng, seconds, rng.uniform(0.35, 0.6), draw(rng, 0.6, 1.4))
    return staged(rng, made, distant=0.3)


def gust(rng: Rng, seconds: float) -> FloatArray:
    """One gust."""
    count = length(seconds)
    time = np.arange(count) / count
    swell = np.sin(np.pi * time ** rng.uniform(0.6, 1.4)) ** draw(rng, 1, 3)
    made = _blown(rng, seconds, 0.3, rng.uniform(0.1, 1.0)) * swell[:, None]
    return staged(rng, made, once=True, distant=0.3)


VOICES = (
    Voice("strong wind", "bed", "nature", ("", ""), (6.0, 9.0), (
        "wind",
        "{strong|heavy|rough|} wind",
        "{strong|cold|} wind blowing {over a plain|in the mountains|over the hills|outside|}",
        "{a windy|an exposed} {night|hill|desert|place}",
        "the wind {blows|is blowing} {hard|}",
    ), steady),
    Voice("howling wind", "bed", "nature", ("", ""), (6.0, 9.0), (
        "wind",
        "{howling|moaning|whistling} wind",
        "wind howling {through a ruin|around a castle|through the trees|in a storm|at night|}",
        "a {winter |snow|}storm howling",
        "wind {whistling|moaning} through {a gap|a window|an empty house}",
    ), howling),
    Voice("gust of wind", "oneshot", "nature", ("gust of wind", "gusts of wind"), (2.5, 4.5), (
        "a gust of wind",
        "a {sudden|strong|cold|} gust {of wind|}",
        "{wind|a blast of wind} {passing|rushing past|}",
    ), gust),
)  # fmt: skip
