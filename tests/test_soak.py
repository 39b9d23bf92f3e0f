import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tone_generator import FakeSink

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
MB = 1e6


@pytest.fixture(scope="module")
def soak() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("soak")


def test_memory_that_grows_has_a_slope(soak: ModuleType) -> None:
    sizes = [(1000.0 + 10 * n, 300 * MB + 10 * n * MB / 3600) for n in range(361)]
    memory = soak.trend(sizes)
    assert memory.slope == pytest.approx(1 * MB)
    assert memory.growth == pytest.approx(1 / 300, rel=0.15)  # of nine tenths of an hour


def test_memory_counts_when_the_bank_is_full_or_half_the_time_is_over(soak: ModuleType) -> None:
    settling = soak.Settling(start=100.0, seconds=3600.0)
    said = [(159.0, True), (161.0, False), (1000.0, False), (1001.0, True), (1002.0, False)]
    assert [settling.over(*look) for look in said] == [False, False, False, True, True]
    settling = soak.Settling(start=100.0, seconds=100.0)
    assert [settling.over(moment, False) for moment in (121.0, 149.0, 150.0)] == [0, 0, 1]
    assert soak.Settling(start=100.0, seconds=100.0).over(121.0, True)  # a fifth of it


def test_a_peak_is_no_growth(soak: ModuleType) -> None:
    sizes = np.full(100, 300 * MB)
    sizes[[0, 50, 99]] *= 2
    assert soak.trend(list(enumerate(sizes))).growth == 0


def test_memory_that_nobody_tells_is_not_judged(soak: ModuleType) -> None:
    assert soak.trend([]) is None
    assert soak.trend([(0.0, 5.0)]) is None
    assert soak.trend([(0.0, 5.0), (1.0, 0.0)]) is None


def test_an_underrun_or_growth_fails(soak: ModuleType) -> None:
    flat = soak.Memory(100.0, 104.9, 0.0)
    grown = soak.Memory(100.0, 105.1, 0.0)
    assert soak.judge(0, {"server": flat, "player": flat}) == []
    assert len(soak.judge(1, {"server": flat})) == 1
    (failure,) = soak.judge(0, {"server": flat, "player": grown})
    assert "player" in failure


@pytest.mark.skipif(sys.platform == "win32", reason="it does not say")
def test_the_memory_of_a_process_is_known(soak: ModuleType) -> None:
    code = (
        "import numpy, sys; print(); sys.stdin.readline();"
        "held = numpy.ones(50_000_000, numpy.uint8); print(); sys.stdin.readline()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = soak.resident(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert soak.resident(process.pid) - before == pytest.approx(50e6, rel=0.1)
        process.communicate(b"\n")
    assert soak.resident() > 20e6


class Time:
    """A clock that only sleeping moves, and the test."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(round(self.now, 6))
        self.now += seconds


def test_a_stall_comes_every_so_often(soak: ModuleType) -> None:
    time = Time()
    stalls = soak.Stalls(0.25, 5.0, lambda: time.now, time.sleep)
    for _ in range(100):
        stalls()
        time.now += 0.125
    assert time.sleeps == [105.0, 110.25]
    assert stalls.count == 2


def test_no_stall_is_none(soak: ModuleType) -> None:
    time = Time()
    stalls = soak.Stalls(0.0, 5.0, lambda: time.now, time.sleep)
    for _ in range(3):
        stalls()
        time.now += 10.0
    assert (time.sleeps, stalls.count) == ([], 0)


def test_what_is_handed_over_is_late_and_nothing_else_is(soak: ModuleType) -> None:
    inner, stalled = FakeSink(), []
    sink = soak.StallingSink(inner, lambda: stalled.append(len(inner.sound)))
    sink.start(prime=5)
    sink.write(np.ones((10, 2), np.float32))
    sink.write(np.ones((10, 2), np.float32))
    assert sink.revise(15, np.zeros((3, 2), np.float32))
    assert stalled == [0, 10, 20]  # before, each time
    assert (inner.prime, len(inner.sound), sink.taken(), sink.buffered()) == (5, 18, 0, 18)


def test_spinning_ends(soak: ModuleType) -> None:
    with soak.spinning(True):
        pass
    with soak.spinning(False):
        pass
