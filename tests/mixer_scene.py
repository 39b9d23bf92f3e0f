"""What the tests of the mixer share: clips, and a mixer run in blocks of any size."""

from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np

from diegetic.mixer.commands import Command, LoadClip
from diegetic.mixer.mixer import Mixer
from diegetic.snapshot import FloatArray

LEVEL = 0.25  # of steady clips and beds: far below the ceiling, so the limiter leaves it alone


def steady(length: int, level: float = LEVEL) -> FloatArray:
    """A constant: whatever it is multiplied by can be read off the output."""
    return np.full((length, 2), level, np.float32)


def noise(length: int, level: float = 0.1, seed: int = 0) -> FloatArray:
    return (np.random.default_rng(seed).standard_normal((length, 2)) * level).astype(np.float32)


def clip(id_: int, samples: FloatArray) -> LoadClip:
    return LoadClip(id_, samples.astype("<f4").tobytes())


def play(
    mixer: Mixer,
    bed: FloatArray,
    commands: Mapping[int, Sequence[Command]] | None = None,
    sizes: Sequence[int] = (256,),
) -> FloatArray:
    """Mix all of `bed`, giving each command before its sample; return it without the delay."""
    commands = commands or {}
    padded = np.concatenate([bed, np.zeros((mixer.delay, 2), np.float32)])
    out = np.zeros_like(padded)
    done = 0
    for turn in count():
        for command in commands.get(done, ()):
            mixer.apply(command)
        if done == len(padded):
            return out[mixer.delay :]
        size = min(sizes[turn % len(sizes)], len(padded) - done)
        size = min([size, *(at - done for at in commands if at > done)])
        mixer.mix(padded[done : done + size], out[done : done + size])
        done += size
    raise AssertionError


def bend(samples: FloatArray) -> float:
    """The largest second difference: what a click, a step or a zipper raises."""
    return float(np.abs(np.diff(samples.astype(np.float64), 2, axis=0)).max())


def bow(change: float, length: int) -> float:
    """The second difference that a raised cosine of `change` over `length` samples has at most.

    Twice, for a turn on the way, and what float32 rounds.
    """
    return change * (np.pi / length) ** 2 + 4e-7
