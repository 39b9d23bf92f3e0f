"""Write a scene to a sound file, as fast as it can be made."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray
from diegetic.sound_file import writing

STEP = 0.16  # seconds between two reports of progress: one default hop
FADE = 0.05  # seconds; the last samples fall to zero along half a cosine


class Source(Protocol):
    """The part of a Session that rendering needs."""

    def read(self, seconds: float) -> FloatArray: ...


class Viewer(Source, Protocol):
    """The part of a Session that a picture needs."""

    def push_frame(self, pixels: NDArray[np.uint8]) -> None: ...


class PictureShown:
    """A session that sees `pixels`, (height, width, 3) uint8, whenever it is read."""

    def __init__(self, session: Viewer, pixels: NDArray[np.uint8]) -> None:
        self._session, self._pixels = session, pixels

    def read(self, seconds: float) -> FloatArray:
        self._session.push_frame(self._pixels)
        return self._session.read(seconds)


def render(
    session: Source,
    target: Path,
    seconds: float,
    on_progress: Callable[[float], None] = lambda done: None,
) -> float:
    """Write `seconds` of `session` to `target` and return the level, RMS in dBFS.

    Formats are those of `sound_file.writing`; there is a fade of 50 ms at the end. `on_progress`
    receives the seconds written.

    Raises:
        DiegeticError: `seconds` is not positive.
        MediaError: the format is unknown, or the file cannot be written.
    """
    if not 0 < seconds < float("inf"):
        raise DiegeticError(f"seconds must be positive and finite, got {seconds:g}")
    length = max(round(seconds * RATE), 1)
    written, energy = 0, 0.0
    with writing(target) as file:
        while written < length:
            samples = session.read(STEP)[: length - written]
            samples = samples.clip(-1, 1) * _closing_fade(written, len(samples), length)
            file.write(samples)
            written += len(samples)
            energy += float(np.square(samples, dtype=np.float64).sum())
            on_progress(written / RATE)
    return float(10 * np.log10(energy / (length * CHANNELS) + 1e-20))


def _closing_fade(start: int, count: int, length: int) -> FloatArray:
    """Gains (count, 1) for samples from `start` of a sound of `length` samples."""
    fade = min(round(FADE * RATE), length)
    left = np.clip((length - 1 - np.arange(start, start + count)) / fade, 0.0, 1.0)
    return (0.5 - 0.5 * np.cos(np.pi * left)).astype(np.float32)[:, None]
