"""The noise that chunks are made from: the solo generator's, made while the device is busy.

    chunk k      |-- hop --|overlap|
    chunk k+1              |overlap|-- new rows --|

It depends on seed and place alone, so that of a session's next chunk is made ahead, by threads
beside the one that steps (numpy lets others run meanwhile).
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

from diegetic.config import StreamConfig
from diegetic.generator import position_noise
from diegetic.networks import FloatArray

_JOB = 8  # chunks: to hand over each by itself takes as long as to make it

Chunk = tuple[int, int, FloatArray]
"""Seed, position, and the noise there."""


class NoiseAhead:
    """Makes and remembers noise; any thread may ask.

    Args:
        config: lengths of the streams.
        threads: that make noise ahead; 0 makes it when it is asked for.
        most: chunks whose noise is remembered.
    """

    def __init__(self, config: StreamConfig, threads: int, most: int) -> None:
        self._hop, self._chunk = config.hop_latents, config.chunk_latents
        self._most = most
        self._made: OrderedDict[tuple[int, int], tuple[Future[list[FloatArray]], int]]
        self._made = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "noise") if threads else None

    def take(self, seed: int, position: int) -> FloatArray:
        """Return `position_noise(seed, position, chunk latents)`; not to be written to."""
        with self._lock:
            made = self._made.get((seed, position))
        if made is None:
            return position_noise(seed, position, self._chunk)
        job, row = made
        return job.result()[row]

    def expect(self, chunks: Sequence[Chunk]) -> None:
        """Have the noise made ahead that comes after that of `chunks`."""
        if self._pool is None:
            return
        with self._lock:
            new = [chunk for chunk in chunks if self._after(chunk) not in self._made]
            for begin in range(0, len(new), _JOB):
                part = new[begin : begin + _JOB]
                job = self._pool.submit(self._make, part)
                for row, chunk in enumerate(part):
                    self._made[self._after(chunk)] = job, row
            while len(self._made) > self._most:
                self._made.popitem(last=False)

    def wait(self) -> None:
        """Return when all that is expected is made."""
        with self._lock:
            jobs = {job for job, _ in self._made.values()}
        wait(jobs)

    def close(self) -> None:
        """Make no more ahead."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _after(self, chunk: Chunk) -> tuple[int, int]:
        return chunk[0], chunk[1] + self._hop

    def _make(self, chunks: Sequence[Chunk]) -> list[FloatArray]:
        made = []
        for seed, position, noise in chunks:
            fresh = position_noise(seed, position + self._chunk + 1, self._hop - 1)
            made.append(np.concatenate((noise[self._hop :], fresh)))
        return made
