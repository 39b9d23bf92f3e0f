"""What fills a gap takes the colour of what lies on both sides of it, and nothing else of it."""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from diegetic.config import RATE
from diegetic.matching import MOST_DB, STRETCH, match_ends
from diegetic.snapshot import FloatArray

FADE = 960
LENGTH = RATE // 2


def noise(samples: int, seed: int, gain: float = 0.1) -> FloatArray:
    return (np.random.default_rng(seed).standard_normal((samples, 2)) * gain).astype(np.float32)


def level(sound: FloatArray, low: float, high: float) -> float:
    """Of a band, in dB."""
    power = np.square(np.abs(np.fft.rfft(sound, axis=0))).mean(1)
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(10 * np.log10(power[(low <= frequency) & (frequency < high)].mean() / len(sound)))


def test_each_end_gets_the_level_of_its_own_side() -> None:
    made = noise(LENGTH + 2 * FADE, 0)
    out = match_ends(made, FADE, noise(RATE, 1, 0.15), noise(RATE, 2, 0.06))
    tenth = LENGTH // 10
    begin, middle, end = (
        level(out[at : at + tenth], 100, 16_000) - level(made[at : at + tenth], 100, 16_000)
        for at in (FADE, FADE + (LENGTH - tenth) // 2, FADE + LENGTH - tenth)
    )
    assert begin == pytest.approx(3.5, abs=1.0)
    assert middle == pytest.approx((begin + end) / 2, abs=1.0)
    assert end == pytest.approx(-4.4, abs=1.0)


def test_a_band_that_a_side_lacks_is_taken_back_and_no_other() -> None:
    dull = sosfilt(butter(8, 3000, fs=RATE, output="sos"), noise(RATE, 3), axis=0)
    made = noise(LENGTH + 2 * FADE, 4)
    out = match_ends(made, FADE, dull.astype(np.float32), dull.astype(np.float32))
    assert level(out, 6000, 12_000) - level(made, 6000, 12_000) == pytest.approx(-MOST_DB, abs=0.3)
    assert level(out, 200, 1500) - level(made, 200, 1500) == pytest.approx(0.0, abs=1.0)


def test_what_has_the_colour_already_stays_as_it_is() -> None:
    made = noise(LENGTH + 2 * FADE, 5)
    size = round(STRETCH * RATE)
    before, after = made[FADE : FADE + size], made[FADE + LENGTH - size : FADE + LENGTH]
    np.testing.assert_allclose(match_ends(made, FADE, before, after), made, atol=1e-5)


@pytest.mark.parametrize("length", [10, 1500, 2100, 3000])
def test_short_stretches_and_silence_stay_finite(length: int) -> None:
    made = noise(length + 2 * FADE, 6)
    silence = np.zeros((RATE, 2), np.float32)
    for sound, side in ((made, silence), (np.zeros_like(made), noise(RATE, 7)), (made, made)):
        out = match_ends(sound, FADE, side, side)
        assert out.shape == sound.shape
        assert np.isfinite(out).all()
        assert np.square(out).sum() <= 10 ** (MOST_DB / 10) * np.square(sound).sum() * 1.1
