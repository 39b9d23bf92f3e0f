"""What the codec loses of sounds that training never saw."""

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.evaluation.bench import Bench
from diegetic.evaluation.measures import (
    STEREO_DB,
    cosines,
    frechet,
    level,
    mel_distance,
    width,
)
from diegetic.evaluation.rows import Goal, Row

NAME = "codec"
SHORTEST, LONGEST = 1.0, 10.0  # s
SILENCE = 1.0  # s


def run(bench: Bench) -> tuple[Row, ...]:
    """Analyse and decode up to `bench.count` held-out sounds, and silence."""
    clips = bench.corpus.clips("heldout", bench.count, bench.seed, SHORTEST, LONGEST)
    made = [
        bench.codec.reconstruct(clip.audio, bench.stream_seed(number))
        for number, clip in enumerate(bench.progress(NAME, clips))
    ]
    true = [clip.audio for clip in clips]
    before, after = bench.embeddings(true), bench.embeddings(made)
    alike = cosines(before, after)
    louder = np.array(
        [level(ours) - level(theirs) for ours, theirs in zip(made, true, strict=True)]
    )
    wider = np.array(
        [
            width(ours) - width(theirs)
            for ours, theirs in zip(made, true, strict=True)
            if width(theirs) > STEREO_DB
        ]
    )
    silence = np.zeros((round(SILENCE * RATE), CHANNELS), np.float32)
    return (
        Row(
            "codec: original against reconstruction, held-out packages",
            {
                "cosine": float(alike.mean()),
                "median": float(np.median(alike)),
                "FAD": frechet(before, after),
                "mel, dB": float(
                    np.mean([mel_distance(*pair) for pair in zip(true, made, strict=True)])
                ),
                "sounds": len(clips),
            },
            Goal("cosine", 0.8),
            Goal("cosine", 0.9),
        ),
        Row(
            "codec: change of level",
            {"dB": float(np.abs(louder).mean()), "median, signed": float(np.median(louder))},
            Goal("dB", 0.5, at_least=False),
        ),
        Row(
            "codec: change of stereo width",
            {"dB": float(np.abs(wider).mean()), "median, signed": float(np.median(wider))}
            if len(wider)
            else {},
            note="" if len(wider) else "no held-out sound is stereo",
        ),
        Row(
            "codec: silence in",
            {"dBFS": level(bench.codec.reconstruct(silence, bench.stream_seed(0)))},
            Goal("dBFS", -70, at_least=False),
        ),
    )
