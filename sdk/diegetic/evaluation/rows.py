"""What an entry of the evaluation says: figures, what they must reach, and whether they do."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["aim", "must", "missed", "skipped", ""]


@dataclass(frozen=True)
class Goal:
    """A bound for one of a row's figures."""

    figure: str
    bound: float
    at_least: bool = True

    def met(self, figures: Mapping[str, float]) -> bool:
        """Whether the figure keeps the bound; one that is not there does not."""
        if self.figure not in figures:
            return False
        value = figures[self.figure]
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{self.figure} {'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Detail:
    """One of the many that a figure sums up: a prompt and its rank, and what was heard."""

    name: str
    value: float
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was judged.
        figures: what was measured, the most telling one first; empty where it was skipped.
        must: what has to be reached.
        aim: what should be.
        note: what was heard, or why it was skipped.
        details: what the figures sum up.
    """

    name: str
    figures: Mapping[str, float] = field(default_factory=dict)
    must: Goal | None = None
    aim: Goal | None = None
    note: str = ""
    details: tuple[Detail, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """How far it got; "" where nothing was asked."""
        if not self.figures:
            return "skipped"
        if self.must is None and self.aim is None:
            return ""
        if self.must is not None and not self.must.met(self.figures):
            return "missed"
        return "aim" if self.aim is None or self.aim.met(self.figures) else "must"

    def as_json(self) -> dict[str, Any]:
        """All of it, and the verdict."""
        return {**asdict(self), "figures": dict(self.figures), "verdict": self.verdict}


def row_from_json(saved: Mapping[str, Any]) -> Row:
    """The row that `Row.as_json` gave.

    Raises:
        KeyError, TypeError: something is missing or too much.
    """
    goals = {key: Goal(**saved[key]) if saved[key] else None for key in ("must", "aim")}
    return Row(
        name=saved["name"],
        figures=saved["figures"],
        must=goals["must"],
        aim=goals["aim"],
        note=saved["note"],
        details=tuple(Detail(**detail) for detail in saved["details"]),
    )
