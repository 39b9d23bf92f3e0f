"""Patches of the soundfont become sounds: at their keys, in their rhythm, the same every time."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diegetic.config import RATE
from diegetic.errors import DiegeticError, MediaError
from diegetic.training import build, catalog, fetch, made, patches
from diegetic.training.captioner import checked
from diegetic.training.patches import Note, Patch, midi, play, score
from diegetic.training.synthesize import synthesize
from small_soundfont import soundfont

needs_fluidsynth = pytest.mark.skipif(
    shutil.which("fluidsynth") is None, reason="needs the program fluidsynth"
)
BELL = Patch("sine bell", "oneshot", "impact/object", ("bell", "bells"), (1.0, 1.0),
             ("a bell", "a {high|low} bell"), 0, (69, 69), "once")  # fmt: skip


def by_name(patch: Patch) -> str:
    return patch.name


@pytest.fixture
def font(tmp_path: Path) -> Path:
    path = tmp_path / "sine.sf2"
    path.write_bytes(soundfont())
    return path


@pytest.mark.parametrize("patch", patches.patches(), ids=by_name)
def test_every_patch_has_valid_captions_and_notes(patch: Patch) -> None:
    for number in range(10):
        assert checked(patch.captions(number)) == patch.captions(number)
        assert patch.captions(number)[0] == patch.wordings[0]
        assert not any(mark in text for text in patch.captions(number) for mark in "{}|;")
        notes = score(patch, patch.draws(number, 0), patch.seconds[1])
        for note in notes:
            assert patch.keys[0] <= note.key <= patch.keys[1]
            assert 1 <= note.strength <= 127
            assert 0 <= note.start < patch.seconds[1]
            assert note.held > 0


def test_names_are_unique_and_steady_rhythms_are_beds() -> None:
    names = [patch.name for patch in patches.patches()]
    assert len(set(names)) == len(names)
    for patch in patches.patches():
        assert (patch.kind == "oneshot") or patch.rhythm != "once"


def test_a_drum_roll_is_faster_than_a_toll() -> None:
    def count(rhythm: patches.Rhythm) -> int:
        patch = replace(BELL, rhythm=rhythm)
        return len(score(patch, patch.draws(0, 0), 8.0))

    assert count("roll") > 80
    assert 3 <= count("toll") <= 12
    assert count("once") == 1


def test_a_score_becomes_a_midi_file() -> None:
    made_of = midi([Note(0.0, 0.25, 60, 100), Note(0.25, 0.25, 62, 90)], 14)
    track = bytes([0, 0xC0, 14, 0, 0x90, 60, 100, 0x81, 0x70, 0x80, 60, 0])  # 240 ticks
    track += bytes([0, 0x90, 62, 90, 0x81, 0x70, 0x80, 62, 0, 0, 0xFF, 0x2F, 0])
    assert made_of.endswith(track)
    assert made_of[:14] == b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 0x01, 0xE0])
    assert bytes([0xC9, 0]) in midi([Note(0.0, 0.1, 38, 100)], None)  # the drum channel


@needs_fluidsynth
def test_a_patch_is_heard_at_its_key_and_for_its_time(font: Path) -> None:
    sound = play(BELL, 0, font)
    assert sound.dtype == np.float32
    assert sound.shape == (RATE, 2)
    assert np.argmax(np.abs(np.fft.rfft(sound[:24_000, 0]))) * 2 == pytest.approx(440, abs=2)
    assert 0.2 < np.abs(sound).max() < 1.0
    assert np.abs(sound[-48:]).max() < 0.02


@needs_fluidsynth
def test_the_same_number_is_the_same_sound(font: Path) -> None:
    many = replace(BELL, keys=(40, 90), seconds=(0.5, 1.0))
    assert np.array_equal(play(many, 1, font), play(many, 1, font))
    assert len(play(many, 1, font)) != len(play(many, 2, font))


@needs_fluidsynth
def test_the_end_of_a_bed_sounds_on_at_its_beginning(
    font: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ramp = np.zeros((2 * RATE, 2), np.float32)
    ramp[RATE : RATE + 100] = 0.5  # sounds after the end of one second
    ramp[500] = 0.25
    monkeypatch.setattr(patches, "play_midi", lambda path, soundfont: (ramp, RATE))
    bed = play(replace(BELL, kind="bed"), 0, font)
    assert np.all(bed[:100] == bed[0, 0])
    assert bed[500, 0] == pytest.approx(bed[0, 0] / 2)
    assert np.count_nonzero(bed[:, 0]) == 101


def test_a_silent_patch_is_said(font: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = np.zeros((RATE, 2), np.float32)
    monkeypatch.setattr(patches, "play_midi", lambda path, soundfont: (nothing, RATE))
    with pytest.raises(MediaError, match=r"sine bell 3 is silent: sine\.sf2 has no such patch"):
        play(BELL, 3, font)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"program": 128}, "program and keys must be 0 to 127"),
        ({"keys": (70, 60)}, "keys in order, got 0, \\(70, 60\\)"),
        ({"rhythm": "waltz"}, "rhythm must be one of once, hold, .*, got 'waltz'"),
        ({"wordings": ()}, "the first wording must be plain words"),
    ],
)
def test_a_wrong_row_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(DiegeticError, match=f"sine bell: .*{words}"):
        replace(BELL, **change)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of twenty recorded shots, three sounds of one patch, and the small soundfont."""
    three = {
        f"1/patches/{BELL.name}/{k}": made.Made(made.PATCHES, f"1/patches/{BELL.name}/{k}", BELL, k)
        for k in range(3)
    }
    clip = catalog.Clip("pack", "1", "bookworm", "shot.wav", 0.1, "CC0-1.0", "A-CC0/PD", "weapon",
                        "", (), "", "sfx")  # fmt: skip
    clips = tuple(replace(clip, path=f"shot_{k}.wav") for k in range(20))
    font = replace(catalog.SOUNDFONT, package="font", path="sine.sf2")
    monkeypatch.setattr(made, "made_sounds", lambda: three)
    monkeypatch.setattr(catalog, "clips", lambda: clips)
    monkeypatch.setattr(catalog, "packages", lambda: ("pack",))
    monkeypatch.setattr(catalog, "textures", tuple)
    monkeypatch.setattr(catalog, "SOUNDFONT", font)
    folder = tmp_path / "build"
    folder.mkdir()
    np.full((20 * 4800, 2), 1000, np.int16).tofile(folder / "audio.i16")
    rows = [build.Decoded("pack", c.path, 4800 * k, 4800, 0.3, 0.1) for k, c in enumerate(clips)]
    lines = [json.dumps(row.__dict__) + "\n" for row in rows]
    (folder / "index.jsonl").write_text("".join(lines))
    return tmp_path


def put_font(root: Path) -> None:
    folder = fetch.package_folder(root, "font")
    folder.mkdir(parents=True)
    (folder / "sine.sf2").write_bytes(soundfont())


@needs_fluidsynth
def test_patches_become_segments_with_licence_and_attribution(root: Path) -> None:
    put_font(root)
    assert [row.dropped for row in synthesize(root, workers=1)] == [""] * 3
    assert synthesize(root, workers=1) == []
    build.write_segments(root)
    rows = [row for row in build.read_segments(root) if row["package"] == made.PATCHES]
    assert rows
    for row in rows:
        assert (row["licence"], row["licence_class"]) == ("MIT", "A-permissive")
        assert (row["split"], row["kind"], row["samples"]) == ("train", "oneshot", RATE)
    text = (root / "build/ATTRIBUTION.md").read_text()
    assert "## diegetic-patches\n\nLicences: MIT" in text
    assert "## font (version unknown)\n\nLicences: MIT" in text


@needs_fluidsynth
def test_without_the_soundfont_they_are_left_out_and_tried_again(root: Path) -> None:
    rows = synthesize(root, workers=1)
    assert len(rows) == 3
    assert all("sine.sf2 is not there" in row.dropped for row in rows)
    build.write_segments(root)
    assert {row["package"] for row in build.read_segments(root)} == {"pack"}
    put_font(root)
    assert [row.dropped for row in synthesize(root, workers=1)] == [""] * 3
