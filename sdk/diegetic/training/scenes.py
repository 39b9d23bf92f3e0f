"""Compose training scenes: two seconds of a game, and all that an engine could have said of them.

Each recipe mixes real sounds into one clip and writes down, chunk by chunk, the prompt, switches,
parameters, events and frames that belong to it. Scene n depends on (seed, n) alone.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from diegetic.config import LATENT_DIM, RATE
from diegetic.errors import MediaError
from diegetic.model.spectral import SpectralLatents
from diegetic.snapshot import BLEND_SLOTS, LAYERS
from diegetic.training.compose import Part, compose
from diegetic.training.dataset import CHUNKS, FRAMES, SceneArrays
from diegetic.training.draft import CONFIG, LATENTS, LEAD, SAMPLES, Audio, Draft, TextTable, record
from diegetic.training.studio import GameSession, Studio, caption

SILENT_PROMPTS = ("silence", "", "nothing", "complete silence", "no sound", "quiet")
GAME_PROMPTS = ("a first person shooter", "gunfire and monsters", "a fight with monsters", "combat")


SCENE = SAMPLES / RATE
KNOBS = ("intensity", "level", "volume", "strength", "amount", "power")
IDLE_KNOBS = ("score", "ammo", "speed", "light", "time of day", "stamina", "distance", "armor")


def bed(studio: Studio, draft: Draft, rng: np.random.Generator) -> None:
    """A steady sound; now and then with events over it."""
    segment = studio.draw_bed(rng)
    studio.lay(draft.stem("ambience"), segment, rng, float(rng.uniform(-10, 2)))
    said = caption(segment, rng)
    if rng.random() < 0.3:
        if rng.random() < 0.6:
            studio.scatter(draft, rng, int(rng.integers(1, 3)))
        else:
            parts = [Part(said, bed=True), *_told(studio, draft, rng)]
            said = compose(parts, int(rng.integers(2**31)))
    draft.text = [said] * CHUNKS


def _told(studio: Studio, draft: Draft, rng: np.random.Generator) -> list[Part]:
    """One-shots that the prompt tells of, some of them on one side."""
    parts = []
    for at in sorted(rng.uniform(-0.3, SCENE - 0.3, int(rng.integers(1, 3)))):
        segment = studio.draw_shot(rng)
        side: Literal["", "left", "right"] = rng.choice(["", "", "left", "right"])
        pan = {"": 0.0, "left": -0.8, "right": 0.8}[side]
        gain = 10 ** (float(rng.uniform(-8, 2)) / 20)
        studio.place(draft.stem("foley"), segment, float(at), gain, pan)
        parts.append(Part(caption(segment, rng), start=max(0.0, float(at)), side=side))
    return parts


def oneshots(studio: Studio, draft: Draft, rng: np.random.Generator) -> None:
    """Sounds heard once: told as events in silence, or repeated under one prompt."""
    if rng.random() < 0.4:
        studio.scatter(draft, rng, int(rng.integers(1, 4)))
        draft.text = [str(rng.choice(SILENT_PROMPTS)) if rng.random() < 0.3 else None] * CHUNKS
        return
    segment = studio.draw_shot(rng)
    gain = 10 ** (float(rng.uniform(-8, 2)) / 20)
    at = float(rng.uniform(-0.8, 0.6))
    while at < SCENE:
        studio.place(draft.stem("foley"), segment, at, gain)
        at += max(0.25, min(segment.samples / RATE, 2.0)) + float(rng.exponential(0.35))
    draft.text = [caption(segment, rng)] * CHUNKS


def music(studio: Studio, draft: Draft, rng: np.random.Generator) -> None:
    """A piece of music, now and then with a bed or events over it."""
    segment = studio.draw_music(rng)
    studio.lay(draft.stem("music"), segment, rng, float(rng.uniform(-12, 0)))
    said = caption(segment, rng)
    if rng.random() < 0.15:
        studio.scatter(draft, rng, 1)
    if rng.random() < 0.2:
        under = studio.draw_bed(rng)
        studio.lay(draft.stem("ambience"), under, rng, float(rng.uniform(-12, -2)))
        parts = [Part(said, bed=True), Part(caption(under, rng), bed=True)]
        said = compose(parts, int(rng.integers(2**31)))
    draft.text = [said] * CHUNKS


def _steady(studio: Studio, rng: np.random.Generator, music_share: float) -> tuple[str, str, Audio]:
    """A bed, or now and then a piece of music: its layer, how it is said, and its sound."""
    layer = "music" if rng.random() < music_share else "ambience"
    segment = studio.draw_music(rng) if layer == "music" else studio.draw_bed(rng)
    sound = np.zeros((LEAD + SAMPLES, 2), np.float32)
    studio.lay(sound, segment, rng, float(rng.uniform(-10, 2)))
    return layer, caption(segment, rng), sound


def change(studio: Studio, draft: Draft, rng: np.random.Generator) -> None:
    """The prompt changes at a chunk; the sound follows within a fifth of a second."""
    chunk = int(rng.integers(1, CHUNKS))
    since = np.arange(LEAD + SAMPLES) - LEAD - chunk * CONFIG.hop_samples
    angle = np.clip(since / (0.12 * RATE), 0, 1).astype(np.float32)[:, None] * np.float32(np.pi / 2)
    texts = []
    for gain in (np.cos(angle), np.sin(angle)):
        if rng.random() < 0.15:
            texts.append(str(rng.choice(SILENT_PROMPTS)))
            continue
        layer, said, sound = _steady(studio, rng, music_share=0.2)
        texts.append(said)
        draft.stem(layer)[:] += gain * sound
    draft.text[:chunk] = [texts[0]] * chunk
    draft.text[chunk:] = [texts[1]] * (CHUNKS - chunk)


def blend(studio: Studio, draft: Draft, rng: np.random.Generator) -> None:
    """Several prompts with shares of the sound's power; half of them are morphed over time."""
    count = int(rng.integers(2, 2 + BLEND_SLOTS))
    shares = rng.dirichlet(np.ones(count), 2)
    if rng.random() < 0.5:
        shares[1] = shares[0]
    place = (np.arange(LEAD + SAMPLES) - LEAD) / SAMPLES
    texts = []
    for k in range(count):
        if rng.random() < 0.05:  # a mix may fade to or from nothing
            texts.append(str(rng.choice(SILENT_PROMPTS)))
            continue
        layer, said, sound = _steady(studio, rng, music_share=0.15)
        power = np.interp(place, (0, 1), shares[:, k])
        draft.stem(layer)[:] += np.sqrt(power).astype(np.float32)[:, None] * sound
        texts.append(said)
    for chunk in range(CHUNKS):
        now = shares[0] + (chunk + 0.5) / CHUNKS * (shares[1] - shares[0])
        first, *others = np.argsort(-now)
        draft.text[chunk] = texts[first]
        draft.blends[chunk] = tuple((texts[k], float(now[k])) for k in others)


def knobs(studio: Studio, draft: Draft, rng: np.random.Generator) -> None:
    """Parameters by name that say how loud each of one or two sounds is; others say nothing."""
    count = 1 if rng.random() < 0.5 else 2
    ticks = np.linspace(0, 1, int(rng.integers(2, 5)))
    place = (np.arange(LEAD + SAMPLES) - LEAD) / SAMPLES
    names, parts = [], []
    for k in range(count):
        layer, said, sound = _steady(studio, rng, music_share=0.1)
        values = rng.uniform(0, 1, len(ticks)) if rng.random() < 0.6 else rng.uniform(0, 1)
        values = np.broadcast_to(values, ticks.shape)
        loud = np.interp(place, ticks, values) ** 2
        draft.stem(layer)[:] += loud.astype(np.float32)[:, None] * sound
        draft.values[:, k] = np.interp((np.arange(CHUNKS) + 0.5) / CHUNKS, ticks, values)
        knob = str(rng.choice(KNOBS))
        alone = count == 1 and rng.random() < 0.5
        names.append(knob if alone else said if rng.random() < 0.5 else f"{said} {knob}")
        parts.append(Part(said, bed=True))
    if rng.random() < 0.3:
        names.append(str(rng.choice(IDLE_KNOBS)))
        draft.values[:, count] = rng.uniform(0, 1)
    draft.parameters = tuple(names)
    draft.text = [compose(parts, int(rng.integers(2**31)))] * CHUNKS


def game(studio: Studio, draft: Draft, rng: np.random.Generator) -> None:
    """A piece of a recorded game: frames, parameters, a switch, events; maybe over a bed."""
    if not studio.games:
        bed(studio, draft, rng)
        return
    played = studio.games[int(rng.integers(len(studio.games)))]
    latest = len(played.audio) / RATE - SCENE - 0.1
    start = float(rng.uniform(0.1, latest))
    if rng.random() < 0.7:  # most of a game is quiet: look for something to hear
        at = played.event_times[int(rng.integers(len(played.event_times)))]
        start = float(np.clip(at - rng.uniform(0.1, 1.8), 0.1, latest))
    foley = draft.stem("foley")
    first = round(start * RATE) - LEAD
    foley += played.audio[first : first + len(foley)] / np.float32(32768)
    if rng.random() < 0.35:
        layer, said, sound = _steady(studio, rng, music_share=0.2)
        draft.stem(layer)[:] += np.float32(0.5) * sound
        draft.text = [said] * CHUNKS
    elif rng.random() < 0.5:
        draft.text = [str(rng.choice(GAME_PROMPTS))] * CHUNKS
    _tell_game(draft, played, start)


def _tell_game(draft: Draft, played: GameSession, start: float) -> None:
    """What the engine said of `played` from `start` on."""
    for name, at in zip(played.event_names, played.event_times, strict=True):
        if start - 1.0 < at < start + SCENE:
            draft.events.append((name, float(at - start), 1.0))
    for index, at in enumerate(played.frame_times):
        if start - 0.45 < at < start + SCENE:
            draft.frames.append((played.first_picture + index, float(at - start)))
    chunks = start + np.arange(CHUNKS) * CONFIG.hop
    tics = np.minimum(np.searchsorted(played.tic_times, chunks), len(played.tic_times) - 1)
    draft.parameters = tuple(played.parameters)
    for column, name in enumerate(draft.parameters):
        draft.values[:, column] = played.parameters[name][tics]
    draft.switches = [
        tuple(f"{name} {values[tic]}" for name, values in played.switches.items()) for tic in tics
    ]


def surface(studio: Studio, draft: Draft, rng: np.random.Generator) -> None:
    """A ground that is seen, and steps on it."""
    walkable = [ground for ground, steps in studio.steps.items() if steps]
    if not walkable:
        oneshots(studio, draft, rng)
        return
    ground = walkable[int(rng.integers(len(walkable)))]
    pictures, steps = studio.surfaces[ground], studio.steps[ground]
    picture = pictures[int(rng.integers(len(pictures)))]
    draft.frames = [(picture, k / 15) for k in range(FRAMES - 6)]
    told = rng.random() < 0.6
    at, gap = float(rng.uniform(0, 0.4)), float(rng.uniform(0.28, 0.6))
    while at < SCENE:
        step = steps[int(rng.integers(len(steps)))]
        studio.place(draft.stem("foley"), step, at, 10 ** (float(rng.uniform(-6, 0)) / 20))
        if told:
            draft.events.append(("footstep", at, 1.0))
        at += gap * float(rng.uniform(0.92, 1.08))
    draft.switches = [(f"surface {ground}",)] * CHUNKS
    if rng.random() < 0.5:
        draft.text = [f"footsteps on {ground}"] * CHUNKS


def silence(studio: Studio, draft: Draft, rng: np.random.Generator) -> None:
    """Nothing said, nothing heard."""
    draft.text = [str(rng.choice(SILENT_PROMPTS))] * CHUNKS
    if rng.random() < 0.4:
        draft.frames = [(studio.black_picture, k / 15) for k in range(FRAMES - 6)]


Recipe = Callable[[Studio, Draft, np.random.Generator], None]
RECIPES: tuple[tuple[Recipe, float], ...] = (
    (bed, 0.34),
    (oneshots, 0.24),
    (music, 0.09),
    (change, 0.07),
    (blend, 0.04),
    (knobs, 0.04),
    (game, 0.11),
    (surface, 0.03),
    (silence, 0.04),
)


def compose_scene(studio: Studio, seed: int, number: int) -> tuple[Draft, int]:
    """Scene `number` and the index of its recipe."""
    rng = np.random.default_rng([seed, number])
    shares = np.array([share for _, share in RECIPES])
    kind = int(rng.choice(len(shares), p=shares / shares.sum()))
    draft = Draft()
    RECIPES[kind][0](studio, draft, rng)
    draft.layers = _asked(draft, rng)
    return draft, kind


def _asked(draft: Draft, rng: np.random.Generator) -> frozenset[str]:
    """Which layers the scene is asked for: often all, else some, mostly one that is there."""
    if rng.random() < 0.45:
        return frozenset()
    chosen = {name for name in LAYERS if rng.random() < 0.4}
    if draft.stems and rng.random() < 0.8:
        chosen.add(str(rng.choice(sorted(draft.stems))))
    return frozenset(chosen)


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
        draft, kind = compose_scene(studio, seed, number)
        pending.append(draft.mixed())
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
