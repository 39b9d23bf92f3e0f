"""A bed of silence, for a session that plays the takes of its event bank and nothing else."""

from typing import cast

import numpy as np

from diegetic.config import CHANNELS, StreamConfig
from diegetic.generator import GeneratorState
from diegetic.snapshot import Conditioning, FloatArray, Snapshot, null_conditioning

_NOTHING = null_conditioning()


class SilentGenerator:
    """Makes chunks of nothing, without networks."""

    def __init__(self, config: StreamConfig) -> None:
        self.config = config

    def start(self, seed: int) -> GeneratorState:
        """The state before the first chunk; there is nothing to remember."""
        return cast(GeneratorState, seed)

    def generate(
        self, state: GeneratorState, conditioning: Conditioning
    ) -> tuple[FloatArray, GeneratorState]:
        """Make the next chunk, (config.chunk_samples, 2) of zeros."""
        return np.zeros((self.config.chunk_samples, CHANNELS), np.float32), state


def unheard(snapshot: Snapshot) -> Conditioning:
    """Nobody listens to what was said."""
    return _NOTHING
