"""Thunder: a channel of kilometres that sounds at once, and is heard piece by piece.

A. A. Few, "Power spectrum of thunder", Journal of Geophysical Research 74, 1969, and H. S. Ribner
and D. Roy, "Acoustics of thunder: a quasilinear model for tortuous lightning", Journal of the
Acoustical Society of America 72, 1982: each segment of a crooked channel gives a pulse, those seen
end-on add up to claps, the rest is the rumble. Air takes the high frequencies of what is far.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import (
    Mono,
    Rng,
    band,
    draw,
    length,
    noise,
    staged,
    wander,
)
from diegetic.training.synthesis.voice import Voice


def _envelope(rng: Rng, count: int, claps: int) -> Mono:
    """Claps that come fast and go slowly, over a rumble that rolls away: (count,)."""
    time = np.arange(count) / RATE
    lasts = count / RATE
    made = np.exp(-1.5 * time / lasts) * (
        0.35 + 0.25 * wander(rng, count, max(4, round(4 * lasts)))
    )
    for _ in range(claps):
        since = time - draw(rng, 0.02, 0.6) * lasts
        rise, fall = draw(rng, 0.08, 0.5), draw(rng, 0.4, 1.5)
        clap = np.where(
            since > 0, (1 - np.exp(-since.clip(0) / rise)) * np.exp(-since.clip(0) / fall), 0
        )
        made += draw(rng, 0.3, 1.5) * clap
    return np.asarray(made)


def rolling(rng: Rng, seconds: float) -> FloatArray:
    """Thunder far away."""
    count, top = length(seconds), draw(rng, 90, 350)
    envelope = _envelope(rng, count, int(rng.integers(1, 5)))
    shared, sides = noise(rng, count, 20, top), []
    for _ in range(2):
        own = shared + 0.6 * noise(rng, count, 20, top)
        crackle = noise(rng, count, 200, 6 * top) * envelope**2 * rng.uniform(0.05, 0.3)
        flutter = 1 + 0.5 * wander(rng, count, max(8, round(seconds * draw(rng, 8, 25))))
        sides.append((own * flutter * envelope + crackle) * np.linspace(1, 0, count) ** 0.3)
    made = np.stack([band(side, 18, 5000) for side in sides], axis=1)
    return staged(rng, made / np.abs(made).max(), once=True, distant=0.5)


VOICES = (
    Voice("rolling thunder", "oneshot", "weather", ("thunder", "thunder"), (3.5, 7.0), (
        "distant thunder",
        "{thunder|distant thunder} {rolling|rumbling} {over the hills|in the distance|far away|}",
        "{a roll|a rumble} of thunder",
    ), rolling),
)  # fmt: skip
