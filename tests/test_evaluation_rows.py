import json
from pathlib import Path

import pytest

from diegetic.errors import MediaError
from diegetic.evaluation import NAMES
from diegetic.evaluation.entries import ENTRIES
from diegetic.evaluation.results import (
    MARKDOWN,
    TABLE,
    Finished,
    Results,
    Subject,
    read_results,
)
from diegetic.evaluation.rows import Detail, Goal, Row, row_from_json

SUBJECT = Subject("0123456789abcdef", 0, 4)


def judged(value: float, must: float | None, aim: float | None, *, at_least: bool = True) -> str:
    goals = [None if bound is None else Goal("x", bound, at_least) for bound in (must, aim)]
    return Row("row", {"x": value}, *goals).verdict


def test_a_row_reaches_its_aim_its_must_or_neither() -> None:
    assert judged(0.9, 0.8, 0.9) == "aim"
    assert judged(0.85, 0.8, 0.9) == "must"
    assert judged(0.79, 0.8, 0.9) == "missed"
    assert judged(-55, -50, -60, at_least=False) == "must"
    assert judged(-60, -50, -60, at_least=False) == "aim"
    assert judged(0.4, 0.5, None, at_least=False) == "aim"
    assert judged(0.4, None, None) == ""
    assert Row("row", note="no data").verdict == "skipped"


def test_an_aim_alone_is_not_enough_where_the_must_is_missed() -> None:
    row = Row("onsets", {"times": 1.5, "F1": 0.7}, Goal("times", 2), Goal("F1", 0.6))
    assert row.verdict == "missed"


def test_a_goal_for_a_figure_that_is_not_there_is_not_met() -> None:
    assert not Goal("y", 0).met({"x": 1})
    assert str(Goal("FAD", 3, at_least=False)) == "FAD ≤ 3"


def whole() -> Finished:
    row = Row(
        "the row",
        {"x": 0.5, "sounds": 12},
        Goal("x", 0.4),
        Goal("x", 0.6),
        "heard",
        (Detail("rain", 3, "Rain"),),
    )
    return Finished((row,), 12, 3.25)


def test_a_row_is_the_same_after_a_file() -> None:
    (row,) = whole().rows
    saved = json.loads(json.dumps(row.as_json()))
    assert saved.pop("verdict") == "must"
    assert row_from_json(saved) == row


def test_what_was_written_is_read_for_the_same_subject_only(tmp_path: Path) -> None:
    results = Results(SUBJECT, {"cpu": "abacus"}, {"codec": whole()})
    results.write(tmp_path)
    assert read_results(tmp_path, SUBJECT) == results
    assert read_results(tmp_path, Subject("other", 0, 4)).entries == {}
    assert read_results(tmp_path, Subject(SUBJECT.weights, 1, 4)).entries == {}
    assert read_results(tmp_path / "nothing", SUBJECT).entries == {}


@pytest.mark.parametrize("text", ["", "{}", '{"subject": {"a": 1}}', "[1]"])
def test_a_table_that_cannot_be_read_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / TABLE).write_text(text, encoding="utf-8")
    assert read_results(tmp_path, SUBJECT) == Results(SUBJECT)


def test_a_table_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(MediaError, match="cannot write the table"):
        Results(SUBJECT).write(tmp_path / "file")


def test_the_document_says_what_was_reached_and_how_long_it_took(tmp_path: Path) -> None:
    skipped = Finished((Row("no such thing", note="there is none"),), 1, 0.0)
    results = Results(SUBJECT, entries={"gap": skipped, "codec": whole()})
    results.write(tmp_path)
    lines = (tmp_path / MARKDOWN).read_text(encoding="utf-8").splitlines()
    assert "| the row | x 0.5, sounds 12; heard | x ≥ 0.4 | x ≥ 0.6 | must | 3 |" in lines
    assert "| no such thing | there is none |  |  | skipped | 0 |" in lines
    assert lines.index(next(x for x in lines if "no such" in x)) > lines.index(
        next(x for x in lines if "the row" in x)
    )
    assert "| rain | 3 | Rain |" in lines
    assert results.shown().row_count == 2


def test_the_names_on_the_command_line_are_those_of_the_entries() -> None:
    assert tuple(ENTRIES) == NAMES
