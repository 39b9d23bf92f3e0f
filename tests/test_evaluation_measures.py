import numpy as np
import pytest
from scipy.linalg import sqrtm

from diegetic.config import RATE
from diegetic.evaluation.copies import SHORTEST, nearest
from diegetic.evaluation.measures import (
    cosines,
    frechet,
    level,
    loudest_second,
    mel_distance,
    width,
)
from diegetic.evaluation.onsets import Matches, find_onsets, match, shuffled, total
from diegetic.snapshot import FloatArray
from evaluation_bench import EVENTS, GAME_SECONDS, clicks


def noise(count: int, *shape: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(0, 1, (count, *shape)).astype(np.float32)


def test_equal_sets_are_no_distance_apart() -> None:
    a = noise(40, 64)
    assert frechet(a, a) == pytest.approx(0.0, abs=1e-6)


def test_a_set_moved_is_the_squared_distance_apart() -> None:
    a = noise(40, 64)
    moved = a + np.linspace(0, 1, 64, dtype=np.float32)
    assert frechet(a, moved) == pytest.approx(np.square(np.linspace(0, 1, 64)).sum(), rel=1e-4)


def test_the_distance_is_that_of_the_covariances_product() -> None:
    a, b = noise(200, 5), noise(150, 5, seed=1) @ np.diag([1, 2, 3, 0.5, 1]).astype(np.float32)
    one, two = np.cov(a.T), np.cov(b.T)
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    expected = apart + np.trace(one + two - 2 * sqrtm(one @ two).real)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-4)


def test_a_distance_of_one_sound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 2, D\) each, got \(1, 8\) and \(4, 8\)"):
        frechet(noise(1, 8), noise(4, 8))


def test_levels_and_widths_are_those_of_known_signals() -> None:
    time = np.arange(RATE) / RATE
    sine = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    both = np.stack((sine, sine), 1)
    assert level(both) == pytest.approx(-3.01, abs=0.01)
    assert level(np.zeros((100, 2), np.float32)) == -120
    assert width(both) < -100
    assert width(np.stack((sine, np.zeros_like(sine)), 1)) == pytest.approx(0, abs=0.01)
    assert width(np.stack((sine, -sine), 1)) > 100
    late = np.concatenate((np.zeros((2 * RATE, 2), np.float32), both))
    assert loudest_second(late) == pytest.approx(-3.01, abs=0.01)
    assert loudest_second(both[:100]) == pytest.approx(level(both[:100]))


def test_six_decibels_are_six_decibels_in_every_mel_band() -> None:
    a = 0.1 * noise(RATE, 2)
    assert mel_distance(a, a) == 0
    assert mel_distance(a, a / 2) == pytest.approx(6.02, abs=0.05)
    assert mel_distance(a[:500], a[:500]) == 0  # shorter than a window


def test_a_cosine_is_taken_row_by_row() -> None:
    a = np.array([[1, 0], [0, 2], [1, 1]], np.float32)
    b = np.array([[2, 0], [1, 0], [-1, -1]], np.float32)
    np.testing.assert_allclose(cosines(a, b), [1, 0, -1], atol=1e-7)


def test_onsets_are_found_where_something_begins() -> None:
    samples = clicks(EVENTS, GAME_SECONDS).astype(np.float32) / 32768
    found = find_onsets(samples)
    np.testing.assert_allclose(found, EVENTS, atol=0.025)
    assert match(found, np.array(EVENTS)).f1 == 1
    assert match(found, np.array(EVENTS) + 0.2).f1 == 0


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_nothing_begins_in_silence_and_in_steady_noise(gain: float) -> None:
    steady = gain * noise(3 * RATE, 2)
    assert not [time for time in find_onsets(steady) if time > 0.05]


def test_a_match_is_used_once() -> None:
    assert match(np.array([1.0]), np.array([0.95, 1.05])) == Matches(1, 1, 2)
    assert match(np.array([0.95, 1.05]), np.array([1.0])) == Matches(1, 2, 1)
    # the first must leave the second to its neighbour
    assert match(np.array([0.95, 1.05]), np.array([1.0, 1.1])) == Matches(2, 2, 2)
    assert match(np.array([]), np.array([])).f1 == 0
    assert total([Matches(1, 2, 3), Matches(1, 0, 1)]) == Matches(2, 2, 4)
    assert Matches(2, 2, 4).f1 == pytest.approx(2 * 2 / 6)


def test_a_shuffled_game_is_the_same_one_at_another_time() -> None:
    rng = np.random.default_rng(0)
    true = np.array([0.0, 1.0, 3.0, 9.0])
    for _ in range(20):
        moved = shuffled(true, 10.0, rng)
        assert (np.diff(moved) > 0).all()
        gaps = np.sort(np.diff(np.append(moved, moved[0] + 10)))
        np.testing.assert_allclose(gaps, [1, 1, 2, 6])
        assert 2 <= (moved[np.argmax(np.diff(np.append(moved, moved[0] + 10)))] - 3) % 10 <= 8


def test_a_planted_copy_is_found_where_the_training_sound_is_longer() -> None:
    made = noise(5, 120, 16)
    clips = [noise(length, 16, seed=length) for length in (150, 2500, 400)]
    clips[1][1010:1130] = made[3] * 0.5 + 2.0  # across two pieces; softer, another mean
    found = nearest(made, clips)
    assert found[3].clip == 1
    assert found[3].correlation > 0.99
    assert max(match.correlation for k, match in enumerate(found) if k != 3) < 0.3


def test_a_planted_copy_is_found_where_the_training_sound_is_shorter() -> None:
    made = noise(4, 120, 16)
    clips = [noise(30, 16, seed=1), made[2, 61:96] + 0.1 * noise(35, 16, seed=2)]
    found = nearest(made, clips)
    assert found[2].clip == 1
    assert found[2].correlation == pytest.approx(1 / np.sqrt(1.01), abs=0.01)
    assert found[0].correlation < 0.4


@pytest.mark.parametrize("length", [SHORTEST, 59, 60, 61, 97])
def test_the_correlation_is_that_of_the_best_offset(length: int) -> None:
    made, clip = noise(3, 60, 4), noise(length, 4, seed=9)
    found = nearest(made, [clip])
    size = min(length, 60)
    for k in range(3):
        values = []
        for i in range(60 - size + 1):
            for j in range(length - size + 1):
                a, b = made[k, i : i + size], clip[j : j + size]
                values.append(np.corrcoef((a - a.mean(0)).ravel(), (b - b.mean(0)).ravel())[0, 1])
        assert found[k].correlation == pytest.approx(max(values), abs=1e-4)


def test_steady_sounds_are_no_copies_of_each_other() -> None:
    made = noise(2, 100, 8)
    made[0] = 3.0 + 1e-3 * made[0]  # a hum
    hum = 3.0 + 1e-3 * noise(200, 8, seed=4)
    assert nearest(made, [hum])[0].correlation < 0.05


def test_sounds_too_short_to_be_told_are_not_compared() -> None:
    made = noise(2, 100, 8)
    found = nearest(made, [made[0, : SHORTEST - 1]])
    assert [(match.clip, match.correlation) for match in found] == [(-1, -1.0)] * 2
    with pytest.raises(ValueError, match="at least 25"):
        nearest(made[:, : SHORTEST - 1], [])
