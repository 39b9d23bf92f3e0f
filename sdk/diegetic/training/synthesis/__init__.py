"""Sounds made by rule, for things of which there are few recordings: bells, clocks, engines.

Each family is a module with its model, its sources and its words. Sound `number` of a voice depends
on (voice, number) alone: made anew it is the same.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis import (
    alarms,
    bells,
    bubbles,
    clocks,
    coins,
    crowds,
    engines,
    frogs,
    guns,
    helicopters,
    horses,
    machines,
    swords,
    telephones,
    thunder,
    waters,
    winds,
    wolves,
    zombies,
)
from diegetic.training.synthesis.voice import Voice

FAMILIES: dict[str, tuple[Voice, ...]] = {
    "alarms": alarms.VOICES,
    "bells": bells.VOICES,
    "bubbles": bubbles.VOICES,
    "clocks": clocks.VOICES,
    "coins": coins.VOICES,
    "crowds": crowds.VOICES,
    "engines": engines.VOICES,
    "frogs": frogs.VOICES,
    "guns": guns.VOICES,
    "helicopters": helicopters.VOICES,
    "horses": horses.VOICES,
    "machines": machines.VOICES,
    "swords": swords.VOICES,
    "telephones": telephones.VOICES,
    "thunder": thunder.VOICES,
    "waters": waters.VOICES,
    "winds": winds.VOICES,
    "wolves": wolves.VOICES,
    "zombies": zombies.VOICES,
}


def render(voice: Voice, number: int) -> FloatArray:
    """Return sound `number` of `voice`: (n, 2) float32 within ±1 at 48 kHz.

    Raises:
        DiegeticError: `number` is negative, or what the voice made is not such a sound.
    """
    if number < 0:
        raise DiegeticError(f"number must be 0 or more, got {number}")
    rng = voice.draws(number, 0)
    made = voice.make(rng, float(rng.uniform(*voice.seconds)))
    whole = made.ndim == 2 and made.shape[1] == 2 and len(made) >= voice.seconds[0] * RATE / 2
    if not whole or not np.isfinite(made).all() or np.abs(made).max() > 1:
        raise DiegeticError(
            f"{voice.name} {number} must be (samples, 2) within ±1, got {made.shape}, "
            f"peak {np.abs(made).max(initial=0.0):.3g}"
        )
    return made
