"""One step of the endless stream: what the world says becomes the next hop of sound.

    snapshot --conditioner--> conditioning --generator--> chunk --crossfade--> hop

The state is a value: a step returns a new one, so it can be kept, forked and gone back to.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from diegetic import crossfade
from diegetic.config import StreamConfig
from diegetic.snapshot import Conditioning, Event, FloatArray, Snapshot

if TYPE_CHECKING:
    from diegetic.generator import Generator, GeneratorState

RECORDS = 2048  # of chunks that a session keeps: the last five minutes

ChangeKind = Literal["prompt", "layers", "guidance", "parameter", "switch", "event"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that the game asked for.

    Attributes:
        kind: what it was.
        name: of the parameter, switch or event; a prompt's text; the layers.
        sent: when, in seconds of the monotonic clock of this process.
        at: for when, in seconds of audio time; None is as soon as possible.
        material: it is worth making again what is not heard yet.
    """

    kind: ChangeKind
    name: str
    sent: float
    at: float | None = None
    material: bool = True


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """How one chunk came to be.

    Attributes:
        index: 0 for the first of the session.
        start_sample: where in the session's sound it begins.
        heard_from: where it is first heard: later than its start when it replaces what was made
            before.
        stages_ms: compute time of each stage.
        rho: correlation found at its seam.
        prompt: what was asked for.
        events: those that begin in it; of many the newest, which the networks see.
        changes: what took effect with it.
        repeated: so many of them took effect with what it replaces already.
        parameters: their values, 0..1.
        blend: further prompts and their shares.
        layers: those that were asked for; none means all.
    """

    index: int
    start_sample: int
    heard_from: int
    stages_ms: dict[str, float]
    rho: float
    prompt: str
    events: tuple[Event, ...]
    changes: tuple[Change, ...]
    repeated: int = 0
    parameters: dict[str, float] = field(default_factory=dict)
    blend: tuple[tuple[str, float], ...] = ()
    layers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StreamState:
    """All that the next chunk depends on; `tail` is None where the stream fades in from silence."""

    generator: "GeneratorState"
    tail: FloatArray | None = None
    index: int = 0


@dataclass(frozen=True)
class Step:
    """`samples` (hop, 2), the state after them, and what they cost."""

    samples: FloatArray
    state: StreamState
    stages_ms: dict[str, float]
    rho: float


def advance(
    state: StreamState,
    snapshot: Snapshot,
    *,
    generator: "Generator",
    conditioner: Callable[[Snapshot], Conditioning],
    config: StreamConfig,
    clock: Callable[[], float] = time.perf_counter,
) -> Step:
    """Make the next hop; `state` is left as it is.

    Raises:
        ValueError: the generator's chunk has another shape than `config` says.
    """
    begin = clock()
    conditioning = conditioner(snapshot)
    conditioned = clock()
    chunk, after = generator.generate(state.generator, conditioning)
    generated = clock()
    if len(chunk) != config.chunk_samples:
        raise ValueError(f"chunk must be ({config.chunk_samples}, 2), got {chunk.shape}")
    seam = crossfade.join(state.tail, chunk, config.overlap_samples)
    stages_ms = {
        "conditioning": (conditioned - begin) * 1000,
        "generate": (generated - conditioned) * 1000,
        "crossfade": (clock() - generated) * 1000,
    }
    return Step(seam.samples, StreamState(after, seam.tail, state.index + 1), stages_ms, seam.rho)
