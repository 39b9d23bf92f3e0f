"""The build: decoded once, whole or not at all, held-out packages apart."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import crashing_decoder
from diegetic.errors import DiegeticError, MediaError
from diegetic.training import build, catalog, fetch
from diegetic.training.decode import decode
from diegetic.training.summary import (
    Summary,
    read_summary,
    refresh_summary,
    warn_of_holes,
    write_summary,
)

CLIP = catalog.Clip("trainpack", "1", "bookworm", "rain_1.wav", 1.0, "CC-BY-3.0", "B-CC-BY",
                    "nature", "rain", (), "", "sfx")  # fmt: skip


def tone(path: Path, seconds: float, *, rate: int = 22050, gain: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = gain * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, wave, rate, subtype="FLOAT")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages: one for training with a broken and a silent clip, one held out."""
    clips = [
        replace(CLIP, path="rain_1.wav", seconds=6.0),
        replace(CLIP, path="door_open.wav"),
        replace(CLIP, path="broken.wav"),
        replace(CLIP, path="silent.wav"),
        replace(CLIP, path="changed.wav"),
        replace(CLIP, package="testpack", path="shot.wav"),
        replace(CLIP, package="testpack", path="tune.wav", sheet="music", seconds=2.0),
    ]
    monkeypatch.setattr(catalog, "clips", lambda: tuple(clips))
    monkeypatch.setattr(catalog, "packages", lambda: ("trainpack", "testpack"))
    monkeypatch.setattr(catalog, "heldout_packages", lambda: frozenset({"testpack"}))
    for clip in clips:
        seconds = 6.0 if clip.path == "rain_1.wav" else 0.5
        tone(fetch.package_folder(tmp_path, clip.package) / clip.path, seconds)
    folder = fetch.package_folder(tmp_path, "trainpack")
    (folder / "broken.wav").write_bytes(b"RIFF, but no sound")
    tone(folder / "silent.wav", 0.5, gain=0.0)
    (folder / "copyright").write_text("Copyright: 2001 Rae Recorder\n           2002 Sam Second\n")
    monkeypatch.setattr(catalog, "textures", tuple)
    for package, bad in (("trainpack", ["changed.wav"]), ("testpack", [])):
        row = {"package": package, "version": "1", "catalogued": "1", "found": 4, "missing": [],
               "mismatched": bad, "problem": ""}  # fmt: skip
        text = json.dumps(row)
        (fetch.package_folder(tmp_path, package) / "fetched.json").write_text(text)
    return tmp_path


def build_all(root: Path) -> list[build.Decoded]:
    rows = build.build(root, workers=1)
    build.write_segments(root)
    return rows


def test_segments_tell_where_every_clip_lies(root: Path) -> None:
    build_all(root)
    audio = np.fromfile(root / "build/audio.i16", np.int16).reshape(-1, 2)
    segments = build.read_segments(root)
    assert [row["path"] for row in segments] == [
        "door_open.wav", "rain_1.wav", "shot.wav", "tune.wav"
    ]  # fmt: skip
    assert len(audio) == sum(row["samples"] for row in segments)
    for row in segments:
        part = audio[row["offset"] : row["offset"] + row["samples"]] / 32768
        assert np.abs(part).max() == pytest.approx(row["peak"], abs=1e-3)
        assert np.abs(part).max() == pytest.approx(0.5, abs=0.05)
    assert segments[1]["samples"] == pytest.approx(6 * 48_000, abs=960)


def test_what_is_broken_silent_or_changed_is_left_out_and_said(root: Path) -> None:
    rows = build_all(root)
    dropped = {row.path: row.dropped for row in rows if row.dropped}
    assert set(dropped) == {"broken.wav", "silent.wav"}
    assert "cannot be decoded" in dropped["broken.wav"]
    assert "silent" in dropped["silent.wav"]
    assert "changed.wav" not in {row.path for row in rows}


def test_heldout_packages_are_never_in_train(root: Path) -> None:
    build_all(root)
    splits = {(row["package"], row["split"]) for row in build.read_segments(root)}
    assert splits == {("trainpack", "train"), ("testpack", "heldout")}


def test_kinds_are_bed_oneshot_and_music(root: Path) -> None:
    build_all(root)
    kinds = {row["path"]: row["kind"] for row in build.read_segments(root)}
    assert kinds == {
        "rain_1.wav": "bed", "door_open.wav": "oneshot", "shot.wav": "oneshot", "tune.wav": "music"
    }  # fmt: skip


def test_second_run_decodes_nothing_new(root: Path) -> None:
    build_all(root)
    before = (root / "build/audio.i16").read_bytes()
    assert {row.path for row in build_all(root)} == {"broken.wav", "silent.wav"}  # said again
    assert (root / "build/audio.i16").read_bytes() == before


def test_interrupted_build_goes_on_to_the_same_bytes(root: Path) -> None:
    build_all(root)
    whole = (root / "build/audio.i16").read_bytes()
    index = (root / "build/index.jsonl").read_text().splitlines(keepends=True)
    segments = (root / "build/segments.jsonl").read_text()
    (root / "build/index.jsonl").write_text(index[0] + index[1][:20])  # torn in the second row
    os.truncate(root / "build/audio.i16", build.read_segments(root)[1]["offset"] * 4 + 99)
    build_all(root)
    assert (root / "build/audio.i16").read_bytes() == whole
    assert (root / "build/segments.jsonl").read_text() == segments


def test_samples_shorter_than_the_index_are_refused(root: Path) -> None:
    build_all(root)
    os.truncate(root / "build/audio.i16", 1000)
    with pytest.raises(MediaError, match="shorter than its index"):
        build.write_segments(root)


def test_attribution_names_package_licence_and_authors(root: Path) -> None:
    build_all(root)
    text = (root / "build/ATTRIBUTION.md").read_text()
    for words in ("trainpack (1)", "CC-BY-3.0", "2001 Rae Recorder", "2002 Sam Second"):
        assert words in text


def test_nothing_fetched_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="diegetic data fetch"):
        build.build(tmp_path, workers=1)


def test_music_is_capped_in_hours_and_calm_comes_first() -> None:
    tracks = [
        replace(CLIP, path=f"{k}.ogg", sheet="music", seconds=600.0, caption="", tags=tags)
        for k, tags in enumerate(
            [(("Techno", 0.5),), (("Ambient music", 0.5),), (("Rock music", 0.5),)] * 8
        )
    ]
    chosen = build.choose_music(tracks, hours=0.25)
    assert len(chosen) == 10  # 90 s of each
    assert chosen[0].tags[0][0] == "Ambient music"
    assert {clip.tags[0][0] for clip in chosen} == {"Techno", "Ambient music", "Rock music"}


def test_a_clip_that_could_not_be_decoded_is_tried_again(root: Path) -> None:
    build_all(root)
    tone(fetch.package_folder(root, "trainpack") / "broken.wav", 0.5)
    build_all(root)
    segments = {row["path"]: row for row in build.read_segments(root)}
    assert segments["broken.wav"]["offset"] == max(row["offset"] for row in segments.values())
    assert build.read_index(root / "build")[-2:] != []
    summary = read_summary(root / "build")
    assert summary is not None
    assert {item.path for item in summary.clips_missing} == {"changed.wav", "silent.wav"}


def test_what_is_missing_is_listed_with_its_reason(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "packages", lambda: ("trainpack", "testpack", "torn", "unasked"))
    folder = fetch.package_folder(root, "torn")
    folder.mkdir()
    (folder / "problem.txt").write_text("torn.deb is damaged")
    monkeypatch.setattr(catalog, "textures", lambda: (catalog.Texture("torn", "g.png", "grass"),))
    build_all(root)
    summary = read_summary(root / "build")
    assert summary is not None
    assert summary.packages_missing == {"torn": "torn.deb is damaged", "unasked": "not fetched"}
    why = {item.path: item.why for item in summary.clips_missing}
    assert set(why) == {"changed.wav", "broken.wav", "silent.wav"}
    assert "md5 differs" in why["changed.wav"]
    assert "cannot be decoded" in why["broken.wav"]
    assert (summary.clips, summary.decoded) == (7, 4)
    assert [item.path for item in summary.pictures_missing] == ["g.png"]
    assert "freedoom1_E1M1_6" in summary.takes_missing
    assert summary.holes().startswith("2 of 4 packages, 3 of 7 clips, 1 textures, 34 recordings")


def test_a_clip_that_waits_is_no_silent_hole(root: Path) -> None:
    build_all(root)
    index = (root / "build/index.jsonl").read_text().splitlines(keepends=True)
    (root / "build/index.jsonl").write_text("".join(index[:1]))
    why = {item.path: item.why for item in build.write_segments(root).clips_missing}
    assert why["shot.wav"] == "not decoded yet"


def test_training_is_warned_of_holes(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    build.build(root, workers=1)
    warn_of_holes(root / "build")
    assert "no summary.json" in caplog.text
    build.write_segments(root)
    caplog.clear()
    warn_of_holes(root / "build")
    assert "not whole: 3 of 7 clips, 34 recordings of the game are missing" in caplog.text
    caplog.clear()
    write_summary(root / "build", Summary(2, 7, 7, {}))
    warn_of_holes(root / "build")
    assert not caplog.text


def test_a_damaged_summary_is_named(root: Path) -> None:
    (root / "build").mkdir()
    (root / "build/summary.json").write_text('{"packages": 3}')
    with pytest.raises(MediaError, match=r"summary\.json is damaged"):
        warn_of_holes(root / "build")


def test_a_new_texture_or_recording_closes_its_hole(root: Path) -> None:
    build_all(root)
    (root / "build/vizdoom").mkdir()
    (root / "build/vizdoom/freedoom1_E1M1_6.npz").write_bytes(b"")
    refresh_summary(root)
    summary = read_summary(root / "build")
    assert summary is not None
    assert len(summary.takes_missing) == 33
    assert len(summary.clips_missing) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["audio.i16", "index.jsonl"])
def test_a_full_disk_stops_the_build_and_says_what_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original = Path.open

    def full(self: Path, mode: str = "r", **how: str) -> object:
        target = Path("/dev/full") if self.name == name and "a" in mode else self
        return original(target, mode, **how)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DiegeticError, match=r"No space left on device; 0 clips are kept"):
        build.build(root, workers=1)
    monkeypatch.setattr(Path, "open", original)  # there is space again
    build_all(root)
    assert len(build.read_segments(root)) == 4


def test_a_file_that_takes_its_decoder_down_costs_one_clip(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_job", crashing_decoder.job)
    rows = build.build(root, workers=2)
    dropped = {row.path: row.dropped for row in rows if row.dropped}
    assert set(dropped) == {"broken.wav", "silent.wav"}
    assert "took its decoder down" in dropped["broken.wav"]
    assert [row.path for row in rows if not row.dropped] == [
        "door_open.wav", "rain_1.wav", "shot.wav", "tune.wav"
    ]  # fmt: skip


def test_an_error_that_nobody_thought_of_costs_one_clip(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprising(path: Path, longest: float | None, soundfont: Path) -> object:
        if path.name == "door_open.wav":
            raise ZeroDivisionError("0 channels")
        return decode(path, longest, soundfont)

    monkeypatch.setattr(build, "decode", surprising)
    dropped = {row.path: row.dropped for row in build.build(root, workers=1) if row.dropped}
    assert "ZeroDivisionError('0 channels')" in dropped["door_open.wav"]


def test_loud_file_is_scaled_down_not_clipped(tmp_path: Path) -> None:
    tone(tmp_path / "loud.wav", 0.5, rate=48_000, gain=2.0)
    pcm = decode(tmp_path / "loud.wav")
    assert int(np.abs(pcm).max()) == 32767
    spectrum = np.abs(np.fft.rfft(pcm[:24_000, 0].astype(float)))
    assert spectrum[3 * 220] < 1e-3 * spectrum[220]  # clipping would add a third harmonic


def test_only_the_middle_of_a_long_file_is_taken(tmp_path: Path) -> None:
    rate = 8000
    ramp = np.repeat(np.linspace(0.1, 0.9, 10), rate).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", ramp, rate, subtype="FLOAT")
    pcm = decode(tmp_path / "long.wav", longest=2.0)
    assert len(pcm) == pytest.approx(2 * 48_000, abs=480)
    assert np.median(pcm) / 32767 == pytest.approx(0.5, abs=0.05)


def test_mono_is_heard_on_both_sides(tmp_path: Path) -> None:
    tone(tmp_path / "mono.wav", 0.2)
    pcm = decode(tmp_path / "mono.wav")
    assert np.array_equal(pcm[:, 0], pcm[:, 1])


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nan.wav", np.full(4800, np.nan), 48_000, subtype="FLOAT")
    with pytest.raises(MediaError, match="not finite"):
        decode(tmp_path / "nan.wav")
