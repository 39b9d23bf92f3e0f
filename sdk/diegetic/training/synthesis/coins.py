"""Coins and glass: small hard things that fall, bounce, meet and break.

Modes of a round plate with a free rim: N. H. Fletcher and T. D. Rossing, "The Physics of Musical
Instruments" (2nd ed., Springer 1998), chapter 3. A ball that bounces loses the same share of its
speed each time: A. Farnell, "Designing Sound" (MIT Press 2010), Practical 7, "Bouncing". Many small
collisions are drawn by chance: P. R. Cook, "Physically informed sonic modeling (PhISM): synthesis
of percussive sounds", Computer Music Journal 21(3), 1997.
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

_PLATE = np.array([1.0, 1.73, 2.328, 3.91, 4.11, 6.30, 6.71])
_GOBLET = np.array([1.0, 2.32, 4.25, 6.63, 9.38])  # M. French, "In vino veritas", 1983


def _disc(rng: Rng, lowest: float, falls: float) -> Mono:
    """A coin struck once."""
    modes = lowest * _PLATE * (1 + rng.normal(0, 0.01, len(_PLATE)))
    return ring(rng, modes, falls * (modes / lowest) ** -0.7, rng.uniform(0.2, 1, len(modes)))


def _bounces(rng: Rng, seconds: float) -> tuple[Mono, Mono]:
    """When a falling thing touches the ground, and how hard; within `seconds`."""
    kept = rng.uniform(0.5, 0.82)
    gap = draw(rng, 0.08, 0.3)
    gaps = gap * kept ** np.arange(24)
    times = np.append(0, np.cumsum(gaps))
    strength = np.asarray(kept ** (1.3 * np.arange(len(times))), np.float64)
    heard = (times < seconds - 0.1) & (strength > 0.02)
    return times[heard] + 0.01, strength[heard]


def _drop(rng: Rng, out: Mono, begin: float) -> None:
    """Add a coin that drops at `begin` seconds."""
    lowest, falls = draw(rng, 2200, 6500), draw(rng, 0.12, 0.7)
    times, strength = _bounces(rng, len(out) / 48_000 - begin)
    pan = float(rng.uniform(-0.6, 0.6))
    for time, hard in zip(times, strength, strict=True):
        sound = hard * _disc(rng, lowest, falls)
        knock = burst(rng, 0.01, 800, 9000) * hard * draw(rng, 0.1, 0.6)
        sound[: len(knock)] += knock[: len(sound)]
        _once(out, begin + float(time), sound, pan)


def _once(out: Mono, time: float, sound: Mono, pan: float) -> None:
    """Add `sound`; what would run over the end is cut."""
    scatter(out, [time], [sound[: max(0, len(out) - length(time))]], [pan])


def coin(rng: Rng, seconds: float) -> FloatArray:
    """One coin drops and bounces."""
    out = np.zeros((length(seconds), 2))
    _drop(rng, out, 0.0)
    return staged(rng, out, once=True, distant=0.4)


def handful(rng: Rng, seconds: float) -> FloatArray:
    """Some coins drop together, or clink in a hand."""
    out = np.zeros((length(seconds), 2))
    for begin in np.sort(rng.uniform(0, 0.45 * seconds, int(rng.integers(3, 12)))):
        _drop(rng, out, float(begin))
    return staged(rng, out, once=True, distant=0.4)


def clink(rng: Rng, seconds: float) -> FloatArray:
    """Two glasses meet."""
    out = np.zeros((length(seconds), 2))
    falls = draw(rng, 0.3, 1.5)
    for _ in range(2):
        modes = draw(rng, 700, 2600) * _GOBLET * (1 + rng.normal(0, 0.01, len(_GOBLET)))
        gains = rng.uniform(0.3, 1, len(modes)) * np.array([0.8, 1, 0.8, 0.5, 0.3])
        sound = ring(rng, modes, falls * (modes / modes[0]) ** -0.5, gains)
        _once(out, 0.01, sound, float(rng.uniform(-0.3, 0.3)))
    _once(out, 0.01, burst(rng, 0.006, 3000, 15_000), 0.0)
    return staged(rng, out, once=True, distant=0.4)


def breaking(rng: Rng, seconds: float) -> FloatArray:
    """Glass breaks: a crack, then splinters that fall, ring and come to rest."""
    out = np.zeros((length(seconds), 2))
    _once(out, 0.01, 2.5 * burst(rng, draw(rng, 0.03, 0.12), 1200, 15_000), 0.0)
    size = draw(rng, 0.6, 1.6)
    pieces = int(draw(rng, 25, 160))
    times = 0.01 + np.minimum(rng.exponential(seconds * rng.uniform(0.08, 0.25), pieces), seconds)
    for time in times:
        modes = draw(rng, 1800, 9000) / size * np.array([1, 1.47, 2.09, 2.56, 3.39])
        falls = np.full(5, draw(rng, 0.03, 0.3)) * (modes / modes[0]) ** -0.6
        sound = ring(rng, modes, falls, rng.uniform(0.2, 1, 5)) * draw(rng, 0.05, 0.8)
        tick = burst(rng, 0.004, 3000, 16_000) * np.abs(sound).max()
        sound[: len(tick)] += tick[: len(sound)]
        _once(
            out, float(time), sound * np.exp(-1.5 * time / seconds), float(rng.uniform(-0.8, 0.8))
        )
    return staged(rng, out, once=True, distant=0.5)


_BREAK = ("glass break", "glass breaks")

VOICES = (
    Voice("coin", "oneshot", "impact/object", ("coin", "coins"), (0.8, 1.6), (
        "coins",
        "a coin {dropping|drops on the floor|bouncing|falling on a table|}",
        "a {gold|silver|small} coin {dropped|}",
        "a dropped coin",
    ), coin),
    Voice("coins", "oneshot", "impact/object", ("coin", "coins"), (1.0, 2.0), (
        "coins",
        "{some|several|a handful of|gold} coins {dropping|clinking|falling|}",
        "money {falling on a table|jingling|dropped}",
        "{treasure|gold} {clinking|spilled}",
    ), handful),
    Voice("clinking glasses", "oneshot", "impact/object", ("clink", "clinks"), (0.8, 1.8), (
        "glasses clinking",
        "{two glasses|wine glasses|glasses} {clinking|touching|}",
        "a {clink|chink} of {glass|glasses}",
        "a toast",
        "a glass {struck|tapped}",
    ), clink),
    Voice("breaking glass", "oneshot", "impact/object", _BREAK, (1.0, 2.2), (
        "glass breaking",
        "{a window|a bottle|a pane of glass|glass} {shattering|breaking|smashed}",
        "shattering glass",
        "broken glass falling",
        "{a bottle|a glass} {drops and breaks|breaks on the floor}",
    ), breaking),
)  # fmt: skip
