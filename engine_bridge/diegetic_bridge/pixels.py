"""From an engine's pixels to the picture that a network sees."""

import numpy as np
from numpy.typing import NDArray

from diegetic_bridge.messages import BYTES_PER_PIXEL, Frame


def to_rgb(frame: Frame) -> NDArray[np.uint8]:
    """Return the picture as (height, width, 3) uint8 RGB, top row first; alpha is left out."""
    depth = BYTES_PER_PIXEL[frame.format]
    data = np.zeros(frame.height * frame.row_bytes, np.uint8)
    # The last row may lack its padding.
    data[: len(frame.pixels)] = np.frombuffer(frame.pixels, np.uint8)
    rows = data.reshape(frame.height, frame.row_bytes)[:, : frame.width * depth]
    rows = rows.reshape(frame.height, frame.width, depth)
    if frame.origin == "bottom":
        rows = rows[::-1]
    match frame.format:
        case "rgb24" | "rgba8":
            return rows[..., :3]
        case "bgra8":
            return rows[..., 2::-1]
        case "gray8":
            return np.repeat(rows, 3, axis=2)
