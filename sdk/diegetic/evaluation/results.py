"""The table of one evaluation: kept after every entry, shown, and written for people."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from diegetic.errors import MediaError
from diegetic.evaluation import NAMES
from diegetic.evaluation.rows import Row, row_from_json

log = logging.getLogger(__name__)

TABLE, MARKDOWN = "table.json", "table.md"
COLUMNS = ("what", "measured", "must", "aim", "reached", "s")
_COLOURS = {"aim": "green", "must": "yellow", "missed": "bold red", "skipped": "dim", "": ""}


@dataclass(frozen=True)
class Subject:
    """What is evaluated: figures of another subject are never mixed with its own.

    Attributes:
        weights: their fingerprint.
        seed: of everything random.
        nfe: network evaluations per chunk.
    """

    weights: str
    seed: int
    nfe: int


@dataclass(frozen=True)
class Finished:
    """The rows of an entry, how many sounds were asked for, and how long it took (s).

    `teacher` is the fingerprint of the weights that it compares with, "" where there are none.
    """

    rows: tuple[Row, ...]
    count: int
    seconds: float
    teacher: str = ""

    @property
    def whole(self) -> bool:
        """True if nothing was skipped."""
        return all(row.verdict != "skipped" for row in self.rows)


@dataclass
class Results:
    """Entries by name; `machine` is what the times were taken on."""

    subject: Subject
    machine: Mapping[str, object] = field(default_factory=dict)
    entries: dict[str, Finished] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write table.json and table.md.

        Raises:
            MediaError: they cannot be written.
        """
        saved = {
            "subject": vars(self.subject),
            "machine": dict(self.machine),
            "entries": {
                name: {
                    "count": done.count,
                    "seconds": round(done.seconds, 2),
                    "teacher": done.teacher,
                    "rows": [row.as_json() for row in done.rows],
                }
                for name, done in self._in_order()
            },
        }
        text = json.dumps(saved, indent=2, ensure_ascii=False) + "\n"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in ((TABLE, text), (MARKDOWN, self.markdown())):
                scratch = folder / f"{name}.new"
                scratch.write_text(content, encoding="utf-8")
                scratch.replace(folder / name)
        except OSError as error:
            raise MediaError(f"cannot write the table to {folder}: {error}") from error

    def shown(self) -> Table:
        """The table for a terminal."""
        table = Table(box=None, pad_edge=False)
        for column in COLUMNS:
            table.add_column(column, justify="right" if column == "s" else "left")
        for row, seconds in self._lines():
            colour = _COLOURS[row.verdict]
            cells = list(_cells(row, seconds))
            if colour:
                cells[4] = f"[{colour}]{cells[4]}[/]"
            table.add_row(*cells)
        return table

    def markdown(self) -> str:
        """The table and its details for a document."""
        subject = self.subject
        lines = [
            f"Weights {subject.weights}, seed {subject.seed}, {subject.nfe} evaluations a chunk.",
            "",
            "| " + " | ".join(COLUMNS) + " |",
            "|" + "---|" * len(COLUMNS),
        ]
        lines += ["| " + " | ".join(_cells(row, time)) + " |" for row, time in self._lines()]
        for row, _ in self._lines():
            if row.details:
                lines += ["", f"### {row.name}", "", "| | | |", "|---|---|---|"]
                lines += [f"| {d.name} | {d.value:.3g} | {d.note} |" for d in row.details]
        return "\n".join(lines) + "\n"

    def _in_order(self) -> list[tuple[str, Finished]]:
        return [(name, self.entries[name]) for name in NAMES if name in self.entries]

    def _lines(self) -> list[tuple[Row, float | None]]:
        """All rows; the first of each entry says how long the entry took."""
        return [
            (row, done.seconds if number == 0 else None)
            for _, done in self._in_order()
            for number, row in enumerate(done.rows)
        ]


def read_results(folder: Path, subject: Subject) -> Results:
    """What is kept in `folder` of `subject`; nothing if there is none, or it is of another one."""
    path = folder / TABLE
    if not path.is_file():
        return Results(subject)
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if Subject(**saved["subject"]) != subject:
            log.info("%s is of another subject and will be replaced", path)
            return Results(subject)
        entries = {name: _finished(part) for name, part in saved["entries"].items()}
        return Results(subject, saved["machine"], entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read and will be replaced: %s", path, error)
        return Results(subject)


def _finished(saved: Mapping[str, Any]) -> Finished:
    rows = tuple(
        row_from_json({k: v for k, v in r.items() if k != "verdict"}) for r in saved["rows"]
    )
    return Finished(rows, saved["count"], saved["seconds"], saved.get("teacher", ""))


def _cells(row: Row, seconds: float | None) -> tuple[str, ...]:
    figures = ", ".join(f"{name} {_short(value)}" for name, value in row.figures.items())
    measured = "; ".join(part for part in (figures, row.note) if part)
    return (
        row.name,
        measured,
        "" if row.must is None else str(row.must),
        "" if row.aim is None else str(row.aim),
        row.verdict,
        "" if seconds is None else f"{seconds:.0f}",
    )


def _short(value: float) -> str:
    """Three digits that tell something."""
    return f"{value:.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.3g}"
