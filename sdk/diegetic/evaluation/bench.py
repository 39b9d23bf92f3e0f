"""What entries work with: networks, a listener, the built data, and the sounds made so far."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
import soundfile

from diegetic.config import RATE
from diegetic.errors import MediaError
from diegetic.evaluation.codec import Codec
from diegetic.evaluation.corpus import Corpus
from diegetic.generator import Generator
from diegetic.session import Session
from diegetic.snapshot import Conditioning, FloatArray, Snapshot

T = TypeVar("T")

_SEEDS = 1_000_000  # streams of one seed of the evaluation


class Listener(Protocol):
    """An independent judge of sounds."""

    def hear(self, samples: FloatArray, rate: int) -> tuple[FloatArray, FloatArray]:
        """Samples (n, channels) -> mean class probabilities and mean embedding."""
        ...

    def rank(self, probabilities: FloatArray, labels: tuple[str, ...]) -> tuple[int, str]:
        """Best rank (1 is first) of any of `labels`, and which it was."""
        ...

    def top(self, probabilities: FloatArray, count: int = 3) -> str:
        """The most likely classes, in words."""
        ...


class Editor(Protocol):
    """Makes sound that fits to a recording (n, 2)."""

    def fill(
        self, audio: FloatArray, start_s: float, end_s: float, said: Conditioning, seed: int
    ) -> FloatArray:
        """`audio` with the stretch from `start_s` to `end_s` made anew."""
        ...

    def go_on(self, audio: FloatArray, said: Conditioning, seconds: float, seed: int) -> FloatArray:
        """The `seconds` that follow `audio`."""
        ...


class Renders:
    """Sounds that were made, as 16-bit WAV files below `folder`.

    What is returned was always read from its file, so figures do not depend on whether a run was
    interrupted.

    Args:
        folder: of these weights and this seed, and of no others.
        fresh: make all anew, even those that are there.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._folder = folder
        self._fresh = fresh
        self._made: set[Path] = set()

    def get(self, name: str, make: Callable[[], FloatArray]) -> FloatArray:
        """The sound `name` (n, 2), made if there is none yet.

        Raises:
            MediaError: its file cannot be written or read.
        """
        path = self.path(name)
        try:
            if not path.is_file() or (self._fresh and path not in self._made):
                samples = make().clip(-1, 1)
                path.parent.mkdir(parents=True, exist_ok=True)
                scratch = path.with_suffix(".part")
                soundfile.write(scratch, samples, RATE, subtype="PCM_16", format="WAV")
                scratch.replace(path)
                self._made.add(path)
        except (OSError, soundfile.LibsndfileError) as error:
            raise MediaError(f"cannot write {path}: {error}") from error
        return self.read(name)

    def read(self, name: str) -> FloatArray:
        """The sound `name` (n, 2), which is there.

        Raises:
            MediaError: it cannot be read.
        """
        path = self.path(name)
        try:
            samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise MediaError(f"cannot read {path}: {error}") from error
        return np.asarray(samples, np.float32)

    def path(self, name: str) -> Path:
        """Where the sound `name` is kept."""
        return self._folder / f"{name}.wav"


@dataclass(frozen=True)
class Voice:
    """A generator, the fingerprint of its weights, and the sounds that it has made."""

    generator: Generator
    weights: str
    renders: Renders


@dataclass(frozen=True)
class Job:
    """A sound to be made: its name, what is played, and the seed of the stream."""

    name: str
    play: Callable[[Session], FloatArray]
    seed: int


def _no_progress(entry: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class Bench:
    """Everything that entries need.

    Attributes:
        generator: makes the sound.
        conditioner: for `generator`.
        editor: works with `generator` on recordings.
        codec: that of `generator`.
        listener: the judge.
        corpus: the built data.
        renders: sounds made so far.
        at: the same weights with another number of evaluations per chunk.
        teacher: what a student is compared with; None where no weights of one were given.
        seed: of everything random.
        count: sounds of those entries that compare sets.
        on_progress: receives an entry's name, what is done and how much there is.
    """

    generator: Generator
    conditioner: Callable[[Snapshot], Conditioning]
    editor: Editor
    codec: Codec
    listener: Listener
    corpus: Corpus
    renders: Renders
    at: Callable[[int], Voice]
    teacher: Voice | None = None
    seed: int = 0
    count: int = 300
    on_progress: Callable[[str, int, int], None] = field(default=_no_progress)

    def stream_seed(self, number: int, seed: int | None = None) -> int:
        """The seed of stream `number` of this evaluation's seed, or another one."""
        return (self.seed if seed is None else seed) * _SEEDS + number

    def render(self, name: str, play: Callable[[Session], FloatArray], seed: int) -> FloatArray:
        """The sound `name`, (n, 2), which `play` reads from a session of its own."""

        def make() -> FloatArray:
            with Session(
                self.generator.config,
                seed=seed,
                generator=self.generator,
                conditioner=self.conditioner,
            ) as session:
                return play(session)

        return self.renders.get(name, make)

    def speaking(self, voice: Voice) -> Self:
        """This bench, with the generator and the sounds of `voice`."""
        return replace(self, generator=voice.generator, renders=voice.renders)

    def render_all(self, entry: str, jobs: Sequence[Job]) -> Iterator[FloatArray]:
        """The sounds of `jobs` in their order, (n, 2) each, made on all cores at a time.

        A sound does not depend on what is made beside it.
        """
        turn = threading.Lock()

        def conditioner(snapshot: Snapshot) -> Conditioning:
            with turn:  # one thread at a time may ask it
                return self.conditioner(snapshot)

        shared = replace(self, conditioner=conditioner)
        self.on_progress(entry, 0, len(jobs))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            waiting = deque(pool.submit(shared.render, j.name, j.play, j.seed) for j in jobs)
            try:
                for done in range(1, len(jobs) + 1):
                    yield waiting.popleft().result()
                    self.on_progress(entry, done, len(jobs))
            finally:
                for future in waiting:
                    future.cancel()

    def progress(self, entry: str, items: Sequence[T]) -> Iterator[T]:
        """Go through `items` and tell how far it is."""
        self.on_progress(entry, 0, len(items))
        for done, item in enumerate(items, 1):
            yield item
            self.on_progress(entry, done, len(items))

    def embeddings(self, sounds: Iterable[FloatArray]) -> FloatArray:
        """What the listener makes of each sound, (N, D)."""
        return np.stack([self.listener.hear(sound, RATE)[1] for sound in sounds])


def say(prompt: str, seconds: float) -> Callable[[Session], FloatArray]:
    """Play `seconds` of a scene in words."""

    def play(session: Session) -> FloatArray:
        session.set_prompt(prompt)
        return session.read(seconds)

    return play
