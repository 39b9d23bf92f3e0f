"""Let a session see something that moves, while words about it are typed.

video, camera, screen, window --pictures, 12 a second--> session
stdin, a thread of its own --a line is a prompt--> session
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from diegetic.errors import DiegeticError, MediaError
from diegetic.video import FRAME_HEIGHT, FRAME_WIDTH, Pixels, read_frames
from diegetic.windows import Region as Region
from diegetic.windows import find, open_desktop

if TYPE_CHECKING:
    from mss import ScreenShot

RATE = 12  # pictures per second
QUIT = "quit"

log = logging.getLogger(__name__)


class Viewer(Protocol):
    """The part of a Session that this needs."""

    def push_frame(self, pixels: Pixels) -> None: ...

    def set_prompt(self, prompt: str) -> None: ...


def video_pictures(
    path: Path,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Pixels]:
    """The pictures of the video at `path`, (72, 128, 3) uint8 RGB, each when its time has come.

    Raises:
        MediaError: it cannot be read, or holds no video.
    """
    start: float | None = None
    for moment, pixels in read_frames(path, RATE):
        start = clock() if start is None else start
        left = start + moment - clock()
        if left > 0:
            sleep(left)
        yield pixels


def camera_pictures(camera: str) -> Iterator[Pixels]:
    """The pictures of a camera, (72, 128, 3) uint8 RGB, as they come.

    `camera`: its number, on Windows its name.

    Raises:
        MediaError: it cannot be opened.
    """
    path, device = _camera(camera)
    for _, pixels in read_frames(path, RATE, device):
        yield pixels


def screen_pictures(
    region: Region | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Pixels]:
    """The pictures of the first screen, or of `region`, (72, 128, 3) uint8 RGB, without an end.

    Raises:
        MediaError: there is no screen, it may not be seen, or `region` is not on it.
    """
    import mss

    try:
        with mss.MSS() as screen:
            box = screen.primary_monitor if region is None else region._asdict()
            due = clock()
            while True:
                yield _small(screen.grab(box))
                due = max(due + 1 / RATE, clock())
                sleep(due - clock())
    except mss.ScreenShotError as error:
        what = "the screen" if region is None else f"{','.join(map(str, region))} of the screen"
        raise MediaError(f"cannot see {what}: {str(error).splitlines()[0]}") from error


def window_pictures(
    title: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Pixels]:
    """The pictures of the window of that title, (72, 128, 3) uint8 RGB, until it is closed.

    The window is looked for now, and followed where it goes; what lies over it is seen, too. While
    it is hidden, or beside the screens, there are no pictures.

    `title`: all of it, or a part that no other title has, in any case.

    Raises:
        MediaError: there is no desktop, it may not be seen, or no one window has that title.
    """
    import mss

    with ExitStack() as stack:
        try:
            # first: on Windows this sees to it that pixels are pixels, whatever the scale
            screen = stack.enter_context(mss.MSS())
            desktop = stack.enter_context(open_desktop())
            window = find(title, desktop.windows())
        except mss.ScreenShotError as error:
            raise MediaError(f"cannot see the screen: {str(error).splitlines()[0]}") from error
        opened = stack.pop_all()

    def pictures() -> Iterator[Pixels]:
        with opened:
            due = clock()
            while (region := desktop.where(window.number)) is not None:
                everything = screen.monitors[0]
                seen = region.within(Region(*(everything[side] for side in Region._fields)))
                if seen.width and seen.height:
                    try:
                        yield _small(screen.grab(seen._asdict()))
                    except mss.ScreenShotError as error:
                        why = str(error).splitlines()[0]
                        raise MediaError(f"cannot see {window.title!r}: {why}") from error
                due = max(due + 1 / RATE, clock())
                sleep(due - clock())

    return pictures()


def attach(
    session: Viewer,
    pictures: Iterator[Pixels],
    words: Iterable[str],
) -> int:
    """Show `session` all `pictures`; each line of `words` is a prompt. Return how many were shown.

    It ends with the pictures, with the line "quit", or with `words`. An empty line takes the words
    back: then only what is seen counts.

    Raises:
        MediaError: the pictures cannot be read.
    """
    done = threading.Event()

    def listen() -> None:
        try:
            for line in words:
                prompt = line.strip()
                if prompt == QUIT:
                    break
                try:
                    session.set_prompt(prompt)
                except DiegeticError as error:
                    log.warning("%s", error)
        finally:
            done.set()

    # a daemon: nothing can wake a thread that waits for a key
    threading.Thread(target=listen, name="prompts", daemon=True).start()
    shown = 0
    for pixels in pictures:
        if done.is_set():
            break
        session.push_frame(pixels)
        shown += 1
    return shown


def _camera(camera: str) -> tuple[Path, str]:
    """Return what FFmpeg calls a camera, and by which of its devices it is opened."""
    if sys.platform == "win32":
        if camera.isdecimal():
            raise MediaError(f"expected the camera's name as Windows shows it, got {camera}")
        return Path(f"video={camera}"), "dshow"
    if not camera.isdecimal():
        raise MediaError(f"expected the camera's number, 0 is the first, got {camera!r}")
    if sys.platform == "darwin":
        return Path(camera), "avfoundation"
    return Path(f"/dev/video{camera}"), "v4l2"


def _small(shot: "ScreenShot") -> Pixels:
    """A screenshot as (72, 128, 3) uint8 RGB."""
    import av

    pixels = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
    frame = av.VideoFrame.from_ndarray(pixels, format="bgra")
    small = frame.reformat(FRAME_WIDTH, FRAME_HEIGHT, format="rgb24", interpolation="AREA")
    return small.to_ndarray().astype(np.uint8, copy=False)
