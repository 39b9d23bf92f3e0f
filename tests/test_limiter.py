"""True peaks are measured as others do: by BS.1770's own interpolator and by scipy's resampler."""

import numpy as np
import pytest
from scipy.signal import fftconvolve, firwin, resample, resample_poly

from diegetic.mixer.limiter import DELAY, MARGIN_DB, Limiter
from diegetic.snapshot import FloatArray

RATE = 48_000
LENGTH = 20_000

# ITU-R BS.1770-5, annex 2: the first two of four phases; the others are these reversed.
_ITU = np.array(
    [
        [
            *(0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000),
            *(-0.0594482421875, 0.1373291015625, 0.9721679687500, -0.1022949218750),
            *(0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500),
        ],
        [
            *(-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250),
            *(-0.1665039062500, 0.4650878906250, 0.7797851562500, -0.2003173828125),
            *(0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375),
        ],
    ]
)
ITU = np.concatenate([_ITU, _ITU[::-1, ::-1]])


def true_peak_db(samples: FloatArray) -> float:
    """The highest of three meters: BS.1770 at 4x, and a longer filter at 4x and at 8x; dBTP."""
    wide = samples.astype(np.float64)
    peaks = [np.abs(resample_poly(wide, up, 1, axis=1)).max() for up in (4, 8)]
    peaks += [np.abs(np.convolve(channel, phase)).max() for channel in wide for phase in ITU]
    return float(20 * np.log10(max(peaks)))


def limited(
    samples: FloatArray, ceiling: float = -1.0, sizes: tuple[int, ...] = (256,)
) -> FloatArray:
    """All of `samples` (2, n), without the delay."""
    limiter = Limiter(256)
    limiter.set_ceiling(ceiling)
    padded = np.concatenate([samples, np.zeros((2, DELAY))], axis=1).astype(np.float32)
    parts, start, turn = [], 0, 0
    while start < padded.shape[1]:
        size = sizes[turn % len(sizes)]
        parts.append(limiter.process(padded[:, start : start + size]).copy())
        start, turn = start + size, turn + 1
    return np.concatenate(parts, axis=1)[:, DELAY:]


EDGE = np.clip(np.minimum(np.arange(LENGTH), np.arange(LENGTH)[::-1]) / 2000, 0, 1)


def sine(hz: float, level: float, phase: float = 0.0) -> FloatArray:
    wave = level * np.sin(2 * np.pi * hz / RATE * np.arange(LENGTH) + phase)
    return np.tile(wave, (2, 1)).astype(np.float32)


def adversaries() -> dict[str, FloatArray]:
    """Signals whose peaks hide between samples, come alone, in bursts, or everywhere at once."""
    rng = np.random.default_rng(0)
    time = np.arange(LENGTH)
    quarter = sine(RATE / 4, 4.0, np.pi / 4)  # its samples are all 3 dB below its peaks
    sparse = (rng.random((2, LENGTH)) < 0.01) * rng.standard_normal((2, LENGTH))
    gates = np.repeat(rng.random((2, LENGTH // 100)) < 0.2, 100, axis=1)
    return {
        "between samples": quarter,
        "beating between samples": sine(RATE / 4 - 0.1, 4.0),
        "third": sine(RATE / 3, 4.0, 0.4),
        "near Nyquist": sine(23_000, 4.0),
        "low": sine(20, 8.0),
        "white": rng.standard_normal((2, LENGTH)) * 2,
        "loudest": rng.uniform(-16, 16, (2, LENGTH)),
        "clicks": sparse * 10,
        "one click": np.eye(1, LENGTH, 5000).repeat(2, axis=0) * 16,
        "bursts": gates * rng.standard_normal((2, LENGTH)) * 6,
        "square": np.tile(3 * np.sign(np.sin(2 * np.pi * 997 / RATE * time)), (2, 1)),
        "turning alternation": np.tile(
            (-1.0) ** time * np.sign(np.sin(2 * np.pi * 300 / RATE * time + 0.1)), (2, 1)
        ),
        "random signs": np.sign(rng.standard_normal((2, LENGTH))),
        "made for the meter": np.tile(
            np.concatenate([np.pad(np.sign(phase), 40) for phase in ITU]), (2, 50)
        ),
        "one side": np.stack([rng.standard_normal(LENGTH) * 4, np.zeros(LENGTH)]),
        "steps": np.cumsum(
            (rng.random((2, LENGTH)) < 0.002) * rng.standard_normal((2, LENGTH)), axis=1
        ),
    }


@pytest.mark.parametrize("name", adversaries())
def test_no_true_peak_passes_the_ceiling(name: str) -> None:
    samples = adversaries()[name].astype(np.float32)
    assert true_peak_db(samples) > 2.0  # there is something to do
    assert true_peak_db(limited(samples)) <= -1.0
    assert true_peak_db(limited(samples, -6.0)) <= -6.0


def test_ideal_interpolation_of_what_is_heard_agrees() -> None:
    # Up to 20 kHz every interpolator must agree; above, an endless one finds any peak it likes.
    lowpass = firwin(401, 20_000, fs=RATE, window=("kaiser", 10.0))
    for samples in adversaries().values():
        out = limited(fftconvolve(samples, lowpass[None], axes=1))
        assert 20 * np.log10(np.abs(resample(out, 8 * LENGTH, axis=1)).max()) <= -1.0


@pytest.mark.parametrize("seed", range(20))
def test_random_short_patterns_stay_below_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pattern = rng.choice([-1.0, 0.0, 1.0], (2, int(rng.integers(2, 60)))) * rng.uniform(0.8, 8)
    samples = np.tile(pattern, (1, 4000 // pattern.shape[1])) * (rng.random((1, 1)) < 2)
    samples[:, 1000:2000] *= 0.3  # let it release, and come back
    assert true_peak_db(limited(samples)) <= -1.0


def test_what_is_below_the_ceiling_passes_bit_for_bit() -> None:
    # Faded at both ends: a wave cut off has higher peaks between its last samples.
    samples = (sine(997, 10 ** ((-1.01 - MARGIN_DB) / 20)) * EDGE).astype(np.float32)
    assert np.array_equal(limited(samples), samples)


def test_the_loudness_allowed_is_used() -> None:
    out = limited(sine(997, 8.0))
    loudest = 20 * np.log10(np.abs(out[:, 2000:-2000]).max())
    assert loudest == pytest.approx(-1.0 - MARGIN_DB, abs=0.02)


def test_both_channels_are_turned_down_alike() -> None:
    samples = np.stack([sine(997, 4.0)[0], sine(997, 0.04)[0]])
    out = limited(samples)
    np.testing.assert_allclose(out[1] * 100, out[0], atol=1e-6)


@pytest.mark.parametrize("sizes", [(1,), (97,), (5, 256, 1)])
def test_blocks_of_any_size_give_the_same(sizes: tuple[int, ...]) -> None:
    samples = adversaries()["bursts"][:, :5000]
    # What rounds by the size of a block rounds 1 - gain: where that is .99, 100 times the gain's.
    np.testing.assert_allclose(limited(samples, sizes=sizes), limited(samples), rtol=0, atol=1e-5)


def test_the_gain_moves_without_a_corner() -> None:
    quiet = np.full((2, LENGTH), 0.1, np.float32)
    quiet[:, 5000] = 8.0
    gain = limited(quiet)[0] / 0.1
    gain[5000] = gain[4999]
    lowest = gain.min()
    assert lowest < 0.2
    # Twice averaged over 32: a step of the reduction bends by at most 1 / 32^2.
    assert np.abs(np.diff(gain, 2)).max() < (1 - lowest) / 32**2 * 1.5
    assert gain[4999 - DELAY - 1] == 1.0  # nothing before the look-ahead


def test_the_gain_comes_back_and_is_then_exactly_one() -> None:
    limiter = Limiter(256)
    limiter.process(np.full((2, 256), 4.0, np.float32))
    block = np.full((2, 256), 0.25, np.float32)
    reductions = []
    for _ in range(400):
        out = limiter.process(block)
        reductions.append(limiter.reduction_db)
    assert limiter.deepest_db == pytest.approx(
        14.5, abs=0.1
    )  # 4, and 1.1 dB that a step overshoots
    assert reductions == sorted(reductions, reverse=True)
    assert reductions[-1] == 0.0
    assert np.array_equal(out, block)
    # 100 ms after, 1/e of the reduction is left.
    assert reductions[19] == pytest.approx(-20 * np.log10(1 - 0.785 / np.e), abs=0.4)
