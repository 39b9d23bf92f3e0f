from pathlib import Path

import numpy as np
import pytest
import soundfile

from diegetic.errors import DiegeticError, MediaError
from diegetic.render import FADE, render
from diegetic.session import Session
from diegetic.snapshot import FloatArray
from tone_generator import ToneGenerator, plain_conditioner

RATE = 48_000


def session() -> Session:
    made = Session(generator=ToneGenerator(), conditioner=plain_conditioner)
    made.set_prompt("rain")
    return made


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_rendered_file_holds_what_the_session_reads(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sound{suffix}"
    render(session(), path, 1.0)
    written, rate = soundfile.read(path, dtype="float32")
    expected = session().read(1.0)
    body = RATE - round(FADE * RATE)
    assert (rate, written.shape) == (RATE, (RATE, 2))
    # 24 bits round to half of 2**-23
    np.testing.assert_allclose(written[:body], expected[:body], atol=2**-23)


@pytest.mark.parametrize("seconds", [1 / RATE, 0.16, 0.161, 0.5])
def test_the_length_is_exact(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "sound.wav"
    render(session(), path, seconds)
    assert soundfile.info(path).frames == round(seconds * RATE)


def test_a_rendered_file_ends_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    render(session(), path, 0.4)
    written, _ = soundfile.read(path)
    assert np.abs(written[-1]).max() < 1e-6
    assert np.abs(written[-2400:-1200]).max() > 0.1


def test_the_level_is_that_of_the_samples(tmp_path: Path) -> None:
    level = render(session(), tmp_path / "sound.wav", 0.5)
    written, _ = soundfile.read(tmp_path / "sound.wav")
    assert level == pytest.approx(10 * np.log10(np.mean(written**2)), abs=0.01)


def test_progress_ends_with_the_length(tmp_path: Path) -> None:
    seen: list[float] = []
    render(session(), tmp_path / "sound.wav", 0.5, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 0.5


class Impatient:
    """Presses Ctrl-C in the middle."""

    def __init__(self) -> None:
        self.calls = 0

    def read(self, seconds: float) -> FloatArray:
        self.calls += 1
        if self.calls > 2:
            raise KeyboardInterrupt
        return np.full((round(seconds * RATE), 2), 0.25, np.float32)


def test_an_interrupted_file_keeps_what_was_written(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        render(Impatient(), tmp_path / "sound.wav", 10.0)
    assert soundfile.info(tmp_path / "sound.wav").frames == 2 * 7680


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_length_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(DiegeticError, match="positive and finite"):
        render(session(), tmp_path / "sound.wav", seconds)


def test_an_unknown_format_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"end in one of \.wav"):
        render(session(), tmp_path / "sound.docx", 1.0)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "sound.wav").mkdir()
    with pytest.raises(MediaError, match="cannot write"):
        render(session(), tmp_path / "sound.wav", 0.2)
