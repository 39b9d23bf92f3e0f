"""The memory of how a scene began, to which its stream comes back while nothing else is said.

    chunk    1 ............ 24 | 25 ..... 32 | 33 ..... 40 | 41 ...
    past     its own         * | its own     | * and a hop | * and a hop
                             `-- kept ---------^-------------^

Each chunk goes on from the last ones. So what happens to be louder, or another rain than at first,
is gone on from: over minutes level and colour of a stream wander. Every few seconds its past is
replaced, all but its newest hop, by the kept one; from there it finds its own way again.
"""

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from diegetic.revision import JUMP
from diegetic.snapshot import EVENT_TOKENS, FRAME_TOKENS, Conditioning

TAKEN = 24  # chunks that were asked for in the same words, without an event, when memory is kept
RETURN = 8  # chunks from there to the first return, and from each to the next

M = TypeVar("M")


@dataclass(frozen=True)
class Hold(Generic[M]):
    """What a stream comes back to.

    Attributes:
        said: what asked for the scene; None where nothing can be held.
        chunks: so many were made of it.
        memory: the past of a chunk, kept.
    """

    said: Conditioning | None = None
    chunks: int = 0
    memory: M | None = None

    def under(self, said: Conditioning) -> "Hold[M]":
        """The same, if `said` asks for the same still; else nothing is kept.

        Under pictures nothing is: what is heard is to change with what is seen.
        """
        if said.present[FRAME_TOKENS].any():
            return Hold()
        return self if self.said is not None and _alike(self.said, said) else Hold(said)

    @property
    def due(self) -> M | None:
        """The memory that the next chunk leaves behind; None is its own past."""
        return None if (self.chunks + 1 - TAKEN) % RETURN else self.memory

    def after(self, said: Conditioning, memory: M) -> "Hold[M]":
        """What is known after one more chunk under `said`, which left `memory` behind.

        An event must not be heard again and again: memory is kept when none was heard for a while.
        """
        if self.said is None or (self.memory is None and said.present[EVENT_TOKENS].any()):
            return replace(self, chunks=0)
        chunks = self.chunks + 1
        return replace(self, chunks=chunks, memory=memory if chunks == TAKEN else self.memory)


def _alike(ours: Conditioning, theirs: Conditioning) -> bool:
    """Whether both ask for the same, whatever happens; small moves of a parameter pass."""
    slots = slice(0, EVENT_TOKENS.start)
    return (
        ours.guidance == theirs.guidance
        and np.array_equal(ours.present[slots], theirs.present[slots])
        and bool(np.abs(ours.values[slots] - theirs.values[slots]).max() < JUMP)
        and np.array_equal(ours.words[slots], theirs.words[slots])
    )
