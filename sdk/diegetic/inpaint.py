"""Sound that goes on from a recording, or fills a gap in one.

The recording is what the generator believes to have made itself: its latents are the prefix of the
next chunk, its end is in the decoder's state. After a gap it is known too: where a chunk reaches
beyond the gap, its latents are given (`flow.Known`). What fills a gap takes the colour of both
its sides (`diegetic.matching`).
"""

import math

import numpy as np

from diegetic.codec import DELAY
from diegetic.config import CHANNELS, LATENT_DIM, RATE, SAMPLES_PER_LATENT
from diegetic.crossfade import blend
from diegetic.errors import DiegeticError
from diegetic.flow import Known
from diegetic.generator import ChunkGenerator
from diegetic.matching import match_ends
from diegetic.snapshot import Conditioning, FloatArray

FADE = 960  # samples, from the recording to its decoding and back


def continue_audio(
    generator: ChunkGenerator,
    audio: FloatArray,
    conditioning: Conditioning,
    seconds: float,
    seed: int = 0,
) -> FloatArray:
    """`audio` (samples, 2) and `seconds` more of it.

    Raises:
        DiegeticError: `seconds` is not positive, `audio` is not stereo or too short.
    """
    if not 0 < seconds < math.inf:
        raise DiegeticError(f"seconds must be positive and finite, got {seconds:g}")
    _check_length(len(audio), "audio before what is made")
    state = generator.start(seed, audio)
    wanted = round(seconds * RATE) + DELAY
    made: list[FloatArray] = []
    while sum(map(len, made)) < wanted:
        latents = generator.sample(state, conditioning)
        samples, state = generator.append(state, latents[:, : generator.config.hop_latents])
        made.append(samples)
    sound = np.concatenate(made)[:wanted]
    join = len(audio) - DELAY
    sound[:FADE], _ = blend(audio[join : join + FADE], sound[:FADE])
    return np.concatenate((audio[:join].astype(np.float32), sound))


def inpaint(
    generator: ChunkGenerator,
    audio: FloatArray,
    start_s: float,
    end_s: float,
    conditioning: Conditioning,
    seed: int = 0,
) -> FloatArray:
    """`audio` (samples, 2) with the stretch from `start_s` to `end_s` made anew.

    What `audio` holds in the gap is not looked at. Outside it the samples are those of `audio`, but
    for fades of 20 ms at both sides.

    Raises:
        DiegeticError: the gap is empty, not inside `audio` or too near its ends; `audio` is not
            stereo.
    """
    length = len(audio) / RATE
    if not 0 <= start_s < end_s <= length:
        raise DiegeticError(
            f"the gap must lie in 0 .. {length:.2f} s, got {start_s:g} .. {end_s:g} s"
        )
    start, end = round(start_s * RATE), round(end_s * RATE)
    _check_length(start, "audio before the gap")
    _check_length(len(audio) - end, "audio after the gap")
    first = start // SAMPLES_PER_LATENT
    # A latent whose frames reach back into the gap is not known.
    last = -(-end // SAMPLES_PER_LATENT) + 1
    config = generator.config
    wanted = end + FADE - (first * SAMPLES_PER_LATENT - DELAY)
    after = _encode_from(generator, audio, last)
    state = generator.start(seed, audio[: first * SAMPLES_PER_LATENT])
    made: list[FloatArray] = []
    place = first
    while sum(map(len, made)) < wanted:
        mask = np.arange(place, place + config.chunk_latents) >= last
        given = np.zeros((1, config.chunk_latents, LATENT_DIM), np.float32)
        begin = max(place - last, 0)
        window = after[:, begin : begin + int(mask.sum())]
        given[:, len(mask) - int(mask.sum()) :][:, : window.shape[1]] = window
        known = Known(given, mask & (np.arange(place, place + len(mask)) < last + after.shape[1]))
        latents = generator.sample(state, conditioning, known)
        samples, state = generator.append(state, latents[:, : config.hop_latents])
        made.append(samples)
        place += config.hop_latents
    begin = start - FADE - (first * SAMPLES_PER_LATENT - DELAY)  # where the made sound is heard
    sound = np.concatenate(made)[begin : begin + end - start + 2 * FADE]
    sound = match_ends(sound, FADE, audio[:start], audio[end:])
    out = audio.astype(np.float32, copy=True)
    out[start:end] = sound[FADE:-FADE]
    before, beyond = slice(start - FADE, start), slice(end, end + FADE)
    out[before], _ = blend(audio[before], sound[:FADE])
    out[beyond], _ = blend(sound[-FADE:], audio[beyond])
    return out


def _encode_from(generator: ChunkGenerator, audio: FloatArray, first: int) -> FloatArray:
    """Latents of `audio` from number `first` on, with silence after its end."""
    missing = -len(audio) % SAMPLES_PER_LATENT
    whole = np.concatenate((audio, np.zeros((missing, CHANNELS), np.float32)))
    return generator.encode(whole)[:, first:]


def _check_length(samples: int, what: str) -> None:
    least = DELAY + FADE + 2 * SAMPLES_PER_LATENT
    if samples < least:
        raise DiegeticError(
            f"{what} must last at least {least / RATE:.2f} s, got {samples / RATE:.2f} s"
        )
