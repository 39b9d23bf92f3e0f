"""Automatic fire: shots at the pace of a mechanism, each a blast, its echoes, and the action.

A shot is an N-wave of about a millisecond and the turbulence behind it: R. C. Maher, "Acoustical
characterization of gunshots", IEEE SAFE 2007. Automatic weapons fire 450 to 1200 rounds a minute.
"""

import numpy as np

from diegetic.config import RATE
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

_LONGEST = 0.9  # seconds of one shot


def _shot(rng: Rng, blast: float, echo: float) -> Mono:
    """One shot: the blast, whose low end is at `blast` Hz, an `echo` of seconds, and the bolt."""
    made = np.zeros(length(_LONGEST))
    wave = length(draw(rng, 0.0008, 0.002))
    made[:wave] += np.linspace(1, -1, wave) * rng.uniform(0.7, 1.0)
    bolt = ring(rng, rng.uniform(1500, 6000, 4), rng.uniform(0.01, 0.05, 4), rng.uniform(0.3, 1, 4))
    for sound, level, late in (
        (burst(rng, draw(rng, 0.06, 0.2), blast * 2, 9000), 1.0, 0.0),
        (burst(rng, draw(rng, 0.08, 0.2), blast, blast * 8), draw(rng, 0.6, 1.4), 0.0),
        (burst(rng, echo, 150, draw(rng, 2000, 6000)), draw(rng, 0.12, 0.4), 0.01),
        (bolt / np.abs(bolt).max(), draw(rng, 0.02, 0.12), draw(rng, 0.02, 0.05)),
    ):
        at = length(late)
        count = min(len(sound), len(made) - at)
        made[at : at + count] += level * sound[:count]
    return made


def _burst_of(rng: Rng, seconds: float, out: Mono, at: float, level: float) -> None:
    """Fire for `seconds` from `at` on, into `out` (n, 2)."""
    pace = draw(rng, 7.5, 18)
    shot, pan = _shot(rng, draw(rng, 60, 200), draw(rng, 0.25, 0.8)), rng.uniform(-0.5, 0.5)
    times = at + (np.arange(max(2, round(seconds * pace))) + rng.normal(0, 0.01)) / pace
    times += rng.normal(0, 0.002, len(times))
    sounds = [level * rng.uniform(0.75, 1.0) * shot for _ in times]
    scatter(out, list(times.clip(0)), sounds, [pan] * len(times))


def burst_of_fire(rng: Rng, seconds: float) -> FloatArray:
    """One burst."""
    made = np.zeros((length(seconds), 2))
    _burst_of(rng, seconds - _LONGEST, made, 0.0, 1.0)
    return staged(rng, made, once=True, distant=0.6)


def firing(rng: Rng, seconds: float) -> FloatArray:
    """Bursts, from one gun or several."""
    made = np.zeros((length(seconds), 2))
    for number in range(int(rng.integers(1, 4))):
        at, level = 0.0, 1.0 if number == 0 else draw(rng, 0.15, 0.8)
        while at < seconds:
            fires = draw(rng, 0.4, 2.0)
            _burst_of(rng, fires, made, at, level)
            at += fires + draw(rng, 0.1, 1.0) * (1 + number)
    return staged(rng, made / np.abs(made).max(initial=1 / RATE), distant=0.6)


VOICES = (
    Voice("machine gun burst", "oneshot", "weapon", ("machine gun", "machine guns"), (1.2, 2.3), (
        "a burst of machine gun fire",
        "a {machine gun|submachine gun|assault rifle} {firing|fires a burst}",
        "a {short|long|} burst of automatic fire",
    ), burst_of_fire),
    Voice("machine guns", "bed", "weapon", ("machine gun", "machine guns"), (4.0, 7.0), (
        "machine gun fire",
        "{machine guns|automatic weapons} firing {in the distance|nearby|}",
        "{heavy|constant|} {gunfire|automatic gunfire} {on a battlefield|}",
        "a {firefight|gun battle} {with machine guns|}",
    ), firing),
)  # fmt: skip
