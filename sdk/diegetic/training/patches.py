"""Single patches of the catalogue's soundfont as sounds: bells, drums, a telephone, applause.

catalog/patches.csv lists them by General MIDI program (MIDI Manufacturers Association, "General
MIDI System Level 1", 1991), or key of the drum kit, with a rhythm. Keys, strengths and times of
sound `number` depend on (patch, number) alone.
"""

import csv
import struct
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, cast, get_args

import numpy as np

from diegetic.errors import DiegeticError, MediaError
from diegetic.snapshot import FloatArray
from diegetic.training.midi import play_midi
from diegetic.training.synthesis.acoustics import Rng, draw, length, loudness
from diegetic.training.synthesis.voice import Said

Rhythm = Literal["once", "hold", "toll", "calls", "beat", "roll", "tune"]
DRUMS = "drums"  # in place of a program's number

_DRUM_CHANNEL = 9
_TICKS = 960  # a second: 480 a beat, 120 beats a minute
_SCALE = (0, 2, 4, 7, 9)  # of tunes and bells, in semitones
_SILENT = 1e-3


@dataclass(frozen=True)
class Patch(Said):
    """One patch, and how it is played.

    Attributes:
        program: 0 to 127, or None for the drum kit.
        keys: lowest and highest.
        rhythm: how its notes follow each other.

    Raises:
        DiegeticError: program, keys or rhythm are none of these; or as `Said`.
    """

    program: int | None
    keys: tuple[int, int]
    rhythm: Rhythm

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.keys
        if not 0 <= low <= high <= 127 or not 0 <= (self.program or 0) <= 127:
            raise DiegeticError(
                f"{self.name}: program and keys must be 0 to 127 and keys in order, "
                f"got {self.program}, {self.keys}"
            )
        if self.rhythm not in get_args(Rhythm):
            raise DiegeticError(
                f"{self.name}: rhythm must be one of {', '.join(get_args(Rhythm))}, "
                f"got {self.rhythm!r}"
            )


@dataclass(frozen=True)
class Note:
    """One note: when it starts and how long it is held, in seconds; key and strength, 1 to 127."""

    start: float
    held: float
    key: int
    strength: int


@cache
def patches() -> tuple[Patch, ...]:
    """Return every patch of the catalogue, in its order."""
    text = files("diegetic.training").joinpath("catalog", "patches.csv").read_text("utf-8")
    return tuple(
        Patch(
            name=row["name"],
            kind=cast(Literal["bed", "oneshot"], row["kind"]),
            category=row["category"],
            noun=(row["noun"], row["plural"]),
            seconds=(float(row["shortest"]), float(row["longest"])),
            wordings=tuple(row["wordings"].split(";")),
            program=None if row["program"] == DRUMS else int(row["program"]),
            keys=(int(row["low"]), int(row["high"])),
            rhythm=cast(Rhythm, row["rhythm"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


def play(patch: Patch, number: int, soundfont: Path) -> FloatArray:
    """Return sound `number` of `patch`: (n, 2) float32 within ±1 at 48 kHz. A bed loops.

    Raises:
        MediaError: the soundfont has no such patch, or as `play_midi`.
    """
    rng = patch.draws(number, 0)
    seconds = float(rng.uniform(*patch.seconds))
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / f"{patch.name}.mid"
        file.write_bytes(midi(score(patch, rng, seconds), patch.program))
        played, _ = play_midi(file, soundfont)
    count = length(seconds)
    sound = np.zeros((count, 2), np.float32)
    sound[: len(played)] = played[:count]
    if patch.kind == "bed":  # what sounds on after the end comes in at the beginning
        rest = played[count : 2 * count]
        sound[: len(rest)] += rest
    else:
        fade = length(0.05)
        sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
    peak = float(np.abs(sound).max())
    if peak < _SILENT:
        raise MediaError(f"{patch.name} {number} is silent: {soundfont.name} has no such patch")
    return sound * np.float32(loudness(float(rng.uniform(-12, -1))) / peak)


def score(patch: Patch, rng: Rng, seconds: float) -> list[Note]:
    """The notes of one sound of `seconds`, by the patch's rhythm."""
    key = int(rng.integers(patch.keys[0], patch.keys[1] + 1))
    firm = int(rng.integers(60, 120))
    if patch.rhythm in ("once", "hold"):
        return [Note(0.0, seconds, key, firm)]
    low, high = {"toll": (0.7, 2.4), "calls": (1.0, 3.0), "beat": (0.22, 0.8),
                 "roll": (0.04, 0.09), "tune": (0.16, 0.5)}[patch.rhythm]  # fmt: skip
    gap = seconds / max(1, round(seconds / draw(rng, low, high)))  # whole, so that it loops
    uneven = 0.0 if patch.rhythm == "calls" else 0.03
    keys = _keys(patch, rng, key)
    notes = []
    for k in range(round(seconds / gap)):
        if patch.rhythm in ("beat", "tune") and rng.random() < 0.2:
            continue  # a rest
        start = max(0.0, gap * (k + float(rng.normal(0, uneven))))
        held = gap * (0.6 if patch.rhythm == "calls" else 1.0)
        strength = int(np.clip(firm + rng.normal(0, 10), 20, 127))
        notes.append(Note(start, held, keys[int(rng.integers(len(keys)))], strength))
    return notes or [Note(0.0, gap, key, firm)]


def _keys(patch: Patch, rng: Rng, key: int) -> list[int]:
    """The keys that a sound uses: one, or several of a scale."""
    if patch.rhythm == "tune":
        many = 8
    elif patch.rhythm in ("toll", "beat"):
        many = int(rng.integers(1, 5))
    else:
        return [key]
    steps = [12 * (k // len(_SCALE)) + _SCALE[k % len(_SCALE)] for k in range(many)]
    lowest = int(rng.integers(patch.keys[0], max(patch.keys[0], patch.keys[1] - steps[-1]) + 1))
    return [min(lowest + step, patch.keys[1]) for step in steps]


def midi(notes: list[Note], program: int | None) -> bytes:
    """Return a MIDI file of `notes`, on the drum channel if there is no program."""
    channel = _DRUM_CHANNEL if program is None else 0
    events = []
    for note in notes:
        start, end = round(note.start * _TICKS), round((note.start + note.held) * _TICKS)
        events.append((start, 1, bytes([0x90 | channel, note.key, note.strength])))
        events.append((max(end, start + 1), 0, bytes([0x80 | channel, note.key, 0])))
    track = bytes([0, 0xC0 | channel, program or 0])
    now = 0
    for tick, _, message in sorted(events):
        track += _ticks(tick - now) + message
        now = tick
    track += bytes([0, 0xFF, 0x2F, 0])
    head = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, _TICKS // 2)
    return head + struct.pack(">4sI", b"MTrk", len(track)) + track


def _ticks(count: int) -> bytes:
    """`count` as MIDI writes lengths: seven bits a byte, the last without the eighth."""
    out = bytes([count & 0x7F])
    while count := count >> 7:
        out = bytes([0x80 | count & 0x7F]) + out
    return out
