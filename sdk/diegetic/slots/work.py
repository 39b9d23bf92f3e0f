"""What an engine of many sessions is: works in, chunks and new states out, all in one go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from diegetic.config import StreamConfig
from diegetic.networks import FloatArray
from diegetic.snapshot import Conditioning

MOST_SESSIONS = 256

Progress = Callable[[str, int, int], None]
"""Is told what is being warmed up, how much is done, and of how much."""


class Seeded(Protocol):
    """What every state knows: the seed of its stream."""

    @property
    def seed(self) -> int: ...


State = TypeVar("State", bound=Seeded)


@dataclass(frozen=True, eq=False)
class Work(Generic[State]):
    """One session's next chunk; `nfe` None is the engine's first."""

    state: State
    conditioning: Conditioning
    nfe: int | None = None


@dataclass(frozen=True, eq=False)
class Made(Generic[State]):
    """`chunk` (config.chunk_samples, 2) and the state after its hop."""

    chunk: FloatArray
    state: State


class Engine(Protocol[State]):
    """Makes the chunks of many sessions; a state is a value, and of `state_type`.

    Attributes:
        nfe: network evaluations per chunk, unless a work asks for others.
        sessions: that are to be served at a time.
        costs: seconds of a step by (nfe, works), as the warm-up measured them.
    """

    nfe: int
    sessions: int
    costs: dict[tuple[int, int], float]

    @property
    def config(self) -> StreamConfig: ...

    @property
    def state_type(self) -> type[State]: ...

    @property
    def stages_ms(self) -> Mapping[str, float]:
        """What the stages of the newest step took."""
        ...

    def start(self, seed: int) -> State:
        """The state before the first chunk: nothing was heard yet."""
        ...

    def check(self, entry: Work[State]) -> None:
        """Refuse what cannot be done.

        Raises:
            DiegeticError: says what.
        """
        ...

    def step(self, work: Sequence[Work[State]]) -> list[Made[State]]:
        """Make the next chunk of every session in `work`; no state is modified.

        Raises:
            DiegeticError: as `check`, or there is no room for another state.
        """
        ...

    def close(self) -> None:
        """Let go of threads."""
        ...
