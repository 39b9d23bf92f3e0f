"""Many sessions on one engine, with the shipped weights: each as if it were alone."""

import threading
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.generator import WEIGHTS, ChunkGenerator, position_noise
from diegetic.networks import FloatArray
from diegetic.slots.engine import SlotEngine, SlotState
from diegetic.slots.noise import NoiseAhead
from diegetic.slots.work import Work
from diegetic.snapshot import (
    EVENT_TOKENS,
    FRAME_TOKENS,
    Conditioning,
    null_conditioning,
)
from diegetic.torch_backend import TorchNetworks

CLOSE = 1e-5  # of the peak: float32, added up in another order


@pytest.fixture(scope="module")
def engine() -> SlotEngine:
    return SlotEngine(sessions=3, nfe=(2, 1))


@pytest.fixture(scope="module")
def networks() -> TorchNetworks:
    return TorchNetworks(WEIGHTS)


def say(seed: int, guidance: float = 2.0) -> Conditioning:
    """A sentence, an event that moves through the chunk, and a frame: another for every seed."""
    rng, said = np.random.default_rng(seed), null_conditioning()
    event, frame = EVENT_TOKENS.start, FRAME_TOKENS.start
    for slot in (0, event):
        words = rng.standard_normal(said.words.shape[1]).astype(np.float32)
        said.words[slot] = words / np.linalg.norm(words)
    said.frames[0] = rng.standard_normal(said.frames.shape[1]).astype(np.float32) * 0.02
    said.values[0], said.values[event] = 1.0, 0.5
    said.times[event], said.times[frame] = 0.01 * seed, -0.02 * seed
    said.present[[0, event, frame]] = True
    return replace(said, guidance=guidance)


def assert_same_sound(ours: FloatArray, theirs: FloatArray) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE * max(1.0, np.abs(theirs).max()))


def alone(
    networks: TorchNetworks, seed: int, said: list[Conditioning], nfe: int = 2
) -> list[FloatArray]:
    generator = ChunkGenerator(networks, StreamConfig(), nfe)
    state, chunks = generator.start(seed), []
    for conditioning in said:
        chunk, state = generator.generate(state, conditioning)
        chunks.append(chunk)
    return chunks


def test_a_session_in_a_batch_sounds_as_if_it_were_alone(
    engine: SlotEngine, networks: TorchNetworks
) -> None:
    talk = {seed: [say(10 * seed + k, seed - 3.0) for k in (0, 1, 1, 2)] for seed in (4, 5, 6)}
    states = {seed: engine.start(seed) for seed in talk}
    wanted = {seed: alone(networks, seed, said) for seed, said in talk.items()}
    for index in range(4):
        made = engine.step([Work(states[seed], talk[seed][index]) for seed in talk])
        for seed, result in zip(talk, made, strict=True):
            states[seed] = result.state
            assert result.chunk.dtype == np.float32
            assert_same_sound(result.chunk, wanted[seed][index])
    assert np.abs(wanted[4][3] - wanted[5][3]).max() > 100 * CLOSE


def test_a_session_in_a_batch_comes_back_to_its_memory_as_if_it_were_alone(
    engine: SlotEngine, networks: TorchNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diegetic.hold.TAKEN", 2)
    monkeypatch.setattr("diegetic.hold.RETURN", 2)
    said = say(1)
    said.present[[EVENT_TOKENS.start, FRAME_TOKENS.start]] = False
    wanted = alone(networks, 1, [said] * 7)
    state, chunks = engine.start(1), []
    for _ in range(7):
        made = engine.step([Work(engine.start(2), say(2)), Work(state, said)])[1]
        state = made.state
        chunks.append(made.chunk)
    for ours, theirs in zip(chunks, wanted, strict=True):
        assert_same_sound(ours, theirs)
    monkeypatch.setattr("diegetic.hold.TAKEN", 99)
    free = alone(networks, 1, [said] * 7)
    np.testing.assert_array_equal(free[3], wanted[3])
    assert np.abs(free[4] - wanted[4]).max() > 100 * CLOSE  # the first after it came back


def test_who_sits_out_is_untouched_bit_for_bit(engine: SlotEngine) -> None:
    made = engine.step([Work(engine.start(1), say(1)), Work(engine.start(2), say(2))])
    resting, other = made[0].state, made[1].state
    first, _ = engine.generate(resting, say(3))
    for k in range(3):
        _, other = engine.generate(other, say(k))
    second, _ = engine.generate(resting, say(3))
    np.testing.assert_array_equal(first, second)


def test_a_state_can_be_gone_back_to_and_forked(engine: SlotEngine) -> None:
    _, kept = engine.generate(engine.start(5), say(1))

    def future(said: list[Conditioning]) -> list[FloatArray]:
        state, chunks = kept, []
        for conditioning in said:
            chunk, state = engine.generate(state, conditioning)
            chunks.append(chunk)
        return chunks

    first = future([say(1), say(2)])
    other = future([say(1), say(3)])
    np.testing.assert_array_equal(first[0], other[0])
    assert np.abs(first[1] - other[1]).max() > 100 * CLOSE
    np.testing.assert_array_equal(first, future([say(1), say(2)]))


def test_joins_and_leaves_do_not_disturb_others(
    engine: SlotEngine, networks: TorchNetworks
) -> None:
    wanted = alone(networks, 7, [say(7)] * 4)
    state = engine.start(7)
    for index, company in enumerate(([], [8], [9, 8], [9])):
        works = [Work(engine.start(seed), say(seed)) for seed in company]
        made = engine.step([*works, Work(state, say(7))])[-1]
        state = made.state
        assert_same_sound(made.chunk, wanted[index])


def test_sessions_with_other_nfe_share_a_step(engine: SlotEngine, networks: TorchNetworks) -> None:
    works = [Work(engine.start(1), say(1), nfe) for nfe in (1, 2, 1)]
    made = [result.chunk for result in engine.step(works)]
    np.testing.assert_array_equal(made[0], made[2])
    assert_same_sound(made[0], alone(networks, 1, [say(1)], 1)[0])
    assert_same_sound(made[1], alone(networks, 1, [say(1)], 2)[0])


def test_more_work_than_rows_is_done_in_turns(engine: SlotEngine, networks: TorchNetworks) -> None:
    made = engine.step([Work(engine.start(seed), say(seed)) for seed in range(6)])
    for seed in (0, 5):
        wanted = alone(networks, seed, [say(seed)])[0]
        assert_same_sound(made[seed].chunk, wanted)


def test_what_is_said_again_is_not_computed_again(engine: SlotEngine) -> None:
    _, state = engine.generate(engine.start(1), say(1))
    _, same = engine.generate(state, say(1, guidance=4.0))  # equal, not identical
    _, new = engine.generate(state, say(2))
    assert same.said.page is state.said.page
    assert new.said.page is not state.said.page


def test_pages_are_free_again_when_nobody_holds_them(engine: SlotEngine) -> None:
    room = engine.room
    state: SlotState | None = engine.start(1)
    assert engine.room == room
    held = []
    for _ in range(3):
        assert state is not None
        _, state = engine.generate(state, say(1))
        held.append(state)
    assert engine.room == room - 3
    held.clear()
    assert engine.room == room - 1
    state = None
    assert engine.room == room


def test_who_holds_too_many_states_is_told() -> None:
    engine = SlotEngine(sessions=1, nfe=(1,), kept=1)
    state, held = engine.start(1), []
    for _ in range(2):
        _, state = engine.generate(state, say(1))
        held.append(state)
    with pytest.raises(DiegeticError, match="no room for another state: all 2 are held"):
        engine.generate(state, say(1))
    held.clear()
    engine.generate(state, say(1))


def test_the_warm_up_is_told_and_over_when_the_engine_is_made() -> None:
    told: list[tuple[str, int, int]] = []
    engine = SlotEngine(sessions=2, nfe=(1, 2), progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == [1, 2, 3, 4, 5, 6]
    assert {total for _, _, total in told} == {6}
    assert engine.buckets == (1, 2)
    assert set(engine.costs) == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert min(engine.costs.values()) > 0


def test_other_lengths_and_half_precision_stay_close(networks: TorchNetworks) -> None:
    config = StreamConfig(hop=0.1, overlap=0.06)
    solo = ChunkGenerator(networks, config, 1)
    exact = SlotEngine(sessions=1, nfe=(1,), config=config)
    rough = SlotEngine(sessions=1, nfe=(1,), config=config, dtype="bfloat16")
    ours, halves, theirs = exact.start(3), rough.start(3), solo.start(3)
    for _ in range(4):
        chunk, ours = exact.generate(ours, say(3))
        half, halves = rough.generate(halves, say(3))
        wanted, theirs = solo.generate(theirs, say(3))
        assert chunk.shape == (config.chunk_samples, 2)
        assert_same_sound(chunk, wanted)
        # bfloat16 has 8 bits, and the phases of what is tonal turn with the rounding
        assert np.abs(half - wanted).max() < 0.1 * np.abs(wanted).max()


def test_noise_made_ahead_is_that_of_the_place() -> None:
    config = StreamConfig()
    ahead = NoiseAhead(config, threads=2, most=4)
    try:
        for position in range(0, 4 * config.hop_latents, config.hop_latents):
            chunks = [(seed, position, ahead.take(seed, position)) for seed in (1, 2, 3)]
            for seed, _, noise in chunks:
                wanted = position_noise(seed, position, config.chunk_latents)
                np.testing.assert_array_equal(noise, wanted)
            ahead.expect(chunks)
            ahead.wait()
    finally:
        ahead.close()


def test_bad_arguments_are_refused_by_name(engine: SlotEngine) -> None:
    for arguments, message in (
        ({"sessions": 0}, r"sessions must be in 1 \.\. 256, got 0"),
        ({"nfe": ()}, r"nfe must be one or more numbers from 1 on, got \(\)"),
        ({"device": "tpu7"}, "device must be 'cpu', 'cuda' or 'cuda:N', got 'tpu7'"),
        ({"device": "meta"}, "device must be 'cpu', 'cuda' or 'cuda:N', got 'meta'"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there: torch .* CUDA devices"),
        ({"dtype": "int8"}, "dtype must be one of auto, float32, bfloat16, got 'int8'"),
        ({"config": StreamConfig(prefix=0.1)}, r"prefix must be no shorter than hop \(0.16 s\)"),
    ):
        with pytest.raises(DiegeticError, match=message):
            SlotEngine(**arguments)
    state = engine.start(0)
    with pytest.raises(DiegeticError, match="seed must be in"):
        engine.start(-1)
    with pytest.raises(DiegeticError, match="nfe must be one that was prepared, 2, 1; got 3"):
        engine.step([Work(state, say(0), 3)])
    with pytest.raises(DiegeticError, match=r"guidance must be in 1 \.\. 5, got 0.5"):
        engine.generate(state, say(0, guidance=0.5))
    short = replace(say(0), times=np.zeros(3, np.float32))
    with pytest.raises(DiegeticError, match=r"times of a conditioning must be \(30,\), got \(3,\)"):
        engine.generate(state, short)
    stranger = SlotEngine(sessions=1, nfe=(1,)).start(0)
    with pytest.raises(DiegeticError, match="got another engine's"):
        engine.generate(stranger, say(0))


def test_any_thread_may_call(engine: SlotEngine) -> None:
    wanted = [engine.generate(engine.start(seed), say(seed))[0] for seed in range(3)]
    found: dict[int, FloatArray] = {}

    def run(seed: int) -> None:
        found[seed] = engine.generate(engine.start(seed), say(seed))[0]

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(3):
        np.testing.assert_array_equal(found[seed], wanted[seed])
