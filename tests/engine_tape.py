"""Tapes of an engine, written by hand, for tests."""

import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile

from diegetic import Session
from diegetic.config import RATE
from diegetic.snapshot import FloatArray
from diegetic.tape import read_tape, render_tape
from diegetic_bridge import (
    Bus,
    Event,
    Frame,
    Hello,
    Listener,
    Loudness,
    Parameter,
    ParameterSpec,
    Prompt,
    Switch,
    SwitchSpec,
)
from diegetic_bridge.messages import Said
from diegetic_bridge.tape import Left, TapeWriter
from tone_generator import ToneGenerator, plain_conditioner

HELLO = Hello(
    1,
    0.0,
    "test",
    parameters=[ParameterSpec("threat")],
    switches=[SwitchSpec("surface", ["grass", "stone"])],
)
PIXELS = np.arange(9 * 16 * 3, dtype=np.uint8).reshape(9, 16, 3)


def make_session(seed: int = 0) -> Session:
    return Session(seed=seed, generator=ToneGenerator(), conditioner=plain_conditioner)


def write_tape(path: Path, *said: tuple[float, Said | Frame], length: float = 2.0) -> Path:
    """A tape whose messages arrive at these seconds after the hello."""
    tape = TapeWriter(path)
    tape.hear(HELLO, 50.0, 50.0)
    for moment, message in said:
        tape.hear(message, 50.0 + moment, 50.0 + moment)
    tape.hear(Left(), 50.0 + length, 50.0 + length)
    tape.close()
    return path


def full_tape(path: Path) -> Path:
    return write_tape(
        path,
        (0.1, Prompt("rain on a roof", 0.1)),
        (0.3, Parameter("threat", 0.5, 0.3)),
        (0.5, Frame(16, 9, 0.5, PIXELS.tobytes())),
        (0.7, Event(1, "shot", 0.7)),
        (0.9, Switch("surface", "stone", 0.9)),
        (1.0, Bus("beds", 1.0, gain_db=-6.0)),
        (1.05, Loudness(1.05, -30.0)),
        (1.1, Listener((0.0, 1.0, 0.0), 1.1)),
        (1.42, Prompt("storm", 1.42, blend={"wind": 0.5}, ramp=0.2)),
    )


def rendered(tape: Path, target: Path, seed: int = 0) -> FloatArray:
    with make_session(seed) as session:
        render_tape(read_tape(tape), session, target)
    sound, rate = soundfile.read(target, dtype="float32")
    assert rate == RATE
    return np.asarray(sound, np.float32)


def parts_of(path: Path) -> list[bytes]:
    data, parts = path.read_bytes(), []
    while data:
        length, checksum = struct.unpack_from("<II", data)
        parts.append(data[8 : 8 + length])
        assert zlib.crc32(parts[-1]) == checksum
        data = data[8 + length :]
    return parts
