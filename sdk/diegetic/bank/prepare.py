r"""Raw takes become clips: heard from the first sample on, of one loudness, gone without a click.

    raw    ......../\/\~~~--- - - . . . . . .
    clip          |/\/\~~~---\|

Loudness is that of ITU-R BS.1770-5: K-weighted, here over the loudest 400 ms ("momentary").
"""

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.mixer.loudness import Weighting, loudness
from diegetic.snapshot import FloatArray

TARGET_LUFS = -24.0
PEAK = 10 ** (-1.0 / 20)
MAX_BOOST_DB = 40.0
SILENT = 10 ** (-60.0 / 20)  # a take whose peak is below this is no sound
ONSET_DB = -20.0  # against the loudest millisecond: what is softer before it is not yet the sound
TAIL_DB = -45.0  # against the loudest millisecond: what is softer after it is over
PRE_ROLL = round(0.001 * RATE)
FADE_OUT = round(0.02 * RATE)

_WINDOW = round(0.001 * RATE)
_MOMENTARY = round(0.4 * RATE)


def prepare(raw: FloatArray, max_samples: int) -> FloatArray:
    """Return `raw` (n, 2) as a clip of at most `max_samples`.

    It starts at most 1 ms before the sound does, ends where it is over, and its loudness is
    `TARGET_LUFS` unless that would lift its peak above -1 dBFS or itself by more than
    `MAX_BOOST_DB`. Silence becomes `PRE_ROLL` samples of zeros.
    """
    if not audible(raw):
        return np.zeros((PRE_ROLL, CHANNELS), np.float32)
    first, last = _extent(raw)
    clip = raw[first : min(last, first + max_samples)].astype(np.float32, copy=True)
    onset = min(PRE_ROLL, len(clip))
    clip[:onset] *= _rise(onset)
    fade = min(FADE_OUT, len(clip) // 2)
    clip[len(clip) - fade :] *= _rise(fade)[::-1]
    wanted = 10 ** (min(TARGET_LUFS - momentary_lufs(clip), MAX_BOOST_DB) / 20)
    return clip * np.float32(min(wanted, PEAK / float(np.abs(clip).max())))


def audible(raw: FloatArray) -> bool:
    """True when `raw` (n, 2) is louder than silence anywhere."""
    return float(np.abs(raw).max(initial=0.0)) >= SILENT


def over(raw: FloatArray, lately: int) -> bool:
    """True when `raw` (n, 2) was heard, and its last `lately` samples are past the sound's end."""
    limit = _loudest(raw) * 10 ** (TAIL_DB / 10)
    return audible(raw) and _power(raw[len(raw) - lately :]).max(initial=0.0) < limit


def momentary_lufs(samples: FloatArray) -> float:
    """Loudness of the loudest 400 ms of `samples` (n, 2); shorter ones count as padded."""
    padded = np.concatenate((samples, np.zeros((_MOMENTARY, samples.shape[1]), samples.dtype)))
    power = np.square(Weighting().push(padded.T)).sum(axis=0)
    sums = np.concatenate(([0.0], np.cumsum(power)))
    loudest = float((sums[_MOMENTARY:] - sums[:-_MOMENTARY]).max()) / _MOMENTARY
    return loudness(max(loudest, 1e-12))


def _extent(raw: FloatArray) -> tuple[int, int]:
    """First and one past the last sample of the sound in `raw`, the pre-roll included."""
    power, loudest = _power(raw), _loudest(raw)
    first = int(np.argmax(power >= loudest * 10 ** (ONSET_DB / 10)))
    last = len(power) - int(np.argmax(power[::-1] >= loudest * 10 ** (TAIL_DB / 10)))
    return max(0, first - PRE_ROLL), min(len(raw), last + FADE_OUT)


def _power(raw: FloatArray) -> FloatArray:
    """Power of each sample, both channels together."""
    power: FloatArray = np.square(raw).sum(axis=1)
    return power


def _loudest(raw: FloatArray) -> float:
    """Mean power of the loudest millisecond."""
    power = _power(raw)
    power = np.pad(power, (0, -len(power) % _WINDOW))
    return float(power.reshape(-1, _WINDOW).mean(axis=1).max(initial=0.0))


def _rise(count: int) -> FloatArray:
    """A raised cosine from 0 to 1, (count, 1)."""
    steps = (np.arange(count) + 0.5) / max(count, 1)
    return (0.5 - 0.5 * np.cos(np.pi * steps)).astype(np.float32)[:, None]
