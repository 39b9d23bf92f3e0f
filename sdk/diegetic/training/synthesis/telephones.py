"""Telephones: a hammer between two gongs, and tones in pairs.

A. Farnell, "Designing Sound" (MIT Press 2010), Practicals 2 "Phone tones" and 6 "Telephone bell":
an electromagnet swings the hammer twenty times a second or so between two small bells. What comes
after it adds two tones, or warbles between them: ITU-T E.180 lists the pairs and the rests.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Rng,
    burst,
    draw,
    length,
    ring,
    scatter,
    staged,
    tone,
)
from diegetic.training.synthesis.voice import Voice

_GONG = np.array([1.0, 2.0, 3.0, 4.2, 5.4, 6.8])  # spread by chance below


def _rings(rng: Rng, seconds: float, once: bool) -> list[tuple[float, float]]:
    """Begin and length of each ring, of one or two pulses, within `seconds`."""
    if once:
        return [(0.02, 0.65 * seconds)]
    on, rest = draw(rng, 0.4, 2.0), draw(rng, 0.4, 2.0)
    pulses = [(0.0, on)] if rng.random() < 0.6 else [(0.0, 0.4), (0.6, 0.4)]
    period = pulses[-1][0] + pulses[-1][1] + rest
    turns = max(1, round(seconds / period))
    return [(k * seconds / turns + at, span) for k in range(turns) for at, span in pulses]


def _bell(rng: Rng, seconds: float, *, once: bool) -> FloatArray:
    out = np.zeros((length(seconds), 2))
    falls, rate = draw(rng, 0.3, 1.2), draw(rng, 15, 28)
    gongs = []
    lowest = draw(rng, 700, 1500)
    for pitch in (1.0, draw(rng, 1.05, 1.3)):
        modes = lowest * pitch * _GONG * np.exp(rng.normal(0, 0.06, len(_GONG)))
        sound = ring(
            rng, modes, falls * (modes / modes[0]) ** -0.6, rng.uniform(0.2, 1, len(modes))
        )
        sound[:480] += burst(rng, 0.01, 1500, 9000) * 0.6
        gongs.append(sound)
    for begin, span in _rings(rng, seconds, once):
        for k in range(int(span * rate)):
            at = begin + (k + rng.normal(0, 0.05)) / rate
            sound = gongs[k % 2] * rng.uniform(0.7, 1)
            if once:
                sound = sound[: max(0, len(out) - length(max(0, at)))]
            scatter(out, [max(0.0, at)], [sound], [0.1 * (k % 2)])
    return staged(rng, out, once=once, distant=0.5)


def _trill(rng: Rng, seconds: float, *, once: bool) -> FloatArray:
    count = length(seconds)
    time = np.arange(count) / RATE
    gate = np.zeros(count)
    for begin, span in _rings(rng, seconds, once):
        gate = np.maximum(
            gate, np.clip(np.minimum(time - begin, begin + span - time) / 0.005, 0, 1)
        )
    low = draw(rng, 400, 1800)
    high = low * draw(rng, 1.1, 1.5)
    harmonics = np.arange(1, 12.0) ** -draw(rng, 0.8, 2.5)
    if rng.random() < 0.7:
        turn = (time * draw(rng, 12, 30)).astype(int) % 2
        made = tone(np.where(turn == 1, high, low), harmonics)
    else:
        made = tone(np.full(count, low), harmonics) + tone(np.full(count, high), harmonics)
    return staged(rng, made * gate, once=once, distant=0.5)


def bell_phone(rng: Rng, seconds: float) -> FloatArray:
    """An old telephone rings, rests, rings."""
    return _bell(rng, seconds, once=False)


def tone_phone(rng: Rng, seconds: float) -> FloatArray:
    """An electronic telephone rings, rests, rings."""
    return _trill(rng, seconds, once=False)


def one_ring(rng: Rng, seconds: float) -> FloatArray:
    """A telephone rings once."""
    return (_bell if rng.random() < 0.6 else _trill)(rng, seconds, once=True)


_NOUN = ("phone ring", "phone rings")

VOICES = (
    Voice("ringing telephone", "bed", "door/mech", _NOUN, (5.0, 8.0), (
        "a telephone ringing",
        "{an old|a rotary|a black|an office|} {telephone|phone} ringing {in another room|}",
        "the bell of {a|an old} telephone",
        "a ringing {telephone|phone}",
    ), bell_phone),
    Voice("ringing electronic telephone", "bed", "door/mech", _NOUN, (5.0, 8.0), (
        "a telephone ringing",
        "{an electronic|an office|a modern|a mobile|} {telephone|phone} ringing",
        "a {phone|telephone} {trilling|warbling}",
        "an incoming call",
    ), tone_phone),
    Voice("telephone ring", "oneshot", "door/mech", _NOUN, (1.0, 2.5), (
        "a phone ringing",
        "a {telephone|phone} rings {once|}",
        "one ring of {a|an old} {telephone|phone}",
        "the telephone rings",
    ), one_ring),
)  # fmt: skip
