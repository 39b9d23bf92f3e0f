"""A scene while it is composed, and many of them as the arrays that training reads.

Texts become numbers in a `TextTable`; embedding them waits until all scenes are made.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diegetic.config import SAMPLES_PER_LATENT, StreamConfig
from diegetic.snapshot import BLEND_SLOTS, LAYERS, PARAMETER_SLOTS, SWITCH_SLOTS
from diegetic.training.atomic import replacing
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


def _silence() -> Audio:
    return np.zeros((LEAD + SAMPLES, 2), np.float32)


@dataclass
class Draft:
    """A scene being composed.

    Attributes:
        stems: the sound of each layer, (LEAD + SAMPLES, 2), LEAD before the scene's start.
        layers: those that are asked for; none means all.
        text: the prompt of each chunk.
        blends: further prompts of each chunk and their shares of the sound.
        switches: "name value" of each chunk.
        parameters: names, whose `values` are (CHUNKS, PARAMETER_SLOTS).
        events: name, seconds from the scene's start, amplitude.
        frames: picture, seconds from the scene's start.
    """

    stems: dict[str, Audio] = field(default_factory=dict)
    layers: frozenset[str] = frozenset()
    text: list[str | None] = field(default_factory=lambda: [None] * CHUNKS)
    blends: list[tuple[tuple[str, float], ...]] = field(default_factory=lambda: [()] * CHUNKS)
    switches: list[tuple[str, ...]] = field(default_factory=lambda: [()] * CHUNKS)
    parameters: tuple[str, ...] = ()
    values: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((CHUNKS, PARAMETER_SLOTS), np.float32)
    )
    events: list[tuple[str, float, float]] = field(default_factory=list)
    frames: list[tuple[int, float]] = field(default_factory=list)

    def stem(self, layer: str) -> Audio:
        """The sound of `layer`, to be added to."""
        return self.stems.setdefault(layer, _silence())

    def mixed(self) -> Audio:
        """What is heard of the layers that are asked for, no louder than full scale."""
        heard = self.layers or frozenset(LAYERS)
        audio = sum(
            (self.stems[name] for name in LAYERS if name in heard & self.stems.keys()), _silence()
        )
        return audio * np.float32(min(1.0, 0.99 / max(0.99, float(np.abs(audio).max()))))


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
    blend = np.full((CHUNKS, BLEND_SLOTS), NONE, np.int32)
    share = np.zeros((CHUNKS, BLEND_SLOTS), np.float32)
    for k, others in enumerate(draft.blends):
        for s, (text, part) in enumerate(others):
            blend[k, s], share[k, s] = table.index(text), part
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
        "blend": blend,
        "share": share,
        "layer": np.array([name in draft.layers for name in LAYERS]),
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
            if name in ("text", "blend", "switch", "parameter", "event"):
                values = renumber[values]  # NONE is -1: the last entry
            joined[name].append(values)
    arrays = SceneArrays(**{name: np.concatenate(values) for name, values in joined.items()})
    return arrays, list(table.texts)


def save_scenes(root: Path, arrays: SceneArrays, tables: Tables) -> None:
    """Write `root/scenes.npz` for `load_scenes`."""
    with replacing(root / "scenes.npz") as file:
        np.savez(file, **vars(arrays), texts=tables.texts, frames=tables.frames)
