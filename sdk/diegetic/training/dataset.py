"""Scenes to batches: what the live conditioner would have said, with parts hidden at random.

Modalities are masked as in AudioX (arXiv 2503.10522): the sentence, its words, frames, switches,
parameters, events, the prefix, or everything, so that every subset of inputs is a valid request.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diegetic.config import StreamConfig
from diegetic.errors import MediaError
from diegetic.snapshot import (
    BLEND_TOKENS,
    EVENT_SLOTS,
    EVENT_TOKENS,
    FRAME_DIM,
    FRAME_SLOTS,
    FRAME_TOKENS,
    LAYER_TOKENS,
    PARAMETER_TOKENS,
    SLOTS,
    SWITCH_TOKENS,
    TEXT_DIM,
    TEXT_SLOTS,
    WORD_SLOTS,
)
from diegetic.world import FRAME_AGE, FRAME_SPACING, RING

CHUNKS = 12  # a scene is this many hops and one overlap long
EVENTS = 12
FRAMES = 36
NONE = -1


@dataclass(frozen=True)
class SceneArrays:
    """N scenes as arrays; texts and pictures are indices into embedding tables, NONE where absent.

    Attributes:
        latents: (N, T, LATENT_DIM) float16.
        text: (N, CHUNKS) prompt of each chunk.
        blend: (N, CHUNKS, BLEND_SLOTS) further prompts.
        share: (N, CHUNKS, BLEND_SLOTS) their shares of the sound.
        layer: (N, LAYER_SLOTS) bool, which layers are asked for.
        switch: (N, CHUNKS, SWITCH_SLOTS) text of "name value".
        parameter: (N, PARAMETER_SLOTS) text of the name.
        value: (N, CHUNKS, PARAMETER_SLOTS) in 0..1.
        event: (N, EVENTS) text of the name.
        event_time: (N, EVENTS) seconds from the scene's start.
        event_gain: (N, EVENTS) amplitude.
        frame: (N, FRAMES) picture.
        frame_time: (N, FRAMES) seconds from the scene's start.
        kind: (N,) which recipe made the scene.
    """

    latents: NDArray[np.float16]
    text: NDArray[np.int32]
    blend: NDArray[np.int32]
    share: NDArray[np.float32]
    layer: NDArray[np.bool_]
    switch: NDArray[np.int32]
    parameter: NDArray[np.int32]
    value: NDArray[np.float32]
    event: NDArray[np.int32]
    event_time: NDArray[np.float32]
    event_gain: NDArray[np.float32]
    frame: NDArray[np.int32]
    frame_time: NDArray[np.float32]
    kind: NDArray[np.int32]


@dataclass(frozen=True)
class Tables:
    """Embeddings of all texts (M, TEXT_SLOTS, TEXT_DIM) and pictures (P, FRAME_DIM), float16."""

    texts: NDArray[np.float16]
    frames: NDArray[np.float16]


@dataclass(frozen=True)
class Batch:
    """K chunks of each of B scenes.

    `chunks` (K,) are those that are made, `weights` (LATENT_DIM,) are for the loss, `latents`
    (B, T, LATENT_DIM) are clean; all else is masked conditioning, (B * K, ...).
    """

    chunks: Tensor
    weights: Tensor
    latents: Tensor
    words: Tensor
    frames: Tensor
    values: Tensor
    times: Tensor
    present: Tensor


def load_scenes(root: Path) -> tuple[SceneArrays, Tables]:
    """Read what `build_scenes` wrote.

    Raises:
        MediaError: there is nothing, or it is damaged or of another version.
    """
    path = root / "scenes.npz"
    if not path.is_file():
        raise MediaError(f"no training scenes in {root}: run `diegetic train scenes` first")
    try:
        with path.open("rb") as file, np.load(file) as saved:
            scenes = SceneArrays(**{name: saved[name] for name in SceneArrays.__dataclass_fields__})
            tables = Tables(saved["texts"], saved["frames"])
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError) as error:
        raise MediaError(
            f"{path} is damaged, or of another version: delete it and run "
            f"`diegetic train scenes` again ({error})"
        ) from error
    return scenes, tables


class Conditions:
    """Builds the token slots of every chunk of chosen scenes, as the live conditioner does."""

    def __init__(self, scenes: SceneArrays, tables: Tables, config: StreamConfig) -> None:
        self._scenes, self._tables, self._hop = scenes, tables, config.hop

    def fill(
        self, chosen: NDArray[np.int64], chunks: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """Arrays (B, K, ...) as in `diegetic.snapshot.Conditioning`, `present` as 0.0 or 1.0."""
        scenes, texts = self._scenes, self._tables.texts
        shape = (len(chosen), len(chunks))
        words = np.zeros((*shape, WORD_SLOTS, TEXT_DIM), np.float32)
        frames = np.zeros((*shape, FRAME_SLOTS, FRAME_DIM), np.float32)
        values, times, present = (np.zeros((*shape, SLOTS), np.float32) for _ in range(3))
        for b, n in enumerate(chosen):
            for k, chunk in enumerate(chunks):
                t0 = chunk * self._hop
                if (text := scenes.text[n, chunk]) != NONE:
                    words[b, k, :TEXT_SLOTS] = texts[text]
                    present[b, k, :TEXT_SLOTS] = np.abs(texts[text]).max(axis=1) > 0
                    values[b, k, 0] = 1 - scenes.share[n, chunk].sum()
                for s, text in enumerate(scenes.blend[n, chunk]):
                    if text != NONE:
                        present[b, k, 1:TEXT_SLOTS] = 0  # as live: its words tell of one alone
                        words[b, k, BLEND_TOKENS.start + s] = texts[text, 0]
                        values[b, k, BLEND_TOKENS.start + s] = scenes.share[n, chunk, s]
                        present[b, k, BLEND_TOKENS.start + s] = 1
                present[b, k, LAYER_TOKENS] = scenes.layer[n]
                for s, text in enumerate(scenes.switch[n, chunk]):
                    if text != NONE:
                        words[b, k, SWITCH_TOKENS.start + s] = texts[text, 0]
                        present[b, k, SWITCH_TOKENS.start + s] = 1
                for s, text in enumerate(scenes.parameter[n]):
                    if text != NONE:
                        words[b, k, PARAMETER_TOKENS.start + s] = texts[text, 0]
                        values[b, k, PARAMETER_TOKENS.start + s] = scenes.value[n, chunk, s]
                        present[b, k, PARAMETER_TOKENS.start + s] = 1
                self._events(n, t0, words[b, k], values[b, k], times[b, k], present[b, k])
                self._frames(n, t0, frames[b, k], times[b, k], present[b, k])
        return {
            "words": words,
            "frames": frames,
            "values": values,
            "times": times,
            "present": present,
        }

    def _events(
        self,
        n: int,
        t0: float,
        words: NDArray[np.float32],
        values: NDArray[np.float32],
        times: NDArray[np.float32],
        present: NDArray[np.float32],
    ) -> None:
        scenes = self._scenes
        begin = scenes.event_time[n]
        heard = (scenes.event[n] != NONE) & (begin < t0 + self._hop) & (begin > t0 - RING)
        newest = np.flatnonzero(heard)[-EVENT_SLOTS:]
        for slot, e in enumerate(newest, EVENT_TOKENS.start):
            words[slot] = self._tables.texts[scenes.event[n, e], 0]
            values[slot] = scenes.event_gain[n, e]
            times[slot] = begin[e] - t0
            present[slot] = 1

    def _frames(
        self,
        n: int,
        t0: float,
        frames: NDArray[np.float32],
        times: NDArray[np.float32],
        present: NDArray[np.float32],
    ) -> None:
        scenes = self._scenes
        if scenes.frame[n, 0] == NONE:
            return
        # Live, a chunk is made from what was seen while its predecessor played: stamps end at t0.
        stamps = np.minimum(scenes.frame_time[n] - t0, 0.0)
        seen = (scenes.frame[n] != NONE) & (scenes.frame_time[n] < t0 + self._hop)
        seen &= stamps > -FRAME_AGE
        taken: list[int] = []
        for f in np.flatnonzero(seen)[::-1]:
            if not taken or stamps[taken[-1]] - stamps[f] >= FRAME_SPACING:
                taken.append(int(f))
            if len(taken) == FRAME_SLOTS:
                break
        for slot, f in enumerate(reversed(taken)):
            frames[slot] = self._tables.frames[scenes.frame[n, f]]
            times[FRAME_TOKENS.start + slot] = stamps[f]
            present[FRAME_TOKENS.start + slot] = 1


def mask_modalities(present: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Hide modalities of whole clips, and single words and frames, at random."""
    out = present.copy()
    count = len(out)

    def hide(where: slice, chance: float) -> None:
        out[rng.random(count) < chance, :, where] = 0

    other = out[:, :, EVENT_TOKENS.start :].any(axis=(1, 2))
    hide(slice(1, TEXT_SLOTS), 0.4)  # the sentence alone
    single_prompt = ~out[:, :, BLEND_TOKENS].any(axis=(1, 2))
    out[(rng.random(count) < 0.05) & single_prompt, :, 0] = 0  # its words alone
    out[(rng.random(count) < 0.2) & other, :, : BLEND_TOKENS.stop] = 0
    hide(LAYER_TOKENS, 0.02)
    hide(SWITCH_TOKENS, 0.2)
    hide(PARAMETER_TOKENS, 0.2)
    hide(EVENT_TOKENS, 0.15)
    hide(FRAME_TOKENS, 0.2)
    single = np.ones(out.shape[::2], np.float32)
    for where in (slice(1, TEXT_SLOTS), FRAME_TOKENS):
        width = where.stop - where.start
        single[:, where] = rng.random((count, width)) > 0.15
    out *= single[:, None]
    out[rng.random(count) < 0.1] = 0
    return out


class BatchSampler:
    """Draws batches of scenes."""

    def __init__(self, scenes: SceneArrays, tables: Tables, config: StreamConfig) -> None:
        self._scenes = scenes
        # Latents are scaled by the fourth root of their variance: the wide ones are heard more.
        spread = scenes.latents[:1000].astype(np.float32).std(axis=(0, 1))
        self._weights = torch.from_numpy(spread / spread.mean())
        self._conditions = Conditions(scenes, tables, config)

    def draw(self, count: int, chunks: int, rng: np.random.Generator) -> Batch:
        """A batch of `count` scenes, masked; `chunks` of each are to be made."""
        chosen = rng.integers(0, len(self._scenes.latents), count)
        made = np.sort(rng.choice(CHUNKS, chunks, replace=False))
        said = self._conditions.fill(chosen, made)
        said["present"] = mask_modalities(said["present"], rng)
        flat = {name: torch.from_numpy(a.reshape(-1, *a.shape[2:])) for name, a in said.items()}
        return Batch(
            chunks=torch.from_numpy(made),
            weights=self._weights,
            latents=torch.from_numpy(self._scenes.latents[chosen].astype(np.float32)),
            words=flat["words"],
            frames=flat["frames"],
            values=flat["values"],
            times=flat["times"],
            present=flat["present"],
        )


def scene_latents(config: StreamConfig) -> int:
    """Length of a scene in latents."""
    return CHUNKS * config.hop_latents + config.overlap_latents
