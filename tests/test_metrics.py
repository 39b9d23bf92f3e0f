import json
import threading

import pytest

from diegetic.metrics import Metrics


def test_percentiles_are_those_of_the_values() -> None:
    metrics = Metrics()
    for chunk in range(1, 102):
        metrics.add_chunk({"generate": float(chunk - 1), "crossfade": 1.0}, hop=0.1)
    assert metrics.chunk_ms() == {"p50": 51.0, "p95": 96.0, "p99": 100.0}
    assert metrics.rtf() == {"p50": 0.51, "p95": 0.96, "p99": 1.0}
    assert metrics.stages_ms()["generate"]["p50"] == 50.0
    assert metrics.stages_ms()["crossfade"] == {"p50": 1.0, "p95": 1.0, "p99": 1.0}
    assert metrics.counts() == {"chunks": 101}


def test_a_summary_is_flat_and_ready_for_json() -> None:
    metrics = Metrics()
    assert metrics.summary() == {"stages": {}, "counts": {}}
    metrics.add_chunk({"generate": 80.0}, hop=0.16)
    metrics.add_knob_to_ear(0.3)
    metrics.count("frames", 3)
    summary = json.loads(json.dumps(metrics.summary()))
    assert summary["rtf_p95"] == 0.5
    assert summary["chunk_ms_p50"] == 80.0
    assert summary["knob_to_ear_ms_p99"] == pytest.approx(300.0)
    assert summary["stages"]["generate"]["p99"] == 80.0
    assert summary["counts"] == {"chunks": 1, "frames": 3}


def test_memory_is_bounded_and_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegetic.metrics.KEEP", 10)
    metrics = Metrics()
    for value in range(100):
        metrics.add_knob_to_ear(value / 1000)
        metrics.add_chunk({"generate": 1.0}, hop=0.1)
    assert metrics.knob_to_ear_values_ms() == pytest.approx(list(range(90, 100)))
    assert len(metrics.rtf_values()) == 10


def test_threads_may_add_at_the_same_time() -> None:
    metrics = Metrics()

    def add() -> None:
        for _ in range(2000):
            metrics.count("frames")
            metrics.add_knob_to_ear(0.1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        metrics.summary()
    assert metrics.counts()["frames"] == 8000
    assert len(metrics.knob_to_ear_values_ms()) == 8000


def test_the_newest_few_are_enough_for_a_look() -> None:
    metrics = Metrics()
    for value in range(100):
        metrics.add_chunk({"generate": float(value)}, hop=0.1)
        metrics.add_stages({"wait": float(value)})
    assert metrics.chunk_ms(newest=3)["p50"] == 98.0
    assert metrics.stages_ms(newest=1) == {
        stage: {"p50": 99.0, "p95": 99.0, "p99": 99.0} for stage in ("generate", "wait")
    }
    assert metrics.counts() == {"chunks": 100}  # a stage alone is no chunk of a stream
    assert metrics.chunk_ms(newest=1000) == metrics.chunk_ms()
