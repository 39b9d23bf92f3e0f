"""The whole recipe, step by step: build -> codec -> scenes -> transformer -> weights.

Each step reads what the former wrote and can be run again; a finished one is cheap to repeat.
"""

import logging
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.errors import MediaError
from diegetic.model.decoder import Decoder
from diegetic.model.spectral import SpectralLatents
from diegetic.training.audio_store import AudioStore
from diegetic.training.dataset import SceneArrays, Tables
from diegetic.training.draft import merge, save_scenes
from diegetic.training.scenes import GameSession, Studio, render_scenes

log = logging.getLogger(__name__)

SHARD = 500


def load_latents(codec: Path) -> SpectralLatents:
    """The fitted analysis of a codec checkpoint.

    Raises:
        MediaError: there is no checkpoint yet.
    """
    if not codec.is_file():
        raise MediaError(f"no codec checkpoint at {codec}: run `diegetic train codec` first")
    decoder = Decoder()
    decoder.load_state_dict(torch.load(codec, weights_only=True)["model"])
    return decoder.latents


def load_games(build: Path, split: str) -> list[GameSession]:
    """Recorded games of `split`; their pictures are numbered on, game after game."""
    games, count = [], 0
    for path in sorted((build / "vizdoom").glob("*.npz")):
        with np.load(path) as saved:
            if str(saved["split"]) != split:
                continue
            times = saved["frame_times"]
            games.append(
                GameSession(
                    path=path,
                    audio=saved["audio"],
                    frame_times=times,
                    first_picture=count,
                    event_names=[str(name) for name in saved["event_names"]],
                    event_times=saved["event_times"],
                    tic_times=saved["tic_times"],
                    parameters={
                        name: saved[name].astype(np.float32) for name in ("health", "threat")
                    },
                    switches={
                        name: [str(value) for value in saved[name]]
                        for name in ("area", "underfoot")
                    },
                )
            )
            count += len(times)
    return games


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


def _shard(
    build: Path, codec: Path, first: int, count: int, seed: int
) -> tuple[SceneArrays, list[str]]:
    torch.set_num_threads(1)
    return render_scenes(open_studio(build), load_latents(codec), range(first, first + count), seed)


def build_scenes(
    build: Path, codec: Path, out: Path, count: int, seed: int, workers: int = 2
) -> None:
    """Compose `count` scenes, embed their texts and pictures, write `out/scenes.npz`."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(_shard, build, codec, first, min(SHARD, count - first), seed)
            for first in range(0, count, SHARD)
        ]
        parts = []
        for number, job in enumerate(jobs, 1):
            parts.append(job.result())
            log.info("scenes: %d of %d parts", number, len(jobs))
    arrays, texts = merge(parts)
    log.info("embedding %d texts", len(texts))
    embedded = TextEncoder(threads=workers).encode_many(texts)
    pictures = load_pictures(build)
    used = np.unique(arrays.frame[arrays.frame >= 0])
    log.info("embedding %d pictures", len(used))
    image = ImageEncoder(threads=workers)
    frames = np.zeros((len(pictures), 1280), np.float16)
    for begin in range(0, len(used), 32):
        chosen = used[begin : begin + 32]
        frames[chosen] = image.encode_many([pictures[i] for i in chosen])
    save_scenes(out, arrays, Tables(embedded.astype(np.float16), frames))
