"""Alarms and sirens: tones that step, sweep or pulse, through a horn.

A. Farnell, "Designing Sound" (MIT Press 2010), Practicals 4 "Alarm generator", 5 "Police" (a siren
that rises and falls as a capacitor loads and unloads, a horn that overdrives) and 35 "Red alert"
(a klaxon that sweeps up). Fire alarms beep three times and rest: ISO 8201, "temporal three".
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import Mono, Rng, draw, length, resonant, staged, tone
from diegetic.training.synthesis.voice import Voice


def _horn(
    rng: Rng, course: Mono, gate: Mono | float = 1.0, slope: tuple[float, float] = (0.7, 2.5)
) -> Mono:
    """A tone of frequency `course` through an overdriven horn with some resonances.

    Its harmonics fall as 1 / k to a power drawn from `slope`.
    """
    harmonics = np.arange(1, 80.0) ** -draw(rng, *slope)
    if rng.random() < 0.4:
        harmonics[1::2] *= 0.1  # nearly a square wave
    made = np.tanh(draw(rng, 0.5, 4.0) * tone(course, harmonics)) * gate
    centres = np.exp(rng.uniform(np.log(500), np.log(4000), 3))
    return resonant(made, list(centres), list(centres / 4), list(rng.uniform(0.2, 2.5, 3)))


def _gate(count: int, period: float, pulses: int, on: float, off: float) -> Mono:
    """`pulses` of `on` seconds, `off` apart, in each `period`; 4 ms up and down."""
    time = np.arange(count) / RATE % period
    gate = np.zeros(count)
    for k in range(pulses):
        inside = np.minimum(time - k * (on + off), k * (on + off) + on - time)
        gate = np.maximum(gate, np.clip(inside / 0.004, 0, 1))
    return gate


def _whole(seconds: float, period: float) -> int:
    """The samples of as many whole periods as come nearest to `seconds`."""
    return length(max(1, round(seconds / period)) * period)


def two_tone(rng: Rng, seconds: float) -> FloatArray:
    """Two tones in turn, as ambulances in Europe."""
    half = draw(rng, 0.2, 0.8)
    low = draw(rng, 380, 1000)
    count = _whole(seconds, 2 * half)
    turn = (np.arange(count) / RATE / half).astype(int) % 2
    return staged(rng, _horn(rng, low * np.where(turn == 1, draw(rng, 1.12, 1.5), 1.0)))


def _sweep(rng: Rng, seconds: float, period: float) -> FloatArray:
    low, high = draw(rng, 350, 750), draw(rng, 1000, 1800)
    count = _whole(seconds, period)
    place = np.arange(count) / RATE / period % 1.0
    up = rng.uniform(0.3, 0.6)
    bend = draw(rng, 1.5, 4)
    rise = (1 - np.exp(-bend * place / up)) / (1 - np.exp(-bend))
    fall = np.exp(-bend * (place - up) / (1 - up)) - np.exp(-bend)
    course = low + (high - low) * np.where(place < up, rise, fall / (1 - np.exp(-bend)))
    return staged(rng, _horn(rng, course))


def wail(rng: Rng, seconds: float) -> FloatArray:
    """A siren that rises and falls over seconds."""
    return _sweep(rng, seconds, draw(rng, 2.0, 5.0))


def yelp(rng: Rng, seconds: float) -> FloatArray:
    """A siren that rises and falls several times a second."""
    return _sweep(rng, seconds, draw(rng, 0.18, 0.5))


def buzzer(rng: Rng, seconds: float) -> FloatArray:
    """A reed that buzzes, steadily or in pulses."""
    period = draw(rng, 0.3, 1.6)
    count = _whole(seconds, period)
    steady = rng.random() < 0.25
    gate = np.ones(count) if steady else _gate(count, period, 1, period * rng.uniform(0.4, 0.8), 0)
    return staged(rng, _horn(rng, np.full(count, draw(rng, 90, 300)), gate, (0.05, 0.5)))


def klaxon(rng: Rng, seconds: float) -> FloatArray:
    """Red alert: a sweep upwards, again and again, with a low growl below it."""
    period = draw(rng, 0.7, 2.0)
    count = _whole(seconds, period)
    on = rng.uniform(0.6, 0.95)
    place = np.minimum(np.arange(count) / RATE / period % 1.0 / on, 1.0)
    low = draw(rng, 220, 600)
    course = low * draw(rng, 1.4, 3.2) ** (place ** draw(rng, 0.5, 1.5))
    gate = _gate(count, period, 1, on * period, 0)
    growl = rng.uniform(0, 0.5) * _horn(rng, course / 2, gate)
    return staged(rng, _horn(rng, course, gate) + growl)


def beeping(rng: Rng, seconds: float) -> FloatArray:
    """An electronic alarm: one to four beeps, a rest, again; shrill."""
    on, off, pulses = draw(rng, 0.06, 0.5), draw(rng, 0.05, 0.4), int(rng.integers(1, 5))
    period = pulses * (on + off) + draw(rng, 0.1, 1.0)
    count = _whole(seconds, period)
    course = np.full(count, draw(rng, 800, 3600))
    return staged(rng, _horn(rng, course, _gate(count, period, pulses, on, off)))


_SPACE = "{on a space station|on a spaceship|in a base|}"

VOICES = (
    Voice("two-tone siren", "bed", "vehicle", ("siren", "sirens"), (4.5, 8.0), (
        "a siren",
        "a {two-tone|loud|high and low} siren",
        "an {ambulance|emergency} siren {wailing|in the street|}",
        "a {police|fire engine} siren",
        "an alarm {alternating between two tones|going off|}",
    ), two_tone),
    Voice("wailing siren", "bed", "vehicle", ("siren", "sirens"), (5.0, 9.0), (
        "a siren",
        "a siren wailing {in the distance|}",
        "a {police|rising and falling|wailing} siren",
        "an {air raid|emergency} siren",
        "a police car with its siren on",
    ), wail),
    Voice("yelping siren", "bed", "vehicle", ("siren", "sirens"), (4.5, 8.0), (
        "a siren",
        "a {fast|yelping|police} siren",
        "a {car alarm|burglar alarm} going off",
        "an {emergency|intruder} alarm",
    ), yelp),
    Voice("buzzer", "bed", "door/mech", ("buzzer", "buzzers"), (4.5, 8.0), (
        "an alarm",
        "a {loud|harsh|low} buzzer",
        "a buzzer {sounding|going off}",
        f"a buzzing alarm {_SPACE}",
        f"a warning buzzer {_SPACE}",
    ), buzzer),
    Voice("klaxon", "bed", "door/mech", ("klaxon", "klaxons"), (4.5, 8.0), (
        "an alarm",
        f"an alarm {_SPACE}",
        f"a red alert {_SPACE}",
        "a klaxon {sounding|}",
        f"a {{warning|general|ship's|sci-fi}} alarm {_SPACE}",
        "an alert {blaring|repeating}",
    ), klaxon),
    Voice("beeping alarm", "bed", "door/mech", ("alarm", "alarms"), (4.5, 8.0), (
        "an alarm",
        "an alarm {beeping|going off|ringing}",
        "a {smoke|fire|security|shrill|burglar} alarm",
        f"an electronic alarm {_SPACE}",
        "a warning signal beeping",
    ), beeping),
)  # fmt: skip
