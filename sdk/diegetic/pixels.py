"""Pictures as arrays: checked, and stretched to the size that the image encoder sees."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray

_ROWS = 4  # of a product; OpenBLAS has one thread for up to 2**18 multiplications


def check_pixels(pixels: object) -> NDArray[np.uint8]:
    """Return `pixels`, which must be (height, width, 3) uint8 with at least one pixel.

    Raises:
        DiegeticError: it is something else.
    """
    if not isinstance(pixels, np.ndarray):
        got = type(pixels).__name__
    elif pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        got = f"{pixels.shape} {pixels.dtype}"
    else:
        return pixels
    raise DiegeticError(f"pixels must be a (height, width, 3) uint8 array, got {got}")


def shrink(pixels: NDArray[np.uint8], side: int) -> FloatArray:
    """Stretch (height, width, 3) to (side, side, 3) float32 in 0..255, every pixel by its area.

    An edge of 4 `side` and more is first thinned to less than that by leaving pixels out, which
    bounds the cost: 1 ms for a full HD picture, .1 ms for 128 x 72.

    Raises:
        DiegeticError: `pixels` has another shape or type, or no pixel.
    """
    steps = [max(1, size // (2 * side)) for size in check_pixels(pixels).shape[:2]]
    out = pixels[:: steps[0], :: steps[1]].astype(np.float32)
    height, width = out.shape[:2]
    if height != side:
        out = _stretch(out.reshape(height, -1), side).reshape(side, width, 3)
    if width != side:
        out = _stretch(out.swapaxes(0, 1).reshape(width, -1), side).reshape(side, side, 3)
        out = np.ascontiguousarray(out.swapaxes(0, 1))
    return out


def _stretch(rows: FloatArray, side: int) -> FloatArray:
    """Return (side, n) of (size, n): each row the mean of the stretch of rows that it covers.

    A few rows at a time: they cover few, and a larger product would start threads that wait for
    one another.
    """
    size = len(rows)
    shares = _shares(size, side)
    out = np.empty((side, rows.shape[1]), np.float32)
    for first in range(0, side, _ROWS):
        last = min(first + _ROWS, side)
        covered = slice(first * size // side, -(-last * size // side))
        np.matmul(shares[first:last, covered], rows[covered], out=out[first:last])
    return out


@lru_cache(maxsize=8)
def _shares(size: int, side: int) -> FloatArray:
    """How much of each of `side` rows is each of `size`, (side, size); a row sums to 1."""
    edges = np.arange(side + 1) * (size / side)
    reached = (edges[:, None] - np.arange(size)).clip(0, 1)
    shares: FloatArray = (np.diff(reached, axis=0) * (side / size)).astype(np.float32)
    shares.setflags(write=False)  # shared by all callers
    return shares
