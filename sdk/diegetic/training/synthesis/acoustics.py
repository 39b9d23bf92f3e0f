"""What all families are made of: noise in a band, modes that ring, tones that glide, place, room.

A steady sound must loop without a click, so filters, tails and echoes of this module go round: what
runs over the end comes in at the beginning, and a tone ends where it began. A sound heard once is
made with room behind it (`once`), and nothing comes round. Mono signals are (n,) float64.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diegetic.config import RATE
from diegetic.snapshot import FloatArray

Mono = NDArray[np.float64]
Rng = np.random.Generator

_TABLE = 4096
_QUICK = 2400  # samples, a product of small primes
_FADE = 0.03  # seconds in which a sound heard once ends
_SILENCE_DB = 60.0  # decays are given as the seconds in which a sound falls by so much


def length(seconds: float) -> int:
    """`seconds` in samples."""
    return round(seconds * RATE)


def quick_length(seconds: float) -> int:
    """`seconds` in samples, within 25 ms: a count whose transform is quick."""
    return _QUICK * max(1, round(length(seconds) / _QUICK))


def draw(rng: Rng, low: float, high: float) -> float:
    """A positive number between `low` and `high`, every octave as likely as the next."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def loudness(db: float) -> float:
    """`db` as a factor."""
    return float(10 ** (db / 20))


def filtered(signal: Mono, gains: Mono) -> Mono:
    """`signal` (n,) with each frequency of `bins(n)` times `gains`; its end runs into its start."""
    return np.asarray(np.fft.irfft(np.fft.rfft(signal) * gains, len(signal)), np.float64)


def bins(count: int) -> Mono:
    """The frequencies of `count` samples, in Hz."""
    return np.asarray(np.fft.rfftfreq(count, 1 / RATE), np.float64)


def band(signal: Mono, low: float, high: float, order: float = 2.0) -> Mono:
    """`signal` between `low` and `high` Hz; Butterworth's magnitudes, no change of phase."""
    f = np.maximum(bins(len(signal)), 1e-3)
    gains = 1 / np.sqrt((1 + (low / f) ** (2 * order)) * (1 + (f / high) ** (2 * order)))
    return filtered(signal, gains)


def resonant(
    signal: Mono, centres: Sequence[float], widths: Sequence[float], gains: Sequence[float]
) -> Mono:
    """`signal` with peaks of `gains` at `centres`, `widths` wide (Hz); elsewhere it stays as is."""
    f = bins(len(signal))
    peaks = np.ones(len(f))
    for centre, width, gain in zip(centres, widths, gains, strict=True):
        peaks += gain / (1 + ((f - centre) / (width / 2)) ** 2)
    return filtered(signal, peaks)


def noise(rng: Rng, count: int, low: float = 20.0, high: float = 20_000.0) -> Mono:
    """`count` samples of noise between `low` and `high` Hz, of power 1."""
    made = band(rng.standard_normal(count), low, high)
    return np.asarray(made / np.sqrt(np.mean(made**2) + 1e-12))


def burst(rng: Rng, seconds: float, low: float, high: float) -> Mono:
    """Noise that dies away within `seconds`, of peak 1: what a hard touch sounds like."""
    count = max(length(seconds), 64)
    made = noise(rng, count, low, high) * decay(count, seconds)
    made[:8] *= np.linspace(0, 1, 8)
    return np.asarray(made / np.abs(made).max())


def decay(count: int, seconds: float) -> Mono:
    """An envelope that falls by 60 dB in `seconds`."""
    return np.asarray(np.exp(-np.log(10) * _SILENCE_DB / 20 / seconds * np.arange(count) / RATE))


def ring(
    rng: Rng, frequencies: Mono, decays: Mono, gains: Mono, seconds: float | None = None
) -> Mono:
    """Modes struck together: sum of `gains` · sin(2πft), each falling by 60 dB in its decay.

    Modal synthesis: K. van den Doel and D. Pai, "The sounds of physical shapes", Presence 7(4),
    1998. Frequencies beyond 20 kHz are left out. The sound lasts `seconds`, or the longest decay.
    """
    count = length(float(np.max(decays)) if seconds is None else seconds)
    made = np.zeros(count)
    for frequency, falls, gain in zip(frequencies, decays, gains, strict=True):
        if 20 < frequency < 20_000:
            heard = min(count, length(falls))
            angle = 2 * np.pi * frequency / RATE * np.arange(heard) + rng.uniform(-0.3, 0.3)
            made[:heard] += gain * np.sin(angle) * decay(heard, falls)
    made[:16] *= np.linspace(0, 1, 16)[: len(made)]
    return made


def cycles(course: Mono) -> Mono:
    """Where a tone of frequency `course` (n,) Hz stands, in cycles; it ends on a whole one.

    The course is stretched by less than half a cycle in all, so that the tone loops.
    """
    turned = np.cumsum(course) / RATE
    return np.asarray(turned * (max(1.0, np.round(turned[-1])) / turned[-1]))


def tone(course: Mono, gains: Mono) -> Mono:
    """A tone of frequency `course` (n,) Hz, with harmonics 1, 2, ... of `gains`, of peak 1.

    Harmonics that would pass 20 kHz where the course is highest are left out.
    """
    kept = gains[: max(1, int(20_000 // course.max()))]
    angle = 2 * np.pi * np.arange(_TABLE + 1) / _TABLE
    order = np.arange(1, len(kept) + 1)
    table = (kept[:, None] * np.sin(order[:, None] * angle)).sum(0)
    table /= np.abs(table).max()
    return np.asarray(np.interp(cycles(course) % 1.0 * _TABLE, np.arange(_TABLE + 1), table))


def wander(rng: Rng, count: int, points: int) -> Mono:
    """A smooth course through `points` random values in -1..1 that ends where it began."""
    values = rng.uniform(-1, 1, points)
    values = np.append(values, values[0])
    place = np.linspace(0, points, count, endpoint=False)
    before = place.astype(int)
    turn = 0.5 - 0.5 * np.cos(np.pi * (place - before))
    return np.asarray(values[before] + turn * (values[before + 1] - values[before]))


def scatter(
    out: Mono, times: Sequence[float], sounds: Sequence[Mono], pans: Sequence[float]
) -> None:
    """Add each of `sounds` to `out` (n, 2) at its time in seconds, panned; tails go round."""
    for time, sound, pan in zip(times, sounds, pans, strict=True):
        at = length(time) % len(out)
        rest = sided(sound[: len(out)], pan)
        first = len(out) - at
        out[at : at + len(rest)] += rest[:first]
        out[: max(0, len(rest) - first)] += rest[first:]


def sided(mono: Mono, pan: float) -> Mono:
    """`mono` (n,) as (n, 2), from -1 (left) to 1 (right); equal power."""
    angle = np.pi / 4 * (1 + pan)
    return np.asarray(mono[:, None] * np.array([np.cos(angle), np.sin(angle)]))


def staged(rng: Rng, dry: Mono, *, once: bool = False, distant: float = 1.0) -> FloatArray:
    """Put `dry`, (n,) or (n, 2), into a place of its own; return (n, 2) float32 within ±1.

    Side, distance, room and level are drawn. The room is noise that dies away, another on either
    side, duller towards its end: M. R. Schroeder, "Natural sounding artificial reverberation",
    Journal of the Audio Engineering Society 10(3), 1962, for why that is enough.

    Args:
        rng: draws the place.
        dry: the sound.
        once: it begins and ends; otherwise it loops.
        distant: 0 keeps it near, 1 lets it be anywhere.
    """
    stereo = sided(dry, rng.uniform(-0.6, 0.6)) if dry.ndim == 1 else dry
    count = len(stereo)
    falls = min(draw(rng, 0.06, 1.2), count / RATE)
    padded = np.concatenate([stereo, np.zeros((length(falls), 2))]) if once else stereo
    away = distant * float(rng.uniform()) ** 2
    wet = 0.04 + 0.2 * float(rng.uniform()) + 0.5 * away
    room = np.zeros((len(padded), 2))
    tail = min(length(falls), len(padded))
    for side in range(2):
        echo = rng.standard_normal(tail) * decay(tail, falls)
        room[:tail, side] = band(echo, 90, draw(rng, 2500, 9000), 1.0)
    room /= np.sqrt((room**2).sum(0)) + 1e-12
    spectrum = np.fft.rfft(padded, axis=0)
    f = bins(len(padded))[:, None]
    air = 1 / np.sqrt(1 + (f / (20_000 * (1 - away) + 2500 * away)) ** 2)
    heard = np.fft.irfft(
        spectrum * air * (1 + wet * np.fft.rfft(room, axis=0)), len(padded), axis=0
    )
    heard = heard[:count]
    heard -= heard.mean(0)
    if once:
        fade = min(length(_FADE), count)
        heard[count - fade :] *= np.linspace(1, 0, fade)[:, None]
    peak = loudness(float(rng.uniform(-12 - 8 * away, -1)))
    return np.asarray(heard * (peak / max(np.abs(heard).max(), 1e-9)), np.float32)
