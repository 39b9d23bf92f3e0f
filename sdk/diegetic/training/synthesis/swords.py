"""Swords: bars of steel that ring when they meet, and rasp when they slide.

Bending modes of a bar that is free at both ends go as the squares of 3.011, 5, 7, 9, ...: N. H.
Fletcher and T. D. Rossing, "The Physics of Musical Instruments" (2nd ed., Springer 1998), chapter
2; twisting modes lie evenly between them. Each clash is a short noise and its rebounds that excite
both blades: K. van den Doel and D. Pai, "The sounds of physical shapes", Presence 7(4), 1998.
"""

import numpy as np

from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    band,
    burst,
    decay,
    draw,
    length,
    noise,
    ring,
    scatter,
    staged,
)
from diegetic.training.synthesis.voice import Voice


def _blade(rng: Rng) -> tuple[Mono, Mono]:
    """Modes of a blade, in Hz, and the seconds in which they fall by 60 dB."""
    order = np.append(3.011, np.arange(5, 42, 2))
    bending = draw(rng, 20, 70) * (order / 3.011) ** 2
    twisting = draw(rng, 300, 900) * np.arange(1, 16)
    modes = np.concatenate([bending, twisting])
    modes = modes[(modes > 250) & (modes < 16_000)] * np.exp(rng.normal(0, 0.02))
    falls = draw(rng, 0.25, 1.6) * (modes / 1500) ** -draw(rng, 0.3, 0.9)
    return modes, np.clip(falls * np.exp(rng.normal(0, 0.4, len(modes))), 0.02, 2.5)


def _struck(rng: Rng, blade: tuple[Mono, Mono], bright: float) -> Mono:
    """The blade hit at a random place; `bright` Hz is where the excitation is strongest."""
    modes, falls = blade
    place = np.abs(np.sin(np.pi * rng.uniform(0.1, 0.9) * np.arange(1, len(modes) + 1)))
    weight = np.exp(-0.5 * (np.log(modes / bright) / 0.8) ** 2)
    return ring(rng, modes, falls, (0.2 + place) * weight)


def _clash(rng: Rng, blades: tuple[tuple[Mono, Mono], ...], seconds: float) -> Mono:
    """Blades meet, and rebound one to three times within some hundredths of a second."""
    out = np.zeros((length(seconds), 2))
    hits = int(rng.integers(1, 4))
    times = np.append(0, np.cumsum(rng.uniform(0.006, 0.07, hits - 1)))
    bright = draw(rng, 1800, 5500)
    for k, time in enumerate(times):
        for blade in blades:
            sound = _struck(rng, blade, bright) * 0.6**k
            scatter(out, [time], [sound[: len(out) - length(time)]], [0.0])
        knock = burst(rng, draw(rng, 0.01, 0.05), 900, 12_000) * 0.6**k
        scatter(out, [time], [np.abs(out).max() * draw(rng, 0.3, 1.2) * knock], [0.0])
    mono = out.sum(1)
    return np.asarray(mono / np.abs(mono).max())


def _scrape(rng: Rng, blade: tuple[Mono, Mono], seconds: float) -> Mono:
    """Steel slides on steel: rough noise in a rising band that excites the blade's modes."""
    count = length(seconds)
    place = np.arange(count) / count
    low, high = draw(rng, 1500, 3000), draw(rng, 5000, 9000)
    rasp = noise(rng, count, low, low * 2.2) * (1 - place) + noise(rng, count, high, 14_000) * place
    teeth = 0.4 + np.abs(band(rng.standard_normal(count), 30, draw(rng, 80, 300)))
    swell = np.sin(np.pi * place ** rng.uniform(0.6, 1.6)) ** 0.7
    rasp = rasp * swell * teeth / np.mean(teeth)
    tail = _struck(rng, blade, draw(rng, 2500, 6000))
    size = len(rasp) + len(tail)
    sung = np.fft.irfft(np.fft.rfft(rasp, size) * np.fft.rfft(tail, size), size)
    sung /= np.abs(sung).max()
    sung[:count] += draw(rng, 0.05, 0.4) * rasp / np.abs(rasp).max()
    return np.asarray(sung / np.abs(sung).max())


def fight(rng: Rng, seconds: float) -> FloatArray:
    """A sword fight: clashes every half second or so, some of them sliding."""
    blades = (_blade(rng), _blade(rng))
    out = np.zeros((length(seconds), 2))
    time = float(rng.uniform(0, 0.3))
    gap = draw(rng, 0.25, 0.8)
    while time < seconds:
        if rng.random() < 0.18:
            sound = 0.5 * _scrape(rng, blades[0], float(rng.uniform(0.1, 0.35)))
        else:
            sound = _clash(rng, blades, 1.5) * draw(rng, 0.3, 1.0)
        scatter(out, [time], [sound], [float(rng.uniform(-0.5, 0.5))])
        time += gap * draw(rng, 0.5, 2.0)
    return staged(rng, out, distant=0.6)


def clash(rng: Rng, seconds: float) -> FloatArray:
    """Two swords meet once."""
    return staged(rng, _clash(rng, (_blade(rng), _blade(rng)), seconds), once=True, distant=0.6)


def drawn(rng: Rng, seconds: float) -> FloatArray:
    """A sword is drawn, or slides along another."""
    count = length(seconds)
    sound = _scrape(rng, _blade(rng), seconds * float(rng.uniform(0.3, 0.5)))[:count]
    out = np.zeros(count)
    out[: len(sound)] = sound * decay(len(sound), 6 * seconds)
    return staged(rng, out, once=True, distant=0.5)


VOICES = (
    Voice("sword fight", "bed", "weapon", ("sword hit", "sword hits"), (5.0, 8.0), (
        "swords clashing",
        "swords clashing {in battle|again and again|in a duel|}",
        "a {sword|knife|} fight",
        "{metal blades|blades|steel} clashing",
        "two {knights|warriors|swordsmen} fighting with swords",
        "the clang of {swords|steel on steel}",
    ), fight),
    Voice("sword clash", "oneshot", "weapon", ("sword clash", "sword clashes"), (0.7, 1.6), (
        "swords clashing",
        "a sword {clash|hits another sword|parried}",
        "{metal|steel|a blade} {strikes|hits} {metal|steel|a blade}",
        "a clang of {swords|metal}",
        "a {parry|blade parried}",
    ), clash),
    Voice("sword drawn", "oneshot", "weapon", ("sword", "swords"), (0.8, 1.5), (
        "a sword drawn",
        "a {sword|blade|knife} {drawn|unsheathed|pulled from its sheath}",
        "{metal|steel} scraping {on metal|on steel|}",
        "a blade {sliding|scraping} along {another|a blade|steel}",
    ), drawn),
)  # fmt: skip
