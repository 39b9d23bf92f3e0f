"""Write a scene to a sound file, as fast as it can be made."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError, MediaError

FloatArray = NDArray[np.float32]

STEP = 0.16  # seconds between two reports of progress: one default hop
FADE = 0.05  # seconds; the last samples fall to zero along half a cosine
_SUBTYPES = {".wav": "PCM_24", ".flac": "PCM_24", ".ogg": "VORBIS"}


class Source(Protocol):
    """The part of a Session that rendering needs."""

    def read(self, seconds: float) -> FloatArray: ...


def render(
    session: Source,
    target: Path,
    seconds: float,
    on_progress: Callable[[float], None] = lambda done: None,
) -> float:
    """Write `seconds` of `session` to `target` (.wav, .flac: 24 bit; .ogg); return its RMS in dBFS.

    48 kHz stereo, with a fade of 50 ms at the end. `on_progress` receives the seconds written. When
    interrupted, the file keeps what was written and stays playable.

    Raises:
        DiegeticError: `seconds` is not positive.
        MediaError: the format is unknown, or the file cannot be written.
    """
    import soundfile

    if not 0 < seconds < float("inf"):
        raise DiegeticError(f"seconds must be positive and finite, got {seconds:g}")
    subtype = _SUBTYPES.get(target.suffix.lower())
    if subtype is None:
        known = ", ".join(_SUBTYPES)
        raise MediaError(f"output must end in one of {known}, got {target.name!r}")
    length = max(round(seconds * RATE), 1)
    written, energy = 0, 0.0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(target, "w", RATE, CHANNELS, subtype=subtype) as file:
            while written < length:
                samples = session.read(STEP)[: length - written]
                samples = samples.clip(-1, 1) * _closing_fade(written, len(samples), length)
                file.write(samples)
                written += len(samples)
                energy += float(np.square(samples, dtype=np.float64).sum())
                on_progress(written / RATE)
    except (OSError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", error)
        raise MediaError(f"cannot write {target}: {reason}") from error
    return float(10 * np.log10(energy / (length * CHANNELS) + 1e-20))


def _closing_fade(start: int, count: int, length: int) -> FloatArray:
    """Gains (count, 1) for samples from `start` of a sound of `length` samples."""
    fade = min(round(FADE * RATE), length)
    left = np.clip((length - 1 - np.arange(start, start + count)) / fade, 0.0, 1.0)
    return (0.5 - 0.5 * np.cos(np.pi * left)).astype(np.float32)[:, None]
