"""Where a window of some title is on the desktop; each system is asked in its own way.

    title --find--> window --where, as often as it may have moved--> Region

What lies over a window is seen with it: a region of the desktop is what is grabbed.
"""

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from diegetic.errors import MediaError

_LISTED = 20  # titles that an error tells


class Region(NamedTuple):
    """A part of the desktop, in pixels from the top left of its first screen."""

    left: int
    top: int
    width: int
    height: int

    def within(self, other: "Region") -> "Region":
        """Return the part that lies in `other`; without pixels where there is none."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right = min(self.left + self.width, other.left + other.width)
        bottom = min(self.top + self.height, other.top + other.height)
        return Region(left, top, max(0, right - left), max(0, bottom - top))


class Window(NamedTuple):
    """A window that can be seen, by the number that the system knows it by."""

    number: int
    title: str


class Desktop(Protocol):
    """One system's windows; for one thread."""

    def windows(self) -> list[Window]:
        """Return those that are open and have a title."""

    def where(self, number: int) -> Region | None:
        """Return where a window's picture is; without pixels while it is hidden, None once closed.

        Its title bar and frame are left out where the system tells them apart.
        """

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_desktop() -> Desktop:
    """Return this system's windows.

    Raises:
        MediaError: there is no desktop, or it does not tell of other programs' windows.
    """
    if sys.platform == "win32":
        from diegetic.windows.win32 import WindowsDesktop

        return WindowsDesktop()
    if sys.platform == "darwin":
        from diegetic.windows.quartz import MacDesktop

        return MacDesktop()
    if os.environ.get("WAYLAND_DISPLAY") or os.environ.get("XDG_SESSION_TYPE") == "wayland":
        raise MediaError(
            "cannot find windows under Wayland, where programs know nothing of each other's: "
            "log in to an X11 session"
        )
    from diegetic.windows.x11 import X11Desktop

    return X11Desktop()


def find(title: str, windows: Sequence[Window]) -> Window:
    """Return the window of that title, or the only one whose title has it in it, in any case.

    Raises:
        MediaError: there is none, or more than one.
    """
    matching = [window for window in windows if window.title == title]
    if not matching:
        part = title.casefold()
        matching = [window for window in windows if part in window.title.casefold()]
    if not matching:
        raise MediaError(f"expected the title of a window ({_listed(windows)}), got {title!r}")
    if len(matching) > 1:
        raise MediaError(f"expected the title of one window, got {title!r}: {_listed(matching)}")
    return matching[0]


def _listed(windows: Sequence[Window]) -> str:
    titles = [repr(window.title) for window in sorted(windows, key=lambda window: window.title)]
    more = [f"and {len(titles) - _LISTED} more"] if len(titles) > _LISTED else []
    return ", ".join([*titles[:_LISTED], *more]) or "there is none"
