"""The takes that are ready, decoded, within a memory cap; and which of them to play.

    pick:  takes of this very variant, never the last one again
           -> the same event under other switch values, as few as can be
           -> the event whose words mean nearly the same
           -> nothing

Nothing here locks: an EventBank does.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from diegetic.bank.declaration import Variant
from diegetic.bank.plan import Take
from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray

ALIKE = 0.5
"""Cosine between the words of two events from which on one may stand in for the other: that of a
gunshot and an explosion is .51, of a door and a shot .32."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One take.

    Attributes:
        id: of its own, larger than all that were made before it.
        variant: what it is a take of.
        number: which take of that variant, from 0; with the seed it decides every sample.
        samples: (n, 2) float32, read-only, heard from the first sample on.
    """

    id: int
    variant: Variant
    number: int
    samples: FloatArray


@dataclass(frozen=True, eq=False)
class Choice:
    """What to play for a posted event.

    Attributes:
        clip: id of the clip, as `on_new` announced it.
        samples: (n, 2) float32, read-only.
        exact: it is a take of this event under these switch values, else the nearest there is.
        gain_db: of the event, as declared.
        bus: of the event, as declared.
    """

    clip: int
    samples: FloatArray
    exact: bool
    gain_db: float
    bus: str


@dataclass
class _Kept:
    clip: Clip
    used: int
    plays: int = 0


@dataclass
class _Shelf:
    """The takes of one variant, oldest first."""

    embedding: FloatArray | None
    kept: list[_Kept] = field(default_factory=list)
    last: int = -1  # the clip that was played last


class ClipStore:
    """Clips in memory, at most `memory_bytes` of samples.

    Which of several takes is played depends on `seed`, the variant and how often it was played.
    """

    def __init__(self, memory_bytes: int, seed: int = 0) -> None:
        self.memory_bytes = memory_bytes
        self._seed = seed
        self._shelves: dict[Variant, _Shelf] = {}
        self._numbers: dict[Variant, int] = {}  # the next take of each
        self._picks: dict[Variant, int] = {}
        self._bytes = 0
        self._clock = 0
        self._next_id = 0

    @property
    def bytes(self) -> int:
        """What all samples occupy."""
        return self._bytes

    def clips(self) -> Iterator[Clip]:
        """All clips, variant by variant, oldest first."""
        return (kept.clip for shelf in self._shelves.values() for kept in shelf.kept)

    def held(self) -> dict[Variant, Sequence[Take]]:
        """What is there, as the plan sees it."""
        return {
            variant: [Take(kept.clip.id, kept.plays) for kept in shelf.kept]
            for variant, shelf in self._shelves.items()
        }

    def next_number(self, variant: Variant) -> int:
        """The number of the take of `variant` that is to be made next: none comes twice."""
        return self._numbers.get(variant, 0)

    def put(
        self,
        variant: Variant,
        number: int,
        samples: FloatArray,
        *,
        embedding: FloatArray | None = None,
        replaces: int | None = None,
        keep: Mapping[Variant, int] = MappingProxyType({}),
    ) -> tuple[Clip, list[Clip]]:
        """Add a take; return it, and the clips that went for it.

        `replaces` goes in any case. If memory is short, so do the least recently used; last of
        all the newest used takes of each variant, as many as `keep` says. `embedding` is of the
        variant's words, for `pick`.

        Raises:
            DiegeticError: `samples` alone are more than memory holds.
        """
        if samples.nbytes > self.memory_bytes:
            raise DiegeticError(
                f"a clip must fit memory ({self.memory_bytes} bytes), got {samples.nbytes} bytes"
            )
        dropped = self.drop(lambda clip: clip.id == replaces)
        dropped += self._make_room(samples.nbytes, keep)
        own = np.array(samples, np.float32, order="C")
        own.setflags(write=False)
        clip = Clip(self._next_id, variant, number, own)
        self._next_id += 1
        self._numbers[variant] = max(self.next_number(variant), number + 1)
        shelf = self._shelves.setdefault(variant, _Shelf(embedding))
        shelf.kept.append(_Kept(clip, self._tick()))
        self._bytes += own.nbytes
        return clip, dropped

    def drop(self, unwanted: Callable[[Clip], bool]) -> list[Clip]:
        """Forget the clips that are `unwanted`; return them."""
        dropped = [clip for clip in self.clips() if unwanted(clip)]
        gone = {clip.id for clip in dropped}
        if gone:
            for shelf in self._shelves.values():
                shelf.kept = [kept for kept in shelf.kept if kept.clip.id not in gone]
            self._shelves = {v: shelf for v, shelf in self._shelves.items() if shelf.kept}
            self._bytes -= sum(clip.samples.nbytes for clip in dropped)
        return dropped

    def has_event(self, variant: Variant) -> bool:
        """True when there is a take of the event of `variant`, under any switch values."""
        return variant in self._shelves or any(v.name == variant.name for v in self._shelves)

    def pick(self, variant: Variant, embedding: FloatArray | None = None) -> Clip | None:
        """Return the take to play for `variant`, or the nearest there is; None when there is none.

        `embedding`: of the words of `variant`, a unit vector; another event will do if its words
        are `ALIKE`, none without it.
        """
        found = variant if variant in self._shelves else self._nearest(variant, embedding)
        if found is None:
            return None
        shelf = self._shelves[found]
        choice = [kept for kept in shelf.kept if kept.clip.id != shelf.last] or shelf.kept
        count = self._picks[found] = self._picks.get(found, 0) + 1
        kept = choice[0]
        if len(choice) > 1:
            kept = choice[draw(len(choice), self._seed, found.name, *found.values, count)]
        kept.used = self._tick()
        kept.plays += 1
        shelf.last = kept.clip.id
        return kept.clip

    def _nearest(self, variant: Variant, embedding: FloatArray | None) -> Variant | None:
        same = [other for other in self._shelves if other.name == variant.name]
        if same:
            wanted = set(variant.values)
            return min(same, key=lambda other: len(wanted.symmetric_difference(other.values)))
        if embedding is None:
            return None
        alike = [
            (float(embedding @ shelf.embedding), -place, other)
            for place, (other, shelf) in enumerate(self._shelves.items())
            if shelf.embedding is not None
        ]
        best = max(alike, key=lambda entry: entry[:2], default=None)
        return best[2] if best is not None and best[0] >= ALIKE else None

    def _make_room(self, size: int, keep: Mapping[Variant, int]) -> list[Clip]:
        over = self._bytes + size - self.memory_bytes
        if over <= 0:
            return []
        every: list[tuple[bool, int, Clip]] = []
        for variant, shelf in self._shelves.items():
            newest = sorted(shelf.kept, key=lambda kept: -kept.used)
            protected = keep.get(variant, 0)
            every += [(i < protected, kept.used, kept.clip) for i, kept in enumerate(newest)]
        going = set()
        for _, _, clip in sorted(every, key=lambda entry: entry[:2]):
            if over <= 0:
                break
            going.add(clip.id)
            over -= clip.samples.nbytes
        return self.drop(lambda clip: clip.id in going)

    def _tick(self) -> int:
        self._clock += 1
        return self._clock


def draw(choices: int, *words: object) -> int:
    """Return a number below `choices` that depends on `words` alone."""
    digest = hashlib.blake2b(repr(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % choices
