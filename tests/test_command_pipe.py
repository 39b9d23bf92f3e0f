import io
import os
import threading
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from diegetic.mixer.commands import Command, LoadClip, SetListener, StartVoice
from diegetic.player.commands import CommandWriter, read_commands


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
