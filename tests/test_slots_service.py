"""Sessions in threads of their own, on one engine."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from diegetic.errors import DiegeticError
from diegetic.session import Session
from diegetic.slots.batcher import AdmissionError
from diegetic.slots.engine import SlotEngine
from diegetic.slots.service import SlotService
from diegetic.snapshot import Conditioning, FloatArray, Snapshot, null_conditioning

SECONDS = 0.4


@pytest.fixture(scope="module")
def engine() -> SlotEngine:
    engine = SlotEngine(sessions=2, nfe=(1,))
    engine.costs = {(1, 1): 0.01, (1, 2): 0.02}  # whatever else this machine is doing
    return engine


@pytest.fixture
def service(engine: SlotEngine) -> Iterator[SlotService]:
    with SlotService(engine) as running:
        yield running


def listen(said: Snapshot) -> Conditioning:
    conditioning = null_conditioning()
    conditioning.words[0, len(said.prompt)] = 1.0
    conditioning.values[0], conditioning.present[0] = 1.0, True
    return conditioning


def read(service: SlotService, seed: int, prompt: str) -> FloatArray:
    generator = service.join()
    with Session(seed=seed, generator=generator, conditioner=listen) as session:
        session.set_prompt(prompt)
        sound = session.read(SECONDS)
    generator.close()
    return sound


def test_sessions_at_the_same_time_sound_as_one_after_another(service: SlotService) -> None:
    prompts = {1: "rain", 2: "wind in trees"}
    wanted = {seed: read(service, seed, prompt) for seed, prompt in prompts.items()}
    found: dict[int, FloatArray] = {}

    def run(seed: int) -> None:
        found[seed] = read(service, seed, prompts[seed])

    threads = [threading.Thread(target=run, args=(seed,)) for seed in prompts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in prompts:
        np.testing.assert_allclose(found[seed], wanted[seed], rtol=0, atol=1e-5)
    assert np.abs(wanted[1] - wanted[2]).max() > 1e-3


def test_there_are_as_many_slots_as_were_asked_for(service: SlotService) -> None:
    one, _ = service.join(), service.join()
    with pytest.raises(AdmissionError, match="all 2 slots are taken"):
        service.join()
    one.close()
    service.join()


def test_who_has_left_or_brings_a_strange_state_is_told(service: SlotService) -> None:
    generator = service.join()
    with pytest.raises(DiegeticError, match="state must be one of this engine's, got int"):
        generator.generate(3, null_conditioning())  # type: ignore[arg-type]
    state = generator.start(1)
    generator.close()
    with pytest.raises(DiegeticError, match="was not let in"):
        generator.generate(state, null_conditioning())


def test_what_goes_wrong_in_a_batch_hits_only_its_own_session(
    service: SlotService, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = service.join(), service.join()
    step = service.engine.step
    ready = threading.Event()

    def fail(work):  # type: ignore[no-untyped-def]
        ready.wait()
        if any(entry.state.seed == 666 for entry in work):
            raise DiegeticError("no room")
        return step(work)

    monkeypatch.setattr(service.engine, "step", fail)
    errors: list[Exception] = []
    chunks: list[FloatArray] = []

    def suffer() -> None:
        try:
            bad.generate(bad.start(666), null_conditioning())
        except DiegeticError as error:
            errors.append(error)

    def go_on() -> None:
        chunks.append(good.generate(good.start(1), null_conditioning())[0])

    threads = [threading.Thread(target=run) for run in (suffer, go_on)]
    for thread in threads:
        thread.start()
    ready.set()
    for thread in threads:
        thread.join()
    assert [str(error) for error in errors] == ["no room"]
    assert len(chunks) == 1


def test_who_waits_when_it_ends_is_told(engine: SlotEngine) -> None:
    service = SlotService(engine)
    with service:
        generator = service.join()
        state = generator.start(0)
    with pytest.raises(DiegeticError, match="the engine's service is over"):
        generator.generate(state, null_conditioning())
