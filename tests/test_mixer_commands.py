import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegetic.errors import DiegeticError
from diegetic.mixer.commands import (
    Command,
    DeclareBus,
    DeclareSnapshot,
    DropClip,
    Duck,
    LoadClip,
    MoveVoice,
    PopSnapshot,
    PushSnapshot,
    SetBus,
    SetListener,
    SetMaster,
    StartVoice,
    StopVoice,
    checked,
    decode,
    encode,
)
from mixer_scene import clip, steady

ALL: list[Command] = [
    clip(3, steady(5)),
    DropClip(3),
    StartVoice(1, 3, at=7, gain_db=-3.0, bus="steps", position=(1.0, -2.0, 3.0), occlusion=0.5),
    MoveVoice(1, (0.0, 0.0, -1.0)),
    StopVoice(1, 0.5),
    DeclareBus("steps", "events", [Duck("beds", -6.0)]),
    SetBus("steps", gain_db=-6.0, mute=True, fade=0.1, at=9),
    DeclareSnapshot("pause", {"beds": -12.0}),
    PushSnapshot("pause", 0.2),
    PopSnapshot("pause", 0.2),
    SetListener((1.0, 2.0, 3.0), (1.0, 0.0, 0.0)),
    SetMaster(-18.0, -2.0),
]


@pytest.mark.parametrize("command", ALL, ids=lambda command: type(command).__name__)
def test_commands_cross_the_pipe_unchanged(command: Command) -> None:
    assert decode(encode(command)) == command
    assert checked(command) == command


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_no_number_that_is_none_gets_through(bad: float) -> None:
    for command in (
        StartVoice(1, 1, gain_db=bad),
        StartVoice(1, 1, position=(0.0, bad, 0.0)),
        StartVoice(1, 1, occlusion=bad),
        MoveVoice(1, (bad, 0.0, 0.0)),
        StopVoice(1, bad),
        SetBus("beds", gain_db=bad),
        SetBus("beds", fade=bad),
        DeclareSnapshot("s", {"beds": bad}),
        PushSnapshot("s", bad),
        DeclareBus("b", ducks=[Duck("beds", bad)]),
        SetMaster(bad),
        SetMaster(-16.0, bad),
    ):
        with pytest.raises(DiegeticError, match="Expected"):
            checked(command)


def test_a_ceiling_is_never_above_minus_one() -> None:
    with pytest.raises(DiegeticError, match=r"<= -1\.0"):
        checked(SetMaster(None, -0.5))


@pytest.mark.parametrize("bad", [math.nan, math.inf, 17.0])
def test_a_clip_with_a_sample_that_is_none_cannot_be_made(bad: float) -> None:
    samples = steady(100)
    samples[50, 1] = bad
    with pytest.raises(ValueError, match="finite"):
        clip(1, samples)


def test_a_clip_of_half_a_sample_is_refused_on_either_side() -> None:
    with pytest.raises(ValueError, match="multiple of 8 bytes"):
        LoadClip(1, b"abc" * 5)
    whole = encode(LoadClip(1, b"\0" * 16))
    with pytest.raises(DiegeticError, match="multiple of 8 bytes"):
        decode(whole.replace(b"\xc4\x10" + b"\0" * 16, b"\xc4\x0f" + b"\0" * 15))


@pytest.mark.parametrize("forward", [(0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (math.nan, 0.0, 0.0)])
def test_a_listener_must_know_where_its_right_is(forward: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="two directions"):
        SetListener(forward=forward)


@given(st.binary(max_size=64))
def test_bytes_that_are_no_command_are_an_error_of_ours(data: bytes) -> None:
    with suppress(DiegeticError):
        decode(data)


@given(st.sampled_from([encode(command) for command in ALL]), st.data())
def test_a_damaged_command_is_another_command_or_an_error_of_ours(
    whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DiegeticError):
        decode(bytes(damaged))


def test_numbers_of_numpy_are_numbers() -> None:
    told = StartVoice(np.int64(1), 2, at=np.int32(3), position=(np.float32(0.5), 0, np.float64(2)))  # type: ignore[arg-type]
    assert checked(told) == StartVoice(1, 2, at=3, position=(0.5, 0.0, 2.0))
    with pytest.raises(DiegeticError, match="got ndarray"):
        checked(StartVoice(1, 2, position=np.zeros(3)))  # type: ignore[arg-type]


def test_a_clip_arrives_bit_for_bit() -> None:
    samples = np.random.default_rng(0).standard_normal((100, 2)).astype("<f4")
    received = decode(encode(clip(1, samples)))
    assert isinstance(received, LoadClip)
    assert received.samples == samples.tobytes()
