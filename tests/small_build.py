"""A build of noise, for tests: two sounds of each kind, one of them held out, and two games."""

import json
from pathlib import Path

import numpy as np

from diegetic.config import RATE

KINDS = {"bed": 5.0, "oneshot": 0.4, "music": 6.0}


def small_build(root: Path) -> Path:
    """Write the sounds into `root`; return it."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows, parts, offset = [], [], 0
    for kind, seconds in KINDS.items():
        for split in ("train", "heldout"):
            count = round(seconds * RATE)
            noise = rng.standard_normal((count, 2)) * np.hanning(count)[:, None] * 6000
            parts.append(noise.astype(np.int16))
            rows.append(
                {
                    "offset": offset,
                    "samples": count,
                    "package": f"{kind}-{split}",
                    "path": f"{kind}.wav",
                    "kind": kind,
                    "category": "nature",
                    "captions": [f"{kind} for {split}"],
                    "split": split,
                }
            )
            offset += count
    np.concatenate(parts).tofile(root / "audio.i16")
    (root / "segments.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return root


def add_game(build: Path, name: str, split: str, seconds: float = 4.0) -> Path:
    """Write the recording of a game that is heard all the time and seen once a tic."""
    folder = build / "vizdoom"
    folder.mkdir(exist_ok=True)
    tics = round(seconds * 35)
    path = folder / f"{name}.npz"
    rng = np.random.default_rng(len(name))
    np.savez(
        path,
        split=np.array(split),
        audio=rng.integers(-3000, 3000, (round(seconds * RATE), 2)).astype(np.int16),
        frames=np.zeros((tics // 2, 72, 128, 3), np.uint8),
        frame_times=np.arange(tics // 2) * 2 / 35,
        event_names=np.array(["shot", "door"]),
        event_times=np.array([0.5, 2.0]),
        tic_times=np.arange(tics) / 35,
        health=np.ones(tics),
        threat=np.zeros(tics),
        area=np.array(["indoors"] * tics),
        underfoot=np.array(["stone"] * tics),
    )
    return path
