"""The reference is BS.1770 written down once more, with filters from analogue prototypes."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from diegetic.mixer.loudness import ABSOLUTE_GATE, MAX_RATE, Leveller, Meter
from diegetic.snapshot import FloatArray

RATE = 48_000
STEP = 256 / RATE


def reference_filters() -> list[tuple[np.ndarray, np.ndarray]]:
    """The K weighting by bilinear transform (the parameters are those that fit its tables)."""
    k = math.tan(math.pi * 1681.974450955533 / RATE)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    shelf = (
        np.array([high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]),
        np.array([a0, 2 * (k * k - 1), 1 - k / q + k * k]),
    )
    k, q = math.tan(math.pi * 38.13547087602444 / RATE), 0.5003270373238773
    a0 = 1 + k / q + k * k
    # The table's numerator is 1, -2, 1, not divided by a0.
    high_pass = (np.array([a0, -2 * a0, a0]), np.array([a0, 2 * (k * k - 1), 1 - k / q + k * k]))
    return [shelf, high_pass]


def reference(samples: FloatArray) -> float:
    """Integrated loudness of (2, n) in LUFS, all at once."""
    weighted = samples.astype(np.float64)
    for b, a in reference_filters():
        weighted = lfilter(b, a, weighted, axis=1)
    starts = range(0, samples.shape[1] - 19_200 + 1, 4800)
    powers = np.array([(weighted[:, s : s + 19_200] ** 2).mean(axis=1).sum() for s in starts])
    levels = -0.691 + 10 * np.log10(powers + 1e-30)
    heard = powers[levels > -70]
    gate = -0.691 + 10 * np.log10(heard.mean()) - 10
    return float(-0.691 + 10 * np.log10(powers[(levels > -70) & (levels > gate)].mean()))


def measured(samples: FloatArray, size: int = 4799) -> float:
    meter = Meter(window=100_000)
    for start in range(0, samples.shape[1], size):
        meter.push(samples[:, start : start + size])
    return meter.integrated


def sine(seconds: float, level_db: float, hz: float = 1000.0) -> FloatArray:
    time = np.arange(round(seconds * RATE))
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz / RATE * time)
    return np.tile(wave, (2, 1)).astype(np.float32)


def scenes() -> dict[str, FloatArray]:
    rng = np.random.default_rng(0)
    white = rng.standard_normal((2, 5 * RATE)).astype(np.float32)
    return {
        "white": 0.1 * white,
        "low": sine(3, -20, 40.0),
        "high": sine(3, -20, 10_000.0),
        "one side": 0.1 * white * np.array([[1.0], [0.0]], np.float32),
        "gated": np.concatenate([0.1 * white, 0.01 * white, 0.0001 * white, 0.2 * white], axis=1),
        "ragged": 0.1 * white[:, : 2 * RATE + 1234],
    }


@pytest.mark.parametrize("name", scenes())
def test_loudness_is_that_of_the_recommendation(name: str) -> None:
    samples = scenes()[name]
    assert measured(samples) == pytest.approx(reference(samples), abs=0.005)


def test_a_sine_on_one_side_at_full_scale_is_minus_three() -> None:
    one_side = sine(2, 0.0, 997.0) * np.array([[1.0], [0.0]], np.float32)
    assert measured(one_side) == pytest.approx(-3.01, abs=0.01)  # BS.1770, annex 1


def test_ebu_cases_read_as_they_must() -> None:
    # EBU Tech 3341, cases 1 to 4, +-0.1 LU.
    assert measured(sine(20, -23)) == pytest.approx(-23.0, abs=0.1)
    assert measured(sine(20, -33)) == pytest.approx(-33.0, abs=0.1)
    quiet = sine(10, -36)
    middle = np.concatenate([quiet, sine(60, -23), quiet], axis=1)
    assert measured(middle) == pytest.approx(-23.0, abs=0.1)
    fainter = sine(10, -72)
    assert measured(np.concatenate([fainter, middle, fainter], axis=1)) == pytest.approx(
        -23.0, abs=0.1
    )


@pytest.mark.parametrize("size", [1, 97, 256, 4800])
def test_blocks_of_any_size_measure_the_same(size: int) -> None:
    samples = scenes()["white"][:, : RATE // 2 if size == 1 else None]
    assert measured(samples, size) == pytest.approx(measured(samples), abs=1e-9)


def test_nothing_heard_is_minus_infinity() -> None:
    assert Meter().momentary == Meter().integrated == -math.inf
    assert measured(np.zeros((2, RATE), np.float32)) == -math.inf


def test_a_pause_forgets_nothing() -> None:
    meter = Meter()
    meter.push(sine(3, -10))
    meter.push(np.zeros((2, 20 * RATE), np.float32))
    assert meter.momentary == -math.inf
    # The block in which it ended counts with a part of its power.
    assert meter.integrated == pytest.approx(-10.0, abs=0.3)


def test_the_window_forgets() -> None:
    meter = Meter(window=10)
    meter.push(sine(3, -10))
    meter.push(sine(3, -30))
    assert meter.integrated == pytest.approx(-30.0, abs=0.1)


def steer(leveller: Leveller, samples: FloatArray) -> np.ndarray:
    """The gain in dB after every 256 of `samples`."""
    gains = []
    for start in range(0, samples.shape[1] - 255, 256):
        gains.append(leveller.step(STEP))
        leveller.hear(samples[:, start : start + 256])
    return np.array(gains)


def test_the_target_is_met_from_either_side() -> None:
    for level in (-30.0, -12.0):
        leveller = Leveller()
        leveller.steer(-20.0)
        gains = steer(leveller, sine(25, level))
        assert gains[-1] == pytest.approx(-20.0 - level, abs=0.2)
        assert np.abs(np.diff(gains)).max() <= MAX_RATE * STEP * 1.0001
        sign = math.copysign(1.0, gains[-1])
        assert (np.diff(gains) * sign >= 0).all()  # it never turns back: no overshoot


def test_silence_and_what_is_quiet_for_the_scene_stand_still() -> None:
    leveller = Leveller()
    leveller.steer(-20.0)
    steer(leveller, sine(4, -30))
    steer(leveller, np.zeros((2, RATE), np.float32))  # the block that straddles the end
    for pause in (np.zeros((2, 20 * RATE), np.float32), sine(3, -45), sine(3, -71)):
        steer(leveller, pause[:, : RATE // 2])
        gains = steer(leveller, pause)
        assert np.ptp(gains) == 0.0


def test_a_beat_does_not_pump() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(30 * RATE)
    envelope = np.where(time % (RATE // 2) < RATE // 8, 1.0, 0.1)
    beat = (0.1 * envelope * rng.standard_normal((2, len(time)))).astype(np.float32)
    leveller = Leveller()
    leveller.steer(-23.0)
    gains = steer(leveller, beat)
    settled = gains[len(gains) * 2 // 3 :]
    assert np.ptp(settled) < 0.1


def test_what_is_hardly_there_is_not_dragged_up() -> None:
    leveller = Leveller()
    leveller.steer(-16.0)
    assert steer(leveller, sine(5, ABSOLUTE_GATE - 1)).max() == 0.0
    assert steer(leveller, sine(40, -60)).max() == pytest.approx(12.0, abs=0.01)


def test_a_new_target_forgets_what_was_heard_before_there_was_none() -> None:
    leveller = Leveller()
    leveller.steer(-20.0)
    steer(leveller, sine(5, -10))
    leveller.steer(None)
    steer(leveller, sine(15, -10))
    leveller.steer(-20.0)
    assert np.ptp(steer(leveller, np.zeros((2, RATE), np.float32))) == 0.0
