"""Scenes of noise, and a teacher: enough for a student to be trained."""

from pathlib import Path

import numpy as np
import torch

from diegetic.config import LATENT_DIM
from diegetic.model.dit import DiT
from diegetic.snapshot import (
    BLEND_SLOTS,
    FRAME_DIM,
    LAYER_SLOTS,
    PARAMETER_SLOTS,
    SWITCH_SLOTS,
    TEXT_DIM,
    TEXT_SLOTS,
)
from diegetic.training.alignment import AlignedDiT
from diegetic.training.dataset import CHUNKS, EVENTS, FRAMES, NONE, SceneArrays, Tables
from diegetic.training.draft import LATENTS, save_scenes


def some_dit(seed: int, model: type[DiT] = DiT) -> DiT:
    """A transformer whose last layers say something, and heed what they are told."""
    torch.manual_seed(seed)
    dit = model().eval()
    for layer in (dit.steer, dit.final, dit.leave, dit.conditioning.mean):
        torch.nn.init.normal_(layer.weight, std=0.03)
    return dit


def small_scenes(root: Path) -> Path:
    """Write scenes into `root`; return it."""
    root.mkdir(parents=True, exist_ok=True)
    count, rng = 6, np.random.default_rng(0)

    def none(*shape: int) -> np.ndarray:
        return np.full((count, *shape), NONE, np.int32)

    arrays = SceneArrays(
        latents=rng.standard_normal((count, LATENTS, LATENT_DIM)).astype(np.float16),
        text=np.zeros((count, CHUNKS), np.int32),
        blend=none(CHUNKS, BLEND_SLOTS),
        share=np.zeros((count, CHUNKS, BLEND_SLOTS), np.float32),
        layer=np.zeros((count, LAYER_SLOTS), np.bool_),
        switch=none(CHUNKS, SWITCH_SLOTS),
        parameter=none(PARAMETER_SLOTS),
        value=np.zeros((count, CHUNKS, PARAMETER_SLOTS), np.float32),
        event=none(EVENTS),
        event_time=np.zeros((count, EVENTS), np.float32),
        event_gain=np.zeros((count, EVENTS), np.float32),
        frame=none(FRAMES),
        frame_time=np.zeros((count, FRAMES), np.float32),
        kind=np.zeros(count, np.int32),
    )
    texts = rng.standard_normal((1, TEXT_SLOTS, TEXT_DIM)).astype(np.float16)
    save_scenes(root, arrays, Tables(texts, np.zeros((1, FRAME_DIM), np.float16)))
    return root


def small_teacher(path: Path) -> Path:
    """Write what a student needs of a transformer's checkpoint to `path`; return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"average": some_dit(4, AlignedDiT).state_dict()}, path)
    return path
