import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge_recorder import ANYWHERE, Recorder, hear, until
from diegetic import cli
from diegetic.config import RATE
from diegetic.errors import MediaError
from diegetic.tape import read_tape, recording
from diegetic_bridge import (
    Ack,
    BridgeServer,
    Client,
    Frame,
    Prompt,
)
from diegetic_bridge.tape import Left, Picture, open_tape
from diegetic_bridge.tape import Recorder as TapeRecorder
from engine_tape import HELLO, PIXELS, full_tape, parts_of, write_tape

# What is kept


def test_all_that_an_engine_says_is_on_the_tape_with_its_times(tmp_path: Path) -> None:
    path, heard = tmp_path / "session.dgt", Recorder()
    with recording(path, frame_rate=1e-3) as tape:
        with BridgeServer(ANYWHERE, TapeRecorder(heard, tape)) as server:
            with Client(
                server.endpoint,
                engine="test",
                parameters=HELLO.parameters,
                switches=HELLO.switches,
                events=["shot"],
            ) as client:
                client.set_prompt({"rain": 3, "wind": 1}, guidance=2.0, ramp=0.5)
                client.set_parameter("threat", 0.25, 0.1)
                client.set_switch("surface", "stone")
                client.set_layers(["music"])
                client.set_bus("beds", gain_db=-3.0)
                client.set_loudness(-23.0)
                client.set_listener((1.0, 2.0, 3.0))
                for number in range(50):
                    client.post_event("shot", gain_db=-number)
                client.set_bus("nowhere", mute=True)  # refused by the bridge: it had no effect
                hear(client, Ack)
                for shown in range(3):
                    client.push_frame(PIXELS)
                    heard.until(lambda seen=shown: len(heard.messages(Frame)) > seen)
                until(lambda: len(heard.events()) == 50)
            heard.until(lambda: bool(heard.closed))
        assert tape.over
    kept = open_tape(path)
    assert kept.whole
    assert kept.hello == heard.opened[0][0]
    said = [entry for entry in kept.entries() if not isinstance(entry.message, Picture | Left)]
    told = [(message, at) for message, at in heard.heard if not isinstance(message, Frame)]
    assert [entry.message for entry in said] == [message for message, _ in told]
    start = said[0].at - told[0][1]
    assert [entry.at for entry in said] == pytest.approx([at + start for _, at in told], abs=1e-6)
    arrivals = [entry.arrival for entry in kept.entries()]
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= 0
    assert kept.messages == 58  # one frame of three is enough for that rate
    pictures = [e.message for e in kept.entries() if isinstance(e.message, Picture)]
    assert [picture.frame(0.0).pixels for picture in pictures] == [PIXELS.tobytes()]


def test_frames_are_kept_at_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    said = [(k / 60, Frame(16, 9, k / 60, PIXELS.tobytes())) for k in range(300)]
    tape = open_tape(write_tape(tmp_path / "a.dgt", *said, length=5.0))
    times = [e.arrival for e in tape.entries() if isinstance(e.message, Picture)]
    assert 9 <= len(times) <= 10
    assert np.diff(times).min() >= 0.5


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (72, 128)])
@pytest.mark.parametrize("layout", ["rgb24", "bgra8", "gray8"])
def test_a_picture_comes_back_as_it_was_seen(shape: tuple[int, int], layout: str) -> None:
    depth = {"rgb24": 3, "bgra8": 4, "gray8": 1}[layout]
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, depth), np.uint8)
    frame = msgspec.convert(
        {
            "width": shape[1],
            "height": shape[0],
            "time": 0.0,
            "pixels": pixels.tobytes(),
            "format": layout,
            "origin": "bottom",
        },
        Frame,
    )
    again = np.frombuffer(Picture.of(frame).frame(0.0).pixels, np.uint8).reshape(*shape, 3)
    colours = {"rgb24": [0, 1, 2], "bgra8": [2, 1, 0], "gray8": [0, 0, 0]}[layout]
    assert np.array_equal(again, pixels[::-1][..., colours])


def test_a_picture_that_unpacks_to_another_size_is_refused() -> None:
    bomb = zlib.compress(bytes(50_000_000))
    for pixels in (bomb, zlib.compress(b"abc"), b"nothing of the kind"):
        with pytest.raises(ValueError, match=r"pixels: expected .* got"):
            Picture(4, 4, pixels).frame(0.0)


def test_a_tape_is_small(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:72, 0:128]
    shades = (rows * 2 + columns)[..., None] + [0, 40, 90]
    noise = np.random.default_rng(1).integers(-2, 3, shades.shape)
    pixels = np.clip(shades + noise, 0, 255).astype(np.uint8)
    frame = Frame(128, 72, 0.0, pixels.tobytes())
    said = [(k / 60, frame) for k in range(600)]
    path = write_tape(tmp_path / "a.dgt", *said, length=10.0)
    assert path.stat().st_size < 20 * len(frame.pixels) / 2  # 20 frames, each at most half


def test_another_session_leaves_the_tape_alone_and_a_refused_one_no_file(tmp_path: Path) -> None:
    path = write_tape(tmp_path / "a.dgt", (0.1, Prompt("rain", 0.1)))
    before = path.read_bytes()
    with pytest.raises(MediaError, match="cannot write"), recording(path, 2.0):
        pass
    assert path.read_bytes() == before
    second = tmp_path / "b.dgt"
    with recording(second, 2.0) as tape:
        tape.hear(Prompt("too early", 0.0), 0.0, 0.0)
    assert not second.exists()
    with recording(second, 2.0) as tape:
        tape.hear(HELLO, 1.0, 1.0)
        tape.hear(Left(), 2.0, 2.0)
        tape.hear(HELLO, 3.0, 3.0)
        tape.hear(Prompt("of the next engine", 0.0), 4.0, 4.0)
    assert read_tape(second).messages == 0


# What is read


def test_a_tape_that_is_cut_anywhere_ends_with_its_last_whole_message(tmp_path: Path) -> None:
    whole = full_tape(tmp_path / "a.dgt")
    data, cut = whole.read_bytes(), tmp_path / "cut.dgt"
    ends = np.cumsum([8 + len(part) for part in parts_of(whole)])
    for size in range(int(ends[1]), len(data)):
        cut.write_bytes(data[:size])
        tape = open_tape(cut)
        assert not tape.whole
        assert (
            len(list(tape.entries())) == tape.messages == np.searchsorted(ends, size, "right") - 2
        )
    for size in range(int(ends[1])):
        cut.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"must be a tape|cut before its hello"):
            open_tape(cut)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0), flip=st.integers(1, 255))
def test_a_damaged_byte_is_never_played(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = full_tape(folder / "a.dgt")
    data = bytearray(whole.read_bytes())
    data[place % len(data)] ^= flip
    damaged = folder / "b.dgt"
    damaged.write_bytes(bytes(data))
    try:
        entries = list(open_tape(damaged).entries())
    except ValueError as error:
        assert str(damaged) in str(error)
    else:  # a length that claims more than there is looks like a cut
        assert entries == list(open_tape(whole).entries())[: len(entries)]
        assert not open_tape(damaged).whole


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda parts: [b"\x00" * 9, *parts[1:]], "must be a tape of diegetic"),
        (
            lambda parts: [
                msgspec.msgpack.encode({"type": "diegetic tape", "format": 99}),
                *parts[1:],
            ],
            "format 1 at most, got 99: a later version",
        ),
        (lambda parts: [*parts[:4], b"\xc1", *parts[4:]], "damaged at part 5"),
        (lambda parts: [*parts[:3], parts[5], parts[4]], "damaged at part 5: it goes back in time"),
        (lambda parts: [parts[0], *parts[2:]], "damaged at part 2: expected a hello"),
        (lambda parts: parts[:1], "cut before its hello"),
        (lambda parts: [], "must be a tape of diegetic"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_one_line(
    change: Callable[[list[bytes]], list[bytes]],
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = full_tape(tmp_path / "a.dgt")
    parts = change(parts_of(path))
    path.write_bytes(b"".join(struct.pack("<II", len(p), zlib.crc32(p)) + p for p in parts))
    assert cli.main(["replay", str(path), "-o", str(tmp_path / "x.wav")]) == cli.USAGE_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line
    assert not (tmp_path / "x.wav").exists()


def test_files_of_another_kind_and_none_at_all_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(MediaError, match=r"cannot read .*a\.wav: "):
        read_tape(path)
    soundfile.write(path, np.zeros((100, 2)), RATE)
    with pytest.raises(MediaError, match="must be a tape of diegetic, got something else"):
        read_tape(path)
