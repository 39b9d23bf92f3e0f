import io
import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from diegetic.mixer.commands import Command, LoadClip, SetListener, StartVoice, encode
from diegetic.player.commands import PACE, CommandWriter, read_commands

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Pipe:
    """A real pipe whose reader starts when the test says so."""

    def __init__(self) -> None:
        out, into = os.pipe()
        self.into = io.FileIO(into, "wb")
        self._out = io.FileIO(out, "rb")
        self.commands: deque[Command] = deque()
        self._reader = threading.Thread(target=read_commands, args=(self._out, self.commands))

    def read(self) -> None:
        self._reader.start()

    def drained(self) -> list[Command]:
        self._reader.join(20)
        assert not self._reader.is_alive()
        return list(self.commands)

    def break_off(self) -> None:
        self._out.close()

    def close(self) -> None:
        self.into.close()
        self._out.close()


class CountingPipe(io.FileIO):
    """Writes to the same pipe as `other`, and counts how often."""

    def __init__(self, other: io.FileIO) -> None:
        super().__init__(os.dup(other.fileno()), "wb")
        self._other = other
        self.writes = 0

    def write(self, data: "Buffer") -> int:
        self.writes += 1
        return super().write(data)

    def close(self) -> None:
        self._other.close()  # the reader's end comes when both are closed
        super().close()


class Pieces(io.RawIOBase):
    """Says `data` in two pieces, cut at `cut`, and in as many more as the reader wants."""

    def __init__(self, data: bytes, cut: int) -> None:
        self._parts = [io.BytesIO(data[:cut]), io.BytesIO(data[cut:])]

    def read(self, size: int = -1) -> bytes:
        return self._parts[0].read(size) or self._parts[1].read(size)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def clip(number: int) -> LoadClip:
    return LoadClip(number, np.full((48_000, 2), number / 100, "<f4").tobytes())


def test_small_and_large_commands_arrive_in_the_order_in_which_they_were_sent(pipe: Pipe) -> None:
    sent: list[Command] = []
    for number in range(20):
        sent += [clip(number), *(StartVoice(10 * number + n, number) for n in range(5))]
    writer = CommandWriter(pipe.into)
    pipe.read()
    for command in sent:
        writer.send(command)
    writer.close()
    assert pipe.drained() == sent


def test_a_full_pipe_makes_no_caller_wait_and_loses_nothing(pipe: Pipe) -> None:
    sent: list[Command] = [StartVoice(number, 1) for number in range(20_000)]
    writer = CommandWriter(pipe.into)
    for command in sent:  # nobody reads: this would hang
        writer.send(command)
    pipe.read()
    writer.close()
    assert pipe.drained() == sent


def test_what_comes_close_together_is_written_together(pipe: Pipe) -> None:
    sent: list[Command] = [StartVoice(number, 1) for number in range(500)]
    gate = threading.Event()
    into = CountingPipe(pipe.into)
    writer = CommandWriter(into, clock=lambda: 0.0, sleep=lambda seconds: gate.wait(20))
    pipe.read()
    for command in sent:
        writer.send(command)
    assert into.writes == 1  # the first came alone
    gate.set()
    writer.close()
    assert pipe.drained() == sent
    assert into.writes == 2


def test_commands_far_from_each_other_wait_for_nobody(pipe: Pipe) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        raise AssertionError("nothing had to wait")

    into = CountingPipe(pipe.into)
    writer = CommandWriter(into, clock=lambda: now[0], sleep=sleep)
    pipe.read()
    for number in range(20):
        writer.send(StartVoice(number, 1))
        assert into.writes == number + 1
        now[0] += PACE
    writer.close()
    assert pipe.drained() == [StartVoice(number, 1) for number in range(20)]


def test_commands_are_read_wherever_the_pipe_cuts_them() -> None:
    sent: list[Command] = [StartVoice(1, 1), clip(2), SetListener(), StartVoice(2, 1)]
    data = b"".join(len(said).to_bytes(4, "little") + said for said in map(encode, sent))
    for cut in (1, 3, 4, 5, 40, len(data) - 1, len(data)):
        heard: deque[Command] = deque()
        read_commands(Pieces(data, cut), heard)
        assert list(heard) == sent


def test_a_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    writer = CommandWriter(pipe.into)
    pipe.break_off()
    writer.send(StartVoice(1, 1))
    writer.send(clip(1))
    writer.close()
    writer.send(StartVoice(2, 1))


def test_what_is_no_command_is_left_out_and_a_torn_one_ends_the_reading(pipe: Pipe) -> None:
    writer = CommandWriter(pipe.into)
    pipe.read()
    pipe.into.write(b"\x03\x00\x00\x00abc")
    writer.send(SetListener())
    pipe.into.write(b"\xff\x00\x00\x00abc")
    writer.close()
    assert pipe.drained() == [SetListener()]
