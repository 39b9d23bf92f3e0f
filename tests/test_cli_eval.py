import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diegetic import cli
from diegetic.cli import eval as eval_command
from diegetic.config import RATE
from diegetic.errors import DiegeticError
from diegetic.evaluation import NAMES
from diegetic.evaluation.bench import Bench, Renders, Voice
from diegetic.evaluation.entries import codec, drift, prompts, student, switch, tasks
from diegetic.evaluation.plots import spectrogram
from diegetic.evaluation.prompts import SCENES, TWELVE
from diegetic.evaluation.results import Subject
from diegetic.generator import ChunkGenerator
from diegetic.weights import fingerprint
from evaluation_bench import make_bench, write_data
from labelled_weights import labelled_weights
from tone_generator import ToneGenerator


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root)
    return root


@pytest.fixture
def opened(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Bench]:
    """Short sounds, and the benches that the command has opened."""
    monkeypatch.setattr(prompts, "SECONDS", 0.4)
    monkeypatch.setattr(tasks, "SECONDS", 0.4)
    monkeypatch.setattr(tasks, "PIECE", 1.0)
    monkeypatch.setattr(student, "SECONDS", 0.4)
    monkeypatch.setattr(drift, "MINUTES", 2)
    monkeypatch.setattr(drift, "MINUTE", 0.8)
    monkeypatch.setattr(drift, "PIECE", 0.2)
    monkeypatch.setattr(switch, "SECONDS", 1.0)
    benches: list[Bench] = []

    def open_bench(
        arguments: argparse.Namespace,
        weights: Path,
        subject: Subject,
        on_progress: Callable[[str, int, int], None],
    ) -> Bench:
        renders = Renders(arguments.out / "sounds" / str(subject.seed), fresh=arguments.fresh)
        bench = make_bench(data, seed=subject.seed, count=arguments.count)
        teacher = Voice(ToneGenerator(), "teacher", Renders(arguments.out / "sounds" / "teacher"))
        benches.append(replace(bench, renders=renders, teacher=teacher, on_progress=on_progress))
        return benches[-1]

    monkeypatch.setattr(eval_command, "open_bench", open_bench)
    return benches


def chunks_made(bench: Bench) -> int:
    assert isinstance(bench.generator, ToneGenerator)
    return bench.generator.calls


def test_the_command_writes_a_table_plots_and_sounds_and_keeps_what_it_has(
    opened: list[Bench],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    words = ["eval", "--out", str(tmp_path), "--count", "4"]
    assert cli.main(words) == 1  # tones miss what must be reached
    shown = capsys.readouterr().out
    assert "onsets within 100 ms" in shown
    table = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert tuple(table["entries"]) == NAMES
    assert all(entry["seconds"] > 0 for entry in table["entries"].values())
    rows = [row for entry in table["entries"].values() for row in entry["rows"]]
    assert all(row["figures"] for row in rows)
    assert {row["verdict"] for row in rows} >= {"aim", "missed", ""}
    assert len(table["entries"]["tasks"]["rows"]) == 9
    assert len((tmp_path / "table.md").read_text(encoding="utf-8").splitlines()) > len(rows)
    for name in ("prompts.png", "ranks-prompts.png", "ranks-v0.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    sounds = sorted((tmp_path / "sounds" / "0" / "prompts").glob("*.wav"))
    assert len(sounds) == 24 * prompts.SEEDS
    assert soundfile.info(sounds[0]).duration == pytest.approx(0.4)

    assert cli.main(words) == 1
    assert chunks_made(opened[1]) == 0
    assert json.loads((tmp_path / "table.json").read_text(encoding="utf-8")) == table


def test_another_count_repeats_what_depends_on_it_with_the_sounds_that_are_there(
    opened: list[Bench], tmp_path: Path
) -> None:
    words = ["eval", "--out", str(tmp_path), "--only", "fad", "empty"]
    cli.main([*words, "--count", "3"])
    cli.main([*words, "--count", "4"])
    first, second = (chunks_made(bench) for bench in opened)
    assert 0 < second < first / 2  # one sound more
    table = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert {name: entry["count"] for name, entry in table["entries"].items()} == {
        "fad": 4,
        "empty": 3,
    }


def test_fresh_does_again_what_is_asked_for_and_keeps_the_rest(
    opened: list[Bench], tmp_path: Path
) -> None:
    words = ["eval", "--out", str(tmp_path), "--count", "3"]
    cli.main([*words, "--only", "codec", "empty"])
    before = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))["entries"]
    cli.main([*words, "--only", "empty", "--fresh"])
    after = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))["entries"]
    assert chunks_made(opened[1]) == chunks_made(opened[0]) > 0
    assert after["codec"] == before["codec"]
    assert list(after) == ["codec", "empty"]


def test_another_seed_begins_another_table(opened: list[Bench], tmp_path: Path) -> None:
    words = ["eval", "--out", str(tmp_path), "--only", "empty"]
    cli.main(words)
    cli.main([*words, "--seed", "1"])
    assert chunks_made(opened[1]) > 0
    table = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert table["subject"]["seed"] == 1


def test_an_entry_that_fails_leaves_the_finished_ones(
    opened: list[Bench],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(bench: Bench) -> None:
        raise DiegeticError("the game is gone")

    from diegetic.evaluation import entries

    broken = entries.Entry(fail)  # type: ignore[arg-type]
    monkeypatch.setitem(entries.ENTRIES, "onsets", broken)
    words = ["eval", "--out", str(tmp_path), "--only", "empty", "onsets"]
    assert cli.main(words) == cli.USAGE_ERROR
    assert "the game is gone" in capsys.readouterr().err
    table = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert list(table["entries"]) == ["empty"]


def test_a_teacher_is_opened_at_32_evaluations_beside_the_weights_at_any_number(
    data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_litert")
    teacher = labelled_weights(tmp_path / "teacher", None, None)
    parser = argparse.ArgumentParser()
    eval_command.configure(parser)
    words = ["--data", str(data), "--out", str(tmp_path), "--teacher", str(teacher)]
    arguments = parser.parse_args(words)
    subject = Subject(fingerprint(teacher), 0, 2)

    def open_bench() -> Bench:
        return eval_command.open_bench(arguments, teacher, subject, lambda *_: None)

    bench = open_bench()
    assert bench.teacher is not None
    voices = {32: bench.teacher, 2: bench.at(2), 1: bench.at(1)}
    for nfe, voice in voices.items():
        assert isinstance(voice.generator, ChunkGenerator)
        assert voice.generator.nfe == nfe
        assert voice.renders.path("x").parent.name == f"{subject.weights}-seed0-nfe{nfe}"
    assert bench.at(2).generator is bench.generator
    arguments.teacher = labelled_weights(tmp_path / "student", "true", "true")
    with pytest.raises(DiegeticError, match="--teacher must be the weights of no student"):
        open_bench()


def test_missing_data_is_said_with_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ai_edge_litert")
    words = ["eval", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert cli.main(words) == cli.USAGE_ERROR
    assert "diegetic data fetch" in capsys.readouterr().err


def test_a_missing_listener_is_said_with_its_extra(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "diegetic.evaluation.judge", raising=False)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    words = ["eval", "--data", str(data), "--out", str(tmp_path / "out")]
    assert cli.main(words) == cli.USAGE_ERROR
    assert "pip install 'diegetic[judge]'" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--only", "smell"], ["--count", "0"], ["--nfe", "0"]])
def test_a_wrong_command_line_is_a_usage_error(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["eval", *words])
    assert left.value.code == cli.USAGE_ERROR


def test_the_help_needs_nothing_but_the_base_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("scipy", "matplotlib", "ai_edge_litert", "torch"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as left:
        cli.main(["eval", "--help"])
    assert left.value.code == 0
    assert all(name in capsys.readouterr().out for name in NAMES[:1])


def test_a_spectrogram_shows_a_tone_where_it_is() -> None:
    time = np.arange(RATE) / RATE
    tone = np.repeat(np.sin(2 * np.pi * 1000 * time)[:, None], 2, axis=1).astype(np.float32)
    rows = spectrogram(tone)
    band = int(np.argmax(rows[:, 10]))
    assert abs(band - 96 * np.log(1000 / 40) / np.log(500)) < 1
    assert rows.max() > -10


def test_the_judge_knows_every_class_that_is_asked_for_and_hears_a_tone() -> None:
    pytest.importorskip("ai_edge_litert")
    from diegetic.evaluation.judge import Judge

    judge = Judge()
    silence, embedding = judge.hear(np.zeros((RATE, 2), np.float32), RATE)
    assert silence.shape == (521,)
    assert embedding.shape == (1024,)
    assert judge.rank(silence, ("Silence",)) == (1, "Silence")
    assert judge.top(silence, 1).startswith("Silence ")
    for prompt, labels in {**SCENES, **TWELVE}.items():
        assert judge.rank(silence, labels)[0] >= 1, prompt
    with pytest.raises(ValueError, match=r"no AudioSet class is named \['Goblin'\]"):
        judge.rank(silence, ("Rain", "Goblin"))
    time = np.arange(2 * RATE) / RATE
    tone = 0.1 * np.sin(2 * np.pi * 1000 * time).astype(np.float32)[:, None].repeat(2, axis=1)
    heard, other = judge.hear(tone, RATE)
    assert judge.rank(heard, ("Sine wave", "Beep, bleep", "Dial tone", "Chirp tone"))[0] <= 3
    assert not np.allclose(embedding, other)


def test_silence_around_a_sound_and_hiss_that_nobody_hears_change_little_for_the_judge() -> None:
    pytest.importorskip("ai_edge_litert")
    from diegetic.evaluation.judge import Judge

    judge = Judge()
    noise = np.random.default_rng(0).normal(0, 0.1, (2 * RATE, 2)).astype(np.float32)
    silence = np.zeros((4 * RATE, 2), np.float32)
    alone, followed = (
        judge.hear(sound, RATE)[1] for sound in (noise, np.concatenate((noise, silence)))
    )
    quiet = judge.hear(silence, RATE)[1]
    apart = np.linalg.norm(quiet - alone)
    assert np.linalg.norm(followed - alone) < 0.25 * apart
    hiss = judge.hear(1e-3 * noise, RATE)[1]
    assert np.linalg.norm(hiss - quiet) < 0.25 * apart


def test_an_entry_is_judged_by_the_judge_that_ships(
    opened: list[Bench], data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_litert")
    from diegetic.evaluation.judge import Judge

    bench = replace(make_bench(data), listener=Judge(), renders=Renders(tmp_path))
    (row,) = prompts.run_scenes(bench)
    assert len(row.details) == 24 * prompts.SEEDS
    assert 1 <= min(d.value for d in row.details) <= max(d.value for d in row.details) <= 521
    alike, *_ = codec.run(bench)
    assert alike.figures["cosine"] > 0.95  # 2 % softer is the same to it
