"""A scene while it is composed, and many of them as the arrays that training reads.

Texts become numbers in a `TextTable`; embedding them waits until all scenes are made.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diegetic.config import SAMPLES_PER_LATENT, StreamConfig
from diegetic.snapshot import PARAMETER_SLOTS, SWITCH_SLOTS
from diegetic.training.dataset import (
    CHUNKS,
    EVENTS,
    FRAMES,
    NONE,
    SceneArrays,
    Tables,
    scene_latents,
)

CONFIG = StreamConfig()
LATENTS = scene_latents(CONFIG)
LEAD = SAMPLES_PER_LATENT  # analysis frames reach back into the sample before the scene
SAMPLES = LATENTS * SAMPLES_PER_LATENT

Audio = NDArray[np.float32]


@dataclass
class Draft:
    """A scene being composed: `audio` has LEAD samples before the scene's start."""

    audio: Audio = field(default_factory=lambda: np.zeros((LEAD + SAMPLES, 2), np.float32))
    text: list[str | None] = field(default_factory=lambda: [None] * CHUNKS)
    switches: list[tuple[str, ...]] = field(default_factory=lambda: [()] * CHUNKS)
    parameters: tuple[str, ...] = ()
    values: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((CHUNKS, PARAMETER_SLOTS), np.float32)
    )
    events: list[tuple[str, float, float]] = field(default_factory=list)
    frames: list[tuple[int, float]] = field(default_factory=list)


class TextTable:
    """Numbers every text once."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def index(self, text: str | None) -> int:
        return NONE if text is None else self.texts.setdefault(text, len(self.texts))


def record(
    draft: Draft, kind: int, table: TextTable, rows: dict[str, list[NDArray[np.generic]]]
) -> None:
    """Append what is said in `draft` to `rows`, lists named as the fields of `SceneArrays`."""
    switch = np.full((CHUNKS, SWITCH_SLOTS), NONE, np.int32)
    for k, said in enumerate(draft.switches):
        for s, text in enumerate(said[:SWITCH_SLOTS]):
            switch[k, s] = table.index(text)
    parameter = np.full(PARAMETER_SLOTS, NONE, np.int32)
    for s, name in enumerate(draft.parameters):
        parameter[s] = table.index(name)
    event, frame = np.full(EVENTS, NONE, np.int32), np.full(FRAMES, NONE, np.int32)
    event_time, event_gain = np.zeros(EVENTS, np.float32), np.zeros(EVENTS, np.float32)
    frame_time = np.zeros(FRAMES, np.float32)
    for e, (name, at, gain) in enumerate(sorted(draft.events, key=lambda x: x[1])[-EVENTS:]):
        event[e], event_time[e], event_gain[e] = table.index(name), at, gain
    chosen = draft.frames
    if len(chosen) > FRAMES:
        chosen = [chosen[round(i)] for i in np.linspace(0, len(chosen) - 1, FRAMES)]
    for f, (picture, at) in enumerate(chosen):
        frame[f], frame_time[f] = picture, at
    row = {
        "text": np.array([table.index(text) for text in draft.text], np.int32),
        "switch": switch,
        "parameter": parameter,
        "value": draft.values,
        "event": event,
        "event_time": event_time,
        "event_gain": event_gain,
        "frame": frame,
        "frame_time": frame_time,
        "kind": np.array(kind, np.int32),
    }
    for name, array in row.items():
        rows[name].append(array)


def merge(parts: list[tuple[SceneArrays, list[str]]]) -> tuple[SceneArrays, list[str]]:
    """Join scenes made by several processes under one text table."""
    table = TextTable()
    joined: dict[str, list[NDArray[np.generic]]] = {n: [] for n in SceneArrays.__dataclass_fields__}
    for arrays, texts in parts:
        renumber = np.array([table.index(text) for text in texts] + [NONE], np.int32)
        for name in joined:
            values = getattr(arrays, name)
            if name in ("text", "switch", "parameter", "event"):
                values = renumber[values]  # NONE is -1: the last entry
            joined[name].append(values)
    arrays = SceneArrays(**{name: np.concatenate(values) for name, values in joined.items()})
    return arrays, list(table.texts)


def save_scenes(root: Path, arrays: SceneArrays, tables: Tables) -> None:
    """Write `root/scenes.npz` for `load_scenes`."""
    root.mkdir(parents=True, exist_ok=True)
    np.savez(root / "scenes.npz", **vars(arrays), texts=tables.texts, frames=tables.frames)
