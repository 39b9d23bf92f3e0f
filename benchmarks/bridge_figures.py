"""Figures of the bridge's benchmark, and whether they are what they must be."""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

COLUMNS = ("value", "p50", "p95", "p99", "max")
_HOLDS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True)
class Must:
    """What a figure must be: `Must("p99", "<=", 25.0)`."""

    column: str
    relation: str
    bound: float

    def holds(self, values: Mapping[str, float]) -> bool:
        """Tell whether it does; what was not measured does not."""
        value = values.get(self.column)
        return value is not None and bool(_HOLDS[self.relation](value, self.bound))

    def __str__(self) -> str:
        column = "" if self.column == "value" else f"{self.column} "
        return f"{column}{self.relation} {self.bound:g}"


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        row: of the table to which it belongs.
        what: was measured, with its unit.
        values: by column: one `value`, or percentiles.
        must: what it must be; None for what is only told.
    """

    row: str
    what: str
    values: Mapping[str, float]
    must: Must | None = None

    @property
    def holds(self) -> bool:
        return self.must is None or self.must.holds(self.values)


def one(row: str, what: str, value: float, must: str = "") -> Figure:
    """Return a figure of a single value; `must` is "<= 5" or the like."""
    return Figure(row, what, {"value": value}, _must(f"value {must}") if must else None)


def spread(row: str, what: str, values: Sequence[float], must: str = "") -> Figure:
    """Return the percentiles of `values`, and the highest; `must` is "p99 <= 5" or the like."""
    found: dict[str, float] = {}
    if values:
        quantiles = np.quantile(np.array(values), [0.5, 0.95, 0.99, 1.0], method="higher")
        found = dict(zip(("p50", "p95", "p99", "max"), quantiles.tolist(), strict=True))
    return Figure(row, what, found, _must(must) if must else None)


def _must(words: str) -> Must:
    column, relation, bound = words.split()
    return Must(column, relation, float(bound))


def table(figures: Sequence[Figure]) -> Table:
    """Return all figures as a table."""
    made = Table()
    for column in ("row", "what", "must be", *COLUMNS, "holds"):
        made.add_column(column, no_wrap=True, justify="right" if column in COLUMNS else "left")
    before = ""
    for figure in figures:
        cells = [_short(figure.values[c]) if c in figure.values else "" for c in COLUMNS]
        must, holds = "", ""
        if figure.must is not None:
            must, holds = str(figure.must), "yes" if figure.holds else "NO"
        made.add_row("" if figure.row == before else figure.row, figure.what, must, *cells, holds)
        before = figure.row
    return made


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """Return all figures ready for JSON."""
    return [
        {
            "row": figure.row,
            "what": figure.what,
            "must": None if figure.must is None else str(figure.must),
            "holds": figure.holds,
            **{c: v if math.isfinite(v) else None for c, v in figure.values.items()},
        }
        for figure in figures
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() or value >= 1000 else f"{value:.3g}"
