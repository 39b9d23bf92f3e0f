"""The switches as a bank knows them: what holds, and what might."""

from collections.abc import Mapping, Sequence

from diegetic.errors import DiegeticError
from diegetic.world import MAX_NAMES


class Switches:
    """Values that hold now, and for each switch the values it may take.

    Those are the declared ones; of a switch that was not declared, those seen so far.
    """

    def __init__(self) -> None:
        self.present: dict[str, str] = {}
        self._declared: dict[str, tuple[str, ...]] = {}
        self._seen: dict[str, dict[str, None]] = {}

    def declare(self, name: str, values: Sequence[str]) -> None:
        """Limit `name` to `values`.

        Raises:
            DiegeticError: there are too many switches or values.
        """
        if len(values) > MAX_NAMES:
            raise DiegeticError(
                f"values of switch {name!r} must be at most {MAX_NAMES}, got {len(values)}"
            )
        if name not in self._declared and len(self._declared) >= MAX_NAMES:
            raise DiegeticError(f"switches must be at most {MAX_NAMES}, got one more: {name!r}")
        self._declared[name] = tuple(values)

    def set(self, values: Mapping[str, str]) -> bool:
        """Let `values` hold and nothing else; True when that changes something."""
        if values == self.present:
            return False
        self.present = dict(values)
        for name, value in values.items():
            if name in self._seen or len(self._seen) < MAX_NAMES:
                seen = self._seen.setdefault(name, {})
                if len(seen) < MAX_NAMES:
                    seen[value] = None
        return True

    def allowed(self) -> dict[str, tuple[str, ...]]:
        """Return the values that each switch may take."""
        return {**{name: tuple(seen) for name, seen in self._seen.items()}, **self._declared}
