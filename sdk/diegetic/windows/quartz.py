"""Windows of macOS, asked from Quartz; titles are told to whoever may record the screen."""

from types import TracebackType
from typing import Any, Self

from Quartz import (
    CGWindowListCopyWindowInfo,
    kCGNullWindowID,
    kCGWindowBounds,
    kCGWindowIsOnscreen,
    kCGWindowLayer,
    kCGWindowListExcludeDesktopElements,
    kCGWindowListOptionIncludingWindow,
    kCGWindowListOptionOnScreenOnly,
    kCGWindowName,
    kCGWindowNumber,
)

from diegetic.errors import MediaError
from diegetic.windows import Region, Window

_HIDDEN = Region(0, 0, 0, 0)


class MacDesktop:
    """The windows of the desktop at which the user sits."""

    def windows(self) -> list[Window]:
        wanted = kCGWindowListOptionOnScreenOnly | kCGWindowListExcludeDesktopElements
        described = CGWindowListCopyWindowInfo(wanted, kCGNullWindowID) or ()
        normal = [about for about in described if about.get(kCGWindowLayer) == 0]
        titled = [about for about in normal if about.get(kCGWindowName)]
        if normal and not titled:
            raise MediaError(
                "cannot find windows: macOS tells no titles; allow it under System Settings, "
                "Privacy & Security, Screen Recording"
            )
        return [Window(int(about[kCGWindowNumber]), str(about[kCGWindowName])) for about in titled]

    def where(self, number: int) -> Region | None:
        described = CGWindowListCopyWindowInfo(kCGWindowListOptionIncludingWindow, number)
        if not described:
            return None
        about: Any = described[0]
        if not about.get(kCGWindowIsOnscreen):
            return _HIDDEN
        bounds = about[kCGWindowBounds]
        return Region(*(round(bounds[side]) for side in ("X", "Y", "Width", "Height")))

    def close(self) -> None:
        """There is nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
