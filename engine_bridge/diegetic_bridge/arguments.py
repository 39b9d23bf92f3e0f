"""A game's arguments as fields of messages; what is of no such kind is left for those to refuse."""

from collections.abc import Iterable, Mapping


def number(value: object) -> object:
    """Return any kind of number as a float."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return value


def vector(values: object) -> object:
    """Return numbers of any kind as a list of floats."""
    try:
        return [number(value) for value in values]  # type: ignore[attr-defined]
    except TypeError:
        return values


def names(values: object) -> object:
    """Return any kind of names as a list; a text alone is none."""
    return list(values) if isinstance(values, Iterable) and not isinstance(values, str) else values


def texts(prompt: object) -> dict[str, object]:
    """Return one text, or texts and their weights, as fields of a `Prompt`."""
    if not isinstance(prompt, Mapping) or not prompt:
        return {"text": prompt}
    (text, weight), *others = prompt.items()
    blend = {other: number(weight) for other, weight in others}
    return {"text": text, "weight": number(weight), "blend": blend}
