"""A generator and a conditioner for the bank's tests: a click for every event, no networks."""

from dataclasses import dataclass, replace

import numpy as np

from diegetic.config import RATE, StreamConfig
from diegetic.snapshot import Conditioning, FloatArray, Snapshot, null_conditioning


@dataclass(frozen=True)
class ClickState:
    position: int
    seed: int


class ClickGenerator:
    """A decaying tone where an event is said to begin, its frequency from the seed; else silence.

    `deaf`: as many first streams stay silent whatever is said.
    """

    def __init__(self, deaf: int = 0, decay: float = 0.03) -> None:
        self.config = StreamConfig()
        self.seeds: list[int] = []
        self.calls = 0
        self._deaf = deaf
        self._decay = decay
        self._event: dict[int, float] = {}

    def start(self, seed: int) -> ClickState:
        self.seeds.append(seed)
        return ClickState(0, seed)

    def generate(
        self, state: ClickState, conditioning: Conditioning
    ) -> tuple[FloatArray, ClickState]:
        self.calls += 1
        at = state.position / RATE
        if conditioning.present.any():
            self._event[state.seed] = at + float(conditioning.times[0])
        time = at + np.arange(self.config.chunk_samples) / RATE
        since = time - self._event.get(state.seed, np.inf)
        heard = (since >= 0) & (len(self.seeds) > self._deaf)
        wave = np.where(heard, np.exp(-np.maximum(since, 0) / self._decay), 0.0)
        wave *= 0.1 * np.sin(
            2 * np.pi * (300 + state.seed % 1000) * np.where(heard, since, 0.0) + 1
        )
        chunk = np.stack([wave, wave], 1).astype(np.float32)
        return chunk, replace(state, position=state.position + self.config.hop_samples)


def event_conditioner(snapshot: Snapshot) -> Conditioning:
    """Say only when the last event begins."""
    conditioning = null_conditioning()
    if snapshot.events:
        conditioning.present[0] = True
        conditioning.times[0] = snapshot.events[-1].time - snapshot.t0
    return conditioning
