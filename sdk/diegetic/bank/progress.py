"""How far a bank is: what is ready of what is wanted, and what has happened."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from diegetic.bank.declaration import Variant
from diegetic.bank.plan import Slot, Take


class Ready(NamedTuple):
    """`ready` takes of `wanted`."""

    ready: int
    wanted: int

    @property
    def complete(self) -> bool:
        return self.ready >= self.wanted


@dataclass(frozen=True)
class Progress:
    """Takes that are ready, of those wanted.

    Attributes:
        present: for the switch values that hold now.
        total: those, and those for values that are one switch away.
        events: the total by name.
    """

    present: Ready
    total: Ready
    events: dict[str, Ready]


@dataclass(frozen=True)
class Counters:
    """What happened so far.

    Attributes:
        posted: events posted.
        missed: posted while no take fitted: the nearest was played, or nothing.
        made: takes made.
        dropped: takes that went, worn or for want of memory.
    """

    posted: int = 0
    missed: int = 0
    made: int = 0
    dropped: int = 0


def progress(wanted: Sequence[Slot], held: Mapping[Variant, Sequence[Take]]) -> Progress:
    """Count which of `wanted` are `held`."""
    there = [(slot, len(held.get(slot.variant, ())) > slot.index) for slot in wanted]
    events: dict[str, list[bool]] = {}
    for slot, ready in there:
        events.setdefault(slot.spec.name, []).append(ready)
    return Progress(
        present=_count(ready for slot, ready in there if slot.present),
        total=_count(ready for _, ready in there),
        events={name: _count(answers) for name, answers in events.items()},
    )


def _count(answers: Iterable[bool]) -> Ready:
    listed = list(answers)
    return Ready(sum(listed), len(listed))
