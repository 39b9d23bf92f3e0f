"""Compose training scenes: two seconds of a game, and all that an engine could have said of them.

Each recipe mixes real sounds into one clip and writes down, chunk by chunk, the prompt, switches,
parameters, events and frames that belong to it. Scene n depends on (seed, n) alone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diegetic.config import LATENT_DIM, RATE
from diegetic.errors import MediaError
from diegetic.model.spectral import SpectralLatents
from diegetic.training.audio_store import AudioStore, Segment
from diegetic.training.compose import Part, compose
from diegetic.training.dataset import CHUNKS, FRAMES, SceneArrays
from diegetic.training.draft import CONFIG, LATENTS, LEAD, SAMPLES, Audio, Draft, TextTable, record

SILENT_PROMPTS = ("silence", "", "nothing", "complete silence", "no sound", "quiet")
GAME_PROMPTS = ("a first person shooter", "gunfire and monsters", "a fight with monsters", "combat")


@dataclass(frozen=True)
class GameSession:
    """A recorded game: sound, and frames whose pictures start at `first_picture` in the table."""

    path: Path
    audio: NDArray[np.int16]
    frame_times: NDArray[np.float64]
    first_picture: int
    event_names: list[str]
    event_times: NDArray[np.float64]
    tic_times: NDArray[np.float64]
    parameters: dict[str, NDArray[np.float32]]
    switches: dict[str, list[str]]


class Studio:
    """The sounds, games and pictures that scenes are made of."""

    def __init__(
        self,
        store: AudioStore,
        games: list[GameSession],
        surfaces: dict[str, list[int]],
        black_picture: int,
    ) -> None:
        train = [s for s in store.segments if s.split == "train"]
        self._store = store
        self._games = games
        self._surfaces = surfaces
        self._black = black_picture
        steady = [s for s in train if s.kind == "bed" and "ui" not in s.category]
        self._beds = _grouped(steady)  # a ringtone loops, but is no ambience
        self._shots = _grouped([s for s in train if s.kind == "oneshot"])
        self._music = [s for s in train if s.kind == "music"]
        self._steps = {
            surface: [
                s
                for s in train
                if s.category == "footstep" and surface in " ".join(s.captions).lower()
            ]
            for surface in surfaces
        }
        self.recipes: tuple[tuple[Callable[[Draft, np.random.Generator], None], float], ...] = (
            (self.bed, 0.34),
            (self.oneshots, 0.2),
            (self.music, 0.12),
            (self.change, 0.1),
            (self.game, 0.14),
            (self.surface, 0.06),
            (self.silence, 0.04),
        )

    def compose(self, seed: int, number: int) -> tuple[Draft, int]:
        """Scene `number` and the index of its recipe."""
        rng = np.random.default_rng([seed, number])
        shares = np.array([share for _, share in self.recipes])
        kind = int(rng.choice(len(shares), p=shares / shares.sum()))
        draft = Draft()
        self.recipes[kind][0](draft, rng)
        peak = float(np.abs(draft.audio).max(initial=0.0))
        if peak > 0.99:
            draft.audio *= 0.99 / peak
        return draft, kind

    def bed(self, draft: Draft, rng: np.random.Generator) -> None:
        """A steady sound; now and then with events over it."""
        segment = _draw(self._beds, rng)
        self._lay(draft.audio, segment, rng, float(rng.uniform(-10, 2)))
        caption = _caption(segment, rng)
        if rng.random() < 0.35:
            self._scatter(draft, rng, int(rng.integers(1, 3)))
            if rng.random() < 0.3:  # told by the prompt instead of as events
                events = [Part(name, start=max(0.0, at)) for name, at, _ in draft.events]
                caption = compose([Part(caption, bed=True), *events], int(rng.integers(2**31)))
                draft.events.clear()
        draft.text = [caption] * CHUNKS

    def oneshots(self, draft: Draft, rng: np.random.Generator) -> None:
        """Sounds heard once: told as events in silence, or repeated under one prompt."""
        if rng.random() < 0.5:
            self._scatter(draft, rng, int(rng.integers(1, 4)))
            draft.text = [str(rng.choice(SILENT_PROMPTS)) if rng.random() < 0.3 else None] * CHUNKS
            return
        segment = _draw(self._shots, rng)
        gain = 10 ** (float(rng.uniform(-8, 2)) / 20)
        at = float(rng.uniform(-0.8, 0.6))
        while at < SAMPLES / RATE:
            self._place(draft.audio, segment, at, gain)
            at += max(0.25, min(segment.samples / RATE, 2.0)) + float(rng.exponential(0.35))
        draft.text = [_caption(segment, rng)] * CHUNKS

    def music(self, draft: Draft, rng: np.random.Generator) -> None:
        """A piece of music, now and then with a bed or events over it."""
        weights = np.array([3.0 if "calm" in " ".join(s.captions) else 1.0 for s in self._music])
        segment = self._music[rng.choice(len(weights), p=weights / weights.sum())]
        self._lay(draft.audio, segment, rng, float(rng.uniform(-12, 0)))
        draft.text = [_caption(segment, rng)] * CHUNKS
        if rng.random() < 0.15:
            self._scatter(draft, rng, 1)

    def change(self, draft: Draft, rng: np.random.Generator) -> None:
        """The prompt changes at a chunk; the sound follows within a fifth of a second."""
        chunk = int(rng.integers(1, CHUNKS))
        texts, sounds = [], []
        for _ in range(2):
            sound = np.zeros_like(draft.audio)
            if rng.random() < 0.15:
                texts.append(str(rng.choice(SILENT_PROMPTS)))
            else:
                segment = _draw(self._beds, rng)
                if rng.random() < 0.2:
                    segment = self._music[int(rng.integers(len(self._music)))]
                self._lay(sound, segment, rng, float(rng.uniform(-10, 2)))
                texts.append(_caption(segment, rng))
            sounds.append(sound)
        ramp = np.arange(len(draft.audio)) - LEAD - chunk * CONFIG.hop_samples
        share = np.clip(ramp / (0.12 * RATE), 0, 1).astype(np.float32)[:, None] * np.float32(
            np.pi / 2
        )
        draft.audio += np.cos(share) * sounds[0] + np.sin(share) * sounds[1]
        draft.text[:chunk] = [texts[0]] * chunk
        draft.text[chunk:] = [texts[1]] * (CHUNKS - chunk)

    def game(self, draft: Draft, rng: np.random.Generator) -> None:
        """A piece of a recorded game: frames, parameters, a switch, events; maybe over a bed."""
        if not self._games:
            self.bed(draft, rng)
            return
        game = self._games[int(rng.integers(len(self._games)))]
        length = len(game.audio) / RATE
        start = float(rng.uniform(0.1, length - SAMPLES / RATE - 0.1))
        if rng.random() < 0.7:  # most of a game is quiet: look for something to hear
            at = game.event_times[int(rng.integers(len(game.event_times)))]
            start = float(np.clip(at - rng.uniform(0.1, 1.8), 0.1, length - SAMPLES / RATE - 0.1))
        first = round(start * RATE) - LEAD
        draft.audio += game.audio[first : first + len(draft.audio)] / np.float32(32768)
        if rng.random() < 0.4:
            segment = _draw(self._beds, rng)
            self._lay(draft.audio, segment, rng, float(rng.uniform(-16, -4)))
            draft.text = [_caption(segment, rng)] * CHUNKS
        elif rng.random() < 0.5:
            draft.text = [str(rng.choice(GAME_PROMPTS))] * CHUNKS
        end = start + SAMPLES / RATE
        for name, at in zip(game.event_names, game.event_times, strict=True):
            if start - 1.0 < at < end:
                draft.events.append((name, float(at - start), 1.0))
        for index, at in enumerate(game.frame_times):
            if start - 0.7 < at < end:
                draft.frames.append((game.first_picture + index, float(at - start)))
        tics = [
            min(
                int(np.searchsorted(game.tic_times, start + k * CONFIG.hop)),
                len(game.tic_times) - 1,
            )
            for k in range(CHUNKS)
        ]
        draft.parameters = tuple(game.parameters)
        for column, name in enumerate(draft.parameters):
            draft.values[:, column] = game.parameters[name][tics]
        draft.switches = [
            tuple(f"{name} {values[tic]}" for name, values in game.switches.items()) for tic in tics
        ]

    def surface(self, draft: Draft, rng: np.random.Generator) -> None:
        """A ground that is seen, and steps on it."""
        walkable = [surface for surface, steps in self._steps.items() if steps]
        if not walkable:
            self.oneshots(draft, rng)
            return
        surface = walkable[int(rng.integers(len(walkable)))]
        pictures, steps = self._surfaces[surface], self._steps[surface]
        picture = pictures[int(rng.integers(len(pictures)))]
        draft.frames = [(picture, k / 15) for k in range(FRAMES - 6)]
        told = rng.random() < 0.6
        at, gap = float(rng.uniform(0, 0.4)), float(rng.uniform(0.28, 0.6))
        while at < SAMPLES / RATE:
            step = steps[int(rng.integers(len(steps)))]
            self._place(draft.audio, step, at, 10 ** (float(rng.uniform(-6, 0)) / 20))
            if told:
                draft.events.append(("footstep", at, 1.0))
            at += gap * float(rng.uniform(0.92, 1.08))
        draft.switches = [(f"surface {surface}",)] * CHUNKS
        if rng.random() < 0.5:
            draft.text = [f"footsteps on {surface}"] * CHUNKS

    def silence(self, draft: Draft, rng: np.random.Generator) -> None:
        """Nothing said, nothing heard."""
        draft.text = [str(rng.choice(SILENT_PROMPTS))] * CHUNKS
        if rng.random() < 0.4:
            draft.frames = [(self._black, k / 15) for k in range(FRAMES - 6)]

    def _lay(
        self, audio: Audio, segment: Segment, rng: np.random.Generator, gain_db: float
    ) -> None:
        """Add a stretch of `segment` from a random place, looped where it is too short."""
        start = int(rng.integers(segment.samples))
        at = 0
        gain = np.float32(10 ** (gain_db / 20))
        while at < len(audio):
            piece = self._store.read(segment, start, min(len(audio) - at, segment.samples - start))
            audio[at : at + len(piece)] += gain * piece
            at, start = at + len(piece), 0

    def _place(self, audio: Audio, segment: Segment, at: float, gain: float) -> None:
        """Add the whole of `segment`, starting `at` seconds into the scene."""
        begin = LEAD + round(at * RATE)
        skip = max(0, -begin)
        count = min(segment.samples - skip, len(audio) - max(begin, 0))
        if count > 0:
            audio[max(begin, 0) :][:count] += np.float32(gain) * self._store.read(
                segment, skip, count
            )

    def _scatter(self, draft: Draft, rng: np.random.Generator, count: int) -> None:
        """Place `count` one-shots at random times, each told as an event."""
        for at in sorted(rng.uniform(-0.5, SAMPLES / RATE - 0.1, count)):
            segment = _draw(self._shots, rng)
            gain = 10 ** (float(rng.uniform(-10, 2)) / 20)
            self._place(draft.audio, segment, float(at), gain)
            draft.events.append((_caption(segment, rng), float(at), gain))


def _grouped(segments: list[Segment]) -> dict[str, list[Segment]]:
    """Segments by category and package: categories are drawn alike however many clips they have."""
    groups: dict[str, list[Segment]] = {}
    for segment in segments:
        key = segment.path if segment.package == "blanket" else segment.category
        groups.setdefault(key, []).append(segment)
    return groups


def _draw(groups: dict[str, list[Segment]], rng: np.random.Generator) -> Segment:
    names = sorted(groups)
    pool = groups[names[int(rng.integers(len(names)))]]
    return pool[int(rng.integers(len(pool)))]


def _caption(segment: Segment, rng: np.random.Generator) -> str:
    return segment.captions[int(rng.integers(len(segment.captions)))]


def render_scenes(
    studio: Studio, latents: SpectralLatents, numbers: Iterable[int], seed: int
) -> tuple[SceneArrays, list[str]]:
    """Compose and encode scenes; text indices refer to the returned list."""
    table = TextTable()
    rows: dict[str, list[NDArray[np.generic]]] = {n: [] for n in SceneArrays.__dataclass_fields__}
    pending: list[Audio] = []

    def encode() -> None:
        if pending:
            with torch.no_grad():
                made = latents.encode(torch.from_numpy(np.stack(pending)))[:, 1:]
            rows["latents"].extend(made.numpy().astype(np.float16))
            pending.clear()

    for number in numbers:
        draft, kind = studio.compose(seed, number)
        pending.append(draft.audio)
        if len(pending) == 16:
            encode()
        record(draft, kind, table, rows)
    encode()
    arrays = SceneArrays(**{name: np.stack(values) for name, values in rows.items()})
    if arrays.latents.shape[1:] != (LATENTS, LATENT_DIM):
        raise MediaError(
            f"scenes must be ({LATENTS}, {LATENT_DIM}) latents, got {arrays.latents.shape[1:]}"
        )
    return arrays, list(table.texts)
