"""Where the states of sessions lie on the device: pages that are written once.

    page   0      1        2         3         4 ...
           blank  scrap    state     state     free
                           a, now    a, kept to go back to

A step reads a page and writes a free one, so a state can be kept, forked and gone back to, and
nothing is ever copied for that. A page is free again when nobody holds it. Every new stream begins
at the blank page; rows of a batch that no session fills write to the scrap page.
"""

from collections import deque

from diegetic.errors import DiegeticError

BLANK, SCRAP = 0, 1
_RESERVED = 2


class Page:
    """The right to one page, given back when the last reference to it is gone."""

    __slots__ = ("_free", "index", "owner")

    def __init__(self, index: int, free: "deque[int]", owner: object) -> None:
        self.index = index
        self.owner = owner
        self._free = free

    def __del__(self) -> None:
        if self.index >= _RESERVED:
            self._free.append(self.index)  # atomic: any thread may let go of a page


class PagePool:
    """Hands out pages; `what` names them in errors.

    Args:
        count: pages beside the two reserved ones.
        what: what lies on a page, in words.
    """

    def __init__(self, count: int, what: str) -> None:
        self._free = deque(range(_RESERVED, _RESERVED + count))
        self._what = what
        self.size = _RESERVED + count
        self.blank = Page(BLANK, self._free, self)

    @property
    def free(self) -> int:
        """Pages that nobody holds."""
        return len(self._free)

    def take(self) -> Page:
        """Return a page that nobody holds.

        Raises:
            DiegeticError: there is none.
        """
        try:
            return Page(self._free.popleft(), self._free, self)
        except IndexError:
            raise DiegeticError(
                f"no room for another {self._what}: all {self.size - _RESERVED} are held; "
                "keep fewer of them, or make the engine for more sessions"
            ) from None
