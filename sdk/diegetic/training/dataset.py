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
FRAMES = 44
NONE = -1
CPU = torch.device("cpu")


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

    `chunks` (K,), on the CPU, are those that are made, `weights` (LATENT_DIM,) are for the loss,
    `latents` (B, T, LATENT_DIM) are clean; all else is masked conditioning, (B * K, ...).
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
    """Builds the token slots of every chunk of chosen scenes, as the live conditioner does.

    All scenes and embeddings lie on one device, where the slots of a batch are gathered.
    """

    def __init__(
        self, scenes: SceneArrays, tables: Tables, config: StreamConfig, device: torch.device
    ) -> None:
        self._scenes = {
            name: torch.from_numpy(array).to(device) for name, array in vars(scenes).items()
        }
        self._texts = torch.from_numpy(tables.texts).to(device)
        self._pictures = torch.from_numpy(tables.frames).to(device)
        self._hop, self._device = config.hop, device

    def latents(self, chosen: Tensor) -> Tensor:
        """The sound of the `chosen` scenes (B,): (B, T, LATENT_DIM)."""
        return self._scenes["latents"][chosen].float()

    def fill(self, chosen: Tensor, chunks: Tensor) -> dict[str, Tensor]:
        """Arrays (B, K, ...) as in `diegetic.snapshot.Conditioning`, `present` as 0.0 or 1.0."""
        count, device = (len(chosen), len(chunks)), self._device
        words = torch.zeros(*count, WORD_SLOTS, TEXT_DIM, device=device)
        frames = torch.zeros(*count, FRAME_SLOTS, FRAME_DIM, device=device)
        values, times, present = (torch.zeros(*count, SLOTS, device=device) for _ in range(3))

        def said(name: str) -> Tensor:
            return self._scenes[name][chosen][:, chunks]

        def say(where: slice, texts: Tensor) -> Tensor:
            """Put sentences (B, K, slots) into their slots; return where there are any."""
            there = (texts != NONE).float()
            words[:, :, where] = self._texts[texts.clamp(min=0), 0] * there[..., None]
            present[:, :, where] = there
            return there

        text, share = said("text"), said("share")
        sentence = self._texts[text.clamp(min=0)] * (text != NONE)[..., None, None]
        words[:, :, :TEXT_SLOTS] = sentence
        present[:, :, :TEXT_SLOTS] = (sentence.abs().amax(-1) > 0).float()
        values[:, :, 0] = (text != NONE) * (1 - share.sum(-1))
        blended = say(BLEND_TOKENS, said("blend"))
        values[:, :, BLEND_TOKENS] = share * blended
        # As live: the words of one prompt would tell of it alone.
        present[:, :, 1:TEXT_SLOTS] *= 1 - blended.amax(-1, keepdim=True)
        present[:, :, LAYER_TOKENS] = self._scenes["layer"][chosen][:, None].float()
        say(SWITCH_TOKENS, said("switch"))
        names = self._scenes["parameter"][chosen][:, None].expand(-1, len(chunks), -1)
        values[:, :, PARAMETER_TOKENS] = said("value") * say(PARAMETER_TOKENS, names)
        begin = chunks.double() * self._hop
        event, stamps = self._events(chosen, begin)
        there = say(EVENT_TOKENS, torch.where(event < 0, NONE, self._of("event", chosen, event)))
        values[:, :, EVENT_TOKENS] = self._of("event_gain", chosen, event) * there
        times[:, :, EVENT_TOKENS] = stamps
        frame, stamps = self._frames(chosen, begin)
        seen = (frame >= 0).float()
        shown = self._pictures[self._of("frame", chosen, frame).clamp(min=0)]
        frames[:] = shown * seen[..., None]
        times[:, :, FRAME_TOKENS] = stamps
        present[:, :, FRAME_TOKENS] = seen
        return {
            "words": words,
            "frames": frames,
            "values": values,
            "times": times,
            "present": present,
        }

    def _of(self, name: str, chosen: Tensor, index: Tensor) -> Tensor:
        """Entries `index` (B, K, slots) of the list `name` of each scene; -1 gives any."""
        rows = self._scenes[name][chosen][:, None].expand(-1, index.shape[1], -1)
        return rows.gather(2, index.clamp(min=0))

    def _events(self, chosen: Tensor, begin: Tensor) -> tuple[Tensor, Tensor]:
        """The newest events of each chunk, in order: which (B, K, EVENT_SLOTS), -1 none, and when.

        `begin` (K,) and times are in seconds; times count from the chunk's start.
        """
        since = self._scenes["event_time"][chosen].double()[:, None] - begin[:, None]
        heard = (self._scenes["event"][chosen] != NONE)[:, None]
        heard = heard & (since < self._hop) & (since > -RING)
        count = heard.sum(-1, keepdim=True)
        order = torch.argsort((~heard).byte(), dim=-1, stable=True)  # those heard come first
        place = torch.arange(EVENT_SLOTS, device=self._device).expand(*heard.shape[:2], -1)
        index = order.gather(2, place + (count - EVENT_SLOTS).clamp(min=0))
        there = place < count
        stamps = since.gather(2, index) * there
        return torch.where(there, index, -1), stamps.float()

    def _frames(self, chosen: Tensor, begin: Tensor) -> tuple[Tensor, Tensor]:
        """The newest frames of each chunk, oldest first: which (B, K, FRAME_SLOTS), and when."""
        # Live, a chunk is made from what was seen while its predecessor played: the pictures of its
        # own time end where it begins.
        stamps = self._scenes["frame_time"][chosen].double()[:, None] - begin[:, None] - self._hop
        seen = (self._scenes["frame"][chosen] != NONE)[:, None]
        seen = seen & (stamps < 0) & (stamps > -FRAME_AGE)
        newest_first = []
        latest = torch.full((*seen.shape[:2], 1), FRAME_SPACING, device=self._device).double()
        for _ in range(FRAME_SLOTS):
            apart = seen & (latest - stamps >= FRAME_SPACING)
            time, index = torch.where(apart, stamps, -torch.inf).max(-1, keepdim=True)
            newest_first.append((torch.where(time.isinf(), -1, index), time))
            latest = time
        indices, times = (torch.cat(parts, 2) for parts in zip(*newest_first, strict=True))
        taken = (indices >= 0).sum(-1, keepdim=True)
        place = torch.arange(FRAME_SLOTS, device=self._device)
        turned = (taken - 1 - place).clamp(min=0)
        there = place < taken
        stamps = torch.where(there, times.gather(2, turned), 0.0)
        return torch.where(there, indices.gather(2, turned), -1), stamps.float()


ALONE = 0.15  # of the clips are told by one modality and nothing else
_TELLING = (slice(0, BLEND_TOKENS.stop), EVENT_TOKENS, FRAME_TOKENS)


def mask_modalities(present: Tensor, rng: np.random.Generator) -> Tensor:
    """Hide modalities of whole clips, and single words and frames, at random.

    Args:
        present: (B, K, SLOTS), 1.0 or 0.0; not modified.
        rng: draws the same masks whatever is present.
    """
    count = len(present)
    kept = np.ones((count, 1, SLOTS), np.float32)

    def drawn(chance: float) -> NDArray[np.bool_]:
        return rng.random(count) < chance

    for where, chance in (
        (slice(1, TEXT_SLOTS), 0.4),  # the sentence alone
        (LAYER_TOKENS, 0.02),
        (SWITCH_TOKENS, 0.2),
        (PARAMETER_TOKENS, 0.2),
        (EVENT_TOKENS, 0.15),
        (FRAME_TOKENS, 0.2),
    ):
        kept[drawn(chance), :, where] = 0
    for where in (slice(1, TEXT_SLOTS), FRAME_TOKENS):
        kept[:, 0, where] *= rng.random((count, where.stop - where.start)) > 0.15
    kept[drawn(0.1)] = 0
    rows = np.stack((drawn(0.05), drawn(0.2), drawn(ALONE)))
    order = rng.permuted(np.tile(np.arange(len(_TELLING)), (count, 1)), axis=1)
    device = present.device
    words_alone, untold, alone = torch.from_numpy(rows).to(device)
    single = ~present[:, :, BLEND_TOKENS].flatten(1).any(1)
    other = present[:, :, EVENT_TOKENS.start :].flatten(1).any(1)
    out = present * torch.from_numpy(kept).to(device)
    out[:, :, 0] *= ~(words_alone & single)[:, None]
    out[:, :, : BLEND_TOKENS.stop] *= ~(untold & other)[:, None, None]
    return torch.where(alone[:, None, None], _one(present, torch.from_numpy(order).to(device)), out)


def _one(present: Tensor, order: Tensor) -> Tensor:
    """Of each clip (B, K, SLOTS) one telling modality, the first that is there in `order` (B, 3).

    Layers stay: they say what is wanted, not what happens.
    """
    there = torch.stack([present[:, :, where].flatten(1).any(1) for where in _TELLING], 1)
    first = there.gather(1, order).float().argmax(1, keepdim=True)
    chosen = order.gather(1, first)
    out = torch.zeros_like(present)
    for index, where in enumerate(_TELLING):
        out[:, :, where] = present[:, :, where] * (chosen == index)[:, None]
    out[:, :, LAYER_TOKENS] = present[:, :, LAYER_TOKENS]
    return out


class BatchSampler:
    """Draws batches of scenes, on the device on which it holds them."""

    def __init__(
        self,
        scenes: SceneArrays,
        tables: Tables,
        config: StreamConfig,
        device: torch.device = CPU,
    ) -> None:
        self._count = len(scenes.latents)
        # Latents are scaled by the fourth root of their variance: the wide ones are heard more.
        spread = scenes.latents[:1000].astype(np.float32).std(axis=(0, 1))
        self._weights = torch.from_numpy(spread / spread.mean()).to(device)
        self._conditions = Conditions(scenes, tables, config, device)
        self._device = device

    def draw(self, count: int, chunks: int, rng: np.random.Generator) -> Batch:
        """A batch of `count` scenes, masked; `chunks` of each are to be made."""
        chosen = torch.from_numpy(rng.integers(0, self._count, count)).to(self._device)
        made = torch.from_numpy(np.sort(rng.choice(CHUNKS, chunks, replace=False)))
        said = self._conditions.fill(chosen, made.to(self._device))
        said["present"] = mask_modalities(said["present"], rng)
        flat = {name: x.flatten(0, 1) for name, x in said.items()}
        return Batch(
            chunks=made,
            weights=self._weights,
            latents=self._conditions.latents(chosen),
            words=flat["words"],
            frames=flat["frames"],
            values=flat["values"],
            times=flat["times"],
            present=flat["present"],
        )


def scene_latents(config: StreamConfig) -> int:
    """Length of a scene in latents."""
    return CHUNKS * config.hop_latents + config.overlap_latents
