"""Read the built sounds: one memory-mapped file of samples and one line of JSON a segment."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diegetic.errors import MediaError
from diegetic.training import catalog


@dataclass(frozen=True)
class Segment:
    """One sound of the build: where it lies, what it is, and how people would say it."""

    offset: int
    samples: int
    package: str
    path: str
    kind: str
    category: str
    captions: tuple[str, ...]
    split: str


class AudioStore:
    """Random access to the built sounds below `root` (48 kHz stereo)."""

    def __init__(self, root: Path) -> None:
        index, audio = root / "segments.jsonl", root / "audio.i16"
        if not index.is_file() or not audio.is_file():
            raise MediaError(
                f"no built sounds in {root}: "
                "run `diegetic data fetch` and `diegetic data build` first"
            )
        self._audio = np.memmap(audio, np.int16, "r").reshape(-1, 2)
        heldout = catalog.heldout_packages()  # the list decides, also of what was built before
        rows = (json.loads(line) for line in index.read_text(encoding="utf-8").splitlines())
        self.segments = [
            Segment(
                row["offset"],
                row["samples"],
                row["package"],
                row["path"],
                row["kind"],
                row["category"],
                tuple(row["captions"]),
                "heldout" if row["package"] in heldout else row["split"],
            )
            for row in rows
        ]

    def read(self, segment: Segment, start: int, count: int) -> NDArray[np.float32]:
        """`count` samples (count, 2) of `segment` from `start`; zeros beyond its end."""
        out = np.zeros((count, 2), np.float32)
        first = segment.offset + start
        have = self._audio[first : segment.offset + min(segment.samples, start + count)]
        out[: len(have)] = have
        return out / 32768.0
