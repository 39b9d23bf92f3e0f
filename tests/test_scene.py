"""Another scene: when it begins, and that it does not go on from the one before."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from diegetic.conditioning import Conditioner
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.generator import ChunkGenerator, GeneratorState, load_generator
from diegetic.scene import another_scene
from diegetic.snapshot import Conditioning, Event, Snapshot

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


def test_a_new_scene_does_not_depend_on_the_sound_before_it(
    generator: ChunkGenerator, conditioner: Conditioner
) -> None:
    def say(words: str) -> Conditioning:
        return conditioner(Snapshot(0.0, 0.16, prompt=words))

    def after(state: GeneratorState, *prompts: str) -> GeneratorState:
        for words in prompts:
            _, state = generator.generate(state, say(words))
        return state

    hop = generator.config.hop_latents
    rain = after(generator.start(1), *[SCENE] * 3)
    birds = after(generator.start(1), *["birds in a forest"] * 3)
    assert not np.array_equal(rain.prefix.keys, birds.prefix.keys)

    def newest(state: GeneratorState, words: str) -> np.ndarray:
        return after(state, words).prefix.keys[:, :, :, -hop:]

    other = "a crowd cheering in an arena"
    assert np.array_equal(newest(rain, other), newest(birds, other))
    assert not np.array_equal(newest(rain, SCENE), newest(replace(birds, said=None), SCENE))
    # and what comes then goes on from the new scene alone
    on = [after(state, other, other).prefix for state in (rain, birds)]
    assert np.array_equal(on[0].bias, on[1].bias)
    assert np.array_equal(on[0].keys[:, :, :, -2 * hop :], on[1].keys[:, :, :, -2 * hop :])
