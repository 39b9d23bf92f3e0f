"""Filling gaps and going on: the recording stays what it is, the new part is made for it."""

import numpy as np
import pytest

from diegetic.codec import DELAY
from diegetic.config import RATE
from diegetic.errors import DiegeticError
from diegetic.generator import ChunkGenerator, load_generator
from diegetic.inpaint import FADE, continue_audio, inpaint
from diegetic.networks import FloatArray
from diegetic.snapshot import null_conditioning


@pytest.fixture(scope="module")
def generator() -> ChunkGenerator:
    return load_generator(nfe=2)


@pytest.fixture(scope="module")
def recording() -> FloatArray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((3 * RATE, 2)) * 0.1).astype(np.float32)


def test_outside_the_gap_the_recording_is_untouched(
    generator: ChunkGenerator, recording: FloatArray
) -> None:
    start, end = 1.013, 1.513
    filled = inpaint(generator, recording, start, end, null_conditioning())
    first, last = round(start * RATE), round(end * RATE)
    assert filled.shape == recording.shape
    np.testing.assert_array_equal(filled[: first - FADE], recording[: first - FADE])
    np.testing.assert_array_equal(filled[last + FADE :], recording[last + FADE :])
    assert np.abs(filled[first:last] - recording[first:last]).max() > 0.01


def test_what_the_gap_held_does_not_matter(
    generator: ChunkGenerator, recording: FloatArray
) -> None:
    holed = recording.copy()
    holed[RATE : RATE + 24_000] = 0.0
    ours = inpaint(generator, recording, 1.0, 1.5, null_conditioning(), seed=2)
    theirs = inpaint(generator, holed, 1.0, 1.5, null_conditioning(), seed=2)
    np.testing.assert_array_equal(ours, theirs)
    other = inpaint(generator, recording, 1.0, 1.5, null_conditioning(), seed=3)
    assert np.abs(ours - other).max() > 1e-3


def test_what_comes_after_the_gap_changes_what_fills_it(
    generator: ChunkGenerator, recording: FloatArray
) -> None:
    quiet = recording.copy()
    quiet[RATE + 24_000 :] *= 0.01
    ours = inpaint(generator, recording, 1.0, 1.5, null_conditioning())
    theirs = inpaint(generator, quiet, 1.0, 1.5, null_conditioning())
    gap = slice(RATE + 12_000, RATE + 24_000)
    assert np.abs(ours[gap] - theirs[gap]).max() > 1e-3


def test_a_recording_goes_on_for_as_long_as_is_asked(
    generator: ChunkGenerator, recording: FloatArray
) -> None:
    longer = continue_audio(generator, recording, null_conditioning(), 0.7)
    assert longer.shape == (len(recording) + round(0.7 * RATE), 2)
    kept = len(recording) - DELAY
    np.testing.assert_array_equal(longer[:kept], recording[:kept])
    assert np.isfinite(longer).all()
    assert longer[len(recording) :].any()


def test_gaps_and_recordings_that_do_not_fit_are_refused(
    generator: ChunkGenerator, recording: FloatArray
) -> None:
    said = null_conditioning()
    with pytest.raises(DiegeticError, match=r"the gap must lie in 0 \.\. 3\.00 s, got 2 \.\. 1 s"):
        inpaint(generator, recording, 2.0, 1.0, said)
    with pytest.raises(DiegeticError, match="audio after the gap must last at least"):
        inpaint(generator, recording, 2.0, 2.99, said)
    with pytest.raises(DiegeticError, match="audio before the gap must last at least"):
        inpaint(generator, recording, 0.01, 1.0, said)
    with pytest.raises(DiegeticError, match="seconds must be positive"):
        continue_audio(generator, recording, said, 0.0)
    with pytest.raises(DiegeticError, match=r"audio must be finite and \(samples, 2\)"):
        continue_audio(generator, recording[:, :1], said, 1.0)
