"""The generator with the shipped weights: pure, repeatable, the same in both backends."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from diegetic.codec import DELAY, LAG, band_levels
from diegetic.conditioning import Conditioner
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.errors import DiegeticError, WeightsError
from diegetic.generator import WEIGHTS, ChunkGenerator, load_generator, position_noise
from diegetic.networks import FloatArray
from diegetic.snapshot import Conditioning, Snapshot, null_conditioning


@pytest.fixture(scope="module")
def generator() -> ChunkGenerator:
    return load_generator(nfe=2)


@pytest.fixture(scope="module")
def rain() -> Conditioning:
    conditioner = Conditioner(TextEncoder(), ImageEncoder())
    return conditioner(Snapshot(0.0, 0.16, prompt="rain falling", guidance=2.0))


def run(generator: ChunkGenerator, said: list[Conditioning], seed: int = 3) -> list[FloatArray]:
    state, chunks = generator.start(seed), []
    for conditioning in said:
        chunk, state = generator.generate(state, conditioning)
        chunks.append(chunk)
    return chunks


def test_a_chunk_has_the_promised_shape_and_is_sound(
    generator: ChunkGenerator, rain: Conditioning
) -> None:
    chunk = run(generator, [rain] * 4)[-1]
    assert chunk.shape == (generator.config.chunk_samples, 2)
    assert chunk.dtype == np.float32
    assert np.isfinite(chunk).all()
    assert 1e-4 < np.abs(chunk).max() < 4


def test_generating_leaves_the_state_alone_and_repeats_bit_for_bit(
    generator: ChunkGenerator, rain: Conditioning
) -> None:
    _, state = generator.generate(generator.start(5), rain)
    arrays = (state.prefix.keys, state.decoder, *vars(state.sound).values())
    kept = [array.copy() for array in arrays]
    first, after = generator.generate(state, rain)
    for ours, theirs in zip(kept, arrays, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    generator.generate(after, null_conditioning())  # going elsewhere and coming back
    second, _ = generator.generate(state, rain)
    np.testing.assert_array_equal(first, second)


def test_new_input_never_changes_past_output(generator: ChunkGenerator, rain: Conditioning) -> None:
    same = run(generator, [rain] * 3)
    other = run(generator, [rain, rain, null_conditioning()])
    np.testing.assert_array_equal(same[:2], other[:2])
    assert np.abs(same[2] - other[2]).max() > 1e-4


def test_another_seed_is_another_sound(generator: ChunkGenerator, rain: Conditioning) -> None:
    assert np.abs(run(generator, [rain], 1)[0] - run(generator, [rain], 2)[0]).max() > 1e-4


def test_both_backends_make_the_same_sound(rain: Conditioning) -> None:
    pytest.importorskip("torch")
    ours = np.stack(run(load_generator(precision="float32", nfe=2), [rain] * 12))
    theirs = np.stack(run(load_generator(backend="torch", nfe=2), [rain] * 12))
    # Rounding grows along the stream, through the prefix.
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_noise_belongs_to_a_place_however_it_is_cut() -> None:
    whole = position_noise(7, 100, 10)
    np.testing.assert_array_equal(position_noise(7, 103, 4), whole[3:8])
    assert abs(float(whole.std()) - 1) < 0.02


def test_a_stream_goes_on_from_a_recording(generator: ChunkGenerator, rain: Conditioning) -> None:
    """What is generated first is the end of the recording, decoded; then its level stays."""
    state, parts = generator.start(4), []
    for _ in range(16):
        chunk, state = generator.generate(state, rain)
        parts.append(chunk[: generator.config.hop_samples])
    recording = np.concatenate(parts)[DELAY:]
    first, _ = generator.generate(generator.start(9, recording), rain)

    def level(sound: FloatArray) -> float:
        return float(10 * np.log10(np.square(sound, dtype=np.float64).mean() + 1e-12))

    assert abs(level(first[:DELAY]) - level(recording[-DELAY:])) < 3
    fresh, _ = generator.generate(generator.start(9), rain)
    assert abs(level(first) - level(recording[-9600:])) < abs(level(fresh) - level(recording))


def test_a_recording_that_cannot_be_gone_on_from_is_refused(generator: ChunkGenerator) -> None:
    with pytest.raises(DiegeticError, match=r"audio must be finite and \(samples, 2\)"):
        generator.start(0, np.zeros(4800, np.float32))
    with pytest.raises(DiegeticError, match="audio must be finite"):
        generator.start(0, np.full((4800, 2), np.nan, np.float32))
    with pytest.raises(DiegeticError, match="at least 960 samples"):
        generator.start(0, np.zeros((500, 2), np.float32))


def test_bad_arguments_are_refused_by_name(tmp_path: object, generator: ChunkGenerator) -> None:
    with pytest.raises(DiegeticError, match="nfe must be at least 1, got 0"):
        load_generator(nfe=0)
    with pytest.raises(DiegeticError, match="backend must be"):
        load_generator(backend="cuda")  # type: ignore[arg-type]
    with pytest.raises(DiegeticError, match="precision must be one of int8, float32, got 'int4'"):
        load_generator(precision="int4")  # type: ignore[arg-type]
    with pytest.raises(DiegeticError, match="seed must be in"):
        generator.start(-1)


def test_damaged_or_missing_weights_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.raises(WeightsError, match="no weights in"):
        load_generator(folder)
    for path in WEIGHTS.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    load_generator(folder)
    tensors = folder / "weights.safetensors"
    data = bytearray(tensors.read_bytes())
    data[-100] ^= 1
    tensors.write_bytes(data)
    with pytest.raises(WeightsError, match=r"weights\.safetensors is damaged"):
        load_generator(folder)
    tensors.unlink()
    with pytest.raises(WeightsError, match=r"weights\.safetensors is missing"):
        load_generator(folder)


def test_an_older_runtime_is_refused_with_the_version_that_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", "1.9.0")
    with pytest.raises(DiegeticError, match=r"must be 1\.21 or later, got 1\.9\.0: pip install"):
        load_generator()
    monkeypatch.setattr(onnxruntime, "__version__", "2.0.0.dev20270101")
    load_generator()


def test_integers_make_nearly_the_same_sound(generator: ChunkGenerator, rain: Conditioning) -> None:
    """Rounding is heard as other noise, not as another sound: levels of bands stay."""
    floats = run(load_generator(precision="float32", nfe=2), [rain] * 12)
    hop = generator.config.hop_samples
    ours, theirs = (
        band_levels(np.concatenate([chunk[:hop] for chunk in chunks]), np.zeros((LAG, 2), "f4"))
        for chunks in (run(generator, [rain] * 12), floats)
    )
    levels = slice(0, 64)  # up to 7 kHz, mid
    apart = ours[100:, levels].mean(0) - theirs[100:, levels].mean(0)
    assert np.abs(apart).mean() < 0.25  # neper


def test_the_null_conditioning_says_nothing() -> None:
    generator, null = load_generator(precision="float32", nfe=2), null_conditioning()
    loud = replace(null, words=np.ones_like(null.words))
    np.testing.assert_array_equal(run(generator, [null])[0], run(generator, [loud])[0])
