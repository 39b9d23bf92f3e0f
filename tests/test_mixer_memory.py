"""What mixing costs in memory when nothing new is told: a player runs for hours without a gc."""

import gc
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from diegetic.mixer.commands import DeclareBus, Duck, SetMaster, StartVoice
from diegetic.mixer.mixer import Mixer
from mixer_scene import clip, noise

BLOCK, VOICES = 256, 48
ROWS = VOICES * 2 * BLOCK * 4  # bytes of what all voices play in a block


@pytest.fixture
def no_collection() -> Iterator[None]:
    """As in the player's process: what is not let go of by itself stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_a_steady_scene_keeps_no_memory_and_copies_no_voices() -> None:
    mixer = Mixer(BLOCK, voices=VOICES)
    mixer.apply(clip(0, noise(30 * 48_000, 0.05)))
    mixer.apply(DeclareBus("beds", ducks=[Duck("events", -6.0)]))
    mixer.apply(SetMaster(-16.0))
    for number in range(VOICES):
        place = (number % 7 - 3.0, 0.0, -1.0)
        mixer.apply(StartVoice(number, 0, position=place, occlusion=0.5 * (number % 2)))
    bed, out = noise(BLOCK, 0.3), np.zeros((BLOCK, 2), np.float32)
    for _ in range(12 * 48_000 // BLOCK):  # until the loudness is known over its whole window
        mixer.mix(bed, out)
    tracemalloc.start()
    try:
        mixer.mix(bed, out)
        before, peak = tracemalloc.get_traced_memory()[0], 0
        for _ in range(400):
            tracemalloc.reset_peak()
            start = tracemalloc.get_traced_memory()[0]
            mixer.mix(bed, out)
            peak = max(peak, tracemalloc.get_traced_memory()[1] - start)
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert mixer.sounding == VOICES
    assert mixer.deepest_reduction_db > 0  # the limiter was at work
    assert kept < 2048  # numbers that replace others
    assert peak < ROWS / 2
