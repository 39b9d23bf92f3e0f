r"""The words for what is heard: one text, or a mix of several with shares, which morphs over time.

share   1 |~~~~~~~\
          |        \_______ rain     set_prompt({"rain": 1, "wind": 1}, ramp=...)
          |        /        wind
        0 |_______/
"""

from collections.abc import Mapping

from diegetic.errors import DiegeticError
from diegetic.history import Moving
from diegetic.limits import checked_number, checked_text
from diegetic.snapshot import BLEND_SLOTS, SILENCE

MAX_PROMPT = 2000  # characters of one text
MAX_TEXTS = 1 + BLEND_SLOTS
LEAST_SHARE = 0.01  # a text with less of the sound is not worth a slot

Prompt = str | Mapping[str, float]
Mix = tuple[tuple[str, float], ...]
"""Texts and their shares, heaviest first, at most MAX_TEXTS; the shares sum to 1."""

NOTHING: Mix = (("", 1.0),)


class Prompts(Moving[Mix]):
    """The mix over audio time; its shares move in straight lines."""

    def __init__(self) -> None:
        super().__init__(NOTHING, between)


def mix_of(prompt: Prompt) -> Mix:
    """Return what a game says as a mix: a text alone, "" for nothing, or texts and weights.

    Raises:
        DiegeticError: a text is too long, or one of several is empty; there are none or more than
            MAX_TEXTS; a weight is not a positive, finite number.
    """
    if isinstance(prompt, str):
        return ((checked_text("prompt", prompt, MAX_PROMPT, empty=True).strip(), 1.0),)
    if not isinstance(prompt, Mapping):
        raise DiegeticError(
            f"prompt must be text, or texts and their weights, got {type(prompt).__name__}"
        )
    if not 1 <= len(prompt) <= MAX_TEXTS:
        raise DiegeticError(f"prompt must be 1 to {MAX_TEXTS} texts, got {len(prompt)}")
    weights: list[tuple[str, float]] = []
    for text, weight in prompt.items():
        words = checked_text("text of the prompt", text, MAX_PROMPT).strip()
        name = f"weight of {words[:50]!r}"
        number = checked_number(name, weight)
        if number <= 0:
            raise DiegeticError(f"{name} must be above 0, got {weight!r}")
        weights.append((words, number))
    most = max(weight for _, weight in weights)  # that the sum of huge ones is finite
    return _mixed([(text, weight / most) for text, weight in weights])


def between(old: Mix, new: Mix, share: float) -> Mix:
    """Return the mix that is `share` (0..1) of the way from `old` to `new`.

    Where that is of more than MAX_TEXTS texts, the heaviest stay.
    """
    leaving = [(text, (1.0 - share) * part) for text, part in old]
    return _mixed(leaving + [(text, share * part) for text, part in new])


def distance(old: Mix, new: Mix) -> float:
    """Return how much of the sound is another in `new`, 0..1."""
    shares, others = dict(old), dict(new)
    return sum(max(0.0, part - shares.get(text, 0.0)) for text, part in others.items())


def prompt_and_blend(mix: Mix) -> tuple[str, Mix]:
    """Return the heaviest text, and those beside it, as a Snapshot has them.

    What has less than LEAST_SHARE is left out. To say nothing, as a part of a mix, is silence.
    """
    heard = [(text, share) for text, share in mix if share >= LEAST_SHARE]
    if len(heard) > 1:
        heard = list(_mixed([(text or SILENCE, share) for text, share in heard]))
    return heard[0][0], tuple(heard[1:])


def in_words(prompt: str, blend: Mix) -> str:
    """Return a prompt and what is blended with it as one line for people: "rain 70%, wind 30%"."""
    if not blend:
        return prompt
    rest = 1.0 - sum(share for _, share in blend)
    return ", ".join(f"{text} {share:.0%}" for text, share in ((prompt, rest), *blend))


def _mixed(weights: list[tuple[str, float]]) -> Mix:
    """Return the heaviest MAX_TEXTS as shares; weights of the same text add up."""
    sums: dict[str, float] = {}
    for text, weight in weights:
        sums[text] = sums.get(text, 0.0) + weight
    ranked = sorted(sums.items(), key=lambda entry: -entry[1])[:MAX_TEXTS]
    total = sum(weight for _, weight in ranked)
    return tuple((text, weight / total) for text, weight in ranked if weight > 0)
