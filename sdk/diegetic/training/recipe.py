"""The whole recipe, step by step: build -> codec -> scenes -> transformer -> weights.

Each step reads what the former wrote and can be run again; a finished one is cheap to repeat.
"""

import logging
from concurrent.futures import ProcessPoolExecutor
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
from diegetic.training.scenes import GameSession, Studio, merge, render_scenes, save_scenes

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


def load_games(build: Path, split: str) -> tuple[list[GameSession], NDArray[np.uint8]]:
    """Recorded games of `split` and all their pictures (P, height, width, 3), in order."""
    games, pictures = [], [np.zeros((0, 72, 128, 3), np.uint8)]
    count = 0
    for path in sorted((build / "vizdoom").glob("*.npz")):
        with np.load(path) as saved:
            if str(saved["split"]) != split:
                continue
            frames = saved["frames"]
            games.append(
                GameSession(
                    audio=saved["audio"],
                    frame_times=saved["frame_times"],
                    first_picture=count,
                    event_names=[str(name) for name in saved["event_names"]],
                    event_times=saved["event_times"],
                    tic_times=saved["tic_times"],
                    parameters={
                        name: saved[name].astype(np.float32) for name in ("health", "threat")
                    },
                    switches={
                        name: [str(value) for value in saved[name]] for name in ("area", "underfoot")
                    },
                )
            )
            pictures.append(frames)
            count += len(frames)
    return games, np.concatenate(pictures)


def open_studio(build: Path) -> tuple[Studio, NDArray[np.uint8]]:
    """Everything that scenes are composed of, and the pictures that they refer to."""
    games, pictures = load_games(build, "train")
    surfaces: dict[str, list[int]] = {}
    parts = [pictures]
    count = len(pictures)
    textures = build / "textures.npz"
    if textures.is_file():
        with np.load(textures) as saved:
            parts.append(saved["pixels"])
            for offset, surface in enumerate(saved["surface"]):
                surfaces.setdefault(str(surface), []).append(count + offset)
            count += len(saved["pixels"])
    parts.append(np.zeros((1, 72, 128, 3), np.uint8))
    return Studio(AudioStore(build), games, surfaces, count), np.concatenate(parts)


def _shard(
    build: Path, codec: Path, first: int, count: int, seed: int
) -> tuple[SceneArrays, list[str]]:
    torch.set_num_threads(1)
    studio, _ = open_studio(build)
    return render_scenes(studio, load_latents(codec), range(first, first + count), seed)


def build_scenes(build: Path, codec: Path, out: Path, count: int, seed: int, workers: int = 2) -> None:
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
    _, pictures = open_studio(build)
    used = np.unique(arrays.frame[arrays.frame >= 0])
    log.info("embedding %d pictures", len(used))
    image = ImageEncoder(threads=workers)
    frames = np.zeros((len(pictures), 1280), np.float16)
    for begin in range(0, len(used), 32):
        chosen = used[begin : begin + 32]
        frames[chosen] = image.encode_many([pictures[i] for i in chosen])
    save_scenes(out, arrays, Tables(embedded.astype(np.float16), frames))
