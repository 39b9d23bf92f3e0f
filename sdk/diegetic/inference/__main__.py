"""Answer one session's process: `python -m diegetic.inference`, requests on stdin."""

import gc
import io
import logging
import os
import signal
import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diegetic.child_process import go_first
from diegetic.conditioning import Conditioner
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.errors import DiegeticError
from diegetic.generator import GeneratorState, load_generator
from diegetic.inference.messages import (
    Answer,
    Condition,
    Embed,
    Generate,
    Look,
    Open,
    Place,
    receive,
    send,
)
from diegetic.snapshot import Conditioning, FloatArray, Frame

_NICENESS = -5  # behind the player, before what can wait


def main() -> int:
    """Answer until the session's process closes the pipe, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it says when to end
    go_first(_NICENESS)
    requests, answers = io.FileIO(0, closefd=False), io.FileIO(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not end up among the answers
    notes = _Notes()
    logging.getLogger().addHandler(notes)
    desk: _Desk | None = None
    try:
        while True:
            request = receive(requests)
            try:
                if isinstance(request, Open):
                    desk = _Desk(request)
                    gc.collect()
                    gc.freeze()  # networks live as long as the process: no collection looks at them
                    answer = Answer()
                else:
                    assert desk is not None
                    answer = Answer(desk.answer(request))
            except DiegeticError as error:
                answer = Answer(error=error)
            except Exception as error:  # the session must hear of any
                logging.getLogger(__name__).exception("an answer failed")
                answer = Answer(error=RuntimeError(f"{type(error).__name__}: {error}"))
            send(answers, replace(answer, logged=notes.take()))
    except (EOFError, OSError):
        return 0


class _Desk:
    """The networks, and the states and pictures that requests name by their numbers."""

    def __init__(self, opening: Open) -> None:
        self._generator = load_generator(
            opening.weights, backend=opening.backend, nfe=opening.nfe, config=opening.config
        )
        self._conditioner = Conditioner(TextEncoder(), ImageEncoder())
        self._states: dict[int, GeneratorState] = {}
        self._pictures: dict[int, NDArray[np.uint8]] = {}

    def answer(
        self, request: Condition | Embed | Generate | Look
    ) -> Conditioning | FloatArray | None:
        match request:
            case Condition():
                return self._condition(request)
            case Look(number, pixels, dropped):
                self._show({number: pixels}, dropped)
                self._conditioner.look(pixels)
                return None
            case Embed(text):
                return self._conditioner.embed(text)
            case Generate():
                return self._generate(request)

    def _condition(self, request: Condition) -> Conditioning:
        self._show(request.pictures, request.dropped)
        frames = tuple(Frame(self._pictures[number], time) for number, time in request.frames)
        return self._conditioner(replace(request.snapshot, frames=frames))

    def _show(self, pictures: dict[int, NDArray[np.uint8]], dropped: tuple[int, ...]) -> None:
        for number in dropped:
            del self._pictures[number]
        self._pictures.update(pictures)

    def _generate(self, request: Generate) -> FloatArray:
        for number in request.dropped:
            self._states.pop(number, None)
        chunk, self._states[request.after] = self._generator.generate(
            self._state(request.place), request.conditioning
        )
        return chunk

    def _state(self, place: Place) -> GeneratorState:
        known = self._states.get(place.number)
        if known is not None:
            return known
        return replace(self._generator.start(place.seed), position=place.position)


class _Notes(logging.Handler):
    """Keeps warnings for the session's process."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self._kept.append((record.name, record.levelno, text))

    def take(self) -> tuple[tuple[str, int, str], ...]:
        kept, self._kept = self._kept, []
        return tuple(kept)


if __name__ == "__main__":
    sys.exit(main())
