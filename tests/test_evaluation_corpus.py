from pathlib import Path

import numpy as np
import pytest

from diegetic.config import RATE
from diegetic.errors import MediaError
from diegetic.evaluation import codec as evaluation_codec
from diegetic.evaluation.bench import Renders
from diegetic.evaluation.codec import NetworksCodec
from diegetic.evaluation.corpus import Corpus, read_game
from diegetic.evaluation.measures import level
from diegetic.networks import Cross, FloatArray, Memory, Shapes
from diegetic.snapshot import Conditioning
from evaluation_bench import SECONDS, sound, write_data

KINDS = frozenset(SECONDS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root)
    return root


def test_held_out_sounds_are_those_of_held_out_packages(data: Path) -> None:
    clips = Corpus(data).clips("heldout", 100, 0, 0.1, 100.0, KINDS)
    assert len(clips) == 9
    assert sorted(clip.kind for clip in clips) == ["bed"] * 3 + ["music"] * 3 + ["oneshot"] * 3
    for clip in clips:
        equal = [np.allclose(clip.audio, sound(clip.kind, n), atol=1e-4) for n in range(6)]
        assert equal[:3] == [False] * 3  # the training ones
        assert sum(equal) == 1


def test_the_first_of_many_are_those_of_few(data: Path) -> None:
    corpus = Corpus(data)
    few, many = (corpus.clips("heldout", count, 3, 0.1, 2.0, KINDS) for count in (4, 9))
    for one, other in zip(few, many, strict=False):
        assert one.caption == other.caption
        np.testing.assert_array_equal(one.audio, other.audio)
    assert max(len(clip.audio) for clip in many) == 2 * RATE
    assert any(
        not np.array_equal(a.audio, b.audio)
        for a, b in zip(many, corpus.clips("heldout", 9, 4, 0.1, 2.0, KINDS), strict=True)
    )


def test_sounds_that_are_too_short_are_left_out_and_none_is_an_error(data: Path) -> None:
    corpus = Corpus(data)
    assert {clip.kind for clip in corpus.clips("heldout", 9, 0, 1.0, 2.0, KINDS)} == {
        "bed",
        "music",
    }
    with pytest.raises(MediaError, match=r"at least 60 s \(bed\).*diegetic data build"):
        corpus.clips("heldout", 9, 0, 60.0, 90.0, frozenset({"bed"}))


def test_training_sounds_are_all_of_the_training_split_and_whole(data: Path) -> None:
    corpus = Corpus(data)
    sounds = dict(zip(corpus.training_names, corpus.training(), strict=True))
    assert len(sounds) == 9
    assert all(name.startswith("train-package: ") for name in sounds)
    np.testing.assert_allclose(sounds["train-package: bed-1.wav"], sound("bed", 1), atol=1e-4)


def test_captions_are_answered_by_different_training_sounds_in_turn(data: Path) -> None:
    corpus = Corpus(data)
    assert corpus.training_captions == sorted(f"{a} {kind}" for a in ("a", "the") for kind in KINDS)
    answer = corpus.answer(["a oneshot", "the oneshot", "a bed"], 12.0)
    assert answer.shape == (12 * RATE, 2)
    size = round(SECONDS["oneshot"] * RATE)
    parts = [answer[:size], answer[size : 2 * size], answer[2 * size :][: round(8 * RATE)]]
    for part, kind in zip(parts, ("oneshot", "oneshot", "bed"), strict=True):
        assert any(np.allclose(part, sound(kind, n), atol=1e-4) for n in range(3))
    assert not np.array_equal(parts[0], parts[1])
    again = 2 * size + round(8 * RATE)
    np.testing.assert_array_equal(answer[again : again + size], parts[0])  # from the start again


def test_games_are_held_out_ones(data: Path) -> None:
    (game,) = Corpus(data).games()
    assert game.name == "heldout_map"
    assert game.seconds == 8.0
    assert game.audio.dtype == np.float32
    assert game.event_names == ("shot",) * 7


def test_what_was_not_built_is_said_with_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="diegetic data fetch"):
        Corpus(tmp_path)
    write_data(tmp_path)
    corpus = Corpus(tmp_path)
    with pytest.raises(MediaError, match=r"no picture of lava .* `diegetic data textures`"):
        corpus.surface("lava")
    assert corpus.surface("water").shape == (8, 8, 3)
    broken = tmp_path / "build" / "vizdoom" / "heldout_map.npz"
    broken.write_bytes(b"PK no")
    with pytest.raises(MediaError, match=r"heldout_map\.npz is no recorded game"):
        read_game(broken)
    broken.unlink()
    with pytest.raises(MediaError, match="`diegetic data vizdoom`"):
        corpus.games()


def test_a_render_is_made_once_and_read_from_its_file(tmp_path: Path) -> None:
    made: list[float] = []

    def make(value: float) -> FloatArray:
        made.append(value)
        return np.full((10, 2), value, np.float32)

    renders = Renders(tmp_path)
    first = renders.get("a/b", lambda: make(0.3))
    again = renders.get("a/b", lambda: make(0.7))
    np.testing.assert_array_equal(first, again)
    assert abs(first[0, 0] - 0.3) < 1 / 32768
    assert Renders(tmp_path).get("a/b", lambda: make(0.7))[0, 0] == first[0, 0]
    anew = Renders(tmp_path, fresh=True)
    assert anew.get("a/b", lambda: make(2.0))[0, 0] == pytest.approx(1.0, abs=1e-4)
    assert anew.get("a/b", lambda: make(0.1))[0, 0] == pytest.approx(1.0, abs=1e-4)
    assert made == [0.3, 2.0]


def test_a_render_that_failed_leaves_nothing_that_could_be_taken_for_it(tmp_path: Path) -> None:
    renders = Renders(tmp_path)

    def fail() -> FloatArray:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        renders.get("x", fail)
    with pytest.raises(MediaError, match="cannot read"):
        renders.read("x")


class LevelNetworks:
    """Latents are the band levels themselves, and the decoder shapes nothing."""

    shapes = Shapes(1, 1, 1, (1, 1, 1), 4)
    distilled = False

    def analyse(self, levels: FloatArray) -> FloatArray:
        return levels.reshape(1, levels.shape[1] // 4, -1)

    def decode(
        self, latents: FloatArray, noise: FloatArray, state: FloatArray, kept: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        return 0.01 * noise, latents.reshape(1, noise.shape[3], -1), state + kept

    def condition(self, said: Conditioning) -> Cross:
        raise NotImplementedError

    def evaluate(
        self, latents: FloatArray, t: float, guidance: float, cross: Cross, prefix: Memory
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        raise NotImplementedError


@pytest.mark.parametrize("length", [960, 9601, 48_000])
def test_a_reconstruction_is_as_long_as_loud_and_as_late_as_the_sound(length: int) -> None:
    audio = np.zeros((length, 2), np.float32)
    audio[length // 2 :] = np.random.default_rng(0).normal(0, 0.1, (length - length // 2, 2))
    made = NetworksCodec(LevelNetworks()).reconstruct(audio, 0)
    assert made.shape == audio.shape
    if length > 9000:
        assert abs(level(made) - level(audio)) < 1.5
        begins = np.flatnonzero(np.abs(made).max(1) > 0.02)[0]
        assert abs(int(begins) - length // 2) < 960


def test_a_codec_works_in_blocks_as_if_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = sound("oneshot", 0)
    codec = NetworksCodec(LevelNetworks())
    whole = codec.encode(audio), codec.reconstruct(audio, 1)
    monkeypatch.setattr(evaluation_codec, "_BLOCK", 7)
    np.testing.assert_allclose(codec.encode(audio), whole[0], atol=1e-6)
    np.testing.assert_allclose(codec.reconstruct(audio, 1), whole[1], atol=1e-6)
    assert not np.allclose(codec.reconstruct(audio, 2), whole[1])
