import numpy as np
import pytest

from diegetic.config import RATE
from diegetic.sink.drift import DriftMeter


def read(meter: DriftMeter, rate: float, seconds: float, start: float = 0.0) -> None:
    """Feed a device of `rate` that takes lumps of 1024, looked at 20 times a second."""
    rng = np.random.default_rng(0)
    for time in np.arange(start, start + seconds, 0.05):
        moment = time + rng.uniform(0, 0.005)
        meter.add(moment, int((moment - start) * rate) // 1024 * 1024)


@pytest.mark.parametrize("ppm", [-150.0, 0.0, 80.0])
def test_a_minute_tells_one_crystal_from_another(ppm: float) -> None:
    meter = DriftMeter()
    read(meter, RATE * (1 + ppm / 1e6), 70)
    assert meter.ppm == pytest.approx(ppm, abs=40)


def test_a_device_that_lies_about_its_rate_is_known_in_ten_seconds() -> None:
    meter = DriftMeter()
    read(meter, 44_100, 9.9)
    assert meter.ppm is None
    meter = DriftMeter()
    read(meter, 44_100, 13)
    assert meter.ppm == pytest.approx(-81_250, abs=1000)


def test_filling_the_queues_is_no_drift() -> None:
    meter = DriftMeter()
    for step in range(400):  # a tenth of a second is taken at once, within the first two
        meter.add(step * 0.05, step * 2400 + min(step * 200, 4800))
    assert meter.ppm == pytest.approx(0, abs=10)


def test_a_pause_or_another_device_begins_a_new_measurement() -> None:
    meter = DriftMeter()
    read(meter, 44_100, 20)
    read(meter, RATE, 30, start=21)
    assert meter.ppm == pytest.approx(0, abs=300)


def test_the_same_reading_again_says_nothing() -> None:
    meter = DriftMeter()
    read(meter, RATE, 20)
    known = meter.ppm
    for _ in range(100):
        meter.add(*meter._readings[-1])
    assert meter.ppm == known
