"""The transformer of many sessions on our kernels: what it computes, what it launches, who decides.

Without a card Triton's kernels run in its interpreter, in a process of their own.
"""

import importlib.util
import logging
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch
from torch import Tensor

from diegetic.config import LATENT_DIM, StreamConfig
from diegetic.errors import DiegeticError
from diegetic.model.dit import BLOCKS, HIDDEN, TOKENS, WIDTH, DiT
from diegetic.networks import FloatArray
from diegetic.slots.engine import SlotEngine, SlotState
from diegetic.slots.pages import BLANK, SCRAP
from diegetic.slots.transformer.base import Pages, Sight
from diegetic.slots.transformer.fused import FusedTransformer
from diegetic.slots.transformer.kernels import Wanted, choose_kernels
from diegetic.slots.transformer.plain import TorchTransformer, whole_tiles
from diegetic.slots.work import Work
from diegetic_kernels import choice
from kernel_cases import DEVICE, INTERPRETED, ON_CARD, run_under_the_interpreter
from test_slots import assert_same_sound, say

HAS_TRITON = importlib.util.find_spec("triton") is not None
RUNS_TRITON = HAS_TRITON and (ON_CARD or INTERPRETED)
TRITON = pytest.param(
    "triton",
    marks=pytest.mark.skipif(
        not RUNS_TRITON, reason="no CUDA device: test_under_the_interpreter runs this one"
    ),
)
RING, CHUNK, HOP, FEW = 16, 5, 3, 9
SHORT = StreamConfig(hop=0.06, overlap=0.04, prefix=0.32)  # the same lengths, in seconds


@pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
@pytest.mark.skipif(INTERPRETED, reason="this is the inner run")
def test_under_the_interpreter() -> None:
    run_under_the_interpreter(__file__)


# What it computes


def model() -> DiT:
    """Random weights, none of them zero."""
    torch.manual_seed(7)
    dit = DiT().eval()
    with torch.no_grad():
        for parameter in dit.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return dit


def pages() -> Pages:
    """Eight states and four conditionings, of which each hides other tokens."""
    make = torch.Generator().manual_seed(8)
    prefix = torch.randn(8, BLOCKS, 2, RING, WIDTH, generator=make)
    tokens = torch.randn(4, BLOCKS, 2, FEW, WIDTH, generator=make)
    bias = torch.where(torch.rand(4, FEW, generator=make) < 0.5, HIDDEN, 0.0)
    bias[:, 4] = 0.0
    return Pages(*(part.to(DEVICE) for part in (prefix, tokens, bias)))


def makers(impl: Wanted) -> tuple[TorchTransformer, FusedTransformer]:
    """Torch's, and that on our kernels, each with pages of its own."""
    dit, dtype = model(), torch.float32
    kernels = choose_kernels(impl, SHORT, 4, torch.device(DEVICE), dtype)
    return (
        TorchTransformer(dit, pages(), CHUNK, dtype),
        FusedTransformer(dit, pages(), CHUNK, dtype, kernels),
    )


@pytest.mark.parametrize("impl", ["reference", TRITON])
@torch.inference_mode()
def test_a_batch_is_what_torchs_kernels_make_of_it(impl: Wanted) -> None:
    # A new stream, one of seven latents, one that recalls its last hop, a row that is nobody's.
    read, length, said = [6, 2, 3, BLANK], [0, 7, HOP, 0], [2, 3, 2, BLANK]
    sight = Sight(*torch.tensor([read, length, said], device=DEVICE))
    # The second comes back to another page than the one that it was read from.
    joined = torch.tensor([6, 3, 3, BLANK], device=DEVICE)
    write = torch.tensor([4, 5, 7, SCRAP], device=DEVICE)
    make = torch.Generator().manual_seed(9)
    latents = torch.randn(4, CHUNK, LATENT_DIM, generator=make).to(DEVICE)
    summary = torch.randn(4, WIDTH, generator=make).to(DEVICE)
    guidance = torch.tensor([1.0, 2.0, 5.0, 1.0], device=DEVICE)
    velocities, prefixes = [], []
    for transformer in makers(impl):
        times = transformer.moments((0.7,))
        steering = transformer.steering(times, guidance, summary)[0]
        clean = transformer.steering(times, guidance[:1], summary[:1])[0]
        look = transformer.look(sight)
        velocities.append(transformer.evaluate(latents, steering, look))
        transformer.keep(latents[:, :HOP], clean, look, joined, write)
        prefixes.append(transformer.pages.prefix)
    # float32 in another order, through eight blocks: sums of up to 1024 numbers of size one.
    torch.testing.assert_close(*velocities, rtol=0, atol=2e-5)
    torch.testing.assert_close(*prefixes, rtol=0, atol=2e-5)
    before = pages().prefix
    for page in range(len(before)):
        written = page in write.tolist()
        assert torch.equal(prefixes[1][page], before[page]) is not written
    for page, old in zip(write.tolist(), joined.tolist(), strict=True):
        assert torch.equal(prefixes[1][page][:, :, :-HOP], before[old][:, :, HOP:])


def stream(engine: SlotEngine, steps: int) -> list[list[FloatArray]]:
    """Chunks of three sessions that change their scenes; the second sits out every third step."""
    states: list[SlotState] = [engine.start(seed) for seed in (1, 2, 3)]
    chunks: list[list[FloatArray]] = [[], [], []]
    for step in range(steps):
        who = (0, 1, 2) if step % 3 else (0, 2)
        made = engine.step([Work(states[k], say(10 * k + (step + k) // 3)) for k in who])
        for k, result in zip(who, made, strict=True):
            states[k] = result.state
            chunks[k].append(result.chunk)
    assert len({state.age for state in states}) > 1
    return chunks


def test_streams_sound_as_on_torchs_kernels() -> None:
    with (
        SlotEngine(sessions=3, nfe=(1,)) as plain,
        SlotEngine(sessions=3, nfe=(1,), kernels="reference") as fused,
    ):
        for wanted, found in zip(stream(plain, 6), stream(fused, 6), strict=True):
            for theirs, ours in zip(wanted, found, strict=True):
                assert_same_sound(ours, theirs)


def test_a_session_in_a_batch_is_the_same_alone_on_our_kernels() -> None:
    with SlotEngine(sessions=3, nfe=(1,), kernels="reference") as engine:
        together = stream(engine, 3)
        state = engine.start(3)
        for step in range(3):
            chunk, state = engine.generate(state, say(20 + (step + 2) // 3))
            assert_same_sound(chunk, together[2][step])


def test_a_prefix_of_one_hop_is_forgotten_whole() -> None:
    config = StreamConfig(prefix=0.16)
    chunks = []
    for kernels in ("torch", "reference"):
        with SlotEngine(sessions=1, nfe=(1,), config=config, kernels=kernels) as engine:
            state = engine.start(1)
            for k in range(3):
                chunk, state = engine.generate(state, say(k))
            chunks.append(chunk)
    assert_same_sound(chunks[1], chunks[0])


# What it launches


class Recorder:
    """Stands for a kernel: takes down how it is launched, and computes nothing."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name = name
        self.arguments = arguments
        self.launches: set[object] = set()

    def __getitem__(self, grid: object) -> "Recorder":
        return self

    def __call__(
        self, *given: object, num_warps: int, num_stages: int = 3, **constants: object
    ) -> None:
        types = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.int64: "*i64"}
        named = zip(self.arguments, given, strict=False)
        pointers = {name: types[x.dtype] for name, x in named if isinstance(x, Tensor)}
        self.launches.add(launch(self.name, pointers, constants, num_warps, num_stages))


def launch(
    name: str, pointers: dict[str, str], constants: dict[str, object], warps: int, stages: int
) -> object:
    return name, frozenset(pointers.items()), frozenset(constants.items()), warps, stages


@pytest.mark.skipif(not HAS_TRITON or INTERPRETED, reason="needs triton's own decorator")
@pytest.mark.parametrize(("dtype", "element"), [(torch.bfloat16, "bf16"), (torch.float32, "fp32")])
@torch.inference_mode()
def test_what_is_launched_is_what_is_compiled_for_cards_that_are_not_there(
    dtype: torch.dtype, element: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diegetic_kernels.compiled import builds

    listed = builds.model_builds(dtype, element, 80)
    recorders = {}
    for build in listed:
        name = build.kernel.fn.__name__
        recorders[name] = Recorder(name, build.kernel.arg_names)
        monkeypatch.setattr(f"{build.kernel.fn.__module__}.{name}", recorders[name])
    for module in ("choice", "modulate", "ring"):
        # By name: the package has functions of the same names.
        found = sys.modules[f"diegetic_kernels.{module}"]
        monkeypatch.setattr(found, "why_no_triton", lambda device: None)
    config, device = StreamConfig(), torch.device("cpu")
    kernels = choose_kernels("triton", config, 4, device, dtype)
    # From here on nothing may be looked up: streams are live.
    monkeypatch.setattr(choice, "_lookup", lambda *_: pytest.fail("it was looked up"))
    tokens = whole_tiles(TOKENS, torch.device("cuda"))
    made = Pages(
        torch.zeros(4, BLOCKS, 2, config.prefix_latents, WIDTH, dtype=dtype),
        torch.zeros(4, BLOCKS, 2, tokens, WIDTH, dtype=dtype),
        torch.zeros(4, tokens, dtype=dtype),
    )
    transformer = FusedTransformer(model(), made, config.chunk_latents, dtype, kernels)
    read, write = torch.tensor([2, 0]), torch.tensor([3, SCRAP])
    look = transformer.look(Sight(read, torch.tensor([3, 0]), torch.tensor([2, 0])))
    times = transformer.moments((0.7,))
    steering = transformer.steering(times, torch.ones(2), torch.zeros(2, WIDTH))[0]
    latents = torch.zeros(2, config.chunk_latents, LATENT_DIM)
    transformer.evaluate(latents, steering, look)
    transformer.keep(latents[:, : config.hop_latents], steering, look, read, write)
    wanted = {
        launch(b.kernel.fn.__name__, b.pointers, b.constants, b.warps, b.stages) for b in listed
    }
    assert set().union(*(recorder.launches for recorder in recorders.values())) == wanted


# Who decides


CARD = torch.device("cuda", 0)
FAST = {"impl": "triton", "tile": [16, 128, 4, 2]}
SLOW = {"impl": "sdpa", "tile": [16, 64, 4, 2]}


@pytest.fixture
def imaginary_card(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A card that Triton's kernels run on; what is in the table is the test's."""
    for cached in (choice._measured, choice._nearest):
        cached.cache_clear()
    monkeypatch.setattr(choice, "why_no_triton", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Imaginary 1")
    return monkeypatch


def told(chunk: object, cross: object) -> dict[str, object]:
    """A table; with one session torch's kernels are the faster ones."""
    one = {"half 4 7 2": SLOW, "half 4 6 2": SLOW}
    return {
        "Imaginary 1": {
            "chunk_attention": one | {"half 4 7 8": chunk},
            "cross_attention": one | {"half 4 6 8": cross},
        }
    }


def test_the_table_decides_for_the_most_sessions(imaginary_card: pytest.MonkeyPatch) -> None:
    config, dtype = StreamConfig(), torch.bfloat16
    imaginary_card.setattr(choice, "table", lambda: told(FAST, FAST | {"tile": [16, 32, 4, 1]}))
    many = choose_kernels("auto", config, 64, CARD, dtype)
    assert many.impl == "triton" and "64 sessions" in many.description
    assert (many.chunk, many.cross) == (choice.Tile(16, 128, 4, 2), choice.Tile(16, 32, 4, 1))
    assert choose_kernels("auto", config, 1, CARD, dtype).impl == "torch"
    asked = choose_kernels("triton", config, 1, CARD, dtype)
    assert (asked.impl, asked.why) == ("triton", "as asked")
    assert asked.chunk == choice.Tile(16, 64, 4, 2)
    assert choose_kernels("torch", config, 64, CARD, dtype).impl == "torch"


@pytest.mark.parametrize("slow", [(SLOW, FAST), (FAST, SLOW)])
def test_one_slow_attention_is_enough_for_torchs(
    slow: tuple[object, object], imaginary_card: pytest.MonkeyPatch
) -> None:
    imaginary_card.setattr(choice, "table", lambda: told(*slow))
    found = choose_kernels("auto", StreamConfig(), 64, CARD, torch.bfloat16)
    assert found.impl == "torch"
    assert "not measured to be faster here" in found.why


def test_a_card_that_nobody_measured_gets_torchs_and_is_told(
    imaginary_card: pytest.MonkeyPatch,
) -> None:
    imaginary_card.setattr(choice, "table", lambda: {})
    found = choose_kernels("auto", StreamConfig(), 64, CARD, torch.bfloat16)
    assert found.impl == "torch"
    assert "'Imaginary 1' is not in the table" in found.why and "tune" in found.why
    imaginary_card.setattr(choice, "why_no_triton", lambda device: "the card is too old")
    found = choose_kernels("auto", StreamConfig(), 64, CARD, torch.bfloat16)
    assert found.description == "torch's kernels (the card is too old)"
    with pytest.raises(DiegeticError, match="kernels cannot be 'triton': the card is too old"):
        choose_kernels("triton", StreamConfig(), 64, CARD, torch.bfloat16)


def test_doctor_tells_what_streams_would_run_on(imaginary_card: pytest.MonkeyPatch) -> None:
    from diegetic.cli import doctor

    imaginary_card.setattr(torch.cuda, "current_device", lambda: 0)
    imaginary_card.setattr("diegetic.slots.card.card_facts", list)
    imaginary_card.setattr("diegetic.slots.card.why_no_cuda", lambda: None)
    imaginary_card.setattr(choice, "table", lambda: {})
    [check] = doctor.card_checks()
    assert check.finding.count("torch's kernels ('Imaginary 1' is not in the table") == 1
    imaginary_card.setattr(choice, "table", lambda: told(FAST, FAST))
    [check] = doctor.card_checks()
    assert "1 session: torch's kernels" in check.finding
    assert "256 sessions: Triton's" in check.finding


def test_an_engine_on_a_processor_says_what_it_runs_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), SlotEngine(sessions=1, nfe=(1,)) as engine:
        assert engine.kernels.impl == "torch"
    assert "the transformer runs on torch's kernels (there are no others for cpu)" in caplog.text


@pytest.mark.skipif(INTERPRETED, reason="there it can run")
def test_what_cannot_run_or_is_unknown_is_an_error() -> None:
    why = "kernels cannot be 'triton': (the tensors are on cpu|triton is not installed)"
    with pytest.raises(DiegeticError, match=why):
        SlotEngine(sessions=1, nfe=(1,), kernels="triton")
    with pytest.raises(DiegeticError, match="one of auto, torch, triton, reference, got 'fast'"):
        SlotEngine(sessions=1, nfe=(1,), kernels="fast")  # type: ignore[arg-type]
