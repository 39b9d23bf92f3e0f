"""From an engine's pixels to the picture that a network sees."""

import numpy as np
from numpy.typing import NDArray

from diegetic_bridge.messages import BYTES_PER_PIXEL, Frame


def to_rgb(frame: Frame) -> NDArray[np.uint8]:
    """Return the picture as (height, width, 3) uint8 RGB, top row first; alpha is left out.

    The result may be a read-only view of the frame's bytes.
    """
    depth = BYTES_PER_PIXEL[frame.format]
    data = np.frombuffer(frame.pixels, np.uint8)
    rows = np.lib.stride_tricks.as_strided(
        data, (frame.height, frame.width, depth), (frame.row_bytes, depth, 1), writeable=False
    )
    if frame.origin == "bottom":
        rows = rows[::-1]
    match frame.format:
        case "rgb24" | "rgba8":
            return rows[..., :3]
        case "bgra8":
            return rows[..., 2::-1]
        case "gray8":
            return np.repeat(rows, 3, axis=2)
