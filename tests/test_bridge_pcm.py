"""Sound into the engine: whole and in order, faded where it begins, ends or is cut."""

import msgspec
import numpy as np
import pytest

from diegetic_bridge import Client, Error, Hello, Pcm, PcmBuffer, PcmSpec
from diegetic_bridge.messages import decode, decode_reply, encode
from diegetic_bridge.messages.wire import invalid

SPEC = PcmSpec(rate=48_000, frames=480)
FADE = 192


def piece(number: int, value: float = 1.0, frames: int = 480) -> Pcm:
    return Pcm(number, np.full((frames, 2), value, "<f4").tobytes())


def test_what_is_read_is_what_was_sent() -> None:
    buffer, rng = PcmBuffer(SPEC, depth=0.03), np.random.default_rng(0)
    sent = rng.uniform(-1, 1, (20 * 480, 2)).astype(np.float32)
    for number, block in enumerate(np.split(sent, 20)):
        buffer.push(Pcm(number, block.tobytes()))
        if number == 2:  # three are the depth
            got = [buffer.read(100)]
        if number > 2:
            got.append(buffer.read(479))  # no multiple of anything
    whole = np.concatenate(got)
    np.testing.assert_array_equal(whole[FADE:], sent[FADE : len(whole)])
    assert np.abs(whole[0]).max() == 0
    assert buffer.stats.lost == buffer.stats.underruns == buffer.stats.skipped == 0


def test_nothing_is_read_before_there_is_enough_to_go_on() -> None:
    buffer = PcmBuffer(SPEC, depth=0.03)
    for number in range(2):
        buffer.push(piece(number))
        assert np.abs(buffer.read(480)).max() == 0
    buffer.push(piece(2))
    assert np.abs(buffer.read(480)).max() == 1
    assert buffer.stats.underruns == 0


@pytest.mark.parametrize("frames", [64, 480, 1000, 5000])
def test_running_dry_fades_out_and_coming_back_fades_in(frames: int) -> None:
    buffer, heard, number = PcmBuffer(SPEC, depth=0.03), [], 0
    for _ in range(2):
        for _ in range(4):
            buffer.push(piece(number))
            number += 1
        heard += [buffer.read(frames) for _ in range(4 * 480 // frames + 8)]
    sound = np.concatenate([np.zeros((1, 2), np.float32), *heard])[:, 0]
    assert np.abs(np.diff(sound)).max() < 1.01 / FADE * (1 + 1e-3) + 1e-6
    assert sound[-1] == 0
    assert (buffer.stats.underruns, buffer.stats.waiting) == (2, 0)


@pytest.mark.parametrize("frames", [64, 480])
def test_what_piles_up_is_left_out_without_a_click(frames: int) -> None:
    buffer, heard = PcmBuffer(SPEC, depth=0.03), []
    for pieces, value in ((3, 1.0), (20, 1.0), (20, -0.5)):
        for number in range(pieces):
            buffer.push(piece(number, value))
        heard += [buffer.read(frames) for _ in range(2)]
        if pieces == 20:
            assert buffer.stats.waiting == 3 * 480 - 2 * frames
    sound = np.concatenate([np.zeros((1, 2), np.float32), *heard])[:, 0]
    assert np.abs(np.diff(sound)).max() < 3 / FADE  # two fades at once
    assert buffer.stats.skipped > 0.8 * 40 * 480
    assert buffer.stats.underruns == 0


def test_a_flood_after_running_dry_does_not_cut_what_still_fades_out() -> None:
    buffer = PcmBuffer(SPEC, depth=0.03)
    for number in range(3):
        buffer.push(piece(number))
    heard = [buffer.read(3 * 480 - 32), buffer.read(64)]  # dry in the middle of it
    for number in range(3, 23):
        buffer.push(piece(number))
    heard += [buffer.read(64) for _ in range(6)]
    assert buffer.stats.skipped == 17 * 480
    assert np.abs(np.diff(np.concatenate(heard)[:, 0])).max() < 3 / FADE


def test_a_missing_piece_is_counted_and_another_stream_is_not() -> None:
    buffer = PcmBuffer(SPEC, depth=0.01)
    for number in (0, 1, 4, 5, 0, 1):
        buffer.push(piece(number))
    assert buffer.stats.lost == 2


@pytest.mark.parametrize(
    ("about", "field"),
    [
        ({"rate": 4_000}, "pcm.rate"),
        ({"rate": 44_100.5}, "pcm.rate"),
        ({"frames": 63}, "pcm.frames"),
        ({"frames": 8193}, "pcm.frames"),
        ("48000", "pcm"),
    ],
)
def test_a_wish_out_of_limits_is_refused_by_name(about: object, field: str) -> None:
    hello = {"type": "hello", "version": 1, "time": 0.0, "pcm": about}
    error = decode(msgspec.msgpack.encode(hello))
    assert isinstance(error, Error)
    assert (error.code, error.field) == ("invalid", field)


def test_an_old_hello_asks_for_no_sound() -> None:
    hello = decode(msgspec.msgpack.encode({"type": "hello", "version": 1, "time": 0.0}))
    assert isinstance(hello, Hello)
    assert hello.pcm is None


def test_half_a_frame_is_no_sound() -> None:
    with pytest.raises(ValueError, match="samples: expected whole frames of 8 bytes, got 12") as at:
        Pcm(0, bytes(12))
    assert invalid(at.value).field == "samples"
    half = {"type": "pcm", "number": 0, "samples": b"1"}
    assert decode_reply(msgspec.msgpack.encode(half)) is None
    assert decode_reply(encode(piece(7))) == piece(7)


def test_a_client_that_did_not_ask_has_no_sound_to_read() -> None:
    with Client("tcp://127.0.0.1:1") as client, pytest.raises(ValueError, match="pcm: expected"):
        client.read_pcm(64)
