"""An engine of many sessions for tests: tones, at once, and at the cost that is said."""

from collections.abc import Sequence

from diegetic.config import StreamConfig
from diegetic.slots.work import Made, Work
from tone_generator import ToneGenerator, ToneState


class ToneEngine:
    """Every session hears a tone of its own; `costs` are those of 1, 2 ... sessions (s)."""

    nfe = 1
    state_type = ToneState

    def __init__(self, costs: Sequence[float]) -> None:
        self.sessions = len(costs)
        self.costs = {(self.nfe, count): took for count, took in enumerate(costs, 1)}
        self.stages_ms: dict[str, float] = {"chunk": 1.0}
        self.batches: list[int] = []
        self._tones = ToneGenerator()

    @property
    def config(self) -> StreamConfig:
        return self._tones.config

    def start(self, seed: int) -> ToneState:
        return self._tones.start(seed)

    def check(self, entry: Work[ToneState]) -> None:
        assert entry.nfe in (None, self.nfe)

    def step(self, work: Sequence[Work[ToneState]]) -> list[Made[ToneState]]:
        self.batches.append(len(work))
        return [Made(*self._tones.generate(entry.state, entry.conditioning)) for entry in work]

    def close(self) -> None:
        """There is nothing to let go of."""
