import json
from pathlib import Path

import pytest

from diegetic import report
from diegetic.errors import MediaError
from diegetic.metrics import Metrics


def made(metrics: Metrics | None = None, **counts: int) -> dict[str, object]:
    return report.build_report(
        metrics or Metrics(), seconds=1.5, device="none", underruns=2, counts=counts
    )


def test_a_report_holds_the_figures_of_its_session() -> None:
    metrics = Metrics()
    metrics.add_chunk({"generate": 60.0, "crossfade": 20.0}, hop=0.16)
    metrics.add_knob_to_ear(0.25)
    found = made(metrics)
    assert found["rtf_p50"] == pytest.approx(0.5)
    assert found["chunk_ms_p99"] == pytest.approx(80.0)
    assert found["knob_to_ear_ms_p95"] == pytest.approx(250.0)
    assert found["underruns"] == 2
    assert found["device"] == "none"


def test_message_counts_are_complete_and_know_nothing_else() -> None:
    assert made(frames=7, events=3, strangers=9)["messages"] == {
        "frames": 7,
        "prompts": 0,
        "parameters": 0,
        "switches": 0,
        "events": 3,
        "errors": 0,
        "dropped": 0,
    }


def test_the_bank_has_its_own_counts() -> None:
    assert made(bank_ready=3, bank_wanted=4, events_late=1)["bank"] == {
        "bank_ready": 3,
        "bank_wanted": 4,
        "events_missed": 0,
        "events_late": 1,
    }


def test_the_machine_is_named() -> None:
    machine = report.machine()
    assert set(machine) == {"cpu", "cores", "os", "python", "onnxruntime", "diegetic"}
    assert all(machine.values())


def test_a_report_is_json_with_an_indent_of_two(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    report.write_report(made(), path)
    assert json.loads(path.read_text())["seconds"] == 1.5
    assert path.read_text().splitlines()[1].startswith('  "')


def test_an_unwritable_report_is_a_media_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot write"):
        report.write_report({}, tmp_path)


def test_what_is_not_installed_has_no_version() -> None:
    assert report.installed_version("numpy")
    assert report.installed_version("no-such-distribution") is None
