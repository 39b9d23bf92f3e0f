"""One caption for several sounds at once: "rain falling with two distant gunshots on the left".

Counting, order and side are said in different ways; the same parts and seed give the same words.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from diegetic.errors import DiegeticError

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MANY = 5  # above it, people say "several"
_TOGETHER = (
    "{bed} with {events}",
    "{bed} and {events}",
    "{events} over {bed}",
    "{bed}, {events}",
)
_BEDS_JOINED = ("{a} and {b}", "{a} with {b}", "{b} over {a}")
_THEN = (", then ", " followed by ", " and then ")
_AND = (" and ", ", ", " with ")
_SIDES = {
    "left": ("on the left", "to the left", "from the left"),
    "right": ("on the right", "to the right", "from the right"),
}


@dataclass(frozen=True)
class Part:
    """One sound of a mixture.

    Attributes:
        phrase: how it is said on its own: "rain falling".
        noun: one of it ("gunshot"); empty for what cannot be counted.
        plural: many of it ("gunshots").
        count: how often it is heard.
        start: seconds from the mixture's start of its first sounding; sets the order of events.
        side: where it is heard.
        distant: far away, or at least quiet.
        bed: goes on all the time.
    """

    phrase: str
    noun: str = ""
    plural: str = ""
    count: int = 1
    start: float = 0.0
    side: Literal["", "left", "right"] = ""
    distant: bool = False
    bed: bool = False

    def __post_init__(self) -> None:
        if self.count < 1:
            raise DiegeticError(f"count must be 1 or more, got {self.count}")
        if not self.phrase:
            raise DiegeticError("phrase must be words, got an empty text")


def compose(parts: Sequence[Part], seed: int = 0, *, ordered: bool = False) -> str:
    """Return one caption for `parts`; "silence" for none. `ordered` says what comes first.

    Beds come first or last; events are in the order of their starts.
    """
    rng = random.Random(seed)
    beds = [_bed(part, rng) for part in parts if part.bed]
    events = [part for part in sorted(parts, key=lambda part: part.start) if not part.bed]
    said = [_event(part, rng) for part in events]
    join = rng.choice(_THEN if ordered and len(said) > 1 else _AND)
    heard = join.join(said)
    below = _joined(beds, rng)
    if below and heard:
        form = rng.choice(_TOGETHER[:3] if len(said) > 1 else _TOGETHER)
        return form.format(bed=below, events=heard)
    return below or heard or "silence"


def _joined(beds: list[str], rng: random.Random) -> str:
    if not beds:
        return ""
    text = beds[0]
    for bed in beds[1:]:
        text = rng.choice(_BEDS_JOINED).format(a=text, b=bed)
    return text


def _bed(part: Part, rng: random.Random) -> str:
    text = f"distant {part.phrase.removeprefix('a ').removeprefix('an ')}" if part.distant else ""
    return _placed(text or part.phrase, part, rng)


def _event(part: Part, rng: random.Random) -> str:
    if not part.noun:
        times = f" {_NUMBERS[part.count]} times" if 1 < part.count <= _MANY else ""
        far = " in the distance" if part.distant else ""
        return _placed(part.phrase + times + far, part, rng)
    many = part.plural or part.noun + "s"
    words = [_number(part.count, rng)]
    before = part.distant and rng.random() < 0.6
    if before:
        words.append("distant")
    words.append(part.noun if part.count == 1 else many)
    if words[0] == "a" and words[1][0] in "aeiou":
        words[0] = "an"
    far = " in the distance" if part.distant and not before else ""
    return _placed(" ".join(words) + far, part, rng)


def _number(count: int, rng: random.Random) -> str:
    if count == 1:
        return rng.choice(("a", "a", "one"))
    if count <= _MANY:
        return _NUMBERS[count]
    return rng.choice(("several", "many", _NUMBERS[count] if count < len(_NUMBERS) else "many"))


def _placed(text: str, part: Part, rng: random.Random) -> str:
    return f"{text} {rng.choice(_SIDES[part.side])}" if part.side else text
