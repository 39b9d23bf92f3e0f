"""`diegetic extend` and `diegetic inpaint`, with the networks that ship."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diegetic import cli
from diegetic.cli import extend
from diegetic.cli.shared import asked_for
from diegetic.codec import DELAY
from diegetic.errors import MediaError
from diegetic.inpaint import FADE
from diegetic.snapshot import LAYER_TOKENS
from diegetic.sound_file import read_sound, write_sound
from tone_generator import plain_conditioner

RATE = 48_000


def noise(seconds: float, rate: int = RATE, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal((round(seconds * rate), channels))).astype(np.float32)


def test_extend_keeps_the_recording_and_adds_what_was_asked_for(tmp_path: Path) -> None:
    given, target = tmp_path / "given.wav", tmp_path / "longer.wav"
    soundfile.write(given, noise(1.0), RATE, subtype="FLOAT")
    words = ["extend", str(given), "-o", str(target), "--seconds", "0.5", "--nfe", "1"]
    assert cli.main([*words, "--prompt", "rain", "--layers", "ambience"]) == 0
    made, rate = soundfile.read(target, dtype="float32")
    assert (len(made), rate) == (round(1.5 * RATE), RATE)
    kept = RATE - DELAY
    np.testing.assert_allclose(made[:kept], noise(1.0)[:kept], atol=2e-7)
    assert np.abs(made[RATE:]).max() > 1e-3


def test_inpaint_changes_the_gap_alone(tmp_path: Path) -> None:
    given, target = tmp_path / "given.wav", tmp_path / "whole.wav"
    soundfile.write(given, noise(1.5), RATE, subtype="FLOAT")
    words = ["inpaint", str(given), "-o", str(target), "--start", "0.6", "--end", "0.9"]
    assert cli.main([*words, "--nfe", "1"]) == 0
    made, _ = soundfile.read(target, dtype="float32")
    changed = np.flatnonzero(np.abs(made - noise(1.5)).max(1) > 1e-3)
    assert round(0.6 * RATE) - FADE <= changed[0] < changed[-1] < round(0.9 * RATE) + FADE


def test_a_gap_outside_the_recording_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, target = tmp_path / "given.wav", tmp_path / "whole.wav"
    soundfile.write(given, noise(1.0), RATE)
    words = ["inpaint", str(given), "-o", str(target), "--start", "0.6", "--end", "9"]
    assert cli.main(words) == cli.USAGE_ERROR
    assert capsys.readouterr().err == "diegetic: the gap must lie in 0 .. 1.00 s, got 0.6 .. 9 s\n"
    assert not target.exists()


def test_a_recording_of_another_rate_is_resampled_and_of_one_channel_doubled(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tone.flac"
    time = np.arange(22_050) / 22_050
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * time), 22_050)
    sound = read_sound(path)
    assert sound.shape == (RATE, 2)
    np.testing.assert_array_equal(sound[:, 0], sound[:, 1])
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    middle = slice(2000, -2000)
    np.testing.assert_allclose(sound[middle, 0], expected[middle], atol=1e-3)


def test_what_is_no_sound_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cannot read .*none\.wav"):
        read_sound(tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(MediaError, match=r"cannot read .*text\.wav"):
        read_sound(tmp_path / "text.wav")
    soundfile.write(tmp_path / "six.wav", noise(0.1, channels=6), RATE)
    with pytest.raises(MediaError, match="mono or stereo sound, got 4800 samples of 6 channels"):
        read_sound(tmp_path / "six.wav")
    soundfile.write(tmp_path / "empty.wav", noise(0), RATE)
    with pytest.raises(MediaError, match="got 0 samples"):
        read_sound(tmp_path / "empty.wav")
    with pytest.raises(MediaError, match=r"must end in one of \.wav, \.flac, \.ogg"):
        write_sound(tmp_path / "a.mid", noise(0.1))


@pytest.mark.parametrize(
    ("words", "present"),
    [([], set()), (["--layers", "music"], {LAYER_TOKENS.start + 1}), (["--prompt", "rain"], {0})],
)
def test_with_nothing_said_anything_may_be_made(words: list[str], present: set[int]) -> None:
    parser = argparse.ArgumentParser()
    extend.configure(parser)
    arguments = parser.parse_args(["a.wav", "-o", "b.wav", *words])
    said = asked_for(arguments, plain_conditioner)
    assert set(np.flatnonzero(said.present)) == present
