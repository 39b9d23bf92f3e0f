"""Seams of a future taken back, on a clock of their own: the very `LiveStream`, no device.

device   |---- taken ----|- guard -|== old future ==========|
new prompt         ^ here          |~ judged ~| new future
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from diegetic.bed import Bed
from diegetic.config import RATE, StreamConfig
from diegetic.evaluation.seam_metrics import Recording
from diegetic.generator import Generator
from diegetic.live import LiveStream
from diegetic.metrics import Metrics
from diegetic.replay import Paper
from diegetic.sink import PlayClock
from diegetic.snapshot import Conditioning, FloatArray, Snapshot
from diegetic.stream import ChunkRecord

COST = 0.05  # s of audio time that a chunk takes to make
STEP = 0.005  # s between two looks at the buffer
PAUSE = (0.6, 1.0)  # s from one prompt to the next


class Device(Paper):
    """Takes sound as far as `cursor`, which the chunks' cost and the steps move."""

    latency = 0.0

    def clock(self) -> PlayClock:
        return PlayClock(self.cursor, self.cursor / RATE)


class PacedBed(Bed):
    """A bed whose chunks take `COST` of the device's time; keeps both sides of each new future."""

    def __init__(
        self,
        device: Device,
        config: StreamConfig,
        seed: int,
        networks: Callable[[], tuple[Generator, Callable[[Snapshot], Conditioning]]],
    ) -> None:
        super().__init__(config, seed, networks, Metrics(), None)
        self.splices: list[int] = []
        self.sides: list[tuple[FloatArray, FloatArray]] = []
        self._device = device
        self._overlap = config.overlap_samples

    def next_hop(self) -> tuple[FloatArray, ChunkRecord]:
        samples, record = super().next_hop()
        self._device.cursor += round(COST * RATE)
        inside = record.heard_from - record.start_sample
        if inside > 0:
            old = self._device.sound(record.heard_from)[: self._overlap]
            self.splices.append(record.heard_from)
            self.sides.append((old, samples[inside:][: self._overlap].copy()))
        return samples, replace(record, stages_ms={"generate": COST * 1000})


def record_revoked(
    networks: tuple[Generator, Callable[[Snapshot], Conditioning]],
    prompts: Sequence[str],
    seed: int,
    warm: float,
    wanted: int,
    room: int,
) -> Recording:
    """Play one of `prompts` after another until enough futures were taken back in mid-chunk.

    Enough are `wanted` that begin `room` samples before the next chunk's seam: others cannot be
    measured alone, so prompts come at random, but only where that is likely.
    """
    config = networks[0].config
    rng = np.random.default_rng(seed)
    device = Device()
    bed = PacedBed(device, config, seed, lambda: networks)
    live = LiveStream(bed, device, config, Metrics())
    bed.reach = live.reach
    prompt, due = int(rng.integers(len(prompts))), warm
    bed.set_prompt(prompts[prompt], None, None)
    while sum(-splice % config.hop_samples >= room for splice in bed.splices) < wanted:
        while live.step() == 0.0:
            pass
        device.cursor += round(STEP * RATE)
        if device.cursor < due * RATE:
            continue
        pause = PAUSE
        if -(live.reach() + round(COST * RATE)) % config.hop_samples >= room:
            prompt = (prompt + int(rng.integers(1, len(prompts)))) % len(prompts)
            bed.set_prompt(prompts[prompt], None, None)
        else:
            pause = (0.0, config.hop)  # any other moment will do
        due = device.cursor / RATE + float(rng.uniform(*pause))
    while bed.position < bed.splices[-1] + 2 * config.hop_samples:
        live.step()
        device.cursor += round(STEP * RATE)
    return Recording(
        samples=device.sound()[: bed.position],
        fades=tuple(record.heard_from for record in list(bed.records)[1:]),
        judged=tuple(bed.splices),
        overlap=config.overlap_samples,
        sides=tuple(bed.sides),
    )
