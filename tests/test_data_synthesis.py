"""Sounds made by rule: finite, varied, the same every time, and never the larger part."""

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diegetic.cli import main
from diegetic.config import RATE
from diegetic.errors import DiegeticError, MediaError
from diegetic.training import build, catalog, made
from diegetic.training.audio_store import AudioStore
from diegetic.training.captioner import checked
from diegetic.training.studio import Studio
from diegetic.training.synthesis import FAMILIES, render
from diegetic.training.synthesis.acoustics import cycles, scatter, tone
from diegetic.training.synthesis.voice import Voice, sentences
from diegetic.training.synthesize import synthesize

CLIP = catalog.Clip("pack", "1", "bookworm", "shot.wav", 0.1, "CC0-1.0", "A-CC0/PD", "nature",
                    "", (), "", "sfx")  # fmt: skip
VOICES = [voice for family in FAMILIES.values() for voice in family]
QUICK = [
    voice for voice in VOICES if voice.name in ("clinking glasses", "coin", "bubbles", "handbell")
]


def by_name(voice: Voice) -> str:
    return voice.name


@pytest.mark.parametrize("voice", VOICES, ids=by_name)
def test_a_sound_is_finite_stereo_and_within_full_scale(voice: Voice) -> None:
    sound = render(replace(voice, seconds=(voice.seconds[0], voice.seconds[0])), 3)
    assert sound.dtype == np.float32
    assert sound.shape[1] == 2
    assert np.isfinite(sound).all()
    assert 0.05 < np.abs(sound).max() < 1.0
    assert len(sound) / RATE == pytest.approx(voice.seconds[0], rel=0.5)
    if voice.kind == "oneshot":
        assert np.abs(sound[-48:]).max() < 0.02  # it ends


@pytest.mark.parametrize("voice", QUICK, ids=by_name)
def test_the_same_number_is_the_same_sound_and_another_is_another(voice: Voice) -> None:
    assert np.array_equal(render(voice, 1), render(voice, 1))
    assert not np.array_equal(render(voice, 1)[:4800], render(voice, 2)[:4800])


@pytest.mark.parametrize("voice", VOICES, ids=by_name)
def test_captions_are_valid_and_begin_with_the_most_general(voice: Voice) -> None:
    said = [voice.captions(number) for number in range(20)]
    for each in said:
        assert checked(each) == each
        assert each[0] == voice.wordings[0]
        assert len(each) >= 3
        assert not any(mark in sentence for sentence in each for mark in "{}|")
    assert len(set(said)) > 1
    assert said[0] == voice.captions(0)


def test_an_article_fits_the_word_behind_it() -> None:
    said = sentences(("engine", "a {odd|small} engine", "a {|red} alarm"), np.random.default_rng(0))
    assert set(said) == {"engine", "an odd engine", "a small engine", "an alarm", "a red alarm"}


def test_names_are_unique_and_paths_tell_them() -> None:
    assert len({voice.name for voice in VOICES}) == len(VOICES)
    sounds = made.made_sounds()
    assert {sound.what.name for sound in sounds.values()} >= {voice.name for voice in VOICES}
    numbers = [sound.number for sound in sounds.values()]
    assert numbers == sorted(numbers)  # no kind of sound is cut before the others


def test_a_tone_ends_where_it_began() -> None:
    course = np.linspace(440.3, 470.7, 4801)
    assert cycles(course)[-1] == pytest.approx(round(cycles(course)[-1]), abs=1e-9)
    wave = tone(course, np.array([1.0, 0.5]))
    steps = np.abs(np.diff(np.append(wave, wave[0])))
    assert steps[-1] < 1.01 * steps[:-1].max()


def test_what_runs_over_the_end_comes_in_at_the_beginning() -> None:
    out = np.zeros((100, 2))
    scatter(out, [96 / RATE], [np.arange(1.0, 11.0)], [0.0])
    assert np.flatnonzero(out[:, 0]).tolist() == [0, 1, 2, 3, 4, 5, 96, 97, 98, 99]
    assert out[0, 0] == pytest.approx(5 * np.sqrt(0.5))


def test_a_voice_without_words_or_with_a_choice_first_is_refused() -> None:
    voice = VOICES[0]
    for wordings in ((), ("a {loud|} alarm",)):
        with pytest.raises(DiegeticError, match=rf"{voice.name}: the first wording must be plain"):
            replace(voice, wordings=wordings)
    with pytest.raises(DiegeticError, match=r"seconds must be shortest and longest, got \(2, 1\)"):
        replace(voice, seconds=(2, 1))


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda rng, seconds: np.full((48_000, 2), np.nan, np.float32),
        lambda rng, seconds: np.full((48_000, 2), 1.5, np.float32),
        lambda rng, seconds: np.zeros((48_000, 1), np.float32),
    ],
)
def test_a_spoilt_sound_is_named(spoilt: Callable[..., np.ndarray]) -> None:
    voice = replace(QUICK[0], make=spoilt)
    with pytest.raises(DiegeticError, match=rf"{voice.name} 7 must be \(samples, 2\) within ±1"):
        render(voice, 7)
    with pytest.raises(DiegeticError, match="number must be 0 or more, got -1"):
        render(voice, -1)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of eleven recorded clicks and ten beds of ten seconds, and eight quick sounds."""
    few = {p: s for p, s in made.made_sounds().items() if s.what in QUICK and s.number < 2}
    monkeypatch.setattr(made, "made_sounds", lambda: few)
    clips, rows, sound, end = [], [], [], 0
    for k in range(21):
        seconds = 10.0 if k >= 11 else 0.1
        path = f"rain_{k}.wav" if k >= 11 else f"shot_{k}.wav"
        clips.append(replace(CLIP, path=path, seconds=seconds))
        count = round(seconds * RATE)
        rows.append(build.Decoded("pack", path, end, count, 0.3, 0.1))
        sound.append(np.full((count, 2), 1000, np.int16))
        end += count
    monkeypatch.setattr(catalog, "clips", lambda: tuple(clips))
    monkeypatch.setattr(catalog, "packages", lambda: ("pack",))
    monkeypatch.setattr(catalog, "textures", tuple)
    folder = tmp_path / "build"
    folder.mkdir()
    np.concatenate(sound).tofile(folder / "audio.i16")
    (folder / "index.jsonl").write_text("".join(json.dumps(r.__dict__) + "\n" for r in rows))
    return tmp_path


def ours(root: Path) -> list[dict[str, object]]:
    return [row for row in build.read_segments(root) if row["package"] == made.SYNTHESIS]


def test_made_sounds_become_segments_of_the_build(root: Path) -> None:
    before = (root / "build/audio.i16").read_bytes()
    rows = synthesize(root, workers=1)
    build.write_segments(root)
    assert (root / "build/audio.i16").read_bytes()[: len(before)] == before
    assert len(rows) == 8
    segments = ours(root)
    assert segments
    store = AudioStore(root / "build")
    for row, segment in zip(segments, store.segments[-len(segments) :], strict=True):
        sound = made.made_sounds()[str(row["path"])]
        heard = store.read(segment, 0, segment.samples)
        assert np.abs(heard - render(sound.what, sound.number)).max() < 2 / 32_768
        assert (row["licence"], row["split"]) == ("CC0-1.0", "train")
        assert row["kind"] == sound.what.kind
        assert tuple(row["captions"]) == sound.what.captions(sound.number)


def test_the_studio_draws_them_without_further_change(root: Path) -> None:
    synthesize(root, workers=1)
    build.write_segments(root)
    studio = Studio(AudioStore(root / "build"), [], {}, 0)
    rng = np.random.default_rng(0)
    drawn = [studio.draw_shot(rng).package for _ in range(2000)]
    share = drawn.count(made.SYNTHESIS) / len(drawn)
    assert 0.1 < share < made.SHARE + 0.03  # 3 % is three standard deviations


def test_recordings_stay_the_larger_part() -> None:
    packages = ["pack"] * 7 + [made.SYNTHESIS] * 20 + [made.PATCHES] * 3
    chances = made.within_share(np.linspace(1, 5, 30), packages, share=0.4)
    assert chances.sum() == pytest.approx(1)
    assert chances[7:].sum() == pytest.approx(0.4)
    for part in (slice(0, 7), slice(7, 30)):  # among their like they are drawn as before
        before = np.linspace(1, 5, 30)[part]
        np.testing.assert_allclose(chances[part] / chances[part].sum(), before / before.sum())
    few = made.within_share(np.ones(10), packages[:10], share=0.4)
    np.testing.assert_allclose(few, 0.1)
    np.testing.assert_allclose(made.within_share(np.ones(4), [made.SYNTHESIS] * 4), 0.25)
    assert made.within_share(np.zeros(0), []).shape == (0,)


def test_a_thing_is_drawn_by_the_root_of_how_much_there_is_of_it(root: Path) -> None:
    synthesize(root, workers=1)
    build.write_segments(root)
    store = AudioStore(root / "build")
    shots = [segment for segment in store.segments if segment.kind == "oneshot"]
    ours = {s.captions[0] for s in shots if s.package == made.SYNTHESIS}
    amounts = Counter(segment.captions[0] for segment in shots)
    rooted = {name: amount**0.5 for name, amount in amounts.items()}
    expected = sum(rooted[name] for name in ours) / sum(rooted.values())
    assert expected > made.SHARE  # so it is held
    studio, rng = Studio(store, [], {}, 0), np.random.default_rng(1)
    drawn = Counter(studio.draw_shot(rng).captions[0] for _ in range(4000))
    assert sum(drawn[name] for name in ours) / 4000 == pytest.approx(made.SHARE, abs=0.03)
    whole = sum(rooted[name] for name in ours)
    for name in ours:
        share = made.SHARE * rooted[name] / whole
        assert drawn[name] / 4000 == pytest.approx(share, abs=0.03)


def test_a_build_without_a_kind_of_sound_is_refused_when_it_is_drawn(root: Path) -> None:
    build.write_segments(root)
    studio = Studio(AudioStore(root / "build"), [], {}, 0)
    with pytest.raises(MediaError, match="the build has no music"):
        studio.draw_music(np.random.default_rng(0))


def test_second_run_makes_nothing_new(root: Path) -> None:
    synthesize(root, workers=1)
    before = (root / "build/audio.i16").read_bytes()
    assert synthesize(root, workers=1) == []
    assert (root / "build/audio.i16").read_bytes() == before


def test_an_interrupted_run_goes_on_to_the_same_bytes(root: Path) -> None:
    rows = synthesize(root, workers=1)
    whole = (root / "build/audio.i16").read_bytes()
    index = (root / "build/index.jsonl").read_text().splitlines(keepends=True)
    torn = "".join(index[:-3]) + index[-3][:20]
    (root / "build/index.jsonl").write_text(torn)
    os.truncate(root / "build/audio.i16", rows[-2].offset * 4 + 99)
    assert [row.path for row in synthesize(root, workers=1)] == [row.path for row in rows[-3:]]
    assert (root / "build/audio.i16").read_bytes() == whole


def test_a_build_goes_on_beside_them(root: Path) -> None:
    synthesize(root, workers=1)
    assert {row.package for row in build.recover(root / "build")} == {"pack", made.SYNTHESIS}
    build.write_segments(root)
    text = (root / "build/ATTRIBUTION.md").read_text()
    assert f"## {made.SYNTHESIS}\n\nLicences: CC0-1.0" in text


def test_sounds_of_a_former_edition_stay_unused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesize(root, workers=1)
    newer = {f"2{path[1:]}": replace(s, path=f"2{path[1:]}") for path, s in
             made.made_sounds().items()}  # fmt: skip
    monkeypatch.setattr(made, "made_sounds", lambda: newer)
    assert len(synthesize(root, workers=1)) == 8
    build.write_segments(root)
    assert {str(row["path"])[0] for row in ours(root)} == {"2"}


def test_nothing_built_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="diegetic data build"):
        synthesize(tmp_path)
    with pytest.raises(DiegeticError, match="workers must be 1 or more, got 0"):
        synthesize(tmp_path, workers=0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_says_what_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.open

    def full(self: Path, mode: str = "r", **how: str) -> object:
        target = Path("/dev/full") if self.name == "audio.i16" and "a" in mode else self
        return original(target, mode, **how)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DiegeticError, match=r"No space left on device; 21 clips are kept"):
        synthesize(root, workers=1)


def test_they_are_never_held_out() -> None:
    assert not {made.SYNTHESIS, made.PATCHES} & catalog.heldout_packages()
    assert not {made.SYNTHESIS, made.PATCHES} & set(catalog.packages())
    assert len(catalog.heldout_packages()) == 5


def test_the_command_makes_them_and_writes_the_segments(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "synthesize", "--workers", "1", "--root", str(root)]) == 0
    assert "8 sounds made, 0 left out" in capsys.readouterr().out
    assert ours(root)


def test_two_workers_make_what_one_makes(tmp_path: Path, root: Path) -> None:
    synthesize(root, workers=1)
    one = (root / "build/audio.i16").read_bytes()
    index = (root / "build/index.jsonl").read_text().splitlines(keepends=True)
    (root / "build/index.jsonl").write_text("".join(index[:21]))
    synthesize(root, workers=2)
    assert (root / "build/audio.i16").read_bytes() == one
