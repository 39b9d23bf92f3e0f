"""Bells: modes at the partials that founders tune, struck by a clapper.

Partials of a church bell (hum, prime, tierce, quint, nominal and above) and their decays: T. D.
Rossing and R. Perrin, "Vibrations of bells", Applied Acoustics 20, 1987. A small bell is brighter
and less regular: J.-C. Risset, "An Introductory Catalogue of Computer Synthesized Sounds" (Bell
Laboratories 1969). Each partial is a pair that beats, because no bell is quite round.
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

# Frequencies against the prime, and how strongly a stroke excites them.
_CHURCH = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.52, 2.67, 3.01, 4.17, 5.43, 6.8, 8.2, 9.7])
_STRUCK = np.array([0.35, 0.5, 0.8, 0.25, 1.0, 0.3, 0.3, 0.9, 0.7, 0.5, 0.35, 0.2, 0.15])
_SMALL = np.array([0.56, 0.92, 1.19, 1.7, 2.0, 2.74, 3.0, 3.76, 4.07, 5.4])
_HIT = np.array([1, 0.67, 1, 1.8, 2.67, 1.67, 1.46, 1.33, 1.33, 0.7]) / 2.67


def _bell(rng: Rng, prime: float, longest: float, *, small: bool = False) -> Mono:
    """One stroke of a bell whose prime is `prime` Hz and whose hum rings `longest` seconds."""
    ratios, hit = (_SMALL, _HIT) if small else (_CHURCH, _STRUCK)
    detuned = ratios * prime * (1 + rng.normal(0, 0.006, len(ratios)))
    split = rng.uniform(0.2, 2.2, len(ratios))
    decays = longest * (ratios / ratios[0]) ** -draw(rng, 0.4, 0.8)
    gains = hit * np.exp(rng.normal(0, 0.35, len(ratios)))
    made = ring(
        rng,
        np.concatenate([detuned, detuned + split]),
        np.concatenate([decays, decays * 0.9]),
        np.concatenate([gains, gains * rng.uniform(0.2, 0.7, len(ratios))]),
    )
    clapper = burst(rng, 0.03, prime, min(16 * prime, 14_000))
    made[: len(clapper)] += draw(rng, 0.2, 1.0) * clapper
    return np.asarray(made / np.abs(made).max())


def _tower(rng: Rng, bells: int, longest: float) -> list[Mono]:
    """Strokes of `bells` bells on a major scale, the highest first."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])[:bells]
    lowest = draw(rng, 240, 560) if bells > 1 else draw(rng, 180, 700)
    return [
        _bell(rng, lowest * 2 ** (step / 12), longest * 2 ** (-step / 18))
        for step in reversed(scale.tolist())
    ]


def tolling(rng: Rng, seconds: float) -> FloatArray:
    """One church bell, struck every few seconds."""
    gap = min(draw(rng, 1.2, 3.5), seconds / 2)
    stroke = _tower(rng, 1, draw(rng, 5, 14))[0]
    out = np.zeros((length(seconds), 2))
    times = np.arange(0, seconds - gap / 2, seconds / round(seconds / gap))
    sounds = [stroke * rng.uniform(0.8, 1) for _ in times]
    scatter(out, list(times), sounds, [float(rng.uniform(-0.3, 0.3))] * len(times))
    return staged(rng, out)


def swinging(rng: Rng, seconds: float) -> FloatArray:
    """Two to four church bells that swing, each in its own time."""
    out = np.zeros((length(seconds), 2))
    for stroke in _tower(rng, int(rng.integers(2, 5)), draw(rng, 4, 10)):
        swings = max(2, round(seconds / draw(rng, 0.8, 1.7)))
        begin = rng.uniform(0, seconds)
        times = begin + np.arange(swings) * seconds / swings + rng.normal(0, 0.02, swings)
        sounds = [stroke * rng.uniform(0.7, 1) for _ in times]
        scatter(out, list(times + 1), sounds, [float(rng.uniform(-0.5, 0.5))] * swings)
    return staged(rng, out)


def handbell(rng: Rng, seconds: float) -> FloatArray:
    """A small bell: struck once, or shaken."""
    out = np.zeros((length(seconds), 2))
    sound = _bell(rng, draw(rng, 700, 2600), draw(rng, 0.6, 2.5), small=True)
    strokes = 1 if rng.random() < 0.5 else int(rng.integers(2, 7))
    times = np.cumsum(rng.uniform(0.09, 0.25, strokes)) - 0.08
    for time in times[times < 0.7 * seconds]:
        heard = sound[: len(out) - length(float(time))]
        scatter(out, [float(time)], [heard * rng.uniform(0.6, 1)], [0.0])
    return staged(rng, out, once=True, distant=0.5)


VOICES = (
    Voice("tolling church bell", "bed", "impact/object", ("bell", "bells"), (6.0, 9.0), (
        "church bells",
        "a {large|deep|slow|distant|} church bell {tolling|ringing}",
        "a bell {tolling|tolling in a tower|in a church tower}",
        "the bell of a {church|cathedral|monastery}",
    ), tolling),
    Voice("church bells", "bed", "impact/object", ("bell", "bells"), (6.0, 9.0), (
        "church bells",
        "church bells ringing {over the village|in the distance|on a sunday|}",
        "{large|many|the} bells of a {church|cathedral}",
        "bells ringing {in a tower|}",
        "the bells of a town",
    ), swinging),
    Voice("handbell", "oneshot", "impact/object", ("bell", "bells"), (0.8, 2.0), (
        "a bell",
        "a {small|bright|hand|shop|school} bell {ringing|}",
        "a little bell {rings|shaken|}",
        "a {ding|jingle} of a bell",
    ), handbell),
)  # fmt: skip
