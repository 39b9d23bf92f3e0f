"""Training on from weights that ship: what is kept, what is learned, and what is refused."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from diegetic.encoders import TextEncoder
from diegetic.errors import WeightsError
from diegetic.generator import WEIGHTS
from diegetic.snapshot import FRAME_DIM
from diegetic.torch_backend import load_modules
from diegetic.training import dit_trainer
from diegetic.training.audio_store import AudioStore
from diegetic.training.codec_trainer import CodecTraining, train_codec
from diegetic.training.dataset import Tables
from diegetic.training.dit_trainer import DiTTraining, train_dit
from diegetic.training.draft import merge, save_scenes
from diegetic.training.origin import load_teacher
from diegetic.training.recipe import load_latents
from diegetic.training.scenes import render_scenes
from diegetic.training.studio import Studio
from diegetic.weights import TENSORS, check_weights
from labelled_weights import labelled_weights
from small_build import small_build

TINY = DiTTraining(steps=1, hidden=1, shown=1, chunks=2, warmup=1, learning_rate=1e-9)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def scenes(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four scenes in the latents that ship."""
    root = tmp_path_factory.mktemp("scenes")
    studio = Studio(AudioStore(build), [], {}, black_picture=0)
    arrays, texts = merge([render_scenes(studio, load_latents(WEIGHTS), range(4), seed=1)])
    embedded = TextEncoder().encode_many(texts).astype(np.float16)
    save_scenes(root, arrays, Tables(embedded, np.zeros((1, FRAME_DIM), np.float16)))
    return root


def test_the_transformer_that_ships_is_trained_further_and_ships_again(
    scenes: Path, tmp_path: Path
) -> None:
    made = train_dit(scenes, tmp_path, TINY, "cpu", WEIGHTS)
    saved = torch.load(made, weights_only=True)
    shipped = load_modules(WEIGHTS)[0].state_dict()
    for name, tensor in shipped.items():
        for part in ("model", "average"):
            torch.testing.assert_close(saved[part][name], tensor, rtol=0, atol=1e-6)
    words = ["train", "export", "--from", "shipped", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "diegetic", *words], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    check_weights(tmp_path / "weights")
    before, after = (load_file(folder / TENSORS) for folder in (WEIGHTS, tmp_path / "weights"))
    assert before.keys() == after.keys()
    for name in before:
        if name.startswith("decoder."):
            difference = (before[name].float() - after[name].float()).abs().max()
            assert difference <= (1 if before[name].dtype == torch.int8 else 1e-3), name
        if name.startswith("decoder.latents."):
            assert torch.equal(before[name], after[name]), name


def test_guidance_is_trained_from_the_first_step(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guided: list[bool] = []
    original = dit_trainer.flow_loss

    def watched(*given, guided: bool, past: bool, seen=guided):  # type: ignore[no-untyped-def]
        seen.append(guided)
        return original(*given, guided=guided, past=past)

    monkeypatch.setattr(dit_trainer, "flow_loss", watched)
    train_dit(scenes, tmp_path / "on", TINY, "cpu", WEIGHTS)
    train_dit(scenes, tmp_path / "new", TINY)
    assert guided == [True, True, False, False]


def test_what_is_in_out_comes_before_what_is_trained_on_from(scenes: Path, tmp_path: Path) -> None:
    learning = replace(TINY, learning_rate=1e-3)
    made = train_dit(scenes, tmp_path, learning, "cpu", WEIGHTS)
    before = torch.load(made, weights_only=True)["model"]
    train_dit(scenes, tmp_path, learning, "cpu", WEIGHTS)  # is done already
    after = torch.load(made, weights_only=True)["model"]
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(WeightsError, match=r"guided_after 0\.0, now 0\.4"):
        train_dit(scenes, tmp_path, replace(learning, steps=2))


def test_the_decoder_that_ships_is_trained_further_and_its_latents_stay(
    build: Path, tmp_path: Path
) -> None:
    settings = CodecTraining(
        steps=1, batch=1, seconds=0.2, warmup=1, learning_rate=1e-9, adversary_after=1.0
    )
    made = torch.load(train_codec(build, tmp_path, settings, "cpu", WEIGHTS), weights_only=True)
    for name, tensor in load_modules(WEIGHTS)[1].state_dict().items():
        exact = name.startswith("latents.")
        torch.testing.assert_close(made["model"][name], tensor, rtol=0, atol=0 if exact else 1e-6)


def test_a_student_that_ships_is_not_trained_on(tmp_path: Path) -> None:
    student = labelled_weights(tmp_path / "student", "true", "true")
    with pytest.raises(WeightsError, match="student is a student: it cannot be the teacher"):
        load_teacher(student)
    (student / TENSORS).write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="damaged"):
        load_teacher(student)
