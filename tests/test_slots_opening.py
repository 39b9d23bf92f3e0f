"""Which engine many sessions share, on which machine, and what is said about it."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from diegetic.errors import DiegeticError, WeightsError
from diegetic.generator import ChunkGenerator, load_generator
from diegetic.slots import card, opening
from diegetic.slots.batcher import AdmissionError
from diegetic.slots.card import card_facts, first_sentence, why_no_cuda
from diegetic.slots.one_by_one import OneByOneEngine
from diegetic.slots.opening import Wish, open_engine, sessions_in_time
from diegetic.slots.service import SlotService
from diegetic.slots.work import Work
from diegetic.snapshot import Conditioning, null_conditioning
from tone_engine import ToneEngine
from tone_generator import ToneState

OLD_DRIVER = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
    "driver by downloading and installing a new version"
)
NO_KERNEL = (
    "CUDA error: no kernel image is available for execution on the device\n"
    "CUDA kernel errors might be asynchronously reported at some other API call"
)


@pytest.fixture(scope="module")
def generator() -> ChunkGenerator:
    return load_generator(nfe=1, threads=1)


def say(slot: int) -> Conditioning:
    said = null_conditioning()
    said.words[0, slot] = said.values[0] = 1.0
    said.present[0] = True
    return replace(said, guidance=1.5)


# One chunk after another


def test_a_session_sounds_as_when_it_is_alone(generator: ChunkGenerator) -> None:
    engine = OneByOneEngine(generator, sessions=5, threads=2)
    states = [engine.start(seed) for seed in range(5)]
    alone = [generator.start(seed) for seed in range(5)]
    for _ in range(2):
        made = engine.step([Work(state, say(seed)) for seed, state in enumerate(states)])
        wanted = [generator.generate(state, say(seed)) for seed, state in enumerate(alone)]
        for (chunk, _), ours in zip(wanted, made, strict=True):
            np.testing.assert_array_equal(ours.chunk, chunk)
        states, alone = [ours.state for ours in made], [state for _, state in wanted]
    engine.close()


def test_what_a_step_costs_is_known_for_every_number_of_sessions(
    generator: ChunkGenerator,
) -> None:
    seen: list[tuple[int, int]] = []
    engine = OneByOneEngine(
        generator, sessions=5, threads=2, progress=lambda what, done, of: seen.append((done, of))
    )
    engine.close()
    assert seen == [(1, 2), (2, 2)]
    costs = engine.costs
    assert set(costs) == {(1, count) for count in range(1, 6)}
    assert costs[1, 4] == pytest.approx(2 * costs[1, 2])
    assert costs[1, 5] == pytest.approx(2 * costs[1, 2] + costs[1, 1])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"sessions": 0, "threads": 1}, r"sessions must be in 1 \.\. 256, got 0"),
        ({"sessions": 257, "threads": 1}, r"sessions must be in 1 \.\. 256, got 257"),
        ({"sessions": 1, "threads": 0}, "threads must be at least 1, got 0"),
    ],
)
def test_impossible_numbers_are_refused(
    generator: ChunkGenerator, arguments: dict[str, int], complaint: str
) -> None:
    with pytest.raises(DiegeticError, match=complaint):
        OneByOneEngine(generator, **arguments)


def test_other_evaluations_than_those_prepared_are_refused(generator: ChunkGenerator) -> None:
    engine = OneByOneEngine(generator, sessions=1, threads=1)
    with pytest.raises(DiegeticError, match="nfe must be one that was prepared, 1; got 2"):
        engine.step([Work(engine.start(0), null_conditioning(), 2)])
    engine.close()


# The service


def test_as_many_are_in_time_as_are_let_in() -> None:
    service = SlotService[ToneState](ToneEngine([0.05, 0.1, 0.15, 0.2]))
    assert sessions_in_time(service) == 3
    assert service.sessions == 0
    for _ in range(3):
        service.join()
    with pytest.raises(AdmissionError, match="no room for another session: 4 chunks would take"):
        service.join()


def test_takes_made_ahead_do_not_put_off_the_chunks_of_the_stream() -> None:
    deadlines: list[float] = []

    class Watched(SlotService[ToneState]):
        def make(self, name: str, work: Any, deadline: float) -> Any:
            deadlines.append(deadline)
            return super().make(name, work, deadline)

    engine = ToneEngine([0.01])
    hop, lookahead = engine.config.hop, engine.config.lookahead
    with Watched(engine, clock=lambda: 100.0) as service:
        generator = service.join(seed=7)
        for seed in (7, 8, 8, 7, 7, 7):
            generator.generate(generator.start(seed), null_conditioning())
    first, ahead, more, *stream = deadlines
    assert first == pytest.approx(100 + hop)
    assert ahead == more > 100 + 2 * lookahead
    assert stream == pytest.approx([100 + lookahead] * 3)


# Which one


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "why_no_cuda", lambda: "the card has left")


@pytest.mark.usefixtures("no_card")
def test_without_a_card_the_processor_serves_and_says_why() -> None:
    opened = open_engine(Wish(2, nfe=1))
    opened.engine.close()
    assert isinstance(opened.engine, OneByOneEngine)
    assert "ONNX Runtime" in opened.description
    assert "no GPU: the card has left" in opened.description


@pytest.mark.usefixtures("no_card")
def test_a_card_that_was_asked_for_and_is_not_there_is_an_error() -> None:
    with pytest.raises(DiegeticError, match="no GPU to compute on: the card has left"):
        open_engine(Wish(2, "cuda", nfe=1))
    with pytest.raises(DiegeticError, match="backend must be 'auto' or 'torch' on a GPU"):
        open_engine(Wish(2, "cuda", backend="onnx"))


def test_who_asks_for_the_processor_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "why_no_cuda", lambda: pytest.fail("nobody asked"))
    for wish in (Wish(1, "cpu", nfe=1), Wish(1, backend="onnx", nfe=1)):
        opened = open_engine(wish)
        opened.engine.close()
        assert isinstance(opened.engine, OneByOneEngine)


def test_torch_on_the_processor_works_in_batches() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    opened = open_engine(Wish(2, "cpu", backend="torch", nfe=1))
    engine = opened.engine
    assert "torch, in batches" in opened.description
    # all that two live sessions with a bank hold, and one more state each in the making
    held = [engine.step([Work(engine.start(s), say(s)) for s in (1, 2)]) for _ in range(16)]
    assert len(held) == 16
    engine.close()


@pytest.fixture
def failing_card(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """A card that works until the engine is made: that raises what the test says."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(opening, "why_no_cuda", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Imaginary 1")

    def fail_with(error: Exception) -> None:
        def batches(*_: object) -> None:
            raise error

        monkeypatch.setattr(opening, "_batches", batches)

    return fail_with


def out_of_memory() -> Exception:
    torch = pytest.importorskip("torch")
    error = DiegeticError("cuda:0 has too little memory for 9 sessions: CUDA out of memory. Tried")
    error.__cause__ = torch.OutOfMemoryError("CUDA out of memory")
    return error


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (out_of_memory, "Imaginary 1: cuda:0 has too little memory for 9 sessions"),
        (lambda: RuntimeError(NO_KERNEL), "Imaginary 1 fails at the warm-up: CUDA error: no"),
    ],
)
def test_a_card_that_fails_at_the_warm_up_is_left_or_an_error(
    failing_card: Callable[[Exception], None],
    error: Callable[[], Exception],
    complaint: str,
) -> None:
    failing_card(error())
    opened = open_engine(Wish(1, nfe=1))
    opened.engine.close()
    assert f"no GPU: {complaint}" in opened.description
    assert len(opened.description.splitlines()) == 1
    with pytest.raises(DiegeticError, match=f"no GPU to compute on: {complaint}"):
        open_engine(Wish(1, "cuda", nfe=1))


def test_damaged_weights_are_not_blamed_on_the_card(
    failing_card: Callable[[Exception], None],
) -> None:
    failing_card(WeightsError("they are damaged"))
    with pytest.raises(WeightsError, match="they are damaged"):
        open_engine(Wish(1, nfe=1))


# What is said about the card


@pytest.fixture
def cuda_build(monkeypatch: pytest.MonkeyPatch) -> Any:
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    monkeypatch.setattr(torch, "__version__", "2.9.0")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    return torch


@pytest.mark.parametrize(
    ("place", "message", "wanted"),
    [
        ("cuda.init", OLD_DRIVER, "The NVIDIA driver on your system is too old (found version"),
        ("cuda.init", "No CUDA GPUs are available", "No CUDA GPUs are available"),
        ("zeros", NO_KERNEL, "no kernel image is available for execution on the device"),
    ],
)
def test_why_there_is_no_card_is_one_sentence(
    cuda_build: Any, monkeypatch: pytest.MonkeyPatch, place: str, message: str, wanted: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(f"torch.{place}", fail)
    why = why_no_cuda()
    assert why is not None
    assert why.startswith("torch 2.9.0 for CUDA 12.8: ")
    assert wanted in why
    assert "\n" not in why
    assert "Please" not in why
    assert card_facts()[0].finding == f"none: {why}"


def test_a_torch_without_cuda_and_no_torch_are_told_apart(
    cuda_build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_build.version, "cuda", None)
    assert why_no_cuda() == "torch 2.9.0 was built without CUDA"
    named = {fact.name: fact for fact in card_facts()}
    assert not any(fact.use for fact in named.values())
    assert set(named) == {"GPU", "triton", "flash-attn"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    [fact] = card_facts()
    assert "torch and safetensors not installed" in fact.finding


@pytest.mark.parametrize(("free", "small"), [(1, True), (70, False)])
def test_a_card_is_described_and_a_small_one_is_told(
    cuda_build: Any, monkeypatch: pytest.MonkeyPatch, free: int, small: bool
) -> None:
    monkeypatch.setattr(card, "why_no_cuda", lambda: None)
    monkeypatch.setattr(cuda_build.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(cuda_build.cuda, "get_device_name", lambda device: "Imaginary 1")
    monkeypatch.setattr(cuda_build.cuda, "get_device_capability", lambda device: (7, 5))
    memory = (free * card.GIBI, 80 * card.GIBI)
    monkeypatch.setattr(cuda_build.cuda, "mem_get_info", lambda device: memory)
    gpu, triton, flash = card_facts()
    assert f"Imaginary 1, compute capability 7.5, {free}.0 of 80.0 GiB free" in gpu.finding
    assert gpu.use is not small
    assert ("little memory for many sessions" in gpu.finding) is small
    assert not triton.use
    assert flash.name == "flash-attn"


def test_of_an_error_the_first_sentence_is_told() -> None:
    assert first_sentence(RuntimeError(OLD_DRIVER)).endswith("(found version 11040)")
    assert first_sentence(RuntimeError("")) == "RuntimeError"


def test_a_card_that_nobody_measured_is_told(
    cuda_build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_build.cuda, "get_device_name", lambda device: "Imaginary 1")
    monkeypatch.setattr("diegetic_kernels.choice.why_no_triton", lambda device: None)
    device = cuda_build.device("cuda", 0)
    triton, _ = card._kernels(device)
    assert "'Imaginary 1' is not in the table" in triton.finding
    assert "diegetic_kernels.tune" in triton.remedy
    monkeypatch.setattr("diegetic_kernels.choice.table", lambda: {"Imaginary 1": {}})
    assert card._kernels(device)[0].use
