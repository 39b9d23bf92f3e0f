"""Frogs: trains of pulses, each of which rings in the throat and in the vocal sac.

Calls of frogs and toads, their pulse rates, formants and choruses: H. C. Gerhardt and F. Huber,
"Acoustic Communication in Insects and Anurans" (University of Chicago Press 2002), and K. D.
Wells, "The Ecology and Behavior of Amphibians" (University of Chicago Press 2007), chapter 7.
"""

from dataclasses import dataclass

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    cycles,
    decay,
    draw,
    length,
    noise,
    ring,
    scatter,
    staged,
    wander,
)
from diegetic.training.synthesis.voice import Voice


@dataclass(frozen=True)
class _Frog:
    """How one frog calls: formants (Hz), seconds of a pulse, pulses a second, seconds of a note."""

    formants: Mono
    falls: float
    pulses: tuple[float, float]
    seconds: float
    notes: int


def _frog(rng: Rng) -> _Frog:
    """A frog of some species: small ones call higher, with more pulses a second."""
    low = draw(rng, 950, 1700)
    first = draw(rng, 35, 80)
    return _Frog(
        formants=low * np.array([1.0, rng.uniform(1.8, 2.4), rng.uniform(2.7, 3.6)]),
        falls=draw(rng, 0.009, 0.03),
        pulses=(first, first * draw(rng, 0.8, 1.9)),
        seconds=draw(rng, 0.16, 0.5),
        notes=int(rng.choice([1, 2, 2, 3])),
    )


def _sibling(rng: Rng, frog: _Frog) -> _Frog:
    """Another frog of the same species."""
    faster = draw(rng, 0.85, 1.18)
    return _Frog(
        formants=frog.formants * draw(rng, 0.88, 1.14),
        falls=frog.falls,
        pulses=(frog.pulses[0] * faster, frog.pulses[1] * faster),
        seconds=frog.seconds * draw(rng, 0.8, 1.25),
        notes=frog.notes,
    )


def _note(rng: Rng, frog: _Frog) -> Mono:
    """One croak of peak 1: pulses that come faster or slower, and swell."""
    count = length(frog.seconds * draw(rng, 0.9, 1.1))
    place = np.linspace(0, 1, count)
    passed = cycles(frog.pulses[0] * (frog.pulses[1] / frog.pulses[0]) ** place)
    at = np.flatnonzero(np.diff(np.floor(passed - 1e-6)))
    swell = np.sin(np.pi * place ** rng.uniform(0.6, 1.1)) ** rng.uniform(0.4, 1.0)
    out = np.zeros(count + length(2 * frog.falls))
    gains = np.array([1.0, rng.uniform(0.3, 1.0), rng.uniform(0.1, 0.5)])
    for start in at:
        pitch = 0.92 + 0.12 * swell[start] + rng.normal(0, 0.01)
        falls = frog.falls * np.array([1.5, 1.0, 0.8])
        pulse = ring(rng, frog.formants * pitch, falls, gains)
        rough = noise(rng, len(pulse), frog.formants[0], frog.formants[2])
        pulse += 0.25 * rough * decay(len(pulse), frog.falls)
        out[start : start + len(pulse)] += swell[start] * rng.uniform(0.8, 1) * pulse
    return np.asarray(out / np.abs(out).max())


def _call(rng: Rng, frog: _Frog) -> Mono:
    """The notes of one call, the later ones the louder."""
    notes = [_note(rng, frog) * (0.7 + 0.3 * (k + 1) / frog.notes) for k in range(frog.notes)]
    rest = np.zeros(length(frog.seconds * rng.uniform(0.1, 0.5)))
    return np.concatenate([part for note in notes for part in (note, rest)])


def _night(rng: Rng, count: int) -> Mono:
    """Air, and crickets that chirp somewhere; (n, 2)."""
    sides = []
    course = draw(rng, 3800, 5200) * np.ones(count)
    chirps = np.maximum(np.sin(2 * np.pi * cycles(np.full(count, draw(rng, 14, 40)))), 0)
    song = np.sin(2 * np.pi * cycles(course)) * chirps
    song *= np.clip(1.5 * wander(rng, count, max(3, round(2 * count / RATE))), 0, 1)
    for _ in range(2):
        sides.append(noise(rng, count, 80, draw(rng, 800, 4000)) + rng.uniform(0, 0.6) * song)
    return np.stack(sides, axis=1)


def croaking(rng: Rng, seconds: float) -> FloatArray:
    """Several frogs, one near and others farther off, each at its own pace."""
    out = np.zeros((length(seconds), 2))
    species = [_frog(rng) for _ in range(int(rng.integers(1, 3)))]
    for k in range(int(rng.integers(3, 8))):
        frog = _sibling(rng, species[k % len(species)])
        loud = 1.0 if k == 0 else draw(rng, 0.12, 0.7)
        pan = float(rng.uniform(-0.8, 0.8))
        wait = draw(rng, 0.2, 1.4)
        at = float(rng.uniform(0, 0.7))
        while at < seconds - 0.2:
            call = _call(rng, frog)
            scatter(out, [at], [loud * draw(rng, 0.7, 1) * call], [pan])
            at += len(call) / RATE + wait * draw(rng, 0.7, 1.4)
    out += draw(rng, 0.004, 0.03) * _night(rng, len(out))
    return staged(rng, out, distant=0.5)


VOICES = (
    Voice("croaking frogs", "bed", "creature", ("frog", "frogs"), (5.0, 8.0), (
        "frogs croaking",
        "{several|many|a few|} frogs croaking {at night|in a pond|in a swamp|by the water|}",
        "a chorus of {frogs|croaking frogs}",
        "frogs {calling|calling at night|in a swamp|in a pond|ribbiting}",
        "a {swamp|pond|marsh} {full of frogs|with croaking frogs} {at night|}",
        "{toads|toads and frogs} croaking",
    ), croaking),
)  # fmt: skip
