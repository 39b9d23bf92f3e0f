"""Windows of an X11 desktop, as its server and its window manager tell of them."""

from types import TracebackType
from typing import Any, Self

from Xlib import X
from Xlib.display import Display
from Xlib.error import BadDrawable, BadWindow, ConnectionClosedError, DisplayError, XauthError

from diegetic.errors import MediaError
from diegetic.windows import Region, Window

_HIDDEN = Region(0, 0, 0, 0)


class X11Desktop:
    """The windows of `$DISPLAY`.

    Raises:
        MediaError: there is no X server, or it may not be asked.
    """

    def __init__(self) -> None:
        try:
            self._display = Display()
        except (DisplayError, XauthError, ConnectionClosedError, OSError) as error:
            raise MediaError(f"cannot find windows: {error}") from error
        self._root = self._display.screen().root

    def windows(self) -> list[Window]:
        found = []
        for number in self._numbers():
            try:
                title = self._title(number)
            except (BadWindow, BadDrawable):  # closed meanwhile
                continue
            if title and self.where(number) not in (None, _HIDDEN):
                found.append(Window(number, title))
        return found

    def where(self, number: int) -> Region | None:
        window = self._display.create_resource_object("window", number)
        try:
            if window.get_attributes().map_state != X.IsViewable:
                return _HIDDEN
            size = window.get_geometry()
            corner = self._root.translate_coords(window, 0, 0)
        except (BadWindow, BadDrawable, ConnectionClosedError):
            return None
        return Region(corner.x, corner.y, size.width, size.height)

    def close(self) -> None:
        self._display.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _numbers(self) -> list[int]:
        """Return those that the window manager lists; where there is none, all at the top."""
        listed = self._property(self._root, "_NET_CLIENT_LIST")
        if listed is not None:
            return list(listed)
        return [window.id for window in self._root.query_tree().children]

    def _title(self, number: int) -> str:
        window = self._display.create_resource_object("window", number)
        named = self._property(window, "_NET_WM_NAME")
        if named is None:
            named = window.get_wm_name()
        return named.decode("utf-8", "replace") if isinstance(named, bytes) else str(named or "")

    def _property(self, window: Any, name: str) -> Any:
        found = window.get_full_property(self._display.intern_atom(name), X.AnyPropertyType)
        return None if found is None else found.value
