"""A frame's bytes become the same picture whatever their format, padding and origin."""

import numpy as np
import pytest

from diegetic_bridge.messages import Frame
from diegetic_bridge.pixels import to_rgb


@pytest.mark.parametrize(
    ("kind", "pixel"),
    [
        ("rgb24", b"\x01\x02\x03"),
        ("rgba8", b"\x01\x02\x03\xff"),
        ("bgra8", b"\x03\x02\x01\xff"),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_a_picture_is_the_same_whatever_its_format(kind: str, pixel: bytes, padding: int) -> None:
    top, bottom = pixel * 3 + b"x" * padding, b"\x09" * len(pixel) * 3
    for origin, rows in (("top", [top, bottom]), ("bottom", [bottom + b"x" * padding, top])):
        data = b"".join(rows)
        data = data[: len(data) - (padding if origin == "bottom" else 0)]  # the last row lacks it
        frame = Frame(
            width=3,
            height=2,
            time=0.0,
            pixels=data,
            format=kind,  # type: ignore[arg-type]
            stride=len(pixel) * 3 + padding,
            origin=origin,  # type: ignore[arg-type]
        )
        pixels = to_rgb(frame)
        assert (pixels.shape, pixels.dtype) == ((2, 3, 3), np.uint8)
        assert pixels[0].tolist() == [[1, 2, 3]] * 3
        assert pixels[1].tolist() == [[9, 9, 9]] * 3


def test_a_gray_picture_has_three_equal_channels() -> None:
    frame = Frame(width=2, height=1, time=0.0, pixels=b"\x07\x08", format="gray8")
    assert to_rgb(frame).tolist() == [[[7, 7, 7], [8, 8, 8]]]
