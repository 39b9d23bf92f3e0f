import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from bridge_recorder import WAIT
from diegetic import Session, cli
from diegetic.attach import (
    RATE,
    Region,
    attach,
    camera_pictures,
    screen_pictures,
    video_pictures,
    window_pictures,
)
from diegetic.cli import shared
from diegetic.errors import DiegeticError, MediaError
from diegetic.video import Pixels
from diegetic.windows import Window, find
from tone_generator import ToneGenerator, plain_conditioner

if sys.platform not in ("win32", "darwin"):
    from Xlib import X, display

x11 = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="is of X11")
PICTURE = np.full((72, 128, 3), 7, np.uint8)


class Seen:
    """A session that writes down what it is shown and told."""

    def __init__(self) -> None:
        self.pictures: list[Pixels] = []
        self.prompts: list[str] = []
        self.told = threading.Event()

    def push_frame(self, pixels: Pixels) -> None:
        self.pictures.append(pixels)

    def set_prompt(self, prompt: str) -> None:
        if prompt == "refused":
            raise DiegeticError("prompt must be another")
        self.prompts.append(prompt)
        self.told.set()


class Time:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


class Silent:
    """A keyboard at which nobody sits."""

    def __iter__(self) -> "Silent":
        return self

    def __next__(self) -> str:
        threading.Event().wait()
        raise AssertionError("nobody is there")


def make_video(path: Path, seconds: float = 2.0, fps: int = 30) -> Path:
    """Pictures that grow from black to white."""
    count = round(seconds * fps)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for number in range(count):
            pixels = np.full((36, 64, 3), 255 * number // count, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))
    return path


# What is seen


def test_a_video_is_shown_at_its_own_pace(tmp_path: Path) -> None:
    time = Time()
    moments, shades = [], []
    for pixels in video_pictures(make_video(tmp_path / "a.mp4"), time.clock, time.sleep):
        assert pixels.shape == (72, 128, 3)
        moments.append(time.now - 100.0)
        shades.append(float(pixels.mean()))
    assert 2.0 * RATE - 4 <= len(moments) <= 2.0 * RATE + 1
    assert np.diff(shades).min() > 0
    # a picture's shade tells when in the video it is shown
    assert np.abs(np.array(shades) / 255 * 2.0 - moments).max() < 0.1


def test_a_video_that_takes_long_to_read_is_not_waited_for(tmp_path: Path) -> None:
    def late(seconds: float) -> None:
        raise AssertionError("there is nothing to wait for")

    ticks = iter(range(1000))
    pictures = video_pictures(make_video(tmp_path / "a.mp4"), lambda: float(next(ticks)), late)
    assert len(list(pictures)) > 10


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cannot read .*none\.mp4"):
        next(video_pictures(tmp_path / "none.mp4"))
    with pytest.raises(MediaError, match=r"expected the camera's n|cannot read"):
        next(camera_pictures("97"))


@contextmanager
def screen_of(background: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A screen of 320 x 200 pixels that is `$DISPLAY`."""
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb (apt install xvfb)")
    command = ["Xvfb", "-displayfd", "1", "-noreset", "-screen", "0", "320x200x24", background]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        monkeypatch.setenv("DISPLAY", f":{server.stdout.readline().strip()}")
        for name in ("XAUTHORITY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
            monkeypatch.delenv(name, raising=False)
        yield
        server.terminate()


@pytest.fixture(params=["-wr", "-br"], ids=["white", "black"])
def screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A screen; the shade of all its pixels."""
    with screen_of(request.param, monkeypatch):
        yield 255 if request.param == "-wr" else 0


@pytest.fixture
def xvfb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with screen_of("-br", monkeypatch):
        yield


def test_the_screen_and_a_part_of_it_are_seen(screen: int) -> None:
    for region in (None, Region(10, 20, 100, 50)):
        time = Time()
        pictures = list(islice(screen_pictures(region, time.clock, time.sleep), 13))
        assert all(pixels.shape == (72, 128, 3) for pixels in pictures)
        assert all((pixels == screen).all() for pixels in pictures)
        assert time.now - 100.0 == pytest.approx(12 / RATE)


def test_a_region_beside_the_screen_is_refused(screen: int) -> None:
    with pytest.raises(MediaError, match="cannot see 1000,0,100,50 of the screen"):
        next(screen_pictures(Region(1000, 0, 100, 50)))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a screen")
def test_without_a_screen_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tones: None
) -> None:
    monkeypatch.setenv("DISPLAY", ":97")
    monkeypatch.setattr(sys, "stdin", Silent())
    assert cli.main(["attach", "--screen", "--no-device"]) == cli.USAGE_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("diegetic: cannot see the screen: ")


# A window of the desktop


RED, GREEN = 0xC80000, 0x00C800


class Paint:
    """Windows of an X screen without a window manager; gone when the block is left."""

    def __init__(self) -> None:
        self._display = display.Display()
        self.root = self._display.screen().root

    def window(self, title: str, region: Region, colour: int = RED) -> Any:
        left, top, width, height = region
        made = self.root.create_window(left, top, width, height, 0, X.CopyFromParent)
        made.change_attributes(background_pixel=colour)
        utf8 = self._display.intern_atom("UTF8_STRING")
        name = self._display.intern_atom("_NET_WM_NAME")
        made.change_property(name, utf8, 8, title.encode())
        made.map()
        self.settle()
        return made

    def manage(self, *windows: Any) -> None:
        """List windows as a window manager does."""
        listed = self._display.intern_atom("_NET_CLIENT_LIST")
        kind = self._display.intern_atom("WINDOW")
        self.root.change_property(listed, kind, 32, [window.id for window in windows])
        self.settle()

    def settle(self) -> None:
        self._display.sync()

    def __enter__(self) -> "Paint":
        return self

    def __exit__(self, *error: object) -> None:
        self._display.close()


@pytest.fixture
def paint(xvfb: None) -> Iterator[Paint]:
    with Paint() as paint:
        yield paint


def colour(pixels: Pixels) -> int:
    """The colour of all pixels of a picture."""
    assert (pixels == pixels[0, 0]).all()
    red, green, blue = (int(value) for value in pixels[0, 0])
    return red << 16 | green << 8 | blue


@x11
def test_a_window_is_found_by_its_title_and_followed_until_it_is_closed(paint: Paint) -> None:
    paint.window("Another – 1", Region(0, 0, 320, 200), GREEN)
    window = paint.window("Spiel für zwei – 2", Region(40, 30, 100, 50))
    time = Time()
    pictures = window_pictures("für ZWEI", time.clock, time.sleep)
    assert colour(next(pictures)) == RED
    window.configure(x=200, y=100, width=60, height=80)
    paint.settle()
    assert colour(next(pictures)) == RED
    assert time.now - 100.0 == pytest.approx(1 / RATE)
    window.configure(x=300, y=150)  # most of it beside the screen
    paint.settle()
    assert colour(next(pictures)) == RED
    window.destroy()
    paint.settle()
    assert list(pictures) == []


@x11
def test_a_window_that_is_hidden_is_waited_for(paint: Paint) -> None:
    window = paint.window("game", Region(40, 30, 100, 50))

    class Patience(Time):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.now > 101.0:
                window.map()
                window.configure(x=10)
                paint.settle()

    time = Patience()
    pictures = window_pictures("game", time.clock, time.sleep)
    assert colour(next(pictures)) == RED
    for hide in (window.unmap, lambda: window.configure(x=-500)):
        time.now = 100.0
        hide()
        paint.settle()
        assert colour(next(pictures)) == RED
        assert time.now > 101.0


@x11
def test_the_window_managers_list_counts_where_there_is_one(paint: Paint) -> None:
    paint.window("game's launcher", Region(0, 0, 10, 10), GREEN)
    window = paint.window("game", Region(40, 30, 100, 50))
    paint.manage(window)
    assert colour(next(window_pictures("gam"))) == RED
    with pytest.raises(MediaError, match=r"expected the title of a window \('game'\), got 'lau'"):
        window_pictures("lau")


@x11
def test_a_title_that_none_or_several_have_is_refused_with_those_that_there_are(
    paint: Paint, capsys: pytest.CaptureFixture[str], tones: None
) -> None:
    with pytest.raises(MediaError, match=r"a window \(there is none\), got 'game'"):
        window_pictures("game")
    paint.window("game 2", Region(0, 0, 10, 10))
    paint.window("game 1", Region(0, 0, 10, 10))
    with pytest.raises(MediaError, match=r"one window, got 'GAME': 'game 1', 'game 2'$"):
        window_pictures("GAME")
    assert cli.main(["attach", "--window", "editor", "--no-device"]) == cli.USAGE_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "diegetic: expected the title of a window ('game 1', 'game 2'), got 'editor'"


def test_the_whole_title_goes_before_a_part_of_others() -> None:
    windows = [Window(1, "game (editor)"), Window(2, "game"), Window(3, "my game")]
    assert find("game", windows) == windows[1]
    assert find("MY", windows) == windows[2]
    with pytest.raises(MediaError, match=r"'title 18', 'title 19', and 5 more\), got"):
        find("game", [Window(number, f"title {number:02}") for number in range(25)])


@x11
def test_under_wayland_nobody_looks_for_windows(
    monkeypatch: pytest.MonkeyPatch, xvfb: None
) -> None:
    for name, value in (("WAYLAND_DISPLAY", "wayland-0"), ("XDG_SESSION_TYPE", "wayland")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(MediaError, match=r"under Wayland.* log in to an X11 session"):
                window_pictures("game")


# What is typed


def test_each_line_is_a_prompt_and_quit_ends() -> None:
    seen, words = Seen(), io.StringIO("rain\n  a door slams \nrefused\n\nquit\nnever said\n")
    shown = attach(seen, repeat(PICTURE), words)
    assert seen.prompts == ["rain", "a door slams", ""]
    assert shown == len(seen.pictures)


def test_the_end_of_the_words_ends() -> None:
    seen = Seen()
    attach(seen, repeat(PICTURE), io.StringIO("rain\n"))
    assert seen.prompts == ["rain"]


def test_the_end_of_the_pictures_ends_though_nobody_types() -> None:
    seen = Seen()
    assert attach(seen, iter([PICTURE] * 5), Silent()) == 5
    assert len(seen.pictures) == 5


# The command


@pytest.fixture
def tones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions without networks."""

    def session(arguments: object, *, live: bool) -> Session:
        return Session(generator=ToneGenerator(), conditioner=plain_conditioner)

    monkeypatch.setattr(shared, "open_session", session)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--screen", "--webcam", "0"],
        ["--screen", "--window", "game"],
        ["--screen", "--region", "1,2,3"],
        ["--screen", "--region", "0,0,0,10"],
        ["--video"],
    ],
)
def test_a_wrong_command_line_is_a_usage_error(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["attach", *words])
    assert left.value.code == cli.USAGE_ERROR


def test_a_region_is_of_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["attach", "--webcam", "0", "--region", "0,0,10,10"]) == cli.USAGE_ERROR
    assert "expected --region together with --screen" in capsys.readouterr().err


PROCESS = """
import sys
from diegetic import Session, cli
from diegetic.cli import shared
from tone_generator import ToneGenerator, plain_conditioner
class Told(Session):
    def set_prompt(self, prompt, *rest, **more):
        super().set_prompt(prompt, *rest, **more)
        print(f"told {prompt!r}")
TONES = {"generator": ToneGenerator(), "conditioner": plain_conditioner}
shared.open_session = lambda arguments, live: Told(**TONES)
sys.exit(cli.main(sys.argv[1:]))
"""


def test_a_process_shows_a_video_and_hears_what_is_typed(tmp_path: Path) -> None:
    video, take = make_video(tmp_path / "long.mp4", seconds=60.0, fps=12), tmp_path / "take.wav"
    words = ["attach", "--video", str(video), "--prompt", "rain", "--no-device"]
    with subprocess.Popen(
        [sys.executable, "-u", "-c", PROCESS, *words, "--record", str(take)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        until_said(process.stdout, "told 'rain'")
        until_said(process.stdout, "type what should be heard")
        process.stdin.write("a storm comes\n")
        until_said(process.stdout, "told 'a storm comes'")
        process.stdin.write("quit\n")
        until_said(process.stdout, "pictures shown")  # long before the video ends
        process.wait(WAIT)
    assert process.returncode == 0
    sound, _ = soundfile.read(take)
    assert np.abs(sound).max() > 0.1


def until_said(lines: Iterator[str], words: str) -> None:
    assert any(words in line for line in lines), f"never said: {words}"


def test_the_command_ends_with_the_video(
    tones: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", Silent())
    video = make_video(tmp_path / "a.mp4", 0.5)
    assert cli.main(["attach", "--video", str(video), "--no-device"]) == 0
    assert "6 pictures shown" in capsys.readouterr().out
