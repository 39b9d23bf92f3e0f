"""Blocks at 48 kHz become blocks at another rate, without a seam."""

from collections.abc import Callable

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.snapshot import FloatArray

_BLOCK = 256


def resampler(rate: int) -> Callable[[FloatArray], FloatArray]:
    """Return a function that takes the next block (n, 2) and gives what is due at `rate` Hz.

    It has a state: the first blocks give nothing.
    """
    if rate == RATE:
        return lambda block: block
    import soxr  # only those who need it

    stream = soxr.ResampleStream(RATE, rate, CHANNELS, dtype="float32")

    def resample(block: FloatArray) -> FloatArray:
        samples: FloatArray = stream.resample_chunk(block)
        return samples

    return resample


def held_back(rate: int) -> float:
    """Return how many seconds a resampler takes in before it gives the first sample."""
    resample, block, taken = resampler(rate), np.zeros((_BLOCK, CHANNELS), np.float32), 0
    while not len(resample(block)):
        taken += _BLOCK
    return taken / RATE
