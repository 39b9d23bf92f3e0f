"""MIDI becomes sound through FluidSynth; what it lacks is said."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from diegetic.errors import MediaError
from diegetic.training import catalog
from diegetic.training.decode import decode
from small_soundfont import midi, soundfont

needs_fluidsynth = pytest.mark.skipif(
    shutil.which("fluidsynth") is None, reason="needs the program fluidsynth"
)


@pytest.fixture
def font(tmp_path: Path) -> Path:
    path = tmp_path / "sine.sf2"
    path.write_bytes(soundfont())
    return path


@needs_fluidsynth
@pytest.mark.parametrize(("note", "pitch"), [(69, 440.0), (57, 220.0)])
def test_a_note_is_heard_at_its_pitch_and_for_its_time(
    tmp_path: Path, font: Path, note: int, pitch: float
) -> None:
    (tmp_path / "song.mid").write_bytes(midi(note))
    pcm = decode(tmp_path / "song.mid", soundfont=font).astype(float)[:, 0]
    assert len(pcm) / 48_000 == pytest.approx(1.0, abs=0.25)
    spectrum = np.abs(np.fft.rfft(pcm[4800:28_800]))
    assert np.argmax(spectrum) * 2 == pytest.approx(pitch, abs=2)


@needs_fluidsynth
def test_of_a_long_piece_only_the_middle_is_taken(tmp_path: Path, font: Path) -> None:
    (tmp_path / "song.mid").write_bytes(midi(beats=20))
    assert len(decode(tmp_path / "song.mid", 3.0, font)) == 3 * 48_000


@needs_fluidsynth
def test_what_is_no_midi_is_dropped_with_the_reason(tmp_path: Path, font: Path) -> None:
    (tmp_path / "song.mid").write_bytes(b"MThd, but no more")
    with pytest.raises(MediaError, match=r"song\.mid"):
        decode(tmp_path / "song.mid", soundfont=font)


@needs_fluidsynth
def test_a_missing_soundfont_is_said(tmp_path: Path) -> None:
    (tmp_path / "song.mid").write_bytes(midi())
    with pytest.raises(MediaError, match=r"song\.mid cannot be played: none\.sf3 is not there"):
        decode(tmp_path / "song.mid", soundfont=tmp_path / "none.sf3")


def test_a_missing_program_is_said(
    tmp_path: Path, font: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "song.mid").write_bytes(midi())
    with pytest.raises(MediaError, match="needs the program fluidsynth"):
        decode(tmp_path / "song.mid", soundfont=font)


def test_midi_is_music_of_the_catalogue() -> None:
    pieces = [clip for clip in catalog.clips() if clip.path.endswith(".mid")]
    assert len(pieces) > 80
    assert {clip.sheet for clip in pieces} == {"music"}
    assert catalog.SOUNDFONT.package in catalog.packages()
    assert not {clip.package for clip in pieces} & catalog.heldout_packages()
