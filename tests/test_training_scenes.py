"""Scenes are rendered in parts: whatever stops it, it goes on, and nothing foreign is mixed in."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from diegetic.errors import DiegeticError, MediaError
from diegetic.model.decoder import Decoder
from diegetic.snapshot import FRAME_DIM, TEXT_DIM, TEXT_SLOTS
from diegetic.training import engines, recipe
from diegetic.training.dataset import SceneArrays, load_scenes
from diegetic.training.draft import merge
from diegetic.training.engines import Processes, WorkerLostError, open_engine
from diegetic.training.recipe import build_scenes, load_games, load_latents, open_studio
from diegetic.training.scene_parts import Parts, read_part, write_part
from diegetic.training.scenes import render_scenes
from engine_jobs import square
from small_build import add_game, small_build

needs_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
COUNT, SEED = 5, 1


class _Encoder:
    """Stands in for the encoders: what matters here is which texts come, and in which order."""

    def __init__(self, threads: int) -> None: ...

    def encode_many(self, items: list[object]) -> np.ndarray:  # type: ignore[type-arg]
        if not items or isinstance(items[0], str):
            codes = [[[len(str(x)) % 97] * TEXT_DIM] * TEXT_SLOTS for x in items]
            return np.array(codes, np.float32)
        return np.ones((len(items), FRAME_DIM), np.float32)


class _Here:
    """Runs jobs in this process; the one numbered `failing` raises."""

    failing = -1
    error: Exception = WorkerLostError("a worker process died")
    jobs = 0

    def __init__(self, workers: int) -> None: ...

    def map(self, job, items) -> Iterator[None]:  # type: ignore[no-untyped-def]
        for number, item in enumerate(items):
            if number == _Here.failing:
                raise _Here.error
            _Here.jobs += 1
            yield job(item)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build and a codec; parts of two scenes, rendered in this process."""
    small_build(tmp_path / "build")
    torch.manual_seed(0)
    decoder = Decoder()
    decoder.latents.fit(torch.randn(1000, 416) - 5)
    torch.save({"model": decoder.state_dict()}, tmp_path / "codec.pt")
    monkeypatch.setattr(recipe, "PART", 2)
    monkeypatch.setattr(recipe, "TextEncoder", _Encoder)
    monkeypatch.setattr(recipe, "ImageEncoder", _Encoder)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setitem(engines.ENGINES, "processes", _Here)
    monkeypatch.setattr(_Here, "failing", -1)
    monkeypatch.setattr(_Here, "jobs", 0)
    return tmp_path


def make(data: Path, *, seed: int = SEED) -> None:
    build_scenes(data / "build", data / "codec.pt", data / "scenes", COUNT, seed)


def assert_whole(data: Path) -> None:
    """scenes.npz holds what one process would have rendered in one go."""
    scenes, tables = load_scenes(data / "scenes")
    latents = load_latents(data / "codec.pt")
    expected, texts = merge(
        [render_scenes(open_studio(data / "build"), latents, range(COUNT), SEED)]
    )
    for name in SceneArrays.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(scenes, name), getattr(expected, name), name)
        assert getattr(scenes, name).dtype == getattr(expected, name).dtype
    lengths = [len(text) % 97 for text in texts]
    np.testing.assert_array_equal(tables.texts[:, 0, 0], lengths)
    assert tables.texts.dtype == tables.frames.dtype == np.float16


def test_parts_become_what_one_process_would_have_rendered(data: Path) -> None:
    make(data)
    assert_whole(data)
    assert sorted(path.name for path in (data / "scenes").iterdir()) == [
        "scenes.json", "scenes.npz"
    ]  # fmt: skip


def test_scenes_that_are_there_are_not_rendered_again(data: Path) -> None:
    make(data)
    assert _Here.jobs == 3
    make(data)
    assert _Here.jobs == 3
    make(data, seed=2)  # others replace them
    assert _Here.jobs == 6


@pytest.mark.parametrize("error", [WorkerLostError("a worker died"), OSError(28, "No space left")])
def test_a_dead_worker_or_a_full_disk_keeps_the_parts_and_says_how_many(
    data: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(_Here, "failing", 2)
    monkeypatch.setattr(_Here, "error", error)
    with pytest.raises(DiegeticError, match=r"(died|No space).*; 2 of 3 parts are kept in .*parts"):
        make(data)
    monkeypatch.setattr(_Here, "failing", -1)
    make(data)
    assert _Here.jobs == 3  # the two that were there were not made again
    assert_whole(data)


@needs_full_disk
def test_a_disk_that_fills_while_a_part_is_written_leaves_no_half_part(data: Path) -> None:
    parts = data / "scenes" / "parts"
    parts.mkdir(parents=True)
    (parts / "00001.npz.part").symlink_to("/dev/full")
    with pytest.raises(DiegeticError, match=r"00001\.npz: No space left.*1 of 3 parts are kept"):
        make(data)
    assert sorted(path.name for path in parts.iterdir()) == ["00000.npz", "stamp.json"]
    make(data)
    assert_whole(data)


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_damaged_part_is_rendered_again(
    data: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(_Here, "failing", 2)
    with pytest.raises(DiegeticError):
        make(data)
    monkeypatch.setattr(_Here, "failing", -1)
    part = data / "scenes" / "parts" / "00001.npz"
    part.write_bytes(part.read_bytes()[:cut])
    make(data)
    assert _Here.jobs == 4
    assert_whole(data)


@pytest.mark.parametrize("what", ["seed", "codec", "build"])
def test_parts_of_other_settings_are_not_mixed(
    data: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(_Here, "failing", 2)
    with pytest.raises(DiegeticError):
        make(data)
    if what == "codec":
        decoder = Decoder()
        decoder.latents.fit(torch.randn(1000, 416) - 4)
        torch.save({"model": decoder.state_dict()}, data / "codec.pt")
    if what == "build":
        with (data / "build" / "segments.jsonl").open("a") as file:
            file.write("\n")
    with pytest.raises(DiegeticError, match=rf"another rendering \({what} \w+, now \w+\)"):
        make(data, seed=SEED + (what == "seed"))


def test_more_training_of_the_decoder_leaves_the_scenes_as_they_are(data: Path) -> None:
    """They depend on the analysis alone, which is fitted once."""
    make(data)
    saved = torch.load(data / "codec.pt", weights_only=True)
    saved["model"]["enter.weight"] += 1
    torch.save(saved, data / "codec.pt")
    make(data)
    assert _Here.jobs == 3


def test_parts_of_unknown_making_are_refused(tmp_path: Path) -> None:
    (tmp_path / "00000.npz").write_bytes(b"what is it")
    with pytest.raises(DiegeticError, match="unknown making"):
        Parts(tmp_path, {"seed": 0})


def test_only_good_scenes_are_written(data: Path) -> None:
    studio, latents = open_studio(data / "build"), load_latents(data / "codec.pt")
    path = data / "part.npz"
    arrays, texts = render_scenes(studio, latents, range(2), SEED)
    with pytest.raises(MediaError, match=r"must hold \(3, \d+, \d+\) latents, got \(2, "):
        write_part(path, (arrays, texts), 3)
    with pytest.raises(MediaError, match=r"refer to its 1 texts"):
        write_part(path, (arrays, texts[:1]), 2)
    arrays.latents[1, 5, 7] = np.nan
    with pytest.raises(MediaError, match="latents holds values that are not finite"):
        write_part(path, (arrays, texts), 2)
    assert not path.exists()
    arrays.latents[1, 5, 7] = 0
    write_part(path, (arrays, texts), 2)
    again, said = read_part(path, 2)
    assert said == texts
    np.testing.assert_array_equal(again.text, arrays.text)


def test_no_codec_says_what_to_run(data: Path) -> None:
    (data / "codec.pt").unlink()
    with pytest.raises(MediaError, match="diegetic train codec"):
        make(data)


@pytest.mark.parametrize("cut", [0, 500])
def test_a_damaged_recording_or_file_of_scenes_is_named(tmp_path: Path, cut: int) -> None:
    small_build(tmp_path)
    game = add_game(tmp_path, "freedoom1_E1M1_6", "train")
    game.write_bytes(game.read_bytes()[:cut])
    with pytest.raises(MediaError, match=r"E1M1_6\.npz is damaged: delete it"):
        load_games(tmp_path, "train")
    (tmp_path / "scenes.npz").write_bytes(b"PK"[:cut])
    with pytest.raises(MediaError, match=r"scenes\.npz is damaged, or of another version"):
        load_scenes(tmp_path)


def test_processes_do_all_jobs_and_raise_what_a_job_raises() -> None:
    assert sorted(Processes(2).map(square, [1, 2, 4])) == [1, 4, 16]
    assert list(Processes(2).map(square, [])) == []
    with pytest.raises(ValueError, match="negative"):
        list(Processes(1).map(square, [-1, 1]))


def test_a_process_that_dies_is_said() -> None:
    with pytest.raises(WorkerLostError, match="a worker process died"):
        list(Processes(1).map(square, [3, 1]))


def test_ray_does_all_jobs_and_says_what_fails() -> None:
    pytest.importorskip("ray")
    assert sorted(open_engine("ray", 2).map(square, [1, 2, 4])) == [1, 4, 16]
    with pytest.raises(ValueError, match="negative"):
        list(open_engine("ray", 1).map(square, [-1]))
    with pytest.raises(WorkerLostError, match="Ray worker was lost"):
        list(open_engine("ray", 1).map(square, [3]))


def test_an_absent_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(DiegeticError, match=r"pip install 'diegetic\[ray\]'"):
        open_engine("ray", 1)
    with pytest.raises(DiegeticError, match="one of processes, ray, got 'dask'"):
        open_engine("dask", 1)


def test_the_stamp_is_readable(data: Path) -> None:
    make(data)
    stamp = json.loads((data / "scenes" / "scenes.json").read_text())
    assert (stamp["scenes"], stamp["seed"], stamp["part"]) == (COUNT, SEED, 2)
    assert set(stamp) == {"scenes", "seed", "part", "codec", "build", "recipe"}
