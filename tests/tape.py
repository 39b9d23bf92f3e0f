"""An output for tests of the player."""

from collections.abc import Callable

import numpy as np

from diegetic.mixer.mixer import Mixer
from diegetic.snapshot import FloatArray


class Tape:
    """An output that keeps what it is given; `then` runs after each block, as a producer would."""

    latency = 0.01

    def __init__(self, then: Callable[[int], None] = lambda count: None) -> None:
        self.blocks: list[FloatArray] = []
        self._then = then

    def wait(self, samples: int) -> None:
        pass

    def write(self, block: FloatArray) -> None:
        self.blocks.append(block.copy())
        self._then(len(self.blocks))

    def close(self) -> None:
        pass

    @property
    def sound(self) -> FloatArray:
        """What was heard, from the first sample that was mixed."""
        return np.concatenate(self.blocks)[Mixer().delay :]
