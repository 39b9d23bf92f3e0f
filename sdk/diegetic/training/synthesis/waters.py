"""Water that falls: drops on metal, and whole rivers over an edge.

A drop on a plate excites the plate's modes; many drops are a Poisson process of them, of sizes that
fall off exponentially: J. S. Marshall and W. McK. Palmer, "The distribution of raindrops with
size", Journal of Meteorology 5, 1948. A waterfall is the noise of countless impacts and bubbles,
whose spectrum falls slowly towards high frequencies, and swells a little.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    band,
    bins,
    burst,
    draw,
    filtered,
    length,
    noise,
    ring,
    scatter,
    staged,
    wander,
)
from diegetic.training.synthesis.voice import Voice


def _drop_on_metal(rng: Rng, plate: float, size: float) -> Mono:
    """One drop of `size` from 0 to 1 on a sheet whose lowest mode is at `plate` Hz."""
    modes = plate * np.cumsum(rng.uniform(0.5, 1.5, 6))
    sheet = ring(rng, modes, draw(rng, 0.01, 0.04) * np.ones(6), rng.uniform(0.2, 1, 6) / 3)
    tap = burst(rng, draw(rng, 0.006, 0.02), draw(rng, 1200, 3000), 14_000)
    made = np.zeros(max(len(sheet), len(tap)))
    made[: len(sheet)] += sheet * draw(rng, 0.05, 0.4)
    made[: len(tap)] += tap
    return np.asarray(made * size)


def rain_on_metal(rng: Rng, seconds: float) -> FloatArray:
    """Rain on a metal roof, from within or without."""
    made = np.zeros((length(seconds), 2))
    plate, drops = draw(rng, 400, 2000), round(seconds * draw(rng, 250, 800))
    kinds = [_drop_on_metal(rng, plate * rng.uniform(0.7, 1.4), 1.0) for _ in range(60)]
    sizes = rng.exponential(0.25, drops).clip(0.02, 0.8)
    sounds = [size * kinds[int(rng.integers(60))] for size in sizes]
    scatter(made, list(rng.uniform(0, seconds, drops)), sounds, list(rng.uniform(-0.9, 0.9, drops)))
    hiss = np.stack([noise(rng, len(made), 800, draw(rng, 7000, 16_000)) for _ in range(2)], axis=1)
    made += draw(rng, 0.7, 2.0) * np.std(made) * hiss
    return staged(rng, made / np.abs(made).max(), distant=0.4)


def falling(rng: Rng, seconds: float) -> FloatArray:
    """A waterfall."""
    count = length(seconds)
    f = np.maximum(bins(count), 20.0)
    slope, knee = rng.uniform(0.1, 0.4), draw(rng, 4000, 9000)
    gains = f**-slope / np.sqrt(1 + (f / knee) ** 2)
    sides = []
    for _ in range(2):
        rush = filtered(rng.standard_normal(count), gains)
        swell = 1 + rng.uniform(0.02, 0.2) * wander(rng, count, max(3, round(2 * seconds)))
        splashes = noise(rng, count, 800, 5000) * np.clip(
            wander(rng, count, round(seconds * draw(rng, 20, 60))), 0, None
        )
        sides.append(rush / np.std(rush) * swell + rng.uniform(0.1, 0.5) * splashes)
    made = np.stack([band(side, draw(rng, 120, 350), 16_000) for side in sides], axis=1)
    return staged(rng, made / np.abs(made).max(initial=1 / RATE), distant=0.6)


VOICES = (
    Voice("rain on metal", "bed", "rain", ("rain", "rain"), (5.0, 8.0), (
        "rain on a metal roof",
        "{heavy|steady|} rain {on|drumming on} {a metal roof|a tin roof|corrugated iron|a car}",
        "{raindrops|drops} {on|hitting} {metal|a tin roof}",
    ), rain_on_metal),
    Voice("waterfall", "bed", "water", ("waterfall", "waterfalls"), (5.0, 8.0), (
        "a waterfall",
        "{a large|a roaring|a great|} waterfall {in a cave|in the mountains|nearby|}",
        "water {falling|rushing|thundering} {over a cliff|into a pool|down}",
    ), falling),
)  # fmt: skip
