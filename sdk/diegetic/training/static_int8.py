"""A picture network that multiplies integers: static quantisation, calibrated on made pictures.

Weights get 7 bits and a scale a channel, so that no processor's instructions saturate: with 8 bits
those without VNNI would, and see something else. The ranges of what is between the layers are those
that dead leaves give: discs and boxes in front of one another, as many small ones as large ones,
which have the statistics of natural images (A. B. Lee, D. Mumford and J. Huang, "Occlusion models
for natural images", International Journal of Computer Vision 41, 2001). So no picture has to be
fetched, and none is favoured.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

PICTURES = 100  # that the ranges come from
_LEAVES = 300  # on each
_NOISE = 12.0  # of 255, at most


def integers(model: onnx.ModelProto, side: int) -> onnx.ModelProto:
    """Return `model`, whose one input is (n, side, side, 3) RGB in 0..255, with int8 products."""
    with tempfile.TemporaryDirectory() as temporary:
        given, whole, made = (
            Path(temporary) / f"{name}.onnx" for name in ("given", "whole", "made")
        )
        onnx.save(model, given)
        quant_pre_process(str(given), str(whole), skip_symbolic_shape=True)
        quantize_static(
            str(whole),
            str(made),
            _Reader(model.graph.input[0].name, side),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            extra_options={"WeightSymmetric": True},
        )
        return onnx.load(made)


def dead_leaves(number: int, side: int) -> NDArray[np.uint8]:
    """Picture `number`, (side, side, 3), of leaves that fell on one another, and some noise."""
    rng = np.random.default_rng(number)
    picture = np.zeros((side, side, 3))
    y, x = np.mgrid[:side, :side]
    for _ in range(_LEAVES):
        radius = min(side, 2 / (0.02 + 0.98 * rng.random()) ** 0.7)
        right, down = np.abs(x - rng.random() * side), np.abs(y - rng.random() * side)
        disc = right**2 + down**2 < radius**2
        box = (right < radius) & (down < radius * rng.uniform(0.2, 1))
        picture[disc if rng.random() < 0.5 else box] = rng.random(3) * 255
    picture += rng.normal(0, rng.uniform(0, _NOISE), picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the pictures over."""

    def __init__(self, name: str, side: int) -> None:
        self._name = name
        self._pictures: Iterator[NDArray[np.uint8]] = (
            dead_leaves(number, side) for number in range(PICTURES)
        )

    def get_next(self) -> dict[str, Any] | None:
        picture = next(self._pictures, None)
        return None if picture is None else {self._name: picture[None].astype(np.float32)}
