"""Car engines: a train of explosions, cylinder by cylinder, through exhaust and body.

A. Farnell, "Designing Sound" (MIT Press 2010), Practical 22, "Cars", and S. Baldan, H. Lachambre,
S. Delle Monache and P. Boussard, "Physically informed car engine sound synthesis for virtual and
augmented environments", IEEE Sonic Interactions for Virtual Environments, 2015: in a four-stroke
engine each cylinder fires once in two turns; cylinders differ, pipes resonate, load brightens.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    band,
    cycles,
    draw,
    length,
    noise,
    resonant,
    staged,
    wander,
)
from diegetic.training.synthesis.voice import Voice

_CYLINDERS = (1, 2, 3, 4, 4, 4, 4, 6, 6, 8, 8, 12)
_TABLE = 4096


def _fired(rng: Rng, turns: Mono, cylinders: int) -> Mono:
    """Pressure at the exhaust for `turns` (crank turns, two a cycle): one pulse a cylinder."""
    place = np.arange(_TABLE) / _TABLE
    table = np.zeros(_TABLE)
    width = draw(rng, 0.04, 0.16) / cylinders**0.5
    lopsided = draw(rng, 0.005, 0.06)
    for k in range(cylinders):
        after = (place - (k + rng.normal(0, lopsided)) / cylinders) % 1.0
        table += rng.uniform(0.7, 1) * np.exp(-after / width) * np.sin(np.pi * after / width)
    table = np.append(table, table[0])
    return np.asarray(np.interp(turns / 2 % 1.0, np.linspace(0, 1, _TABLE + 1), table))


def _engine(rng: Rng, rpm: Mono, load: Mono) -> Mono:
    """An engine at `rpm` (n,) turns a minute under `load` (n,) from 0 to 1; (n,)."""
    count = len(rpm)
    cylinders = int(rng.choice(_CYLINDERS))
    turns = 2 * cycles(rpm / 120)  # a whole number of four-stroke cycles, so that it loops
    pulses = _fired(rng, turns, cylinders)
    uneven = rng.uniform(0.85, 1.15, int(turns[-1] / 2) + 2)
    pulses *= uneven[(turns / 2).astype(int)]
    rough = noise(rng, count, 300, draw(rng, 3000, 9000))
    hiss = rough * np.maximum(pulses, 0) * draw(rng, 0.1, 0.6)
    pulses = np.tanh(draw(rng, 1, 4) * pulses)
    dull, bright = band(pulses, 25, draw(rng, 250, 700), 1.0), band(pulses, 25, 5000, 1.0)
    made = dull + load * draw(rng, 0.4, 1.5) * bright + (0.3 + load) * hiss
    pipe = draw(rng, 45, 140)
    centres = [pipe * k for k in (1, 3, 5, 7)] + [draw(rng, 400, 2500) for _ in range(3)]
    peaks = list(rng.uniform(0.5, 3, len(centres)))
    made = resonant(made, centres, [c * 0.25 for c in centres], peaks)
    rattle = noise(rng, count, 1500, 8000) * np.abs(np.sin(np.pi * turns)) ** 8
    return np.asarray((made + draw(rng, 0.005, 0.06) * rattle) * (0.35 + 0.65 * load))


def idling(rng: Rng, seconds: float) -> FloatArray:
    """An engine that idles."""
    count = length(seconds)
    rpm = draw(rng, 550, 1100) * (1 + 0.02 * wander(rng, count, max(3, round(4 * seconds))))
    return staged(rng, _engine(rng, rpm, np.full(count, rng.uniform(0.05, 0.3))), distant=0.6)


def working(rng: Rng, seconds: float) -> FloatArray:
    """One or more large engines at work: slow, and under load."""
    count = length(seconds)
    made = np.zeros(count)
    for number in range(int(rng.integers(1, 4))):
        rpm = draw(rng, 420, 1100) * (1 + 0.03 * wander(rng, count, max(3, round(seconds))))
        load = 0.5 + 0.35 * wander(rng, count, max(3, round(seconds)))
        engine = _engine(rng, rpm, load)
        made += (1.0 if number == 0 else draw(rng, 0.2, 0.9)) * engine / np.std(engine)
    rumble = noise(rng, count, 25, draw(rng, 120, 400))
    return staged(rng, band(made + draw(rng, 0.2, 1.0) * rumble, 20, 6000), distant=0.6)


def revving(rng: Rng, seconds: float) -> FloatArray:
    """An engine that is revved again and again while standing."""
    time = np.arange(length(seconds)) / RATE
    gas = np.zeros(len(time))
    at = float(rng.uniform(0.05, 0.3))
    while at < seconds - 0.6:
        gas = np.maximum(gas, _blip(rng, time - at))
        at += float(rng.uniform(0.6, 2.0))
    return staged(rng, _revved(rng, gas), distant=0.6)


def _blip(rng: Rng, since: Mono) -> Mono:
    """The gas is pressed at 0 and let go: the engine's speed, 0 to 1."""
    up, hold, down = draw(rng, 0.12, 0.6), rng.uniform(0, 0.7), draw(rng, 0.25, 0.9)
    rise = 1 - np.exp(-np.maximum(since, 0) / up)
    top = 1 - np.exp(-(up + hold) / up)
    fall = top * np.exp(-np.maximum(since - up - hold, 0) / down)
    return np.asarray(rng.uniform(0.5, 1) * np.where(since < up + hold, rise, fall))


def _revved(rng: Rng, gas: Mono) -> Mono:
    idle = draw(rng, 650, 1100)
    rpm = idle + (draw(rng, 3000, 8500) - idle) * gas
    pressed = np.clip(np.gradient(gas) * RATE * 1.5, 0, 1)
    load = np.clip(0.15 + 0.5 * gas + 0.4 * band(pressed, 0.01, 8), 0, 1.3)
    return _engine(rng, rpm, load)


def driving(rng: Rng, seconds: float) -> FloatArray:
    """A car that drives, with gears shifted up now and then, over the noise of its tyres."""
    count = length(seconds)
    slow = wander(rng, count, max(2, round(seconds / 2)))
    rpm = draw(rng, 1500, 4500) * (1 + rng.uniform(0.05, 0.35) * slow)
    made = _engine(rng, rpm, 0.6 + 0.35 * slow)
    tyres = noise(rng, count, 60, draw(rng, 500, 1500))
    return staged(rng, made + draw(rng, 0.05, 0.5) * np.std(made) * tyres)


def rev(rng: Rng, seconds: float) -> FloatArray:
    """The gas is pressed once."""
    time = np.arange(length(seconds)) / RATE
    gas = _blip(rng, time - rng.uniform(0.02, 0.15))
    made = _revved(rng, gas) * np.clip((seconds - time) / 0.4, 0, 1) * np.clip(time / 0.05, 0, 1)
    return staged(rng, made, once=True, distant=0.6)


VOICES = (
    Voice("idling engine", "bed", "vehicle", ("engine", "engines"), (4.5, 8.0), (
        "a car engine",
        "{a car|a motor|a truck|an engine|a motorcycle} idling",
        "an idling {engine|car engine|diesel engine}",
        "a car waiting with its engine running",
        "an engine running {slowly|steadily|}",
    ), idling),
    Voice("working engines", "bed", "vehicle", ("engine", "engines"), (5.0, 8.0), (
        "heavy machinery",
        "{a bulldozer|an excavator|a crane|construction machines} {at work|working|}",
        "{a large|a heavy|a big} {diesel engine|diesel generator|diesel} {running|at work}",
        "the {rumble|drone} of {heavy|large|ship} engines",
    ), working),
    Voice("revving engine", "bed", "vehicle", ("engine", "engines"), (5.0, 9.0), (
        "a car engine",
        "a {car|sports car|motorcycle|race car|} engine revving",
        "{a car|a motorbike|a truck|an engine} being revved {up|again and again|}",
        "a loud engine revving {up|}",
        "a {car|driver} revving {the|its} engine",
    ), revving),
    Voice("driving car", "bed", "vehicle", ("car", "cars"), (5.0, 9.0), (
        "a car engine",
        "{a car|a race car|a truck|a sports car} {driving|accelerating|at speed}",
        "driving {a car|fast|on a road}",
        "inside a moving car",
        "a {motor|car} at {high|full} speed",
    ), driving),
    Voice("engine rev", "oneshot", "vehicle", ("engine rev", "engine revs"), (1.5, 3.0), (
        "an engine revving",
        "a {car|motorcycle|sports car} engine {revving|revved once}",
        "a rev of {the|an|a car} engine",
        "an engine {roars|roaring up|revved up}",
    ), rev),
)  # fmt: skip
