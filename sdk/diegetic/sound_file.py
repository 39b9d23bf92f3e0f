"""Sound files of other people in, our own out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.errors import MediaError
from diegetic.snapshot import FloatArray

if TYPE_CHECKING:
    from soundfile import SoundFile

_SUBTYPES = {".wav": "PCM_24", ".flac": "PCM_24", ".ogg": "VORBIS"}


def read_sound(path: Path) -> FloatArray:
    """All of the file at `path`, mono or stereo at any rate, as (samples, 2) at 48 kHz.

    Raises:
        MediaError: it cannot be read, is empty or has more than two channels.
    """
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise MediaError(f"cannot read {path}: {_reason(error)}") from error
    if not len(samples) or samples.shape[1] > CHANNELS:
        raise MediaError(
            f"{path} must hold mono or stereo sound, got {len(samples)} samples of "
            f"{samples.shape[1]} channels"
        )
    stereo = np.repeat(samples, CHANNELS, axis=1) if samples.shape[1] == 1 else samples
    return np.asarray(soxr.resample(stereo, rate, RATE), np.float32)


@contextmanager
def writing(path: Path) -> "Iterator[SoundFile]":
    """A file that takes 48 kHz stereo: .wav and .flac have 24 bits, .ogg is Vorbis.

    When interrupted, it keeps what was written and stays playable.

    Raises:
        MediaError: the format is another, or the file cannot be written.
    """
    import soundfile

    subtype = _SUBTYPES.get(path.suffix.lower())
    if subtype is None:
        known = ", ".join(_SUBTYPES)
        raise MediaError(f"output must end in one of {known}, got {path.name!r}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(path, "w", RATE, CHANNELS, subtype=subtype) as file:
            yield file
    except (OSError, soundfile.LibsndfileError) as error:
        raise MediaError(f"cannot write {path}: {_reason(error)}") from error


def write_sound(path: Path, samples: FloatArray) -> None:
    """Write all `samples` (n, 2) as in `writing`."""
    with writing(path) as file:
        file.write(samples.clip(-1, 1))


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or getattr(error, "error_string", error)
