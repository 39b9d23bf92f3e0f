"""The whole recipe, step by step: build -> codec -> scenes -> transformer -> weights.

Each step reads what the former wrote and can be run again; a finished one is cheap to repeat.
"""

import hashlib
import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.errors import DiegeticError, MediaError
from diegetic.model.spectral import SpectralLatents
from diegetic.training import catalog
from diegetic.training.atomic import replace_text
from diegetic.training.audio_store import AudioStore
from diegetic.training.dataset import Tables
from diegetic.training.draft import merge, save_scenes
from diegetic.training.engines import open_engine
from diegetic.training.origin import load_decoder
from diegetic.training.scene_parts import Parts, Stamp, read_part, read_stamp, write_part
from diegetic.training.scenes import render_scenes
from diegetic.training.studio import GameSession, Studio

log = logging.getLogger(__name__)

PART = 500  # scenes
_RECIPE = ("scenes.py", "studio.py", "draft.py", "compose.py", "catalog/heldout.txt")


def load_latents(codec: Path) -> SpectralLatents:
    """The fitted analysis of a codec's checkpoint or of a weights folder.

    Raises:
        MediaError: there is no checkpoint yet.
        WeightsError: it is damaged, or of another model.
    """
    if not codec.exists():
        raise MediaError(f"no codec checkpoint at {codec}: run `diegetic train codec` first")
    return load_decoder(codec).latents


def load_games(build: Path, split: str) -> list[GameSession]:
    """Recorded games of `split`; their pictures are numbered on, game after game.

    Raises:
        MediaError: a recording is damaged.
    """
    games: list[GameSession] = []
    count = 0
    for path in sorted((build / "vizdoom").glob("*.npz")):
        # The list decides, also of what was recorded before it was changed.
        held = "/".join(path.stem.split("_")[:2]) in catalog.heldout_maps()
        try:
            with path.open("rb") as file, np.load(file) as saved:
                if ("heldout" if held else str(saved["split"])) != split:
                    continue
                games.append(_game(path, saved, count))
        except (zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError) as error:
            raise MediaError(
                f"{path} is damaged: delete it and run `diegetic data vizdoom` again ({error})"
            ) from error
        count += len(games[-1].frame_times)
    return games


def _game(path: Path, saved: Mapping[str, NDArray[Any]], first_picture: int) -> GameSession:
    return GameSession(
        path=path,
        audio=saved["audio"],
        frame_times=saved["frame_times"],
        first_picture=first_picture,
        event_names=[str(name) for name in saved["event_names"]],
        event_times=saved["event_times"],
        tic_times=saved["tic_times"],
        parameters={name: saved[name].astype(np.float32) for name in ("health", "threat")},
        switches={name: [str(value) for value in saved[name]] for name in ("area", "underfoot")},
    )


@cache
def open_studio(build: Path) -> Studio:
    """Everything that scenes are composed of."""
    games = load_games(build, "train")
    count = sum(len(game.frame_times) for game in games)
    surfaces: dict[str, list[int]] = {}
    textures = build / "textures.npz"
    if textures.is_file():
        with np.load(textures) as saved:
            names = saved["surface"]
        for offset, surface in enumerate(names):
            surfaces.setdefault(str(surface), []).append(count + offset)
        count += len(names)
    return Studio(AudioStore(build), games, surfaces, black_picture=count)


def load_pictures(build: Path) -> NDArray[np.uint8]:
    """The pictures that scenes refer to, (P, height, width, 3): games, textures, black."""
    parts = [np.load(game.path)["frames"] for game in load_games(build, "train")]
    textures = build / "textures.npz"
    if textures.is_file():
        parts.append(np.load(textures)["pixels"])
    parts.append(np.zeros((1, 72, 128, 3), np.uint8))
    return np.concatenate(parts)


@dataclass(frozen=True)
class _Job:
    """One part of the scenes, for a worker."""

    build: Path
    codec: Path
    path: Path
    first: int
    count: int
    seed: int


def _render(job: _Job) -> None:
    torch.set_num_threads(1)
    numbers = range(job.first, job.first + job.count)
    part = render_scenes(open_studio(job.build), load_latents(job.codec), numbers, job.seed)
    write_part(job.path, part, job.count)


def build_scenes(
    build: Path,
    codec: Path,
    out: Path,
    count: int,
    seed: int,
    workers: int = 2,
    engine: str = "processes",
) -> None:
    """Compose `count` scenes, embed their texts and pictures, write `out/scenes.npz`.

    They are rendered in parts by `workers` processes of `engine` (see `engines`) and kept below
    `out/parts` until all are done: a run that was stopped goes on. Nothing is done where
    scenes.npz is there already, made from the same.

    Raises:
        DiegeticError: a worker died or the disk is full, and how much is kept; or `out/parts`
            holds parts made from something else.
        MediaError: there is no codec or no build, or a part is damaged.
    """
    runner = open_engine(engine, workers)
    stamp = _stamp(build, load_latents(codec), count, seed)
    if (out / "scenes.npz").exists() and read_stamp(out / "scenes.json") == stamp:
        log.info("scenes: %s is there already", out / "scenes.npz")
        return
    parts = Parts(out / "parts", stamp)
    sizes = [min(PART, count - first) for first in range(0, count, PART)]
    jobs = [
        _Job(build, codec, parts.path(number), number * PART, size, seed)
        for number, size in enumerate(sizes)
        if not parts.whole(number, size)
    ]
    done = len(sizes) - len(jobs)
    try:
        for _ in runner.map(_render, jobs):
            done += 1
            log.info("scenes: %d of %d parts", done, len(sizes))
    except (DiegeticError, OSError, MemoryError) as error:
        raise DiegeticError(
            f"{error or type(error).__name__}; {done} of {len(sizes)} parts are kept in "
            f"{parts.folder}: run again to go on"
        ) from error
    arrays, texts = merge([read_part(parts.path(k), size) for k, size in enumerate(sizes)])
    save_scenes(out, arrays, _embed(build, texts, arrays.frame, workers))
    replace_text(out / "scenes.json", json.dumps(dict(stamp), indent=1))
    parts.delete()


def _stamp(build: Path, latents: SpectralLatents, count: int, seed: int) -> Stamp:
    """What the scenes depend on: another of these, and they are others."""
    analysis = hashlib.sha256(b"".join(x.numpy().tobytes() for x in latents.buffers()))
    sounds = hashlib.sha256((build / "segments.jsonl").read_bytes())
    sounds.update(str((build / "audio.i16").stat().st_size).encode())
    for path in (*sorted((build / "vizdoom").glob("*.npz")), build / "textures.npz"):
        if path.is_file():
            with path.open("rb") as file:
                sounds.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    recipe = hashlib.sha256()
    for name in _RECIPE:
        recipe.update(files("diegetic.training").joinpath(name).read_bytes())
    return {
        "scenes": count,
        "seed": seed,
        "part": PART,
        "codec": analysis.hexdigest()[:16],
        "build": sounds.hexdigest()[:16],
        "recipe": recipe.hexdigest()[:16],
    }


def _embed(build: Path, texts: Sequence[str], shown: NDArray[np.int32], workers: int) -> Tables:
    """Embed all `texts`, and of the pictures those that are `shown`."""
    log.info("embedding %d texts", len(texts))
    embedded = TextEncoder(threads=workers).encode_many(list(texts))
    pictures = load_pictures(build)
    used = np.unique(shown[shown >= 0])
    log.info("embedding %d pictures", len(used))
    image = ImageEncoder(threads=workers)
    frames = np.zeros((len(pictures), 1280), np.float16)
    for begin in range(0, len(used), 32):
        chosen = used[begin : begin + 32]
        frames[chosen] = image.encode_many([pictures[i] for i in chosen])
    return Tables(embedded.astype(np.float16), frames)
