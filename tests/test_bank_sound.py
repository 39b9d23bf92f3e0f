"""Takes by the shipped weights: heard, at once, equally loud, never the same."""

import numpy as np
import pytest

from diegetic.bank import Clip, EventBank, EventSpec, VariationMaker
from diegetic.bank.prepare import PEAK, TARGET_LUFS, momentary_lufs
from diegetic.conditioning import Conditioner
from diegetic.config import RATE
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.generator import load_generator
from diegetic.snapshot import FloatArray

SPECS = [
    EventSpec("footstep", "footstep on {surface}", variations=2, length=0.4),
    EventSpec("shot", variations=1, length=0.4),
    EventSpec("door", variations=1, length=0.4),
]


@pytest.fixture(scope="module")
def maker() -> VariationMaker:
    networks = load_generator(nfe=4), Conditioner(TextEncoder(), ImageEncoder())
    return VariationMaker(lambda: networks, 7)


@pytest.fixture(scope="module")
def clips(maker: VariationMaker) -> list[Clip]:
    """Two steps on grass, a shot, a door."""
    bank = EventBank(maker)
    bank.set_switches({"surface": "grass"})
    for spec in SPECS:
        bank.declare(spec)
    while bank.work():
        pass
    made: list[Clip] = []
    bank.attach(made.append, lambda clip: None)
    assert len(made) == 4
    return made


def test_every_take_is_heard_from_its_first_millisecond_on(clips: list[Clip]) -> None:
    millisecond = RATE // 1000
    for clip in clips:
        assert len(clip.samples) >= 20 * millisecond
        power = np.square(clip.samples).sum(axis=1)
        loudest = max(part.mean() for part in np.array_split(power, len(power) // millisecond))
        # the onset is 20 dB below the loudest millisecond, which other bounds put 2 dB elsewhere
        assert power[: millisecond + 1].max() >= 10**-2.2 * loudest


def test_takes_are_equally_loud(clips: list[Clip]) -> None:
    for clip in clips:
        if np.abs(clip.samples).max() < 0.99 * PEAK:  # else its peak is the limit
            assert momentary_lufs(clip.samples) == pytest.approx(TARGET_LUFS, abs=0.05)
        assert np.abs(clip.samples).max() <= 1.0001 * PEAK


def likeness(one: FloatArray, other: FloatArray) -> float:
    """The highest correlation of two clips' beginnings over shifts of up to 5 ms."""
    size = min(len(one), len(other)) - 480
    first, second = one[240 : 240 + size].mean(1), other.mean(1)
    return max(
        float(np.corrcoef(first, second[shift : shift + size])[0, 1]) for shift in range(0, 480, 8)
    )


def test_two_takes_of_one_event_differ_by_more_than_their_timing(clips: list[Clip]) -> None:
    steps = [clip for clip in clips if clip.variant.name == "footstep"]
    assert likeness(steps[0].samples, steps[1].samples) < 0.9


def test_the_same_seed_makes_the_same_bytes(maker: VariationMaker, clips: list[Clip]) -> None:
    shot = next(clip for clip in clips if clip.variant.name == "shot")
    again = maker.begin(SPECS[1], shot.variant, 0)
    while (samples := again.step()) is None:
        pass
    assert samples.tobytes() == shot.samples.tobytes()
