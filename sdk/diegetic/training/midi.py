"""MIDI becomes sound: played by the program FluidSynth through the catalogue's soundfont."""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile

from diegetic.config import RATE
from diegetic.errors import MediaError
from diegetic.snapshot import FloatArray

_GAIN = 0.5  # a full orchestra then peaks near full scale; decoding scales down what passes it
_PATIENCE = 300.0  # seconds of computing; a piece of ten minutes takes a few


def play_midi(path: Path, soundfont: Path) -> tuple[FloatArray, int]:
    """Return the sound of the MIDI file at `path`, (samples, 2), and its rate.

    Raises:
        MediaError: FluidSynth or `soundfont` is missing, or `path` cannot be played.
    """
    program = shutil.which("fluidsynth")
    if program is None:
        raise MediaError(f"{path.name} needs the program fluidsynth, which is not installed")
    for file in (path, soundfont):  # FluidSynth plays silence in place of what is not there
        if not file.is_file():
            raise MediaError(f"{path.name} cannot be played: {file.name} is not there")
    with TemporaryDirectory() as scratch:
        wav = Path(scratch) / "sound.wav"
        command = [program, "-q", "-n", "-i", "-g", str(_GAIN), "-r", str(RATE), "-O", "float"]
        command += ["-o", "synth.dynamic-sample-loading=1"]  # only the patches that it plays
        command += ["-F", str(wav), str(soundfont), str(path)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_PATIENCE, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise MediaError(f"{path.name} does not end within {_PATIENCE:g} s") from error
        try:
            samples, rate = soundfile.read(wav, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            said = (done.stderr or done.stdout).strip().splitlines()
            reason = said[-1] if said else f"exit code {done.returncode}"
            raise MediaError(f"{path.name} cannot be played: {reason}") from error
    return samples, rate
