import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegetic.crossfade import blend, fade_out, join, ramps
from diegetic.snapshot import FloatArray

OVERLAP = 1920


def decibels(power: object) -> FloatArray:
    return np.asarray(10 * np.log10(np.asarray(power)), np.float32)


def quadrature(phase: float, length: int = OVERLAP) -> FloatArray:
    """A tone in one channel and its quarter turn in the other: left² + right² is its envelope."""
    angle = 2 * np.pi * 440 / 48_000 * np.arange(length) + phase
    return np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)


@pytest.mark.parametrize("rho", [-0.5, -0.3, 0.0, 0.37, 0.9, 1.0])
def test_a_seam_between_tones_keeps_its_level(rho: float) -> None:
    chunk = quadrature(float(np.arccos(rho)), 2 * OVERLAP)
    seam = join(quadrature(0.0), chunk, OVERLAP)
    assert seam.rho == pytest.approx(rho, abs=1e-3)
    level = decibels((seam.samples[:OVERLAP].astype(float) ** 2).sum(1))
    assert np.abs(level).max() < 0.15


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 1.0])
def test_a_seam_between_noises_keeps_its_level(rho: float) -> None:
    random = np.random.default_rng(7)
    power = np.zeros(OVERLAP)
    for _ in range(300):
        tail, other = random.standard_normal((2, OVERLAP, 2)).astype(np.float32)
        head = (rho * tail + np.sqrt(1 - rho**2) * other).astype(np.float32)
        chunk = np.concatenate([head, other])
        power += (join(tail, chunk, OVERLAP).samples.astype(float) ** 2).mean(1)[:OVERLAP] / 300
    # 600 values x 96 samples: the level is known to 0.03 dB (one sigma)
    level = decibels(power.reshape(-1, 96).mean(1))
    assert np.abs(level).max() < 0.15


@pytest.mark.parametrize("louder_db", [-30.0, -12.0, 6.0, 20.0])
@pytest.mark.parametrize("rho", [0.0, 0.6, 1.0])
def test_between_a_loud_and_a_soft_side_the_level_goes_straight(
    louder_db: float, rho: float
) -> None:
    gain = 10 ** (louder_db / 20)
    mixed, found = blend(quadrature(0.0), gain * quadrature(float(np.arccos(rho))))
    assert found == pytest.approx(rho, abs=1e-3)
    share = np.sin((np.arange(OVERLAP) + 0.5) / OVERLAP * np.pi / 2) ** 2
    straight = decibels((1 - share) + share * gain**2)
    level = decibels((mixed.astype(float) ** 2).sum(1))
    assert np.abs(level - straight).max() < 0.15


def test_identical_sides_pass_unchanged() -> None:
    chunk = np.random.default_rng(1).uniform(-1, 1, (2 * OVERLAP, 2)).astype(np.float32)
    seam = join(chunk[:OVERLAP], chunk, OVERLAP)
    assert seam.rho == pytest.approx(1.0)
    # the gains sum to 1 within float32, and so does their product with ±1
    np.testing.assert_allclose(seam.samples, chunk[:OVERLAP], atol=4 * 2**-24)


def test_opposite_sides_are_hardly_lifted() -> None:
    out, into = ramps(OVERLAP, -1.0)
    assert max(out.max(), into.max()) < 1.16  # 1.3 dB, where the other side is already low


@given(
    lengths=st.lists(st.integers(0, 50), min_size=1, max_size=6),
    overlap=st.sampled_from([1, 2, 7, 64]),
    seed=st.integers(0, 99),
)
def test_streaming_is_one_offline_overlap_add(lengths: list[int], overlap: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    chunks = [random.standard_normal((n + 2 * overlap, 2)).astype(np.float32) for n in lengths]
    parts, tail = [], None
    for chunk in chunks:
        seam = join(tail, chunk, overlap)
        parts.append(seam.samples)
        tail = seam.tail
    assert tail is not None
    streamed = np.concatenate([*parts, fade_out(tail)])

    def scale(left: FloatArray, right: FloatArray) -> FloatArray:
        p, q, pq = (left**2).mean(), (right**2).mean(), (left * right).mean()
        rho = max(-0.5, pq / np.sqrt(p * q))
        apart = cos**2 * p + sin**2 * q
        return np.sqrt(apart / (apart + 2 * rho * cos * sin * np.sqrt(p * q)))

    offline = np.zeros((sum(len(c) - overlap for c in chunks) + overlap, 2))
    start = 0
    angle = (np.arange(overlap) + 0.5) / overlap * (np.pi / 2)
    cos, sin = np.cos(angle), np.sin(angle)
    for index, chunk in enumerate(chunks):
        gain = np.ones(len(chunk))
        if index == 0:
            gain[:overlap] = sin**2
        else:
            gain[:overlap] = sin * scale(chunks[index - 1][-overlap:], chunk[:overlap])
        if index == len(chunks) - 1:
            gain[-overlap:] = cos**2
        else:
            gain[-overlap:] = cos * scale(chunk[-overlap:], chunks[index + 1][:overlap])
        offline[start : start + len(chunk)] += gain[:, None] * chunk
        start += len(chunk) - overlap
    np.testing.assert_allclose(streamed, offline, atol=1e-5)


def test_silence_on_either_side_is_no_trouble() -> None:
    silence = np.zeros((2 * OVERLAP, 2), np.float32)
    sound = quadrature(0.0, 2 * OVERLAP)
    assert not join(silence[:OVERLAP], silence, OVERLAP).samples.any()
    for tail, chunk in ((silence, sound), (sound, silence)):
        seam = join(tail[:OVERLAP], chunk, OVERLAP)
        assert seam.rho == 0.0
        assert np.isfinite(seam.samples).all()


def test_the_first_chunk_rises_from_silence_and_nothing_given_is_modified() -> None:
    chunk = np.ones((2 * OVERLAP, 2), np.float32)
    seam = join(None, chunk, OVERLAP)
    assert seam.samples[0].max() < 1e-5
    assert np.all(np.diff(seam.samples[:, 0]) >= 0)
    seam.tail[:] = 0
    join(np.ones((OVERLAP, 2), np.float32), chunk, OVERLAP)
    assert np.array_equal(chunk, np.ones_like(chunk))


@pytest.mark.parametrize("shape", [(OVERLAP, 2), (2 * OVERLAP - 1, 2), (2 * OVERLAP,)])
def test_a_chunk_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="chunk must be"):
        join(None, np.zeros(shape, np.float32), OVERLAP)


def test_a_tail_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="tail must be"):
        join(np.zeros((3, 2), np.float32), np.zeros((2 * OVERLAP, 2), np.float32), OVERLAP)
