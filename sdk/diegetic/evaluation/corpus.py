"""The built data as the evaluation uses it: sounds and games that training never saw, and others.

Stretches of sounds are drawn by their number, not by how many are drawn: the first hundred of
three hundred are those of a hundred.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diegetic.config import RATE
from diegetic.errors import MediaError
from diegetic.snapshot import FloatArray
from diegetic.training.audio_store import AudioStore, Segment

KINDS = frozenset(("bed", "oneshot", "music"))


@dataclass(frozen=True)
class Clip:
    """A stretch of a sound: (n, 2), what it is called, and its kind."""

    audio: FloatArray
    caption: str
    kind: str


@dataclass(frozen=True)
class Game:
    """A recorded game.

    Attributes:
        name: of its map.
        split: "train" or "heldout".
        frames: (n, height, width, 3) uint8, seen at `frame_times` (s).
        audio: its own sound, (m, 2).
        event_names: what happened at `event_times` (s).
    """

    name: str
    split: str
    frames: NDArray[np.uint8]
    frame_times: NDArray[np.float64]
    audio: FloatArray
    event_names: tuple[str, ...]
    event_times: NDArray[np.float64]

    @property
    def seconds(self) -> float:
        return len(self.audio) / RATE


class Corpus:
    """What `diegetic data` built below `root`.

    Raises:
        MediaError: nothing was built there.
    """

    def __init__(self, root: Path) -> None:
        self._build = root / "build"
        self._store = AudioStore(self._build)
        self._training = [s for s in self._store.segments if s.split == "train"]

    def clips(
        self,
        split: Literal["train", "heldout"],
        count: int,
        seed: int,
        shortest: float,
        longest: float,
        kinds: frozenset[str] = KINDS,
    ) -> list[Clip]:
        """Up to `count` random sounds of `split` and `kinds`, each once.

        Of a sound longer than `longest` (s) it is a random stretch; those below `shortest` (s) are
        left out.

        Raises:
            MediaError: there are none.
        """
        fit = [
            segment
            for segment in self._store.segments
            if segment.split == split
            and segment.kind in kinds
            and segment.samples >= shortest * RATE
        ]
        if not fit:
            raise MediaError(
                f"no {split} sounds of at least {shortest:g} s ({', '.join(sorted(kinds))}) in "
                f"{self._build}: run `diegetic data fetch` and `diegetic data build`"
            )
        order = np.random.default_rng(seed).permutation(len(fit))
        return [self._clip(fit[index], seed, k, longest) for k, index in enumerate(order[:count])]

    @property
    def training_names(self) -> list[str]:
        """Package and path of every training sound."""
        return [f"{segment.package}: {segment.path}" for segment in self._training]

    def training(self) -> Iterator[FloatArray]:
        """Every training sound (n, 2), one at a time, in the order of `training_names`."""
        for segment in self._training:
            yield self._store.read(segment, 0, segment.samples)

    @property
    def training_captions(self) -> list[str]:
        """Every caption of the training sounds, once."""
        return sorted({text for segment in self._training for text in segment.captions})

    def answer(self, captions: Sequence[str], seconds: float) -> FloatArray:
        """Training sounds of `captions`, a different one for each, in turn for `seconds`, (n, 2).

        Of those that share a caption the longest come first.
        """
        parts: list[FloatArray] = []
        used: set[int] = set()
        for caption in captions:
            fit = [s for s in self._training if caption in s.captions and s.offset not in used]
            if fit:
                segment = max(fit, key=lambda segment: segment.samples)
                used.add(segment.offset)
                parts.append(self._store.read(segment, 0, segment.samples))
        whole = np.concatenate(parts)
        return np.resize(whole, (round(seconds * RATE), whole.shape[1]))

    def games(self) -> list[Game]:
        """The held-out games.

        Raises:
            MediaError: there are none, or one cannot be read.
        """
        found = (read_game(path) for path in sorted((self._build / "vizdoom").glob("*.npz")))
        games = [game for game in found if game.split == "heldout"]
        if not games:
            raise MediaError(
                f"no held-out games in {self._build / 'vizdoom'}: run `diegetic data vizdoom`"
            )
        return games

    def surface(self, name: str) -> NDArray[np.uint8]:
        """A picture (height, width, 3) of the ground `name`.

        Raises:
            MediaError: there is none.
        """
        path = self._build / "textures.npz"
        if path.is_file():
            with np.load(path) as saved:
                chosen = np.flatnonzero(saved["surface"] == name)
                if len(chosen):
                    return np.asarray(saved["pixels"][chosen[0]], np.uint8)
        raise MediaError(f"no picture of {name} in {path}: run `diegetic data textures`")

    def _clip(self, segment: Segment, seed: int, number: int, longest: float) -> Clip:
        rng = np.random.default_rng((seed, number))
        count = min(segment.samples, round(longest * RATE))
        start = int(rng.integers(segment.samples - count + 1))
        caption = segment.captions[int(rng.integers(len(segment.captions)))]
        return Clip(self._store.read(segment, start, count), caption, segment.kind)


def read_game(path: Path) -> Game:
    """A game that `diegetic data vizdoom` recorded.

    Raises:
        MediaError: it cannot be read.
    """
    try:
        with np.load(path) as saved:
            return Game(
                name=path.stem,
                split=str(saved["split"]),
                frames=saved["frames"],
                frame_times=saved["frame_times"],
                audio=saved["audio"].astype(np.float32) / 32768,
                event_names=tuple(str(name) for name in saved["event_names"]),
                event_times=saved["event_times"],
            )
    except (OSError, KeyError, ValueError) as error:
        raise MediaError(f"{path} is no recorded game: {error}") from error
