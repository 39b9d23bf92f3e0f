"""Whose weights they are: a student's say so, and go the student's way in every runtime."""

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch

from diegetic import Session, cli
from diegetic.config import LATENT_DIM, StreamConfig
from diegetic.errors import DiegeticError, WeightsError
from diegetic.flow import STUDENT_NFE, STUDENT_WAYS, USUAL_NFE, solver
from diegetic.generator import Backend, ChunkGenerator, load_generator, position_noise, usual_nfe
from diegetic.journal import read_journal
from diegetic.mixer.limiter import DELAY
from diegetic.model.decoder import Decoder
from diegetic.networks import FloatArray, Networks
from diegetic.onnx_backend import OnnxNetworks
from diegetic.replay import replay
from diegetic.slots.engine import SlotEngine
from diegetic.snapshot import Conditioning, null_conditioning
from diegetic.torch_backend import TorchNetworks
from diegetic.training import export as exporting
from diegetic.training.checkpoint import read_checkpoint
from diegetic.weights import TENSORS, fingerprint, read_distilled
from labelled_weights import labelled_weights
from small_scenes import small_scenes, small_teacher, some_dit

SAID = null_conditioning(("ambience",))
BACKENDS: dict[str, Callable[[Path], Networks]] = {"onnx": OnnxNetworks, "torch": TorchNetworks}


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_weights(tmp_path_factory.mktemp("weights") / "student", "true", "true")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As weights were before there were students."""
    return labelled_weights(tmp_path_factory.mktemp("weights") / "teacher", None, None)


def noise_of(seed: int) -> FloatArray:
    config = StreamConfig()
    return position_noise(seed, 0, config.chunk_latents)[None, 1:, :LATENT_DIM]


def by_even_steps(networks: Networks, nfe: int) -> FloatArray:
    """What a student makes first: a step of the same length along each velocity."""
    state = ChunkGenerator(networks, StreamConfig()).start(1)
    cross, x = networks.condition(SAID), noise_of(1)
    for k in range(nfe):
        x = x - networks.evaluate(x, 1 - k / nfe, SAID.guidance, cross, state.prefix)[0] / nfe
    return x


def by_fitted_steps(networks: Networks, nfe: int) -> FloatArray:
    """What a teacher makes first."""
    way, state = solver(nfe), ChunkGenerator(networks, StreamConfig()).start(1)
    cross, x, before = networks.condition(SAID), noise_of(1), None
    for (t, after), factor in zip(pairwise(way.times), way.factors, strict=True):
        now = networks.evaluate(x, t, SAID.guidance, cross, state.prefix)[0]
        x = x + (after - t) * (now if before is None else now + factor * (now - before))
        before = now
    return x


def first_latents(generator: ChunkGenerator) -> FloatArray:
    return generator.sample(generator.start(1), SAID)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_students_weights_go_the_students_way(student: Path, backend: Backend) -> None:
    networks = BACKENDS[backend](student)
    assert networks.distilled
    usual = load_generator(student, backend=backend)
    assert usual.nfe == STUDENT_NFE
    wanted = by_even_steps(networks, STUDENT_NFE)
    np.testing.assert_allclose(first_latents(usual), wanted, atol=1e-5)
    for nfe in STUDENT_WAYS:
        made = first_latents(ChunkGenerator(networks, StreamConfig(), nfe))
        np.testing.assert_allclose(made, by_even_steps(networks, nfe), atol=1e-5)
    assert np.abs(made - by_fitted_steps(networks, nfe)).max() > 0.01


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_weights_that_say_nothing_stay_a_teachers(teacher: Path, backend: Backend) -> None:
    networks = BACKENDS[backend](teacher)
    assert not networks.distilled
    usual = load_generator(teacher, backend=backend)
    assert usual.nfe == USUAL_NFE
    wanted = by_fitted_steps(networks, USUAL_NFE)
    np.testing.assert_allclose(first_latents(usual), wanted, atol=1e-5)
    assert np.abs(wanted - by_even_steps(networks, USUAL_NFE)).max() > 0.01


def test_many_sessions_learn_it_from_the_weights_too(student: Path, teacher: Path) -> None:
    engine = SlotEngine(student, sessions=1)
    assert engine.nfe == STUDENT_NFE
    chunk, _ = engine.generate(engine.start(1), SAID)
    alone = [
        ChunkGenerator(TorchNetworks(folder), StreamConfig(), STUDENT_NFE)
        for folder in (student, teacher)
    ]
    ours, others = (solo.generate(solo.start(1), SAID)[0] for solo in alone)
    peak = np.abs(ours).max()
    assert np.abs(chunk - ours).max() < 1e-5 * peak
    assert np.abs(chunk - others).max() > 1e-3 * peak


def test_a_student_makes_no_number_of_evaluations_that_it_was_not_trained_for(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "nfe must be 1, 2 or 4 with the weights of a student, which was trained with no other"
    with pytest.raises(DiegeticError, match=f"{said}, got 3"):
        load_generator(student, nfe=3)
    with pytest.raises(DiegeticError, match=f"{said}, got 8"):
        SlotEngine(student, nfe=(2, 8))
    words = ["render", "rain", "-o", str(tmp_path / "rain.wav"), "--seconds", "1", "--nfe", "3"]
    assert cli.main([*words, "--weights", str(student)]) == cli.USAGE_ERROR
    assert f"{said}, got 3" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["student", "teacher"])
def test_a_journal_knows_how_many_evaluations_were_made(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(kind)
    usual = {"student": STUDENT_NFE, "teacher": USUAL_NFE}[kind]
    path = tmp_path / "session.dgj"

    def conditioner(_: object) -> Conditioning:
        return SAID

    with Session(weights=folder, conditioner=conditioner, record=path) as session:
        session.set_prompt("rain")
        heard = session.read(0.48)
    header, _ = read_journal(path)
    assert (header.nfe, header.weights) == (usual, fingerprint(folder))
    assert usual_nfe(folder) == usual
    again = replay(path, weights=folder, conditioner=conditioner)
    assert np.abs(heard).max() > 1e-3
    assert (
        np.abs(again[: len(heard) - DELAY] - heard[DELAY:]).max() < 1e-6
    )  # the limiter's rounding


@pytest.mark.parametrize(
    ("tensors", "graphs", "said"),
    [
        ("yes", "true", r"distilled must be 'true' or 'false', got 'yes': .*weights\.safetensors"),
        ("true", "1", r"distilled must be 'true' or 'false', got '1': .*transformer\.int8\.onnx"),
        ("true", "false", "graph is a teacher's, its tensors are a student's"),
        ("true", None, "graph is a teacher's, its tensors are a student's"),
        (None, "true", "graph is a student's, its tensors are a teacher's"),
    ],
)
def test_nonsense_and_contradictions_are_refused(
    tensors: str | None, graphs: str | None, said: str, tmp_path: Path
) -> None:
    folder = labelled_weights(tmp_path / "weights", tensors, graphs)
    with pytest.raises(WeightsError, match=said):
        load_generator(folder)
    if tensors == "yes":
        for other in (TorchNetworks, SlotEngine):
            with pytest.raises(WeightsError, match=said):
                other(folder)


def test_a_head_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / TENSORS
    with pytest.raises(WeightsError, match=f"no weights in .* \\({TENSORS} cannot be read\\)"):
        read_distilled(tmp_path)
    for damaged in (b"", b"\xff" * 40, (2).to_bytes(8, "little") + b"[]"):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match="is damaged: it has no safetensors head"):
            read_distilled(tmp_path)
    head = json.dumps({"__metadata__": {"format_version": "3"}}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head)
    with pytest.raises(WeightsError, match="weights must be of format 5, got 3"):
        read_distilled(tmp_path)


# How they come to say so


@pytest.mark.parametrize(
    ("told", "asked", "written"),
    [
        ({"distilled": True}, False, True),
        ({"distilled": True}, True, True),
        ({"distilled": False}, False, False),
        ({}, False, False),
        ({}, True, True),
        ({"distilled": False}, True, "student.pt must be a student, it is a teacher"),
        ({"distilled": "no"}, False, "student.pt must say distilled True or False, got 'no'"),
    ],
)
def test_what_is_written_is_what_the_checkpoint_says_or_else_what_is_asked(
    told: dict[str, object],
    asked: bool,
    written: bool | str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds: list[object] = []
    monkeypatch.setattr(exporting, "export_modules", lambda *given: kinds.append(given[-1]))
    codec, transformer = tmp_path / "codec.pt", tmp_path / "student.pt"
    torch.save({"model": Decoder().state_dict()}, codec)
    halves = {name: tensor.half() for name, tensor in some_dit(1).state_dict().items()}
    torch.save(
        {"average": halves, "step": 7} | ({"configuration": told} if told else {}), transformer
    )
    if isinstance(written, str):
        with pytest.raises(WeightsError, match=written):
            exporting.export(codec, transformer, tmp_path / "weights", asked)
        return
    exporting.export(codec, transformer, tmp_path / "weights", asked)
    assert kinds == [written]


def test_checkpoints_that_cannot_be_exported_are_refused_with_the_reason(tmp_path: Path) -> None:
    codec, transformer = tmp_path / "codec.pt", small_teacher(tmp_path / "dit.pt")
    with pytest.raises(WeightsError, match=r"there is no .*codec\.pt to export: train it first"):
        exporting.export(codec, transformer, tmp_path / "weights")
    torch.save({"model": Decoder().state_dict(), "average": None}, codec)
    with pytest.raises(WeightsError, match=r"codec\.pt was made by another model: .* not there"):
        exporting.export(codec, codec, tmp_path / "weights")
    with pytest.raises(WeightsError, match=r"dit\.pt was made by another model: .* not there"):
        exporting.export(transformer, transformer, tmp_path / "weights")
    codec.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"codec\.pt is damaged"):
        exporting.export(codec, transformer, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def test_a_student_is_trained_exported_and_heard(tmp_path: Path) -> None:
    """As it is done by hand, by two processes: two steps, then files that both runtimes play."""
    out = tmp_path / "run"
    small_scenes(tmp_path / "scenes")
    small_teacher(out / "dit.pt")
    torch.manual_seed(0)
    torch.save({"model": Decoder().state_dict()}, out / "codec.pt")
    where = ["--data", str(tmp_path), "--out", str(out)]
    for words in (
        ["student", "--student-steps", "2", "--clips", "1", *where],
        ["export", "--student", *where],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "diegetic", "train", *words], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]
    saved = read_checkpoint(out / "student.pt")
    assert saved["step"] == 2
    assert saved["configuration"]["distilled"] is True
    folder = out / "weights"
    assert read_distilled(folder)
    chunks = []
    for generator in (
        load_generator(folder, precision="float32"),
        load_generator(folder, backend="torch"),
    ):
        assert generator.nfe == STUDENT_NFE
        state = generator.start(1)
        made = []
        for _ in range(3):
            chunk, state = generator.generate(state, SAID)
            made.append(chunk)
        chunks.append(np.stack(made))
    ours, theirs = chunks
    assert np.abs(theirs).max() > 0
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()
