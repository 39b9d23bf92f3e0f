"""A voice: one sound that can be made anew without end, and how people would say it."""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray
from diegetic.training.synthesis.acoustics import Rng

MOST = 10  # captions of one sound

_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Said:
    """One kind of sound, and how it is said.

    Attributes:
        name: in a word or two: "ticking clock".
        kind: a bed goes on and loops, a oneshot is heard once.
        category: of the phrase book.
        noun: one of it and many of it; empty if it cannot be counted.
        seconds: shortest and longest.
        wordings: how it is said; "a {loud|shrill|} alarm" says three things. The first is the most
            general one and offers no choice: sounds are balanced by it.

    Raises:
        DiegeticError: there are no words, the first ones offer a choice, or the lengths are not
            positive and in order.
    """

    name: str
    kind: Literal["bed", "oneshot"]
    category: str
    noun: tuple[str, str]
    seconds: tuple[float, float]
    wordings: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.wordings or "{" in self.wordings[0]:
            raise DiegeticError(
                f"{self.name}: the first wording must be plain words, got {self.wordings[:1]}"
            )
        if not 0 < self.seconds[0] <= self.seconds[1]:
            raise DiegeticError(
                f"{self.name}: seconds must be shortest and longest, got {self.seconds}"
            )

    def draws(self, number: int, what: int) -> Rng:
        """What sound `number` of it is drawn with; `what` tells sound (0) and words (1) apart."""
        return np.random.default_rng([zlib.crc32(self.name.encode()), number, what])

    def captions(self, number: int) -> tuple[str, ...]:
        """Return how sound `number` of it may be said, most general first."""
        return sentences(self.wordings, self.draws(number, 1))


@dataclass(frozen=True)
class Voice(Said):
    """A kind of sound that is computed.

    Attributes:
        make: rng and seconds to samples (n, 2) float32 within ±1 at 48 kHz.
    """

    make: Callable[[Rng, float], FloatArray]


def sentences(wordings: tuple[str, ...], rng: Rng) -> tuple[str, ...]:
    """Up to ten captions, without doubles; the most general one first."""
    said = [wordings[0]]
    said += [_chosen(wordings[k % len(wordings)], rng) for k in range(3 * MOST)]
    return tuple(dict.fromkeys(said))[:MOST]


def _chosen(wording: str, rng: Rng) -> str:
    """`wording` with one of each choice; "a" before a vowel becomes "an"."""

    def pick(match: re.Match[str]) -> str:
        options = match.group(1).split("|")
        return options[int(rng.integers(len(options)))]

    text = " ".join(_CHOICE.sub(pick, wording).split())
    return re.sub(r"\ba (?=[aeiou])", "an ", text)
