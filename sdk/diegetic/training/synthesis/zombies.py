"""Zombies: a slack and uneven voice, low, with breath in it, through a mouth that hardly moves.

Source and filter: the flow through the glottis is A. Rosenberg's pulse, "Effect of glottal pulse
shape on the quality of natural vowels", Journal of the Acoustical Society of America 49(2), 1971;
mouth and breath are D. Klatt and L. Klatt's, "Analysis, synthesis, and perception of voice quality
variations among female and male talkers", ibid. 87(2), 1990, as is creak: every other pulse is
late and weak.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    cycles,
    draw,
    length,
    noise,
    quick_length,
    resonant,
    scatter,
    staged,
    wander,
)
from diegetic.training.synthesis.voice import Voice

# The first three resonances in Hz of a slack mouth: "uh", "aw", "ah", "oo", "er".
_VOWELS = (
    (600, 1150, 2400),
    (570, 840, 2410),
    (730, 1090, 2440),
    (380, 950, 2250),
    (490, 1300, 1700),
)
_WIDTHS = (90, 110, 170, 250)
_PEAKS = (40, 24, 8, 4)


def _flow(rng: Rng, pitch: Mono) -> Mono:
    """Flow through the glottis at `pitch` (n,) Hz, pulse by pulse, each a little off; (n,)."""
    passed = cycles(pitch)
    number = passed.astype(int)
    pulses = number[-1] + 2
    late = rng.normal(0, draw(rng, 0.01, 0.06), pulses)
    level = rng.uniform(rng.uniform(0.5, 0.9), 1, pulses)
    creak = rng.uniform(0, 0.5) if rng.uniform() < 0.5 else 0.0
    late[::2] += 0.3 * creak
    level[::2] *= 1 - creak
    since = passed % 1.0 - np.clip(late + 0.1, 0, 0.3)[number]
    opening, closing = rng.uniform(0.25, 0.4), rng.uniform(0.1, 0.3)
    rise = 0.5 - 0.5 * np.cos(np.pi * since / opening)
    fall = np.cos(np.pi / 2 * (since - opening) / closing)
    flow = np.where(since < opening, rise, np.where(since < opening + closing, fall, 0.0))
    return np.asarray(level[number] * np.where(since > 0, flow, 0.0))


def _spoken(rng: Rng, source: Mono, size: float) -> Mono:
    """`source` through a mouth that drifts between two vowels; `size` above 1: a small one."""
    said = []
    for _ in range(2):
        vowel = (*_VOWELS[int(rng.integers(len(_VOWELS)))], 3400)
        centres = [size * f * rng.uniform(0.9, 1.1) for f in vowel]
        said.append(resonant(source, centres, _WIDTHS, _PEAKS))
    shift = 0.5 + 0.5 * wander(rng, len(source), max(2, round(1.5 * len(source) / RATE)))
    return np.asarray(said[0] + shift * (said[1] - said[0]))


def _groan(rng: Rng, seconds: float) -> Mono:
    """One groan, of peak 1: the pitch rises and sinks, the breath runs out."""
    count = quick_length(seconds)
    time = np.linspace(0, 1, count)
    arch = np.sin(np.pi * time ** rng.uniform(0.4, 1.2))
    pitch = draw(rng, 105, 200) * (0.75 + rng.uniform(0.4, 1.0) * arch)
    pitch *= 1 + 0.06 * wander(rng, count, max(3, round(5 * seconds)))
    pitch *= 1 + draw(rng, 0.01, 0.05) * wander(rng, count, max(3, round(30 * seconds)))
    flow = _flow(rng, pitch)
    voiced = np.gradient(flow) * RATE / draw(rng, 300, 900)
    voiced += draw(rng, 0.25, 0.9) * noise(rng, count, 400, 6000) * (0.3 + flow)
    rough = 1 + rng.uniform(0.2, 0.9) * wander(
        rng, count, max(3, round(seconds * draw(rng, 30, 80)))
    )
    swell = np.minimum(1, time / rng.uniform(0.08, 0.35)) * np.minimum(1, (1 - time) / 0.4)
    shaped = voiced * rough * np.sin(np.pi / 2 * swell) ** 2
    made = _spoken(rng, shaped, rng.uniform(1.0, 1.25))
    return np.asarray(made / (np.abs(made).max() + 1e-9))


def groan(rng: Rng, seconds: float) -> FloatArray:
    """A zombie groans once."""
    return staged(rng, _groan(rng, seconds), once=True, distant=0.3)


def horde(rng: Rng, seconds: float) -> FloatArray:
    """Zombies all about groan, one over the other."""
    out = np.zeros((length(seconds), 2))
    count = max(3, round(seconds * draw(rng, 0.8, 2.0)))
    groans = [_groan(rng, draw(rng, 0.9, 3.0)) * draw(rng, 0.25, 1.0) for _ in range(count)]
    times = (np.arange(count) + rng.uniform(-0.4, 0.4, count)) * seconds / count
    scatter(out, [float(t) for t in times], groans, list(rng.uniform(-0.9, 0.9, count)))
    return staged(rng, out, distant=0.5)


_NOUN = ("zombie", "zombies")

VOICES = (
    Voice("zombie groan", "oneshot", "creature", _NOUN, (1.2, 3.0), (
        "a zombie groaning",
        "a {hungry|slow|undead|rotting|} zombie {groaning|moaning|groans|moans}",
        "the {groan|moan} of {a zombie|the undead|a walking corpse}",
        "a {low|creepy|long|} {zombie|undead} {groan|moan}",
    ), groan),
    Voice("groaning zombies", "bed", "creature", _NOUN, (5.0, 9.0), (
        "zombies groaning",
        "a {horde|crowd|group} of zombies {groaning|moaning|}",
        "{groaning|moaning} zombies {all around|outside|coming closer|}",
        "the undead {groaning|moaning} {in the dark|}",
        "a zombie {horde|apocalypse}",
    ), horde),
)  # fmt: skip
