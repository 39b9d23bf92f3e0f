"""What training scenes are made of: sounds, recorded games, pictures, and how they are laid."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diegetic.config import RATE
from diegetic.errors import MediaError
from diegetic.training.audio_store import AudioStore, Segment
from diegetic.training.draft import LEAD, SAMPLES, Audio, Draft
from diegetic.training.made import within_share


@dataclass(frozen=True)
class GameSession:
    """A recorded game: sound, and frames whose pictures start at `first_picture` in the table."""

    path: Path
    audio: NDArray[np.int16]
    frame_times: NDArray[np.float64]
    first_picture: int
    event_names: list[str]
    event_times: NDArray[np.float64]
    tic_times: NDArray[np.float64]
    parameters: dict[str, NDArray[np.float32]]
    switches: dict[str, list[str]]


class Studio:
    """The sounds, games and pictures of the training split; of the held-out one it has nothing."""

    def __init__(
        self,
        store: AudioStore,
        games: list[GameSession],
        surfaces: dict[str, list[int]],
        black_picture: int,
    ) -> None:
        """`surfaces`: numbers of the pictures that show each kind of ground."""
        train = [s for s in store.segments if s.split == "train"]
        self._store = store
        self.games = games
        self.surfaces = surfaces
        self.black_picture = black_picture
        # A ringtone loops, but is no ambience.
        steady = [s for s in train if s.kind == "bed" and "ui" not in s.category]
        self._beds = _Pool("bed", steady, lambda s: s.samples)
        self._shots = _Pool("oneshot", [s for s in train if s.kind == "oneshot"], lambda s: 1)
        self._music = _Pool("music", [s for s in train if s.kind == "music"], lambda s: s.samples)
        self.steps = {
            surface: [
                s
                for s in train
                if s.category == "footstep" and surface in " ".join(s.captions).lower()
            ]
            for surface in surfaces
        }

    def draw_bed(self, rng: np.random.Generator) -> Segment:
        return self._beds.draw(rng)

    def draw_shot(self, rng: np.random.Generator) -> Segment:
        return self._shots.draw(rng)

    def draw_music(self, rng: np.random.Generator) -> Segment:
        return self._music.draw(rng)

    def lay(self, audio: Audio, segment: Segment, rng: np.random.Generator, gain_db: float) -> None:
        """Add a stretch of `segment` from a random place, looped where it is too short."""
        start = int(rng.integers(segment.samples))
        at = 0
        gain = np.float32(10 ** (gain_db / 20))
        while at < len(audio):
            piece = self._store.read(segment, start, min(len(audio) - at, segment.samples - start))
            audio[at : at + len(piece)] += gain * piece
            at, start = at + len(piece), 0

    def place(
        self, audio: Audio, segment: Segment, at: float, gain: float, pan: float = 0.0
    ) -> None:
        """Add the whole of `segment`, `at` seconds into the scene, `pan` from -1 (left) to 1."""
        begin = LEAD + round(at * RATE)
        skip = max(0, -begin)
        count = min(segment.samples - skip, len(audio) - max(begin, 0))
        if count > 0:
            sides = np.array([min(1.0, 1.0 - pan), min(1.0, 1.0 + pan)], np.float32)
            sound = self._store.read(segment, skip, count)
            audio[max(begin, 0) :][:count] += np.float32(gain) * sides * sound

    def scatter(self, draft: Draft, rng: np.random.Generator, count: int) -> None:
        """Place `count` one-shots at random times, each told as an event."""
        for at in sorted(rng.uniform(-0.5, SAMPLES / RATE - 0.1, count)):
            segment = self.draw_shot(rng)
            gain = 10 ** (float(rng.uniform(-10, 2)) / 20)
            self.place(draft.stem("foley"), segment, float(at), gain)
            draft.events.append((caption(segment, rng), float(at), gain))


class _Pool:
    """Segments of which a rare thing is drawn more often than its length says.

    A thing (the first caption) is drawn by the root of how much there is of it, and of its sounds
    the longer one more often: whoever records a minute of rain means it. Of all draws no more than
    `made.SHARE` are of sounds that are made here.
    """

    def __init__(self, kind: str, segments: list[Segment], size: Callable[[Segment], int]) -> None:
        self._kind, self._segments = kind, segments
        sizes = np.array([size(segment) for segment in segments], np.float64)
        names = [segment.captions[0] for segment in segments]
        _, thing = np.unique(names, return_inverse=True)
        amounts = np.bincount(thing, sizes)[thing] if segments else sizes
        weights = sizes / np.sqrt(np.maximum(amounts, 1e-12))
        chances = within_share(weights, [segment.package for segment in segments])
        self._below = np.cumsum(chances)

    def draw(self, rng: np.random.Generator) -> Segment:
        if not self._segments:
            raise MediaError(f"scenes need sounds of every kind, the build has no {self._kind}")
        place = int(np.searchsorted(self._below, rng.random() * self._below[-1], side="right"))
        return self._segments[min(place, len(self._segments) - 1)]


def caption(segment: Segment, rng: np.random.Generator) -> str:
    """One of the ways to say what `segment` is."""
    return segment.captions[int(rng.integers(len(segment.captions)))]
