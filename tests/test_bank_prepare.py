"""Raw takes become clips: trimmed, of one loudness, without clicks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegetic.bank.prepare import (
    PEAK,
    PRE_ROLL,
    TARGET_LUFS,
    audible,
    momentary_lufs,
    over,
    prepare,
)
from diegetic.config import RATE
from diegetic.snapshot import FloatArray


def tone(seconds: float, level_dbfs: float = -20.0, hertz: float = 997.0) -> FloatArray:
    """A sine of that peak level in both channels."""
    wave = np.cos(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    wave *= 10 ** (level_dbfs / 20)
    return np.stack([wave, wave], 1).astype(np.float32)


def silence(seconds: float) -> FloatArray:
    return np.zeros((round(seconds * RATE), 2), np.float32)


def test_a_stereo_sine_at_997_hz_has_the_loudness_of_its_level() -> None:
    # BS.1770: 0 dBFS in one channel is -3.01 LKFS, in both 0
    assert momentary_lufs(tone(2.0, -23.0)) == pytest.approx(-23.0, abs=0.1)


def test_the_shelf_and_the_high_pass_weigh_as_the_standard_says() -> None:
    # the published response: +4 dB far above 2 kHz, steeply down below 40 Hz
    high, low = (momentary_lufs(tone(2.0, -20.0, hertz)) for hertz in (10_000.0, 20.0))
    assert high == pytest.approx(-20.0 + 4.0 - 0.69, abs=0.2)
    assert low < -30.0


@pytest.mark.parametrize("gap", [0.0, 0.013, 0.3])
def test_the_sound_starts_within_a_millisecond(gap: float) -> None:
    clip = prepare(np.concatenate([silence(gap), tone(0.3)]), RATE)
    assert np.argmax(np.abs(clip).max(1) > 0.1 * np.abs(clip).max()) <= PRE_ROLL


def test_what_is_soft_before_the_sound_is_cut_off() -> None:
    clip = prepare(np.concatenate([tone(0.2, -60.0), tone(0.3, -20.0)]), RATE)
    assert len(clip) <= round(0.33 * RATE)


def test_silence_after_the_sound_is_cut_off() -> None:
    clip = prepare(np.concatenate([tone(0.1), silence(0.5)]), RATE)
    assert len(clip) <= round(0.13 * RATE)


def test_a_clip_has_its_length_at_most_and_ends_in_silence() -> None:
    clip = prepare(tone(1.0), RATE // 4)
    assert len(clip) == RATE // 4
    assert np.abs(clip[-5:]).max() < 1e-3 * np.abs(clip).max()
    assert np.abs(clip[0]).max() < 1e-2 * np.abs(clip).max()


@pytest.mark.parametrize("level", [-45.0, -20.0, 6.0])
def test_clips_are_equally_loud_whatever_the_take_was(level: float) -> None:
    clip = prepare(tone(0.5, level), RATE)
    assert momentary_lufs(clip) == pytest.approx(TARGET_LUFS, abs=0.05)


def test_a_short_click_is_lifted_no_further_than_its_peak_allows() -> None:
    click = silence(0.5)
    click[1000] = 0.1
    assert np.abs(prepare(click, RATE)).max() == pytest.approx(PEAK, rel=1e-5)


def test_silence_becomes_a_moment_of_zeros() -> None:
    clip = prepare(tone(0.5, -70.0), RATE)
    assert len(clip) == PRE_ROLL
    assert not clip.any()


def test_the_take_is_left_as_it_was() -> None:
    raw = tone(0.2)
    before = raw.copy()
    prepare(raw, RATE)
    np.testing.assert_array_equal(raw, before)


def test_a_sound_is_over_when_nothing_came_lately() -> None:
    ended = np.concatenate([tone(0.2), silence(0.2)])
    assert over(ended, round(0.1 * RATE))
    assert not over(ended, round(0.25 * RATE))
    assert not over(silence(0.5), 100)  # it has not begun


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(1, 2000),
    st.floats(-80, 30),
    st.integers(0, 2**32 - 1),
)
def test_any_take_becomes_a_finite_clip_within_its_limits(
    samples: int, most: int, gain_db: float, seed: int
) -> None:
    noise = np.random.default_rng(seed).standard_normal((samples, 2)) * 10 ** (gain_db / 20)
    raw = noise.astype(np.float32)
    clip = prepare(raw, most)
    assert clip.dtype == np.float32
    assert clip.shape[1] == 2
    assert len(clip) <= max(most, PRE_ROLL)
    assert np.isfinite(clip).all()
    assert np.abs(clip).max() <= PEAK * 1.0001
    assert audible(clip) or not clip.any() or audible(raw)
