"""A game's arguments as fields of messages; what is of no such kind is left for those to refuse."""

import threading
from collections.abc import Iterable, Mapping
from typing import cast

_FORMATS = {1: "gray8", 3: "rgb24", 4: "rgba8"}  # by bytes per pixel


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


def picture(
    pixels: object, width: int | None, height: int | None, layout: str | None
) -> dict[str, object]:
    """Return an array, or a flat buffer and what it holds, as fields of a `Frame`; a copy."""
    view = memoryview(cast(bytes, pixels))  # typing knows no buffers before Python 3.12
    shape = (view.shape or ()) if view.ndim in (2, 3) else (None, None, 3)
    channels = shape[2] if len(shape) == 3 else 1
    return {
        "width": shape[1] if width is None else width,
        "height": shape[0] if height is None else height,
        "format": layout or _FORMATS.get(channels or 0, f"{channels} channels"),
        "pixels": view.tobytes(),
    }


def patience(timeout: float) -> float:
    """Return `timeout` (s) as what a lock can wait for.

    Raises:
        ValueError: it is not a number from 0 on.
    """
    if not isinstance(timeout, float | int) or not timeout >= 0:  # NaN is not, either
        raise ValueError(f"timeout: expected seconds, 0 or more, got {timeout!r}")
    return min(float(timeout), threading.TIMEOUT_MAX)
