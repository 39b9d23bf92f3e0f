"""What is held out, whole packages and whole maps, is seen by no step of any training."""

import json
from pathlib import Path

import numpy as np
import pytest

from diegetic.model.decoder import Decoder
from diegetic.training import catalog
from diegetic.training.audio_store import AudioStore, Segment
from diegetic.training.codec_trainer import CropSampler, fit_latents
from diegetic.training.recipe import load_games, load_pictures, open_studio
from diegetic.training.scenes import compose_scene
from diegetic.training.vizdoom_capture import TAKES
from small_build import add_game, small_build

HELD_MAP = "freedoom2_MAP07_9"


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, set[str]]:
    """A build with held-out sounds and games, and the packages whose samples are read from it."""
    build = small_build(tmp_path / "build")
    add_game(build, "freedoom1_E1M1_6", "train")
    add_game(build, HELD_MAP, "heldout")
    read: set[str] = set()
    original = AudioStore.read

    def watching(
        self: AudioStore, segment: Segment, start: int, count: int
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        read.add(segment.package)
        return original(self, segment, start, count)

    monkeypatch.setattr(AudioStore, "read", watching)
    return build, read


TRAIN = {"bed-train", "oneshot-train", "music-train"}


def test_crops_are_of_the_training_split_alone(watched: tuple[Path, set[str]]) -> None:
    build, read = watched
    sampler = CropSampler(AudioStore(build), "train")
    rng = np.random.default_rng(0)
    for _ in range(100):
        sampler.crop(960, rng)
    assert read == TRAIN


def test_the_latents_are_fitted_to_the_training_split_alone(
    watched: tuple[Path, set[str]],
) -> None:
    build, read = watched
    sampler = CropSampler(AudioStore(build), "train")
    fit_latents(Decoder(), sampler, np.random.default_rng(0), crops=50)
    assert read == TRAIN


def test_scenes_are_of_the_training_split_alone(watched: tuple[Path, set[str]]) -> None:
    build, read = watched
    studio = open_studio(build)
    assert [game.path.stem for game in studio.games] == ["freedoom1_E1M1_6"]
    said: set[str] = set()
    for number in range(120):
        draft, _ = compose_scene(studio, 0, number)
        said |= {text for text in draft.text if text} | {name for name, _, _ in draft.events}
    assert read == TRAIN
    assert any("for train" in text for text in said)
    assert not any("for heldout" in text for text in said)


def test_games_and_pictures_are_of_the_training_split_alone(
    watched: tuple[Path, set[str]],
) -> None:
    build, _ = watched
    games = load_games(build, "train")
    assert [game.path.stem for game in games] == ["freedoom1_E1M1_6"]
    assert [game.path.stem for game in load_games(build, "heldout")] == [HELD_MAP]
    assert len(load_pictures(build)) == len(games[0].frame_times) + 1  # and black


def test_the_list_decides_also_of_what_was_built_before_it_was_changed(
    watched: tuple[Path, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both a package and a map are written down as training, then the list names them."""
    build, _ = watched
    add_game(build, HELD_MAP, "train")
    assert [game.path.stem for game in load_games(build, "heldout")] == [HELD_MAP]
    monkeypatch.setattr(catalog, "heldout_packages", lambda: frozenset({"bed-train"}))
    splits = {s.package: s.split for s in AudioStore(build).segments}
    assert splits["bed-train"] == "heldout"
    assert splits["music-train"] == "train"


def test_the_list_names_packages_and_maps_that_exist() -> None:
    packages, maps = catalog.heldout_packages(), catalog.heldout_maps()
    assert len(packages) >= 5
    assert len(maps) >= 2
    assert packages <= set(catalog.packages())
    assert maps <= {f"{take.wad}/{take.map}" for take in TAKES}
    for take in TAKES:
        assert take.split == ("heldout" if f"{take.wad}/{take.map}" in maps else "train")


def test_no_texture_is_of_a_package_that_is_held_out() -> None:
    assert not {row.package for row in catalog.textures()} & catalog.heldout_packages()


def test_a_build_of_everything_marks_what_is_held_out(tmp_path: Path) -> None:
    """The split of each row is the list's, whoever wrote the row."""
    build = small_build(tmp_path)
    rows = [json.loads(line) for line in (build / "segments.jsonl").read_text().splitlines()]
    held = sorted(catalog.heldout_packages())
    for row, package in zip(rows, held, strict=False):
        row["package"], row["split"] = package, "train"
    (build / "segments.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for segment in AudioStore(build).segments:
        if segment.package in held:
            assert segment.split == "heldout"
