"""Pictures to embeddings: EfficientNet-Lite0 through ONNX Runtime, no torch.

(H, W, 3) uint8 -> stretched to SIDE x SIDE by area -> pooled features x FEATURE_SCALE
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diegetic.encoders.weights_folder import WEIGHTS, open_session
from diegetic.pixels import shrink
from diegetic.snapshot import FRAME_DIM, FloatArray

SIDE = 128
FEATURE_SCALE = 1.25  # in the ONNX file; on frames of Doom the features then have variance 1
BATCH = 16


class ImageEncoder:
    """Encode RGB pictures of any size into `FRAME_DIM` features, all >= 0.

    About 1.5 ms a picture on one core: the network multiplies integers. Any thread may call it.

    Raises:
        WeightsError: the file is missing or damaged.
    """

    def __init__(self, folder: Path = WEIGHTS, *, threads: int = 1) -> None:
        self._session = open_session(folder, "efficientnet_lite0.onnx", threads)

    def encode(self, pixels: NDArray[np.uint8]) -> FloatArray:
        """Return (FRAME_DIM,) for (height, width, 3) uint8 RGB, top row first.

        Raises:
            DiegeticError: `pixels` has another shape or type, or no pixel.
        """
        features: FloatArray = self.encode_many([pixels])[0]
        return features

    def encode_many(self, pictures: Sequence[NDArray[np.uint8]]) -> FloatArray:
        """Return (len(pictures), FRAME_DIM), each within 1e-4 of what `encode` returns."""
        out = np.zeros((len(pictures), FRAME_DIM), np.float32)
        for start in range(0, len(pictures), BATCH):
            squares = np.stack([shrink(pixels, SIDE) for pixels in pictures[start : start + BATCH]])
            (out[start : start + BATCH],) = self._session.run(None, {"pixels": squares})
        return out
