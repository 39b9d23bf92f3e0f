import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diegetic import StreamConfig, crossfade
from diegetic.evaluation.seam_features import FEATURES, describe, fade_step
from diegetic.evaluation.seam_metrics import (
    Places,
    Recording,
    classify,
    excess,
    fade_steps,
    find_places,
    permutation_test,
    told_by,
)
from diegetic.snapshot import FloatArray
from tone_generator import ToneGenerator, plain_conditioner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import seams

HOP, OVERLAP = 7680, 1920
CONFIG = StreamConfig()


def noise(seed: int, count: int = 20, *, sigma: float = 0.1) -> Recording:
    samples = np.random.default_rng(seed).normal(0, sigma, ((count + 2) * HOP, 2))
    fades = tuple(range(HOP, len(samples), HOP))
    return Recording(samples.astype(np.float32), fades, fades[:-1], OVERLAP)


def spoilt(recording: Recording, spoil: FloatArray | float, first: int, last: int) -> Recording:
    """Multiply samples first..last of each fade by `spoil`."""
    samples = recording.samples.copy()
    for fade in recording.judged:
        samples[fade + first : fade + last] *= spoil
    return replace(recording, samples=samples)


def found_in(recordings: list[Recording]) -> list[Places]:
    rng = np.random.default_rng(0)
    return [find_places(recording, rng) for recording in recordings]


def test_where_nothing_was_done_nothing_is_told() -> None:
    found = found_in([noise(seed, 60) for seed in range(6)])
    told = classify(found)
    assert abs(told.auc - 0.5) < 0.08  # 360 seams: one sigma is 0.022
    assert 0 < told.error < 0.05
    for feature in FEATURES:
        assert abs(told_by(found, feature).auc - 0.5) < 0.08
    assert permutation_test(found, "flux", np.random.default_rng(0))[1] > 0.01


def test_a_hard_cut_on_tones_is_convicted_and_the_same_tones_in_one_piece_are_not() -> None:
    cut, whole = (seams.measure(seams.tones(CONFIG, 120, cut=c), 0) for c in (True, False))
    assert cut.told.auc > 0.99
    assert cut.bend > 6
    assert cut.flux[0] > 4
    assert cut.flux[1] < 0.001
    assert cut.misses(seams.Limits()) == ["classifier"]
    assert whole.misses(seams.Limits()) == []


def test_equal_power_on_identical_sides_is_convicted() -> None:
    lifted = seams.measure(seams.equal_power([noise(seed) for seed in range(4)]), 0)
    # 10 lg of the mean of (cos + sin)² over the middle half of the fade
    assert lifted.added == pytest.approx(10 * np.log10(1 + np.sqrt(8) / np.pi), abs=0.1)
    assert lifted.misses(seams.Limits()) == ["level added", "level", "classifier"]


def test_equal_gain_on_unrelated_sides_is_a_dip() -> None:
    out, into = np.random.default_rng(0).normal(0, 0.1, (2, 50_000, 2)).astype(np.float32)
    rise = crossfade.fade_in(len(out))  # sine squared
    # 10 lg of the mean of cos⁴ + sin⁴ over the middle half of the fade
    dip = 10 * np.log10(3 / 4 - 1 / (2 * np.pi))
    assert fade_step((1 - rise) * out + rise * into, out, into) == pytest.approx(dip, abs=0.1)


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.6, 1.0])
def test_the_crossfade_adds_no_level_between_equally_loud_sides(rho: float) -> None:
    out, other = np.random.default_rng(1).normal(0, 0.1, (2, OVERLAP * 20, 2))
    into = rho * out + np.sqrt(1 - rho**2) * other
    fall, rise = crossfade.ramps(len(out), rho)
    made = (fall * out + rise * into).astype(np.float32)
    assert abs(fade_step(made, out.astype(np.float32), into.astype(np.float32))) < 0.1


def test_levels_that_fades_add_are_those_of_the_judged_ones() -> None:
    samples = np.ones((3 * HOP, 2), np.float32)
    samples[HOP : HOP + OVERLAP] *= 0.5
    side = np.ones((OVERLAP, 2), np.float32)
    recording = Recording(samples, (HOP, 2 * HOP), (HOP,), OVERLAP, ((side, side),))
    assert fade_steps([recording]) == pytest.approx([-6.02], abs=0.01)
    assert len(fade_steps([replace(recording, sides=())])) == 0


def test_a_missing_millisecond_is_a_hole() -> None:
    found = found_in([spoilt(noise(seed), 0.0, 960, 1008) for seed in range(3)])
    assert told_by(found, "hole").auc < 0.01
    assert classify(found).auc > 0.9  # 60 seams are few for so many features


def test_a_jump_of_one_sample_clicks() -> None:
    whole = seams.tones(CONFIG, 60, cut=False)
    for recording in whole:
        for fade in recording.judged:
            recording.samples[fade + 900] += 0.02
    assert told_by(found_in(whole), "click").auc > 0.95


def test_a_level_step_of_two_decibels_is_measured_as_such() -> None:
    found = found_in([spoilt(noise(seed, 80), 10 ** (2 / 20), 0, OVERLAP) for seed in range(3)])
    middles = [place.seams[:, FEATURES.index("level")] for place in found]
    assert np.median(np.concatenate(middles)) == pytest.approx(2.0, abs=0.05)
    assert excess(found, "level", 95) == pytest.approx(2.0, abs=0.3)


def test_a_fade_from_loud_to_soft_is_measured_against_both() -> None:
    loud = np.random.default_rng(4).normal(0, 0.1, (40, 2 * OVERLAP, 2))
    loud[:, OVERLAP // 2 :] *= np.sqrt(0.5)  # the fade has half the power, what follows has none
    loud[:, OVERLAP * 3 // 2 :] = 0.0
    level = describe(loud.astype(np.float32), OVERLAP)[:, FEATURES.index("level")]
    assert level.mean() == pytest.approx(0.0, abs=0.1)


def test_another_sound_after_a_seam_is_told_and_its_join_is_not() -> None:
    rng = np.random.default_rng(0)
    found = [Places(*rng.normal(0, 1, (2, 80, len(FEATURES)))) for _ in range(4)]
    for place in found:
        place.seams[:, FEATURES.index("change")] += 3
    assert classify(found).auc > 0.9
    assert abs(classify(found, seams.JOIN).auc - 0.5) < 0.1


def test_what_is_too_soft_to_be_heard_is_no_evidence() -> None:
    found = found_in([spoilt(noise(seed, sigma=1e-6), 0.0, 0, OVERLAP) for seed in range(3)])
    assert max(np.abs(place.seams).max() for place in found) < 0.11  # dB: one step
    silence = describe(np.zeros((2, 2 * OVERLAP, 2), np.float32), OVERLAP)
    assert not silence.any()


def test_features_do_not_depend_on_the_level_of_the_recording() -> None:
    windows = np.random.default_rng(2).normal(0, 0.2, (5, 2 * OVERLAP, 2)).astype(np.float32)
    np.testing.assert_allclose(
        describe(windows / 4, OVERLAP), describe(windows, OVERLAP), atol=0.11
    )


def test_other_places_touch_no_fade() -> None:
    recording = noise(0, sigma=0.0)
    for fade in recording.fades:
        recording.samples[fade : fade + OVERLAP] = np.resize([0.5, -0.5], (OVERLAP, 2))
    places = find_places(recording, np.random.default_rng(0))
    assert not places.others.any()
    assert (places.seams[:, FEATURES.index("level")] > 40).all()


def test_other_places_have_the_seams_position_on_the_grid_of_latents() -> None:
    hop, overlap = 9600, 2880  # so that the first free middle is not on the grid
    latent = np.random.default_rng(0).normal(0, 0.1, (960, 2)).astype(np.float32)
    fades = tuple(range(hop, 12 * hop, hop))
    recording = Recording(np.tile(latent, (12 * hop // 960, 1)), fades, fades[:-1], overlap)
    places = find_places(recording, np.random.default_rng(0))
    assert np.ptp(np.concatenate((places.seams, places.others)), axis=0).max() < 1e-6


def test_a_seam_beside_an_unusually_near_fade_is_left_out() -> None:
    recording = noise(0, 10)
    near = replace(recording, fades=tuple(sorted((*recording.fades, 3 * HOP + 2400))))
    kept = find_places(near, np.random.default_rng(0))
    assert len(kept.seams) == len(near.judged) - 1
    assert len(kept.others) == len(recording.fades) - 2


def test_ranks_are_taken_within_a_recording() -> None:
    rng = np.random.default_rng(0)

    def recording(level: float, seam_count: int, other_count: int) -> Places:
        width = len(FEATURES)
        return Places(
            rng.normal(level, 1, (seam_count, width)), rng.normal(level, 1, (other_count, width))
        )

    # most of the seams are in the loud recording, most of the others in the soft one
    found = [recording(60, 90, 30), recording(0, 30, 90)]
    assert abs(told_by(found, "level").auc - 0.5) < 0.12
    z, p = permutation_test(found, "level", rng)
    assert abs(z) < 2.6
    assert p > 0.01


def test_the_permutation_test_finds_a_small_shift_and_no_difference_in_equals() -> None:
    rng = np.random.default_rng(3)
    shape = (300, len(FEATURES))
    shifted = [Places(rng.normal(0.4, 1, shape), rng.normal(0, 1, shape))]
    z, p = permutation_test(shifted, "flux", rng, rounds=500)
    assert z > 3
    assert p < 0.01
    stretched = [Places(np.exp(5 * shifted[0].seams), np.exp(5 * shifted[0].others))]
    z_stretched, _ = permutation_test(stretched, "flux", rng, rounds=500)
    assert z_stretched == pytest.approx(z, rel=0.1)  # ranks are the same, shuffles are others
    assert permutation_test([Places(np.zeros(shape), np.zeros(shape))], "flux", rng) == (0.0, 1.0)


def test_the_classifier_is_tried_on_recordings_that_it_never_heard() -> None:
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(len(FEATURES), 8)))[0].T

    def told(towards: FloatArray) -> float:
        found = []
        for direction in towards:
            others, others_too = rng.normal(0, 1, (2, 60, len(FEATURES)))
            found.append(Places(others_too + 4 * direction, others))
        return classify(found).auc

    assert told(np.repeat(directions[:1], 8, axis=0)) > 0.95
    assert told(directions) < 0.65


def test_what_cannot_be_compared_is_refused() -> None:
    rng = np.random.default_rng(0)
    recording = noise(0, 4)
    with pytest.raises(ValueError, match="must start 4864 apart, got 4800"):
        find_places(replace(recording, fades=tuple(range(HOP, 5 * HOP, 4800))), rng)
    with pytest.raises(ValueError, match="judged must be seams with room"):
        find_places(replace(recording, judged=()), rng)
    with pytest.raises(ValueError, match="recordings must be at least 2, got 1"):
        classify(found_in([recording]))


@pytest.fixture
def studio() -> seams.Studio:
    return seams.Studio(ToneGenerator(), plain_conditioner)


def test_every_steady_seam_of_a_full_prefix_is_judged_with_the_sides_that_it_joins(
    studio: seams.Studio,
) -> None:
    recordings = seams.steady(studio, 24)
    assert [len(recording.judged) for recording in recordings] == [2] * len(seams.BEDS)
    for recording in recordings:
        for fade, (out, into) in zip(recording.judged, recording.sides, strict=True):
            np.testing.assert_array_equal(out, into)  # a tone goes on
            np.testing.assert_allclose(
                recording.samples[fade : fade + CONFIG.overlap_samples], out, atol=1e-5, rtol=0
            )
    assert np.abs(fade_steps(recordings)).max() < 1e-3


def test_switch_seams_are_those_where_the_tone_changes(studio: seams.Studio) -> None:
    for recording in seams.switches(studio, 24):
        assert len(recording.judged) == 2
        assert np.ptp(recording.judged) % (seams.SWITCH_HOPS * HOP) == 0
        for out, into in recording.sides:
            assert len(out) == len(into) == CONFIG.overlap_samples


def test_ramp_seams_are_as_many_as_were_asked_for(studio: seams.Studio) -> None:
    assert sum(len(recording.judged) for recording in seams.ramps(studio, 240)) >= 240


def test_the_exit_status_says_when_a_control_is_not_convicted(
    studio: seams.Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seams, "open_studio", lambda *arguments: studio)
    monkeypatch.setattr(seams, "switches", lambda *arguments: [])
    monkeypatch.setattr(seams, "ramps", lambda *arguments: [])
    monkeypatch.setattr(seams, "revoked", lambda *arguments: [])  # a tone that changes is heard to
    monkeypatch.setattr(sys, "argv", ["seams.py", "--seams", "36"])
    assert seams.main() == 0
    monkeypatch.setattr(seams, "equal_power", lambda recordings: recordings)
    assert seams.main() == 2


def test_the_exit_status_says_when_a_seam_is_told(
    studio: seams.Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = seams.tones(CONFIG, 36, cut=True)
    monkeypatch.setattr(seams, "open_studio", lambda *arguments: studio)
    monkeypatch.setattr(seams, "switches", lambda *arguments: cut)
    monkeypatch.setattr(seams, "ramps", lambda *arguments: [])
    monkeypatch.setattr(seams, "revoked", lambda *arguments: [])
    monkeypatch.setattr(sys, "argv", ["seams.py", "--seams", "36"])
    assert seams.main() == 1


def test_a_future_taken_back_joins_where_the_device_has_it(studio: seams.Studio) -> None:
    for recording in seams.revoked(studio, 24):
        assert len(recording.judged) == len(recording.sides) >= 2
        assert len(find_places(recording, np.random.default_rng(0)).seams) >= 2
        for splice, (old, new) in zip(recording.judged, recording.sides, strict=True):
            heard = recording.samples[splice:][: recording.overlap]
            np.testing.assert_allclose(heard[0], old[0], atol=1e-3)
            np.testing.assert_allclose(heard[-1], new[-1], atol=1e-3)


def test_many_windows_are_described_as_each_alone() -> None:
    windows = np.random.default_rng(0).uniform(-0.1, 0.1, (130, 4800, 2)).astype(np.float32)
    alone = [describe(windows[index : index + 1], 1920)[0] for index in (0, 63, 64, 129)]
    assert np.array_equal(describe(windows, 1920)[[0, 63, 64, 129]], alone)
    assert describe(windows[:0], 1920).shape == (0, len(FEATURES))
