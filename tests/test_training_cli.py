"""`diegetic train`: what reaches the trainings, and what is refused before hours go into it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from diegetic import cli
from diegetic.generator import WEIGHTS
from diegetic.training import codec_trainer, dit_trainer, export, recipe, student
from diegetic.training.codec_trainer import CodecTraining
from diegetic.training.dit_trainer import DiTTraining
from diegetic.training.student import StudentTraining
from diegetic.training.summary import Summary, write_summary


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    yield
    logging.getLogger("diegetic").setLevel(logging.NOTSET)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The steps that were asked for, none of which is done."""
    calls: list[tuple[object, ...]] = []
    for module, name in (
        (codec_trainer, "train_codec"),
        (recipe, "build_scenes"),
        (dit_trainer, "train_dit"),
        (student, "train_student"),
        (export, "export"),
    ):
        monkeypatch.setattr(module, name, lambda *given, name=name: calls.append((name, *given)))
    return calls


def test_options_reach_every_step(tmp_path: Path, done: list[tuple[object, ...]]) -> None:
    words = ["train", "all", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    words += ["--codec-steps", "7", "--transformer-steps", "9", "--crop", "0.2", "--seed", "3"]
    words += ["--learning-rate", "0.002", "--accumulate", "4", "--device", "auto"]
    words += ["--scenes", "11", "--workers", "5", "--engine", "ray"]
    former = tmp_path / "former.pt"
    former.touch()
    words += ["--from", str(former), "--crops", "6", "--adversary-after", "0.1"]
    words += ["--adversary-every", "2", "--adversary-width", "12"]
    assert cli.main(words) == 0
    build, out, scenes = tmp_path / "build", tmp_path / "run", tmp_path / "scenes"
    common = {"learning_rate": 0.002, "accumulate": 4, "seed": 3}
    against = {"adversary_after": 0.1, "adversary_every": 2, "adversary_width": 12}
    codec = CodecTraining(steps=7, seconds=0.2, batch=6, **against, **common)
    assert done == [
        ("train_codec", build, out, codec, "auto", former),
        ("build_scenes", build, out / "codec.pt", scenes, 11, 3, 5, "ray"),
        ("train_dit", scenes, out, DiTTraining(steps=9, **common), "auto", None),
        ("export", out / "codec.pt", out / "dit.pt", out / "weights", False),
    ]


def test_a_student_is_trained_and_exported_only_where_it_is_asked_for(
    tmp_path: Path, done: list[tuple[object, ...]]
) -> None:
    out, scenes = tmp_path / "run", tmp_path / "scenes"
    where = ["--data", str(tmp_path), "--out", str(out)]
    words = ["--student-steps", "5", "--clips", "3", "--seed", "4", "--accumulate", "2"]
    assert cli.main(["train", "all", "--student", *where, *words, "--device", "auto"]) == 0
    names = ["train_codec", "build_scenes", "train_dit", "train_student", "export"]
    assert [call[0] for call in done] == names
    settings = StudentTraining(steps=5, clips=3, seed=4, accumulate=2)
    assert done[3] == ("train_student", scenes, out / "dit.pt", out, settings, "auto")
    shipped = ("export", out / "codec.pt", out / "student.pt", out / "weights", True)
    assert done[4] == shipped
    done.clear()
    assert cli.main(["train", "student", *where, "--learning-rate", "0.001"]) == 0
    assert cli.main(["train", "export", "--student", *where]) == 0
    faster = StudentTraining(learning_rate=0.001)
    assert done == [("train_student", scenes, out / "dit.pt", out, faster, "cpu"), shipped]


def test_without_options_the_shipped_recipe_is_followed(
    tmp_path: Path, done: list[tuple[object, ...]]
) -> None:
    assert cli.main(["train", "codec", "--data", str(tmp_path)]) == 0
    assert cli.main(["train", "transformer", "--data", str(tmp_path)]) == 0
    assert [call[3:] for call in done] == [
        (CodecTraining(), "cpu", None),
        (DiTTraining(), "cpu", None),
    ]


@pytest.mark.parametrize("given", ["shipped", str(WEIGHTS)])
def test_what_is_not_trained_here_is_taken_from_the_weights_that_are_gone_on_from(
    given: str, tmp_path: Path, done: list[tuple[object, ...]]
) -> None:
    out, scenes = tmp_path / "run", tmp_path / "scenes"
    where = ["--data", str(tmp_path), "--out", str(out), "--from", given]
    for step in ("codec", "scenes", "transformer", "student", "export"):
        assert cli.main(["train", step, *where]) == 0
    build, made = tmp_path / "build", out / "dit.pt"
    assert done == [
        ("train_codec", build, out, CodecTraining(), "cpu", WEIGHTS),
        ("build_scenes", build, WEIGHTS, scenes, 16_000, 0, 2, "processes"),
        ("train_dit", scenes, out, DiTTraining(), "cpu", WEIGHTS),
        ("train_student", scenes, WEIGHTS, out, StudentTraining(), "cpu"),
        ("export", WEIGHTS, made, out / "weights", False),
    ]
    done.clear()
    out.mkdir()
    (out / "codec.pt").touch()
    made.touch()
    for step in ("scenes", "student"):
        assert cli.main(["train", step, *where]) == 0
    assert [done[0][2], done[1][2]] == [out / "codec.pt", made]
    done.clear()
    for path in (out / "codec.pt", made):
        path.unlink()
    assert cli.main(["train", "all", *where]) == 0
    assert [done[1][2], done[3][1]] == [out / "codec.pt", out / "codec.pt"]


def test_what_cannot_be_gone_on_from_is_refused(
    tmp_path: Path, done: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "codec.pt"
    file.touch()
    for step, start, said in (
        ("transformer", file, f"a folder of weights for 'transformer', got the file {file}"),
        ("codec", tmp_path / "no", f"a folder of weights or a codec.pt, no {tmp_path / 'no'} is"),
    ):
        assert cli.main(["train", step, "--from", str(start)]) == cli.USAGE_ERROR
        assert said in capsys.readouterr().err
    assert done == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["all", "--crop", "0.81"],
            "seconds of a crop must be a positive multiple of 0.02, got 0.81",
        ),
        (
            ["codec", "--crop", "0.12"],
            "seconds of a crop must be at least 0.14, for the longest window, got 0.12",
        ),
        (
            ["codec", "--adversary-after", "1.5"],
            "adversary_after must be a share from 0 to 1, got 1.5",
        ),
        (["codec", "--seed", "-1"], "seed must be 0 or more, got -1"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_line(
    words: list[str],
    said: str,
    done: list[tuple[object, ...]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["train", *words]) == cli.USAGE_ERROR
    assert capsys.readouterr().err == f"diegetic: {said}\n"
    assert done == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(codec_trainer, "AudioStore", lambda root: None)
    monkeypatch.setattr(codec_trainer, "CropSampler", lambda store, split: None)
    words = ["train", "codec", "--data", str(tmp_path), "--device", "cuda"]
    assert cli.main(words) == cli.USAGE_ERROR
    assert "device cuda needs a GPU" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["all", "scenes", "export"])
def test_torchrun_is_for_what_processes_do_together(
    step: str,
    done: list[tuple[object, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert cli.main(["train", step]) == cli.USAGE_ERROR
    said = f"torchrun is for codec, transformer, student: run '{step}' without"
    assert said in capsys.readouterr().err
    assert done == []


def test_the_help_shows_how_many_gpus_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "torchrun --nproc-per-node N -m diegetic train transformer --device cuda" in shown


def test_holes_of_the_build_are_said_before_training(
    tmp_path: Path, done: list[tuple[object, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    write_summary(tmp_path / "build", Summary(9, 40, 40, {"rain-pack": "not fetched"}))
    assert cli.main(["train", "codec", "--data", str(tmp_path)]) == 0
    assert "not whole: 1 of 9 packages are missing" in caplog.text
    caplog.clear()
    assert cli.main(["train", "transformer", "--data", str(tmp_path)]) == 0
    assert "not whole" not in caplog.text  # it reads scenes, not sounds
