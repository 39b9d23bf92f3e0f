"""What mixing costs in memory when nothing new is told: a player runs for hours without a gc.

No array of a block's length is made: the heads of views, Python's own objects and what a ufunc
needs to walk are all that comes and goes, and they are as small for long blocks as for short ones.
"""

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pytest

from diegetic.mixer.commands import (
    Command,
    DeclareBus,
    DeclareSnapshot,
    Duck,
    MoveVoice,
    PopSnapshot,
    PushSnapshot,
    SetBus,
    SetMaster,
    StartVoice,
    StopVoice,
)
from diegetic.mixer.mixer import Mixer
from mixer_scene import clip, noise

SHORT, LONG = 256, 1024  # blocks, samples
VOICES = 16
GROWTH = 512  # bytes, a sixth of what one channel of a long block has more than a short one
MOST = 6 * 1024  # bytes of heads and objects: the scene's lists of voices are the largest
Told = Callable[[int, int], Sequence[Command]]  # of a block's number, and how many are a second


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """As in the player's process: what is not let go of by itself stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Scene:
    """Voices, some of them muffled, a duck, a loudness, and enough for the limiter to do."""

    def __init__(self, block: int) -> None:
        self.block = block
        self.second = 48_000 // block
        self.mixer = Mixer(block, voices=VOICES)
        self.mixer.apply(clip(0, noise(30 * 48_000, 0.05)))
        self.mixer.apply(DeclareBus("far", "events"))
        self.mixer.apply(DeclareBus("beds", ducks=[Duck("events", -6.0, 0.5, 0.5)]))
        self.mixer.apply(DeclareSnapshot("pause", {"beds": -6.0}))
        self.mixer.apply(SetMaster(-16.0))
        for number in range(VOICES):
            place = (number % 7 - 3.0, 0.0, -1.0)
            bus = ("events", "far")[number % 3 == 0]
            self.mixer.apply(StartVoice(number, 0, -1, 0.0, bus, place, 0.5 * (number % 2)))

    def mix(self, blocks: Iterable[int], told: Told, size: int | None = None) -> tuple[int, int]:
        """Return the bytes that one of `blocks` allocated at most, and those that stayed.

        Zeros where nobody looks: it is slower where somebody does.
        """
        size = size or self.block
        bed, out = noise(size, 0.1), np.zeros((size, 2), np.float32)
        bed[::4999] = 15.0  # of little loudness: the limiter is always at work
        self.mixer.mix(bed, out)
        before, peak = tracemalloc.get_traced_memory()[0], 0
        for index in blocks:
            for command in told(index, self.second):
                self.mixer.apply(command)
            tracemalloc.reset_peak()
            start = tracemalloc.get_traced_memory()[0]
            self.mixer.mix(bed, out)
            peak = max(peak, tracemalloc.get_traced_memory()[1] - start)
        assert self.mixer.reduction_db > 0
        return peak, tracemalloc.get_traced_memory()[0] - before

    def measure(
        self, blocks: Iterable[int], told: Told, size: int | None = None
    ) -> tuple[int, int]:
        """Do the same with an eye on the memory."""
        tracemalloc.start()
        try:
            return self.mix(blocks, told, size)
        finally:
            tracemalloc.stop()


def nothing(index: int, second: int) -> Sequence[Command]:
    return ()


def moves(index: int, second: int) -> Sequence[Command]:
    """Every voice gets another place, again and again."""
    x = index % 9 - 4.0
    return [MoveVoice(number, (x, 0.0, -1.0), 0.5 * (number % 2)) for number in range(VOICES)]


def fades(index: int, second: int) -> Sequence[Command]:
    """Buses, a mute and snapshots on their long ways, there and back; a duck follows."""
    if index % second:
        return ()
    back = index // second % 2
    return (
        SetBus("events", gain_db=-20.0 * (1 - back), fade=2.0),
        SetBus("far", mute=not back, fade=0.9),
        PopSnapshot("pause", 0.8) if back else PushSnapshot("pause", 0.8),
    )


def ends(index: int, second: int) -> Sequence[Command]:
    """One voice after the other fades out for long; another begins."""
    return (
        StartVoice(VOICES + index, 0, position=(1.0, 0.0, 0.0)),
        StopVoice(index, 0.01 * (index % 8)),
    )


@pytest.mark.parametrize("told", [nothing, moves, fades, ends])
def test_a_block_costs_no_more_memory_for_being_long(told: Told) -> None:
    peaks = []
    for scene in (Scene(SHORT), Scene(LONG)):
        scene.mix(range(12 * scene.second), nothing)  # until the loudness is known
        scene.mix(range(2 * scene.second), told)  # what it needs is there from now on
        peak, kept = scene.measure(range(2 * scene.second, 4 * scene.second), told)
        peaks.append(peak)
        assert scene.mixer.refused == 0
        assert scene.mixer.sounding >= VOICES / 2
        assert told is not nothing or kept < 2048  # numbers that replace others
    assert peaks[1] - peaks[0] < GROWTH, peaks
    assert max(peaks) < MOST, peaks


def test_a_block_that_is_cut_short_costs_no_more_memory_either() -> None:
    scene = Scene(LONG)
    scene.mix(range(12 * scene.second), nothing)
    peaks = {size: scene.measure(range(60), nothing, size)[0] for size in (1, 57, 700, LONG)}
    assert max(peaks.values()) - min(peaks.values()) < GROWTH, peaks


def test_a_mixer_leaves_the_buffers_of_others_alone() -> None:
    usual = np.getbufsize()
    mixer = Mixer(64)
    mixer.mix(np.zeros((64, 2), np.float32), np.zeros((64, 2), np.float32))
    with pytest.raises(ValueError, match="alike"):
        mixer.mix(np.zeros((64, 2), np.float32), np.zeros((63, 2), np.float32))
    assert np.getbufsize() == usual
