"""Many sessions on a GPU: graphs, buckets, half precision, on torch's kernels and on ours.

Skipped where there is none.
"""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch

from diegetic.config import StreamConfig
from diegetic.generator import WEIGHTS, ChunkGenerator
from diegetic.networks import FloatArray
from diegetic.slots.engine import DType, SlotEngine, SlotState
from diegetic.slots.transformer.kernels import Wanted
from diegetic.slots.work import Work
from diegetic.snapshot import Conditioning, null_conditioning
from diegetic.torch_backend import TorchNetworks

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

CHUNKS = 3
KERNELS: tuple[Wanted, ...] = ("torch", "triton")
ROUNDING = 0.15  # of the peak: bfloat16, and phases of what is tonal turn with it


@pytest.fixture(scope="module", params=KERNELS)
def engine(request: pytest.FixtureRequest) -> SlotEngine:
    return SlotEngine(sessions=8, nfe=(2,), device="cuda", kernels=request.param)


def say(seed: int) -> Conditioning:
    said = null_conditioning()
    words = np.random.default_rng(seed).standard_normal(said.words.shape[1]).astype(np.float32)
    said.words[0] = words / np.linalg.norm(words)
    said.values[0], said.present[0] = 1.0, True
    return replace(said, guidance=1.5)


def together(engine: SlotEngine, seeds: list[int]) -> list[list[FloatArray]]:
    """CHUNKS chunks of sessions that are always in one batch."""
    states: list[SlotState] = [engine.start(seed) for seed in seeds]
    chunks: list[list[FloatArray]] = []
    for _ in range(CHUNKS):
        works = [Work(state, say(seed)) for state, seed in zip(states, seeds, strict=True)]
        made = engine.step(works)
        states = [result.state for result in made]
        chunks.append([result.chunk for result in made])
    return [[chunk[row] for chunk in chunks] for row in range(len(seeds))]


def solo(seed: int) -> list[FloatArray]:
    generator = ChunkGenerator(TorchNetworks(WEIGHTS), StreamConfig(), 2)
    state, chunks = generator.start(seed), []
    for _ in range(CHUNKS):
        chunk, state = generator.generate(state, say(seed))
        chunks.append(chunk)
    return chunks


def share(ours: list[FloatArray], theirs: list[FloatArray]) -> float:
    """The largest difference as a share of the peak."""
    return float(np.abs(np.stack(ours) - np.stack(theirs)).max() / np.abs(np.stack(theirs)).max())


@pytest.mark.parametrize("kernels", KERNELS)
def test_float32_is_the_solo_generator(kernels: Wanted) -> None:
    engine = SlotEngine(sessions=2, nfe=(2,), device="cuda", dtype="float32", kernels=kernels)
    ours = together(engine, [1, 2])
    assert share(ours[0], solo(1)) < 1e-3
    assert share(ours[1], solo(2)) < 1e-3


def test_half_precision_stays_close(engine: SlotEngine) -> None:
    assert share(together(engine, [1])[0], solo(1)) < ROUNDING


def test_a_session_is_the_same_bit_for_bit_whoever_shares_its_bucket(engine: SlotEngine) -> None:
    first = together(engine, [1, 2, 3, 4])
    second = together(engine, [1, 9, 8])  # one row is nobody's
    elsewhere = together(engine, [5, 6, 1, 7])
    np.testing.assert_array_equal(first[0], second[0])
    assert share(elsewhere[2], first[0]) < ROUNDING


def test_a_graph_makes_what_its_launches_make_one_by_one(engine: SlotEngine) -> None:
    kernels = engine.kernels.impl
    eager = SlotEngine(sessions=8, nfe=(2,), device="cuda", graphs=False, kernels=kernels)
    for seeds in ([1], [1, 2, 3]):
        pairs = zip(together(engine, seeds), together(eager, seeds), strict=True)
        for graph, launched in pairs:
            assert share(graph, launched) < ROUNDING


def test_a_state_can_be_gone_back_to_bit_for_bit(engine: SlotEngine) -> None:
    _, kept = engine.generate(engine.start(5), say(1))
    first, after = engine.generate(kept, say(2))
    for k in range(3):
        _, after = engine.generate(after, say(k))
    second, _ = engine.generate(kept, say(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_on_our_kernels_all_sounds_as_on_torchs(dtype: DType) -> None:
    seeds = [1, 2, 3]  # one row is nobody's
    torchs, ours = (
        together(
            SlotEngine(sessions=4, nfe=(2,), device="cuda", dtype=dtype, kernels=kernels), seeds
        )
        for kernels in KERNELS
    )
    for theirs, mine in zip(torchs, ours, strict=True):
        assert share(mine, theirs) < (1e-3 if dtype == "float32" else ROUNDING)


def test_the_choice_of_a_card_is_told() -> None:
    engine = SlotEngine(sessions=1, nfe=(2,), device="cuda")
    assert engine.kernels.impl in KERNELS
    assert engine.kernels.why
