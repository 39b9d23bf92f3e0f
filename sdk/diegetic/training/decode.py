"""Any sound file as 48 kHz stereo int16, or the reason why it is of no use."""

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from diegetic.config import RATE
from diegetic.errors import MediaError
from diegetic.snapshot import FloatArray
from diegetic.training.midi import play_midi

Pcm = NDArray[np.int16]

_SILENT = 10 ** (-54 / 20)  # a clip whose peak stays below this holds nothing to learn from
_TRIM = 10 ** (-66 / 20)
_LEAD = 0.02  # seconds kept before the first and after the last sample above the trim level
_TAIL = 0.15
_SHORTEST = 0.04


def decode(path: Path, longest: float | None = None, soundfont: Path | None = None) -> Pcm:
    """Return (samples, 2) at 48 kHz, ends trimmed of silence, scaled down if it passes full scale.

    Of a file longer than `longest` seconds only the middle is taken. MIDI is played through
    `soundfont`.

    Raises:
        MediaError: unreadable, silent, shorter than 40 ms, or not a number.
    """
    samples, rate = _read(path, longest, soundfont)
    if not np.isfinite(samples).all():
        raise MediaError(f"{path.name} holds values that are not finite numbers")
    stereo = samples[:, :2] if samples.shape[1] >= 2 else np.repeat(samples, 2, axis=1)
    if rate != RATE and len(stereo):
        stereo = soxr.resample(stereo, rate, RATE, quality="HQ")
    stereo = _trimmed(stereo)
    if len(stereo) < _SHORTEST * RATE:
        raise MediaError(f"{path.name} is silent, or shorter than {_SHORTEST} s")
    peak = float(np.abs(stereo).max())
    scale = 32767.0 / max(1.0, peak)
    return np.round(stereo * scale).astype(np.int16)


def _trimmed(stereo: FloatArray) -> FloatArray:
    level = np.abs(stereo).max(axis=1) if len(stereo) else np.zeros(0, np.float32)
    if not len(level) or level.max() < _SILENT:
        return stereo[:0]
    loud = np.flatnonzero(level > _TRIM)
    start = max(0, int(loud[0]) - int(_LEAD * RATE))
    return stereo[start : int(loud[-1]) + int(_TAIL * RATE)]


def _read(path: Path, longest: float | None, soundfont: Path | None) -> tuple[FloatArray, int]:
    """Read with soundfile, and with PyAV what soundfile does not know."""
    if path.suffix == ".mid" and soundfont is not None:
        return _cut(*play_midi(path, soundfont), longest)
    try:
        with soundfile.SoundFile(path) as file:
            start, frames = _middle(file.frames, file.samplerate, longest)
            if start:
                file.seek(start)
            return file.read(frames, dtype="float32", always_2d=True), file.samplerate
    except (soundfile.SoundFileError, OSError, RuntimeError):
        return _cut(*_read_av(path), longest)


def _cut(samples: FloatArray, rate: int, longest: float | None) -> tuple[FloatArray, int]:
    start, frames = _middle(len(samples), rate, longest)
    return samples[start : start + frames], rate


def _middle(frames: int, rate: int, longest: float | None) -> tuple[int, int]:
    wanted = frames if longest is None else min(frames, int(longest * rate))
    return (frames - wanted) // 2, wanted


def _read_av(path: Path) -> tuple[FloatArray, int]:
    try:
        import av
    except ImportError as error:
        raise MediaError(f"{path.name} needs PyAV: pip install 'diegetic[demo]'") from error
    try:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="flt", layout="stereo", rate=stream.rate)
            parts = [
                out.to_ndarray()
                for frame in container.decode(stream)
                for out in resampler.resample(frame)
            ]
            rate = int(stream.rate)
    except (av.FFmpegError, IndexError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error  # str() would name the whole path
        raise MediaError(f"{path.name} cannot be decoded: {reason}") from error
    if not parts:
        raise MediaError(f"{path.name} holds no sound")
    flat = np.concatenate(parts, axis=1).reshape(-1, 2).astype(np.float32)
    return flat, rate
