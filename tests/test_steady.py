import numpy as np
import pytest

from diegetic.config import RATE
from diegetic.sink.steady import SteadyTime

START = 1000.0


def test_lateness_is_taken_away() -> None:
    rng, steady = np.random.default_rng(0), SteadyTime()
    found = []
    for block in range(2000):
        handed = 256 * block
        late = 0.02 * rng.random() ** 4  # mostly a little, at times 20 ms
        found.append(steady(handed, START + handed / RATE + late) - handed / RATE - START)
    assert np.abs(found[200:]).max() < 1e-4
    assert np.array(found).min() >= -1e-9


def test_a_device_that_takes_several_blocks_at_a_time_is_as_steady() -> None:
    steady = SteadyTime()
    found = []
    for block in range(1000):
        handed, period = 256 * block, 1024
        taken = -(-handed // period) * period  # when the whole period fits
        found.append(steady(handed, START + taken / RATE) - handed / RATE)
    assert np.ptp(found[8:]) == 0


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_device_is_followed_that_runs_a_little_off(ppm: int) -> None:
    steady = SteadyTime()
    for block in range(20_000):
        time = START + 256 * block / RATE * (1 + ppm / 1e6)
        assert steady(256 * block, time) == pytest.approx(time, abs=5e-4)


def test_what_stood_still_or_began_anew_is_another_clock() -> None:
    steady = SteadyTime()
    for block in range(500):
        steady(256 * block, START + 256 * block / RATE)
    handed = 256 * 500
    for pause in (0.2, 30.0):
        time = START + handed / RATE + pause
        assert steady(handed, time) == time  # for it took nothing meanwhile
    assert steady(256, START + 100.0) == START + 100.0  # another player counts anew
