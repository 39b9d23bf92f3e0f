"""What the game has asked for and no chunk has heard yet."""

from collections.abc import Iterable
from dataclasses import replace

from diegetic.config import RATE
from diegetic.stream import Change

MOST_EVENTS = 128  # that are noted at a time; a chunk can show the networks four


class Pending:
    """Changes on their way into a chunk, in the order in which they came; nothing here locks.

    Of a flood of events those beyond `MOST_EVENTS` are not noted here. They are heard all the same.
    """

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._events = 0

    def note(self, change: Change) -> None:
        """Remember `change`; it replaces one of the same thing that no chunk has heard.

        Where that was material, so is this: what is made does not know of either.
        """
        if change.kind == "event":  # replaces nothing: a flood of them must not be looked through
            if self._events < MOST_EVENTS:
                self._events += 1
                self._changes.append(change)
            return
        superseded = [old for old in self._changes if _supersedes(change, old)]
        self._changes = [old for old in self._changes if old not in superseded]
        material = change.material or any(old.material for old in superseded)
        self._changes.append(replace(change, material=material))

    def put_back(self, changes: Iterable[Change]) -> None:
        """Remember changes whose chunk will be made again; they come before all others."""
        self._changes = [*changes, *self._changes]
        self._count()

    def take(self, end: int, heard_from: int) -> tuple[Change, ...]:
        """Return what takes effect with a chunk heard from one sample to another; keep the rest."""
        middle, last = (heard_from + end) / 2 / RATE, end / RATE
        due = {
            change: change.at is None or change.at < (last if change.kind == "event" else middle)
            for change in self._changes
        }
        self._changes = [change for change in self._changes if not due[change]]
        self._count()
        return tuple(change for change in due if due[change])

    def material_from(self) -> int | None:
        """Return the sample from which on something material is asked for, None if nothing is."""
        asked = [
            0 if change.at is None else round(change.at * RATE)
            for change in self._changes
            if change.material
        ]
        return min(asked, default=None)

    def _count(self) -> None:
        self._events = sum(change.kind == "event" for change in self._changes)


def _supersedes(new: Change, old: Change) -> bool:
    """True when `old` will never be heard because of `new`."""
    if new.kind != old.kind or not (new.at is old.at is None):
        return False
    return new.kind in ("prompt", "layers") or new.name == old.name
