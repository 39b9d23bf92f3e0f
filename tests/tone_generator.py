"""A generator, a conditioner and a sink for tests: exact, instant, no networks."""

from dataclasses import dataclass, replace

import numpy as np

from diegetic.config import RATE, StreamConfig
from diegetic.mixer.commands import Command, checked
from diegetic.ring import MixCounts, Underrun, VoiceStart
from diegetic.sink import PlayClock
from diegetic.snapshot import Conditioning, FloatArray, Snapshot, null_conditioning


@dataclass(frozen=True)
class ToneState:
    position: int
    seed: int


class ToneGenerator:
    """A tone whose frequency is the prompt's length in decahertz; silence when nothing is said."""

    def __init__(self, config: StreamConfig | None = None) -> None:
        self.config = config or StreamConfig()
        self.calls = 0

    def start(self, seed: int) -> ToneState:
        return ToneState(0, seed)

    def generate(
        self, state: ToneState, conditioning: Conditioning
    ) -> tuple[FloatArray, ToneState]:
        self.calls += 1
        time = (state.position + np.arange(self.config.chunk_samples)) / RATE
        frequency = 10.0 * float(conditioning.words[0, 0])
        wave = 0.5 * np.sin(2 * np.pi * frequency * time + state.seed)
        wave *= bool(conditioning.present.any())
        chunk = np.stack([wave, wave], 1).astype(np.float32)
        return chunk, replace(state, position=state.position + self.config.hop_samples)


def plain_conditioner(snapshot: Snapshot) -> Conditioning:
    conditioning = null_conditioning()
    if not snapshot.empty:
        conditioning.present[0] = True
        conditioning.words[0, 0] = len(snapshot.prompt)
    return conditioning


class FakeSink:
    """A sink whose time is moved by hand: `pass_time` plays."""

    latency = 0.1
    concealed = 0
    mix_counts = MixCounts()
    drift_ppm = None

    def __init__(self, now: float = 100.0) -> None:
        self.now = now
        self.written: list[FloatArray] = []
        self.sent: list[Command] = []
        self.starts: list[VoiceStart] = []
        self.read = 0
        self.prime = -1
        self.underruns = 0
        self.stopped: bool | None = None

    @property
    def sound(self) -> FloatArray:
        return np.concatenate([np.zeros((0, 2), np.float32), *self.written])

    def start(self, prime: int = 0) -> None:
        self.prime = prime

    def write(self, samples: FloatArray) -> None:
        self.written.append(samples)

    def revise(self, position: int, samples: FloatArray) -> bool:
        if position < self.read:
            return False
        self.written = [self.sound[:position], samples]
        return True

    def send(self, command: Command) -> None:
        self.sent.append(checked(command))

    def started(self) -> list[VoiceStart]:
        starts, self.starts = self.starts, []
        return starts

    def buffered(self) -> int:
        return len(self.sound) - self.read

    def taken(self) -> int:
        return self.read

    def played(self) -> int:
        return max(0, self.read - round(self.latency * RATE))

    def clock(self) -> PlayClock:
        return PlayClock(self.read, self.now + self.latency)

    def output_clock(self) -> PlayClock:
        return self.clock()

    def underrun_log(self) -> list[Underrun]:
        return []

    def stop(self, drain: bool = True) -> None:
        self.stopped = drain

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        wanted = self.read + round(seconds * RATE)
        self.underruns += wanted > len(self.sound)
        self.read = min(wanted, len(self.sound))
