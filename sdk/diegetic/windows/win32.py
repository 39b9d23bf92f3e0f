"""Windows of Windows, asked from user32 and dwmapi: what every system has, no library needed."""

import sys

assert sys.platform == "win32"

import ctypes  # noqa: E402
from ctypes import wintypes  # noqa: E402
from types import TracebackType  # noqa: E402
from typing import Self  # noqa: E402

from diegetic.windows import Region, Window  # noqa: E402

_HIDDEN = Region(0, 0, 0, 0)
_CLOAKED = 14  # DWMWA_CLOAKED: there, but never shown, as are suspended apps

_user32 = ctypes.WinDLL("user32")
_dwmapi = ctypes.WinDLL("dwmapi")
_Visit = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.HWND, wintypes.LPARAM)
for _name, _takes in {
    "EnumWindows": (_Visit, wintypes.LPARAM),
    "IsWindow": (wintypes.HWND,),
    "IsWindowVisible": (wintypes.HWND,),
    "IsIconic": (wintypes.HWND,),
    "GetWindowTextLengthW": (wintypes.HWND,),
    "GetWindowTextW": (wintypes.HWND, wintypes.LPWSTR, ctypes.c_int),
    "GetClientRect": (wintypes.HWND, wintypes.LPRECT),
    "ClientToScreen": (wintypes.HWND, wintypes.LPPOINT),
}.items():
    getattr(_user32, _name).argtypes = _takes
_dwmapi.DwmGetWindowAttribute.argtypes = (
    wintypes.HWND,
    wintypes.DWORD,
    ctypes.c_void_p,
    wintypes.DWORD,
)


class WindowsDesktop:
    """The windows of the desktop at which the user sits."""

    def windows(self) -> list[Window]:
        found: list[Window] = []

        def visit(handle: int, _: int) -> bool:
            title = _title(handle)
            if title and _user32.IsWindowVisible(handle) and not _is_cloaked(handle):
                found.append(Window(handle, title))
            return True

        _user32.EnumWindows(_Visit(visit), 0)
        return found

    def where(self, number: int) -> Region | None:
        if not _user32.IsWindow(number):
            return None
        if _user32.IsIconic(number) or not _user32.IsWindowVisible(number):
            return _HIDDEN
        size, corner = wintypes.RECT(), wintypes.POINT(0, 0)
        _user32.GetClientRect(number, ctypes.byref(size))
        _user32.ClientToScreen(number, ctypes.byref(corner))
        return Region(corner.x, corner.y, size.right, size.bottom)

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


def _title(handle: int) -> str:
    length = _user32.GetWindowTextLengthW(handle)
    text = ctypes.create_unicode_buffer(length + 1)
    _user32.GetWindowTextW(handle, text, length + 1)
    return text.value


def _is_cloaked(handle: int) -> bool:
    cloaked = wintypes.DWORD(0)
    size = ctypes.sizeof(cloaked)
    _dwmapi.DwmGetWindowAttribute(handle, _CLOAKED, ctypes.byref(cloaked), size)
    return bool(cloaked.value)
