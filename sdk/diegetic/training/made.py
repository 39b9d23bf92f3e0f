"""Sounds that are made here, not fetched: which there are, what they are, and how many are used.

They stand beside recordings for things of which there are few. So that recordings stay the larger
part, no more of them are used than `SHARE` of what scenes draw, among beds and among one-shots.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil, sqrt
from typing import Any

from diegetic.training.captioner import Fields
from diegetic.training.patches import Patch, patches
from diegetic.training.synthesis import FAMILIES
from diegetic.training.synthesis.voice import Voice

# In place of a package's name; never held out. To each its licence and its class.
SYNTHESIS, PATCHES = "diegetic-synthesis", "diegetic-patches"
LICENCES = {SYNTHESIS: ("CC0-1.0", "A-CC0/PD"), PATCHES: ("MIT", "A-permissive")}
SHARE = 0.3
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


def within_share(segments: Iterable[Mapping[str, Any]], share: float = SHARE) -> set[str]:
    """Return the paths of the made `segments` that may be used beside the recorded ones.

    They are taken in turn, as `made_sounds` lists them, as long as scenes would draw at most
    `share` of their beds, and of their one-shots, from them. Scenes draw a name (the first caption)
    by the root of how much there is of it, and of that name's sounds by length or evenly
    (`studio`).
    """
    order = {path: rank for rank, path in enumerate(made_sounds())}
    taken: set[str] = set()
    for kind in ("bed", "oneshot"):
        recorded: defaultdict[str, float] = defaultdict(float)
        ours: list[tuple[int, str, str, float]] = []
        for row in segments:
            if row["kind"] != kind or row["split"] != "train":
                continue
            size = float(row["samples"]) if kind == "bed" else 1.0
            if row["package"] in LICENCES:
                ours.append((order[row["path"]], row["path"], row["captions"][0], size))
            elif not (kind == "bed" and "ui" in row["category"]):
                recorded[row["captions"][0]] += size
        made: defaultdict[str, float] = defaultdict(float)
        for _, path, name, size in sorted(ours):
            made[name] += size
            if _drawn(recorded, made) > share:
                break
            taken.add(path)
    return taken


def _drawn(recorded: Mapping[str, float], made: Mapping[str, float]) -> float:
    """The share of draws that are made, from how much there is of each name."""
    sums = {name: recorded.get(name, 0.0) + made.get(name, 0.0) for name in {*recorded, *made}}
    ours = sum(size / sqrt(sums[name]) for name, size in made.items())
    return ours / max(sum(sqrt(size) for size in sums.values()), 1e-12)
