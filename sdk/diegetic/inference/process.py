"""The session's side: a generator and a conditioner that are in another process.

    session's process                        process of the networks
    snapshot, new pictures --condition-->    encoders         --> conditioning
    place, conditioning    --generate-->     chunk generator  --> chunk; the states stay there

A chunk is some hundred small steps of Python between the networks. In a process where another
thread computes, each of them waits for the interpreter's lock; there, nobody else wants it.
"""

import io
import itertools
import logging
import subprocess
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from diegetic.child_process import command, environment, flags, widen
from diegetic.config import StreamConfig
from diegetic.encoders.text import CACHED_TEXTS
from diegetic.errors import DiegeticError
from diegetic.generator import Backend, GeneratorState
from diegetic.inference.messages import (
    PIPE_SIZE,
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
from diegetic.snapshot import EVENT_SLOTS, FRAME_SLOTS, Conditioning, FloatArray, Snapshot

_PICTURES = 4 * FRAME_SLOTS  # that the other process remembers
_ATTEMPTS = 3  # processes that may die over one request
_PATIENCE = 5.0  # s for a process to end by itself

log = logging.getLogger(__name__)


class InferenceProcess:
    """A generator and, by `condition`, its conditioner, in a process of their own.

    Any thread may call; one request is answered at a time. A process that dies is replaced: the
    streams go on at their places, without a memory of what was heard before.

    Args:
        config: lengths of the stream.
        nfe: network evaluations per chunk; None are as many as is usual with these weights.
        backend: what computes.
        weights: folder of weights; None are those that ship.

    Raises:
        WeightsError, DiegeticError: as for `load_generator`.
    """

    def __init__(
        self,
        config: StreamConfig,
        *,
        nfe: int | None = None,
        backend: Backend = "auto",
        weights: Path | None = None,
    ) -> None:
        self.config = config
        self._opening = Open(config, nfe, backend, weights)
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._dropped: deque[int] = deque()  # states; by whichever thread collects them
        self._open = False
        self._child, self._end = self._start_child()
        self.conditioner = RemoteConditioner(self._ask)
        try:
            self._ask(None)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._child.pid

    def start(self, seed: int) -> GeneratorState:
        """The state before the first chunk; a bad `seed` is an error of the first `generate`."""
        return self._state(seed, 0)

    def generate(
        self, state: GeneratorState, conditioning: Conditioning
    ) -> tuple[FloatArray, GeneratorState]:
        """Make the next chunk, (config.chunk_samples, 2), and the state after its hop.

        Raises:
            DiegeticError: as for `ChunkGenerator.start`, or the processes die one after another.
        """
        place = cast(_Remote, state).place
        after = self._state(place.seed, place.position + self.config.hop_latents)
        number = cast(_Remote, after).place.number
        dropped = tuple(self._dropped.popleft() for _ in range(len(self._dropped)))
        request = Generate(place, number, conditioning, dropped)
        return cast(FloatArray, self._ask(lambda: request)), after

    def close(self) -> None:
        """End the process; another begins when something is asked.

        What is not closed ends when nobody has it any more.
        """
        with self._lock:
            self._end()

    def _state(self, seed: int, position: int) -> GeneratorState:
        """A state of the other process; only that looks into its states."""
        state = _Remote(Place(next(self._numbers), seed, position))
        weakref.finalize(state, self._dropped.append, state.place.number).atexit = False
        return cast(GeneratorState, state)

    def _ask(self, request: Callable[[], object] | None) -> object:
        """Send what `request` makes, and return the answer; of another process, if one dies.

        None asks for nothing, but that the networks are loaded.
        """
        with self._lock:
            for _ in range(_ATTEMPTS):
                if not self._end.alive:
                    self._open = False
                    self.conditioner.forget()
                    self._child, self._end = self._start_child()
                try:
                    if not self._open:
                        self._exchange(self._opening)
                        self._open = True
                    return None if request is None else self._exchange(request())
                except (EOFError, OSError):
                    code = self._child.returncode
                log.warning("the process of the networks ended with code %d; another begins", code)
        raise DiegeticError(
            f"the process of the networks ended {_ATTEMPTS} times in a row, at last with code "
            f"{code}"
        )

    def _exchange(self, request: object) -> object:
        try:
            send(cast(io.FileIO, self._child.stdin), request)
            answer: Answer = receive(cast(io.FileIO, self._child.stdout))
        except BaseException:
            self._end()  # interrupted, it would leave an answer to be taken for the next one
            raise
        return answer.unwrap()

    def _start_child(self) -> tuple["subprocess.Popen[bytes]", "weakref.finalize[..., Self]"]:
        """Start a process; return it and what ends it, at the latest when nobody has it any more.

        It is out of reach of the terminal's Ctrl-C: the session says when to end.
        """
        child = subprocess.Popen(
            command("diegetic.inference"),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            creationflags=flags(first=False),
        )
        for pipe in (child.stdin, child.stdout):
            widen(cast(io.FileIO, pipe).fileno(), PIPE_SIZE)
        return child, weakref.finalize(self, _end, child)


class RemoteConditioner:
    """Encodes snapshots, and words alone, in the process of the networks."""

    def __init__(self, ask: Callable[[Callable[[], object]], object]) -> None:
        self._ask = ask
        self._numbers = itertools.count()
        self._pictures: dict[int, tuple[NDArray[np.uint8], int]] = {}  # by id: pixels, number
        self._cached = lru_cache(CACHED_TEXTS)(self._embed)

    def __call__(self, snapshot: Snapshot) -> Conditioning:
        """Return `snapshot` as arrays.

        Raises:
            DiegeticError: the processes die one after another.
        """
        return cast(Conditioning, self._ask(lambda: self._request(snapshot)))

    def embed(self, text: str) -> FloatArray:
        """Return `text` as a unit vector (TEXT_DIM,), zero if it has no words; any thread may.

        What is new waits for the chunk in the making.

        Raises:
            DiegeticError: the processes die one after another.
        """
        return self._cached(text)

    def look(self, pixels: NDArray[np.uint8]) -> None:
        """Encode a picture that is going to be shown: (height, width, 3) uint8 RGB.

        Raises:
            DiegeticError: the processes die one after another.
        """
        if id(pixels) not in self._pictures:
            self._ask(lambda: Look(self._number(pixels)[0], pixels, self._drop()))

    def forget(self) -> None:
        """Take note that the process knows no picture any more."""
        self._pictures.clear()

    def _embed(self, text: str) -> FloatArray:
        return cast(FloatArray, self._ask(lambda: Embed(text)))

    def _request(self, snapshot: Snapshot) -> Condition:
        """Of many events those that are seen; pictures that were sent, by their numbers."""
        pictures: dict[int, NDArray[np.uint8]] = {}
        frames = []
        for frame in snapshot.frames:
            number, new = self._number(frame.pixels)
            if new:
                pictures[number] = frame.pixels
            frames.append((number, frame.time))
        events = sorted(snapshot.events, key=lambda event: event.time)[-EVENT_SLOTS:]
        told = replace(snapshot, frames=(), events=tuple(events))
        return Condition(told, tuple(frames), pictures, self._drop())

    def _number(self, pixels: NDArray[np.uint8]) -> tuple[int, bool]:
        """The number of a picture, and whether it is new; it is now the latest."""
        # pixels are kept beside their number, so that their id stays their own
        kept = self._pictures.pop(id(pixels), None)
        number = next(self._numbers) if kept is None else kept[1]
        self._pictures[id(pixels)] = (pixels, number)
        return number, kept is None

    def _drop(self) -> tuple[int, ...]:
        """The numbers of pictures that are too many; they are forgotten."""
        dropped = []
        while len(self._pictures) > _PICTURES:
            dropped.append(self._pictures.pop(next(iter(self._pictures)))[1])
        return tuple(dropped)


class _Remote:
    """Stands for a state of the other process; when it is collected, that state is dropped."""

    __slots__ = ("__weakref__", "place")

    def __init__(self, place: Place) -> None:
        self.place = place


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Close the pipes, which ends the process; kill it if it does not."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
