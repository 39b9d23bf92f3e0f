"""Crowds: shouted vowels, whistles, the hum of the many behind them, and hands that clap.

A shout is a voice of many harmonics, whose pitch glides, through the resonances of an open mouth:
D. Klatt, "Software for a cascade/parallel formant synthesizer", Journal of the Acoustical Society
of America 67, 1980; the vowels are those of G. Peterson and H. Barney, "Control methods used in a
study of the vowels", ibid. 24, 1952. A clap is a burst of noise through one wide resonance, and
each clapper has a rate and a way to hold the hands: L. Peltola, C. Erkut, P. Cook and V. Välimäki,
"Synthesis of hand clapping sounds", IEEE Transactions on Audio, Speech and Language Processing
15(3), 2007.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    band,
    burst,
    draw,
    length,
    noise,
    quick_length,
    resonant,
    scatter,
    staged,
    tone,
    wander,
)
from diegetic.training.synthesis.voice import Voice

# The first three resonances in Hz, as a man would say it: "ah", "yeah", "aw", "ay", "woo".
_VOWELS = (
    (730, 1090, 2440),
    (660, 1720, 2410),
    (570, 840, 2410),
    (530, 1840, 2480),
    (320, 870, 2240),
)
_WIDTHS = (110, 130, 200, 300)
_PEAKS = (14, 9, 6, 4)


def _mouth(rng: Rng, signal: Mono, size: float) -> Mono:
    """`signal` through a mouth that says a vowel; the larger `size`, the smaller the head."""
    vowel = (*_VOWELS[int(rng.integers(len(_VOWELS)))], 3500)
    centres = [size * f * rng.uniform(0.92, 1.08) for f in vowel]
    return resonant(signal, centres, [w * size for w in _WIDTHS], _PEAKS)


def _shout(rng: Rng) -> Mono:
    """Someone shouts: up at once, a while held, and down; of power 1."""
    size = rng.uniform(0.95, 1.3)
    count = quick_length(draw(rng, 0.35, 1.8))
    time = np.linspace(0, 1, count)
    arch = np.sin(np.pi * np.minimum(1, time / rng.uniform(0.6, 1.3)) ** rng.uniform(0.4, 1.0))
    pitch = draw(rng, 190, 420) * size**2 * (1 + rng.uniform(0.1, 0.6) * arch)
    pitch *= 1 + 0.02 * wander(rng, count, max(3, round(count / RATE * 25)))
    voiced = tone(pitch, np.arange(1, 60.0) ** -draw(rng, 0.7, 1.5))
    voiced += draw(rng, 0.03, 0.3) * noise(rng, count, 500, 8000)
    swell = np.minimum(1, time / rng.uniform(0.05, 0.25)) * np.minimum(1, (1 - time) / 0.35)
    made = _mouth(rng, voiced * np.sin(np.pi / 2 * swell) ** 2, size)
    return np.asarray(made / (np.std(made) + 1e-9))


def _whistle(rng: Rng) -> Mono:
    """Someone whistles with two fingers."""
    count = length(draw(rng, 0.25, 0.9))
    time = np.linspace(0, 1, count)
    bend = np.sin(np.pi * time * rng.uniform(0.5, 1.5))
    pitch = draw(rng, 1700, 3200) * (1 + rng.uniform(-0.2, 0.35) * bend)
    made = tone(pitch, np.array([1, 0.15, 0.04])) + 0.05 * noise(rng, count, 1500, 6000)
    return np.asarray(made * np.sin(np.pi * time) ** 0.5)


def _clap(rng: Rng, centre: float, width: float) -> Mono:
    """One clap: noise that dies away within milliseconds, round `centre` Hz."""
    made = np.append(burst(rng, draw(rng, 0.02, 0.06), 300, 9000), np.zeros(1024))
    made = band(resonant(made, [centre], [width * centre], [12.0]), 350, 12_000)
    return np.asarray(made / np.abs(made).max())


def _clapping(rng: Rng, out: Mono, clappers: int) -> None:
    """Add `clappers` to `out` (n, 2), each near or far, quick or slow."""
    seconds = len(out) / RATE
    for _ in range(clappers):
        beats = max(2, round(seconds * draw(rng, 2.0, 4.5)))
        times = (np.arange(beats) + rng.uniform() + rng.normal(0, 0.12, beats)) / beats * seconds
        centre, width = draw(rng, 900, 2800), draw(rng, 0.4, 1.5)
        own = [_clap(rng, centre, width) for _ in range(3)]
        near = draw(rng, 0.1, 1.0)
        sounds = [near * draw(rng, 0.6, 1.0) * own[int(k)] for k in rng.integers(0, 3, beats)]
        scatter(out, [float(t) for t in times], sounds, [float(rng.uniform(-0.9, 0.9))] * beats)


def _many(rng: Rng, few: Mono, density: float) -> Mono:
    """`few` (n, 2) again and again, `density` times a second: those who stand behind; (n, 2).

    Each copy comes at a time, a level and a side of its own, and goes round.
    """
    count = len(few)
    spots = np.zeros((count, 2))
    copies = max(8, round(density * count / RATE))
    for side in range(2):
        np.add.at(spots[:, side], rng.integers(0, count, copies), rng.normal(0, 1, copies))
    mixed = np.fft.rfft(few, axis=0) * np.fft.rfft(spots, axis=0)
    made = np.fft.irfft(mixed, count, axis=0)
    return np.asarray(made / (np.std(made) + 1e-9))


def _shouting(rng: Rng, out: Mono, shouts: int) -> None:
    """Add `shouts` and a few whistles to `out` (n, 2), anywhere."""
    seconds = len(out) / RATE
    whistles = int(rng.integers(0, 1 + max(1, shouts // 8)))
    sounds = [_shout(rng) * draw(rng, 0.1, 0.7) for _ in range(shouts)]
    sounds += [_whistle(rng) * draw(rng, 0.1, 0.8) for _ in range(whistles)]
    count = len(sounds)
    times = [float(t) for t in rng.uniform(0, seconds, count)]
    scatter(out, times, sounds, list(rng.uniform(-0.9, 0.9, count)))


def cheering(rng: Rng, seconds: float) -> FloatArray:
    """A crowd that cheers: it swells and ebbs, and some clap."""
    near = np.zeros((quick_length(seconds), 2))
    _shouting(rng, near, round(seconds * draw(rng, 5, 9)))
    made = near / np.std(near)
    made += draw(rng, 0.1, 0.7) * _many(rng, near, draw(rng, 1, 30))
    if rng.uniform() < 0.7:
        hands = np.zeros_like(near)
        _clapping(rng, hands, int(rng.integers(5, 40)))
        made += hands / np.std(hands) * draw(rng, 0.1, 0.6)
    swell = 1 + rng.uniform(0.1, 0.5) * wander(rng, len(made), max(2, round(seconds / 1.5)))
    return staged(rng, made * swell[:, None])


def applauding(rng: Rng, seconds: float) -> FloatArray:
    """People who applaud, a few or a hall of them."""
    near = np.zeros((quick_length(seconds), 2))
    _clapping(rng, near, round(draw(rng, 30, 100)))
    made = near / np.std(near)
    made += draw(rng, 0.4, 1.2) * _many(rng, near, draw(rng, 2, 30))
    return staged(rng, made, distant=0.35)


_NOUN = ("", "")

VOICES = (
    Voice("cheering crowd", "bed", "ambience", _NOUN, (5.0, 9.0), (
        "a crowd cheering",
        "a {large|big|huge|excited|} {crowd|audience} {cheering|shouting and cheering|going wild}",
        "{cheers|shouts and cheers|roar|yelling} of a {large |}crowd",
        "people cheering {and clapping|and shouting|and whistling|loudly|}",
        "{spectators|fans|people} cheering in {a stadium|an arena}",
    ), cheering),
    Voice("applause", "bed", "ambience", _NOUN, (5.0, 9.0), (
        "applause",
        "{people|an audience|a crowd} {clapping|applauding}",
        "{loud|warm|long|} applause {in a hall|after a show|from an audience|}",
        "clapping {hands|audience|crowd}",
        "the {clapping|applause} of {an audience|a crowd|many people}",
    ), applauding),
)  # fmt: skip
