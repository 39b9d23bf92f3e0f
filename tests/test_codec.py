"""The codec's streaming ends: in pieces as at once, live as in training, levels held."""

import numpy as np
import pytest
import torch

from diegetic.codec import (
    BANDS,
    BINS,
    DELAY,
    FLOOR,
    FRAME_HOP,
    LAG,
    MID_BANDS,
    WINDOW,
    FloatArray,
    band_levels,
    interpolation_matrix,
    noise_spectra,
    silence,
    synthesise,
)
from diegetic.model import inverse, spectral


def stream(spectra: FloatArray, levels: FloatArray, cuts: list[int]) -> FloatArray:
    state, parts, begin = silence(), [], 0
    for count in [*cuts, len(levels) - sum(cuts)]:
        samples, state = synthesise(
            spectra[:, :, begin : begin + count], levels[begin : begin + count], state, count
        )
        parts.append(samples)
        begin += count
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def frames() -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(0)
    spectra = rng.standard_normal((2, 2, 60, BINS)).astype(np.float32) * np.float32(0.01)
    return spectra, rng.uniform(-9, -3, (60, BANDS)).astype(np.float32)


@pytest.mark.parametrize("cuts", [[1], [8, 8, 8], [1, 2, 3, 5, 7, 11, 13]])
def test_synthesis_in_pieces_equals_synthesis_at_once(
    frames: tuple[FloatArray, FloatArray], cuts: list[int]
) -> None:
    np.testing.assert_allclose(stream(*frames, cuts), stream(*frames, []), atol=1e-6)


@pytest.mark.parametrize("kept", [1, 2, 32, 59, 60])
def test_the_state_on_the_way_is_that_of_the_frames_before_it(
    frames: tuple[FloatArray, FloatArray], kept: int
) -> None:
    spectra, levels = frames
    _, begun = synthesise(spectra[:, :, :7], levels[:7], silence(), 7)
    whole, ours = synthesise(spectra, levels, begun, kept)
    part, theirs = synthesise(spectra[:, :, :kept], levels[:kept], begun, kept)
    np.testing.assert_allclose(part, whole[: len(part)], atol=1e-6)
    for name, state in vars(theirs).items():
        np.testing.assert_allclose(vars(ours)[name], state, atol=1e-6, err_msg=name)


def test_live_synthesis_is_that_of_the_training_later_by_the_delay(
    frames: tuple[FloatArray, FloatArray],
) -> None:
    spectra, levels = frames
    live = stream(spectra, levels, [10, 20])
    sound = inverse.hold_levels(
        inverse.synthesise(torch.from_numpy(spectra).permute(1, 2, 3, 0)[None]),
        torch.from_numpy(levels)[None],
    )
    offline = spectral.to_left_right(sound)[0].numpy()
    # Offline there is no sound before the first frame; live its window reaches back.
    beginning = DELAY + 2 * WINDOW
    np.testing.assert_allclose(
        live[beginning:], offline[beginning - DELAY : len(live) - DELAY], atol=1e-5
    )


def test_live_analysis_and_noise_are_those_of_the_training() -> None:
    rng = np.random.default_rng(1)
    audio = rng.standard_normal((4800, 2)).astype(np.float32)
    theirs = spectral.band_levels(torch.from_numpy(audio)[None])[0].numpy()
    ours = band_levels(audio, np.zeros((LAG, 2), np.float32))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    noise = rng.standard_normal((2, LAG + 9600)).astype(np.float32)
    shaped = spectral.noise_spectra(torch.from_numpy(noise))[:, LAG // FRAME_HOP :].numpy()
    np.testing.assert_allclose(np.moveaxis(noise_spectra(noise), 0, -1), shaped, atol=1e-5)
    assert abs(float(np.square(noise_spectra(noise)).sum(0).mean()) - 1) < 0.05


def test_bands_are_heard_at_the_levels_that_are_asked_for() -> None:
    """Noise, shaped by levels that vary from frame to frame, as latents would have it."""
    rng = np.random.default_rng(2)
    steps = rng.normal(0, 0.25, (200, BANDS)).astype(np.float32)
    smooth = np.apply_along_axis(lambda x: np.convolve(x, np.ones(8) / 4, "same"), 0, steps)
    wanted = (smooth - 4.5).astype(np.float32)
    gains = np.stack(
        (
            wanted[:, :MID_BANDS] @ interpolation_matrix(MID_BANDS).T,
            wanted[:, MID_BANDS:] @ interpolation_matrix(BANDS - MID_BANDS).T,
        )
    )
    white = noise_spectra(rng.standard_normal((2, LAG + 200 * FRAME_HOP)).astype(np.float32))
    shaped = (white * np.exp(gains)).astype(np.float32)
    heard = stream(shaped, wanted, [100])[DELAY:]
    late = band_levels(heard[LAG:], heard[:LAG])
    kept = wanted[LAG // FRAME_HOP :][: len(late)]
    off = np.abs(late - kept)[8:-8, :MID_BANDS]
    assert off.mean() < 0.2  # neper; 0.45 after overlap-add alone
    assert abs(float((late - kept)[8:-8, :MID_BANDS].mean())) < 0.06


def test_silence_stays_silent() -> None:
    spectra = np.zeros((2, 2, 40, BINS), np.float32)
    levels = np.full((40, BANDS), np.log(FLOOR), np.float32)
    assert not stream(spectra, levels, [3]).any()
