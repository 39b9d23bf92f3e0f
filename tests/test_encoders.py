"""The shipped encoders, with their real weights in the real ONNX Runtime."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.encoders.image import SIDE
from diegetic.encoders.text import MAX_WORDPIECES
from diegetic.encoders.weights_folder import SUMS, WEIGHTS
from diegetic.errors import DiegeticError, WeightsError
from diegetic.pixels import shrink
from diegetic.snapshot import FRAME_DIM, TEXT_DIM, TEXT_SLOTS

PARAPHRASES = {
    "rain falling": "heavy rainfall",
    "a pistol shot": "someone fires a gun",
    "footsteps on gravel": "walking over loose stones",
    "a crackling fireplace": "wood burning in a camp fire",
    "birds singing at dawn": "chirping songbirds in the morning",
    "wind howling in the mountains": "a strong gale",
    "a door creaks open": "rusty hinges of a gate",
    "waves on a beach": "the sea at the shore",
    "an explosion": "a bomb blows up",
    "coins being collected": "picking up gold money",
    "sword clashing on a shield": "steel blades hit each other in battle",
    "menu click": "pressing a button in the user interface",
}


@pytest.fixture(scope="module")
def text() -> TextEncoder:
    return TextEncoder()


@pytest.fixture(scope="module")
def image() -> ImageEncoder:
    return ImageEncoder()


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_rain_is_nearer_to_rainfall_than_to_a_laser(text: TextEncoder) -> None:
    rain, near, far = (text.encode(t)[0] for t in ("rain falling", "heavy rainfall", "laser gun"))
    assert rain @ near > rain @ far + 0.3


def test_paraphrases_find_each_other(text: TextEncoder) -> None:
    """Top-1 88 % was measured on 40 pairs with the original weights; these are twelve such."""
    asked = text.encode_many(list(PARAPHRASES))[:, 0]
    known = text.encode_many(list(PARAPHRASES.values()))[:, 0]
    found = (asked @ known.T).argmax(axis=1)
    assert (found == np.arange(len(found))).mean() >= 0.8


def test_slots_are_the_sentence_and_its_words_as_unit_vectors(text: TextEncoder) -> None:
    slots = text.encode("rain on a roof")
    assert slots.shape == (TEXT_SLOTS, TEXT_DIM)
    assert slots.dtype == np.float32
    lengths = np.linalg.norm(slots, axis=1)
    assert lengths[:5] == pytest.approx(np.ones(5), abs=1e-5)
    assert not slots[5:].any()
    one, other = text.encode("loud rain"), text.encode("quiet rain")
    assert one[2] @ other[2] > one[1] @ other[2]  # "rain" is in slot 2 of both


def test_a_text_that_was_seen_is_remembered_and_cannot_be_spoilt(text: TextEncoder) -> None:
    slots = text.encode("a remembered text")
    assert text.encode("a remembered text") is slots
    with pytest.raises(ValueError, match="read-only"):
        slots[0, 0] = 1.0


def test_many_at_once_are_the_same_as_one_by_one(text: TextEncoder) -> None:
    """Batching may change the order of float32 sums, no more: nothing is padded."""
    texts = [*PARAPHRASES, "", "rain", *(f"{n} shots and {n} steps" for n in range(40))]
    many = text.encode_many(texts)
    assert many.shape == (len(texts), TEXT_SLOTS, TEXT_DIM)
    for slots, single in zip(many, texts, strict=True):
        np.testing.assert_allclose(slots, text.encode(single), atol=1e-5)
    assert text.encode_many([]).shape == (0, TEXT_SLOTS, TEXT_DIM)


@pytest.mark.parametrize("nothing", ["", "   ", "\n\t"])
def test_a_text_without_words_is_all_zero(text: TextEncoder, nothing: str) -> None:
    assert not text.encode(nothing).any()


def test_a_very_long_text_is_read_up_to_a_limit(text: TextEncoder) -> None:
    long = text.encode("rain " * 5000)
    np.testing.assert_array_equal(long, text.encode("rain " * (MAX_WORDPIECES - 2)))
    scene = text.encode("heavy rain on a roof and thunder far away, " * 200)[0]
    assert scene @ text.encode("a rainstorm")[0] > scene @ text.encode("laser gun")[0] + 0.2


@pytest.mark.parametrize("odd", ["雨の音", "🌧️🔫", "naïve café", "\x00", "a" * 500, "half \ud83c"])
def test_any_unicode_is_encoded(text: TextEncoder, odd: str) -> None:
    slots = text.encode(odd)
    assert np.isfinite(slots).all()
    assert np.linalg.norm(slots, axis=1).max() < 1.001


def test_pictures_of_any_size_give_features_of_one_scale(image: ImageEncoder) -> None:
    for height, width in ((72, 128), (1, 1), (128, 128), (131, 97), (1080, 1920)):
        features = image.encode(noise(height, width))
        assert features.shape == (FRAME_DIM,)
        assert features.dtype == np.float32
        assert 0.2 < np.sqrt((features**2).mean()) < 3.0
        assert (features >= 0).all()


def test_the_same_scene_in_another_size_is_the_same_scene(image: ImageEncoder) -> None:
    coarse = noise(9, 16)
    small, large = (coarse.repeat(n, 0).repeat(n, 1) for n in (8, 60))
    other = noise(9, 16, seed=1).repeat(8, 0).repeat(8, 1)
    a, b, c = (v / np.linalg.norm(v) for v in image.encode_many([small, large, other]))
    assert a @ b > 0.95
    assert a @ b > a @ c + 0.02


def test_many_pictures_are_the_same_as_one_by_one(image: ImageEncoder) -> None:
    pictures = [noise(72, 128, seed) for seed in range(19)]
    many = image.encode_many(pictures)
    for features, pixels in zip(many, pictures, strict=True):
        np.testing.assert_allclose(features, image.encode(pixels), atol=1e-4)
    assert image.encode_many([]).shape == (0, FRAME_DIM)


def test_integers_give_what_floats_give_on_any_processor(image: ImageEncoder) -> None:
    """The same graph, its products not fused into integer ones; and none can saturate."""
    path = WEIGHTS / "efficientnet_lite0.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    for seed in range(4):
        picture = noise(18, 32, seed).repeat(4, 0).repeat(4, 1)
        (floats,) = plain.run(None, {"pixels": shrink(picture, SIDE)[None]})[0]
        ours = image.encode(picture)
        assert ours @ floats > 0.999 * np.linalg.norm(ours) * np.linalg.norm(floats)
    model = onnx.load(path)
    kernels = {node.input[1].removesuffix("_DequantizeLinear_Output") for node in model.graph.node
               if node.op_type == "Conv"}  # fmt: skip
    stored = {x.name.removesuffix("_quantized"): numpy_helper.to_array(x)
              for x in model.graph.initializer}  # fmt: skip
    assert len(kernels) == 49
    for name in kernels:
        assert stored[name].dtype == np.int8
        assert 2 * 255 * int(np.abs(stored[name].astype(int)).max()) < 2**15


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), int)]
)
def test_pixels_of_another_kind_are_refused(image: ImageEncoder, bad: NDArray[np.uint8]) -> None:
    with pytest.raises(DiegeticError, match=r"pixels must be a \(height, width, 3\) uint8 array"):
        image.encode(bad)


@pytest.mark.parametrize("size", [1, 3, 16, 17, 31, 64, 97])
def test_shrinking_keeps_the_mean_and_a_flat_picture_flat(size: int) -> None:
    pixels = noise(size, size + 1)
    out = shrink(pixels, 16)
    assert out.shape == (16, 16, 3)
    if size < 64:  # beyond, pixels are left out
        np.testing.assert_allclose(out.mean((0, 1)), pixels.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(shrink(np.full((size, 5, 3), 200, np.uint8), 16), 200, rtol=1e-5)


def test_shrinking_by_two_is_the_mean_of_four() -> None:
    pixels = noise(32, 32)
    expected = pixels.reshape(16, 2, 16, 2, 3).mean((1, 3))
    np.testing.assert_allclose(shrink(pixels, 16), expected, rtol=1e-5)


def test_what_is_shipped_is_small_and_matches_its_sums() -> None:
    lines = (WEIGHTS / SUMS).read_text().splitlines()
    for digest, name in (line.split("  ") for line in lines):
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == digest
    assert {line.split("  ")[1] for line in lines} >= {
        path.name for path in WEIGHTS.iterdir() if path.suffix in (".onnx", ".json")
    }
    assert (WEIGHTS / "minilm.onnx").stat().st_size <= 23_000_000
    assert (WEIGHTS / "efficientnet_lite0.onnx").stat().st_size <= 4_000_000
    assert "Apache License" in (WEIGHTS / "LICENSE").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))


def test_a_damaged_file_is_named_with_what_to_do(folder: Path) -> None:
    path = folder / "efficientnet_lite0.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        ImageEncoder(folder)
    message = str(caught.value)
    assert str(path) in message
    assert "expected sha256" in message
    assert "reinstall" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["minilm.onnx", "tokenizer.json", SUMS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=name):
        TextEncoder(folder)


def test_a_file_without_a_sum_is_not_trusted(folder: Path) -> None:
    (folder / SUMS).write_text("")
    with pytest.raises(WeightsError, match=r"no line for tokenizer\.json"):
        TextEncoder(folder)
