"""Another scene: when it begins, and that it does not go on from the one before."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from diegetic.conditioning import Conditioner
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.generator import ChunkGenerator, GeneratorState, load_generator
from diegetic.scene import PERIOD, SETTLED, SETTLING, age_of, another_scene, recalled
from diegetic.snapshot import Event, FloatArray, Snapshot

SCENE = "rain on a tin roof"


@pytest.fixture(scope="module")
def conditioner() -> Conditioner:
    return Conditioner(TextEncoder(), ImageEncoder())


@pytest.fixture(scope="module")
def generator() -> ChunkGenerator:
    return load_generator(nfe=1)


@pytest.mark.parametrize(
    ("before", "now", "other"),
    [
        (SCENE, SCENE, False),
        (SCENE, "heavy rain on a tin roof", False),
        (SCENE, "a crowd cheering in an arena", True),
        (SCENE, "", True),  # which is silence
        ("", SCENE, True),
        ("", "", False),
    ],
)
def test_prompts_decide(conditioner: Conditioner, before: str, now: str, other: bool) -> None:
    old, new = (conditioner(Snapshot(0.0, 0.16, prompt=words)) for words in (before, now))
    assert another_scene(old, new) is other


def test_words_where_there_were_none_are_another_scene(conditioner: Conditioner) -> None:
    alone = conditioner(Snapshot(0.0, 0.16, events=(Event("shot", 0.1),)))
    said = conditioner(Snapshot(0.0, 0.16, prompt=SCENE, events=(Event("shot", 0.1),)))
    assert another_scene(alone, said)
    assert another_scene(said, alone)
    assert not another_scene(alone, alone)


def test_what_morphs_is_one_scene_all_the_way(conditioner: Conditioner) -> None:
    """From one prompt to an unlike one in six chunks; at once it is another scene."""
    other = "a crowd cheering in an arena"
    course = [Snapshot(0.0, 0.16, prompt=SCENE)]
    course += [Snapshot(0.0, 0.16, prompt=SCENE, blend=((other, k / 6),)) for k in (1, 2, 3)]
    course += [Snapshot(0.0, 0.16, prompt=other, blend=((SCENE, 1 - k / 6),)) for k in (4, 5)]
    said = [conditioner(snapshot) for snapshot in [*course, Snapshot(0.0, 0.16, prompt=other)]]
    assert not any(another_scene(old, new) for old, new in pairwise(said))
    assert another_scene(said[0], said[-1])


def test_events_switches_and_parameters_are_of_the_scene(conditioner: Conditioner) -> None:
    plain = conditioner(Snapshot(0.0, 0.16, prompt=SCENE))
    full = conditioner(
        Snapshot(
            0.0,
            0.16,
            prompt=SCENE,
            events=(Event("shot", 0.1),),
            switches={"underfoot": "metal"},
            parameters={"threat": 1.0},
        )
    )
    assert not another_scene(plain, full)


def test_a_scene_settles_within_some_chunks(conditioner: Conditioner) -> None:
    rain, crowd = (
        conditioner(Snapshot(0.0, 0.16, prompt=words))
        for words in (SCENE, "a crowd cheering in an arena")
    )
    ages, before = [SETTLED], None
    for now in [rain, rain, *[crowd] * (SETTLING + 3), rain]:
        ages.append(age_of(now, before, ages[-1]))
        before = now
    assert ages[1:3] == [SETTLED + 1, SETTLED + 2]  # nothing was before it
    assert ages[3:-1] == list(range(SETTLING + 3))
    assert ages[-1] == 0
    heard = [recalled(age, 8, 64, held=False) for age in ages[3:-1]]
    assert heard == [64, *[8] * SETTLING, 64, 64]
    later = range(PERIOD - 1, PERIOD + SETTLED + 1)
    again = [recalled(age, 8, 64, held=False) for age in later]
    assert again == [64, 64, *[8] * SETTLING, 64]
    assert {recalled(age, 8, 64, held=True) for age in later} == {64}


def test_a_settling_scene_hears_its_last_hop_alone(
    generator: ChunkGenerator, conditioner: Conditioner
) -> None:
    def after(state: GeneratorState, *prompts: str) -> GeneratorState:
        for words in prompts:
            said = conditioner(Snapshot(0.0, 0.16, prompt=words))
            _, state = generator.generate(state, said)
        return state

    hop, other = generator.config.hop_latents, "a crowd cheering in an arena"
    state = after(generator.start(1), *[SCENE] * 9)

    def newest(state: GeneratorState) -> FloatArray:
        return after(state, other).prefix.keys[:, :, :, -hop:]

    def spoilt(state: GeneratorState, kept: int) -> GeneratorState:
        """With other memories but for the `kept` newest latents."""
        keys = state.prefix.keys.copy()
        keys[:, :, :, :-kept] += 1
        return replace(state, prefix=replace(state.prefix, keys=keys))

    # The first chunk is joined to the old scene, and hears all of it
    assert not np.array_equal(newest(state), newest(spoilt(state, hop)))
    for _ in range(SETTLING):
        state = after(state, other)
        assert np.array_equal(newest(state), newest(spoilt(state, hop)))
        assert not np.array_equal(newest(state), newest(spoilt(state, hop - 1)))
    # Then its memory grows again, but never back into the old scene
    state = after(state, other)
    for grown in (2 * hop, 3 * hop):
        assert np.array_equal(newest(state), newest(spoilt(state, grown)))
        assert not np.array_equal(newest(state), newest(spoilt(state, grown - 1)))
        state = after(state, other)
