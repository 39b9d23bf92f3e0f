"""What a caller says, held against its limits: a DiegeticError names it and what was expected."""

import math

from diegetic.errors import DiegeticError

MAX_NAME = 200  # characters


def checked_number(
    name: str, value: float, low: float = -math.inf, high: float = math.inf
) -> float:
    """Return `value` as a finite float in low..high.

    Raises:
        DiegeticError: it is none.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number) and low <= number <= high:
        return number
    limits = f" from {low:g} to {high:g}" if math.isfinite(high - low) else ""
    raise DiegeticError(f"{name} must be a finite number{limits}, got {value!r}")


def checked_text(name: str, value: str, limit: int = MAX_NAME, *, empty: bool = False) -> str:
    """Return `value`, a string of at most `limit` characters that says something unless `empty`.

    Raises:
        DiegeticError: it is none.
    """
    if not isinstance(value, str):
        raise DiegeticError(f"{name} must be text, got {type(value).__name__}")
    if len(value) > limit:
        raise DiegeticError(f"{name} must have at most {limit} characters, got {len(value)}")
    if not (empty or value.strip()):
        raise DiegeticError(f"{name} must not be empty, got {value!r}")
    return value
