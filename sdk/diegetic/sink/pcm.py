"""The mix as PCM blocks for an engine that does the playing itself."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError
from diegetic.player import BLOCK, ClockOutput, Output
from diegetic.player.resampling import held_back, resampler
from diegetic.sink.hosts import ThreadHost
from diegetic.sink.ring_sink import RingSink
from diegetic.snapshot import FloatArray

MIN_RATE, MAX_RATE = 8_000, 192_000
MAX_FRAMES = 8192

log = logging.getLogger(__name__)


class PcmBlock(NamedTuple):
    """`samples` (frames, 2) float32 at the engine's rate; `number` counts from 0, without gaps.

    All blocks of a stream have the same length, so `number` says which samples these are.
    """

    number: int
    samples: FloatArray


class PcmSink(RingSink):
    """Hands what a device would play to `on_block`, resampled, at the pace of the clock.

    `on_block` is called by the player's thread and holds up the sound while it runs; what it raises
    is logged once, and the sound goes on.

    Args:
        on_block: takes one block after the other.
        rate: samples per second that the engine wants.
        frames: samples per block.
        record: WAV file of what a device would play, which is not resampled.
        journal: of what the mixer did.

    Raises:
        DiegeticError: `rate` or `frames` is out of range.
    """

    def __init__(
        self,
        on_block: Callable[[PcmBlock], None],
        rate: int = RATE,
        *,
        frames: int = BLOCK,
        record: Path | None = None,
        journal: Path | None = None,
    ) -> None:
        if not MIN_RATE <= rate <= MAX_RATE:
            raise DiegeticError(f"rate must be {MIN_RATE} to {MAX_RATE} Hz, got {rate!r}")
        if not 1 <= frames <= MAX_FRAMES:
            raise DiegeticError(f"frames must be 1 to {MAX_FRAMES}, got {frames!r}")
        blocks = _Blocks(on_block, frames)  # numbered on, when a player replaces another

        def make_output() -> Output:
            return PcmOutput(blocks.push, rate, frames)

        super().__init__(
            lambda ring, resumed: ThreadHost(
                ring, make_output, record, journal=journal, resumed=resumed
            ),
            record,
            journal,
        )


class PcmOutput:
    """An output that resamples, with state, to `rate` and passes on whatever comes of it."""

    def __init__(
        self,
        push: Callable[[FloatArray], None],
        rate: int,
        frames: int,
        pace: Output | None = None,
    ) -> None:
        self._push = push
        self._pace = pace or ClockOutput()
        self._resample = resampler(rate)
        self.latency = frames / rate + held_back(rate)

    def wait(self, samples: int) -> None:
        self._pace.wait(samples)

    def write(self, block: FloatArray) -> None:
        self._pace.write(block)
        self._push(self._resample(block))

    def close(self) -> None:
        self._pace.close()


class _Blocks:
    """Cuts what is pushed into blocks of `frames`."""

    def __init__(self, on_block: Callable[[PcmBlock], None], frames: int) -> None:
        self._on_block = on_block
        self._frames = frames
        self._left = np.zeros((0, CHANNELS), np.float32)
        self._number = 0
        self._warned = False

    def push(self, samples: FloatArray) -> None:
        left = np.concatenate([self._left, samples])  # a copy: the player uses its block again
        while len(left) >= self._frames:
            block, left = left[: self._frames], left[self._frames :]
            try:
                self._on_block(PcmBlock(self._number, block))
            except Exception:  # the engine's own; its sound must not end with it
                if not self._warned:
                    log.exception("on_block failed; it is called again with the next block")
                self._warned = True
            self._number += 1
        self._left = left
