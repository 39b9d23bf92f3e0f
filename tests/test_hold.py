from dataclasses import replace

import numpy as np
import pytest

from diegetic.generator import ChunkGenerator, load_generator
from diegetic.hold import RETURN, TAKEN, Hold
from diegetic.networks import Memory
from diegetic.snapshot import (
    EVENT_TOKENS,
    FRAME_TOKENS,
    PARAMETER_TOKENS,
    Conditioning,
    null_conditioning,
)


def said(word: int = 1, parameter: float = 0.5) -> Conditioning:
    """A prompt and a parameter."""
    told = null_conditioning()
    slots = [0, PARAMETER_TOKENS.start]
    told.words[slots, word] = 1.0
    told.values[slots] = 1.0, parameter
    told.present[slots] = True
    return told


def after(chunks: int, told: Conditioning | None = None) -> Hold[int]:
    """A hold after so many chunks, whose memories are their numbers, the first 1."""
    told = told or said()
    hold: Hold[int] = Hold()
    for number in range(1, chunks + 1):
        hold = hold.under(told).after(told, number)
    return hold


def test_it_comes_back_to_one_memory_again_and_again() -> None:
    left = [after(chunks - 1).due for chunks in range(1, TAKEN + 3 * RETURN + 1)]
    returns = [number for number, memory in enumerate(left, 1) if memory is not None]
    assert returns == [TAKEN + k * RETURN for k in (1, 2, 3)]
    assert {left[number - 1] for number in returns} == {TAKEN}


@pytest.mark.parametrize(
    "other",
    [
        said(word=2),
        said(parameter=0.9),
        replace(said(), guidance=3.0),
        null_conditioning(["music"]),
    ],
    ids=["words", "parameter", "guidance", "layers"],
)
def test_what_is_said_anew_is_held_anew(other: Conditioning) -> None:
    assert after(TAKEN + 5).under(other) == Hold(other)


def test_small_moves_of_a_parameter_let_go_of_nothing() -> None:
    hold = after(TAKEN)
    assert hold.memory == TAKEN
    assert hold.under(said(parameter=0.55)) is hold


def test_under_pictures_nothing_is_held() -> None:
    seen = said()
    seen.present[FRAME_TOKENS.start] = True
    assert after(TAKEN + 5).under(seen) == Hold()
    assert after(TAKEN + 5, seen).memory is None


def test_an_event_is_not_remembered() -> None:
    bang = said()
    bang.present[EVENT_TOKENS.start] = True
    hold = after(TAKEN - 1).under(bang).after(bang, -1)
    for number in range(TAKEN):
        assert hold.memory is None
        hold = hold.under(said()).after(said(), number)
    assert hold.memory == TAKEN - 1
    assert hold.under(bang).after(bang, -1).memory == TAKEN - 1


@pytest.fixture(scope="module")
def generator() -> ChunkGenerator:
    return load_generator(nfe=1)


def test_a_stream_hears_its_memory_and_its_last_hop(generator: ChunkGenerator) -> None:
    told, hop = said(), generator.config.hop_latents
    state = generator.start(3)
    for _ in range(TAKEN + RETURN - 1):
        _, state = generator.generate(state, told)
    memory = state.hold.memory
    assert isinstance(memory, Memory)
    _, own = generator.append(state, generator.sample(state, told)[:, :hop])
    _, back = generator.generate(state, told)
    np.testing.assert_array_equal(back.prefix.keys[..., :-hop, :], memory.keys[..., hop:, :])
    np.testing.assert_array_equal(back.prefix.keys[..., -hop:, :], own.prefix.keys[..., -hop:, :])
    _, gone_on = generator.generate(back, told)
    np.testing.assert_array_equal(  # and from there it goes on as ever
        gone_on.prefix.values[..., :-hop, :], back.prefix.values[..., hop:, :]
    )
