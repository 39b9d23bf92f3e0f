"""Sounds that are made here, not fetched: which there are, what they are, and how many are used.

They stand beside recordings for things of which there are few. So that recordings stay the larger
part, no more than `SHARE` of what trainings draw are made, among beds and among one-shots.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from diegetic.training.captioner import Fields
from diegetic.training.patches import Patch, patches
from diegetic.training.synthesis import FAMILIES
from diegetic.training.synthesis.voice import Voice

Vector = NDArray[np.float64]

# In place of a package's name; never held out. To each its licence and its class.
SYNTHESIS, PATCHES = "diegetic-synthesis", "diegetic-patches"
LICENCES = {SYNTHESIS: ("CC0-1.0", "A-CC0/PD"), PATCHES: ("MIT", "A-permissive")}
SHARE = 0.4
SOUNDS = 36  # computed, of each bed and of each one-shot by the first of its captions
PLAYED = 12  # of each patch

_EDITION = 1  # counts up when sounds change: those of former editions are then made anew


@dataclass(frozen=True)
class Made:
    """One sound: number `number` of `what`; `path` names it within `package`."""

    package: str
    path: str
    what: Voice | Patch
    number: int

    def fields(self, seconds: float) -> Fields:
        """What is known of it; `seconds` is its length."""
        return Fields(
            package=self.package,
            path=self.path,
            subject=self.what.name,
            kind=self.what.kind,
            category=self.what.category,
            noun=self.what.noun,
            tags=(),
            captions=self.what.captions(self.number),
            seconds=seconds,
        )


@cache
def made_sounds() -> dict[str, Made]:
    """Return every sound by its path: the first of each kind, then the second of each, ..."""
    voices = [(family, voice) for family, members in FAMILIES.items() for voice in members]
    same: defaultdict[tuple[str, str], int] = defaultdict(int)
    for _, voice in voices:
        same[voice.kind, voice.wordings[0]] += 1
    kinds: list[tuple[str, str, Voice | Patch, int]] = [
        (SYNTHESIS, family, voice, ceil(SOUNDS / same[voice.kind, voice.wordings[0]]))
        for family, voice in voices
    ]
    kinds += [(PATCHES, "patches", patch, PLAYED) for patch in patches()]
    sounds: dict[str, Made] = {}
    for number in range(max(SOUNDS, PLAYED)):
        for package, family, what, count in kinds:
            if number < count:
                path = f"{_EDITION}/{family}/{what.name}/{number:03d}"
                sounds[path] = Made(package, path, what, number)
    return sounds


def within_share(weights: Vector, packages: Sequence[str], share: float = SHARE) -> Vector:
    """Scale chances so that made sounds are drawn at most `share` of the time.

    Args:
        weights: (n,) how likely each sound is drawn, to any scale.
        packages: of each, n names.
        share: below 1. Where nothing is recorded it is not held.

    Returns:
        (n,) chances, whose sum is 1 unless n is 0.
    """
    chances: Vector = weights / max(float(weights.sum()), 1e-12)
    ours = np.array([package in LICENCES for package in packages], bool)
    made = float(chances[ours].sum())
    if share < made < 1:
        chances = chances * np.where(ours, share / made, (1 - share) / (1 - made))
    return chances
