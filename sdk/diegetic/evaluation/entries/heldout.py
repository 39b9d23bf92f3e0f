"""Sounds made from the captions of held-out sounds: are they like those, and not copies?"""

from collections.abc import Iterator

import numpy as np

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench, Job, say
from diegetic.evaluation.copies import nearest
from diegetic.evaluation.corpus import Clip
from diegetic.evaluation.measures import frechet
from diegetic.evaluation.rows import Detail, Goal, Row
from diegetic.snapshot import FloatArray

FAD_NAME, COPYING_NAME = "fad", "copying"
SECONDS = 4.0
SHORTEST = 0.1  # s
WORST = 5  # sounds that are named
COPIES, LEAST_COPIED = 24, 0.5  # training sounds that are decoded; s


def run_fad(bench: Bench) -> tuple[Row, ...]:
    """FAD of what captions give against the real sounds, and that of the codec on the same ones."""
    clips = captioned(bench)
    true = bench.embeddings(clip.audio for clip in clips)
    decoded = bench.embeddings(
        bench.codec.reconstruct(clip.audio, bench.stream_seed(number))
        for number, clip in enumerate(clips)
    )
    made = bench.embeddings(_made(bench, FAD_NAME, clips))
    floor, fad = frechet(true, decoded), frechet(true, made)
    return (
        Row(
            "FAD of what held-out captions give, against that of the codec",
            {"times": fad / max(floor, 1e-9), "FAD": fad, "codec": floor, "sounds": len(clips)},
            Goal("times", 3, at_least=False),
            Goal("times", 1.3, at_least=False),
        ),
    )


def run_copying(bench: Bench) -> tuple[Row, ...]:
    """How much of a training sound is found again in ours.

    For scale, the same of real held-out sounds, which are no copies, and of training sounds decoded
    at half their level, which are: the codec's noise is its own, so they do not reach 1.
    """
    clips = captioned(bench)
    size = round(SECONDS * RATE)
    made = [bench.codec.encode(sound[:size]) for sound in _made(bench, COPYING_NAME, clips)]
    real = [bench.codec.encode(_padded(clip.audio, size)) for clip in clips]
    copies = [
        bench.codec.encode(_padded(bench.codec.reconstruct(0.5 * clip.audio, bench.seed), size))
        for clip in bench.corpus.clips("train", COPIES, bench.seed, LEAST_COPIED, SECONDS)
    ]
    names = bench.corpus.training_names

    def training() -> Iterator[FloatArray]:
        sounds = bench.corpus.training()
        for _ in bench.progress(COPYING_NAME, names):
            yield bench.codec.encode(next(sounds))

    found = nearest(np.stack(made + real + copies), training())
    ours, controls = found[: len(made)], [match.correlation for match in found[len(made) :]]
    worst = sorted(range(len(ours)), key=lambda k: -ours[k].correlation)[:WORST]
    return (
        Row(
            "copying: nearest training sound, correlation of codec latents",
            {
                "worst": ours[worst[0]].correlation,
                "median": float(np.median([match.correlation for match in ours])),
                "held-out sounds, worst": max(controls[: len(real)]),
                "decoded training sounds, median": float(np.median(controls[len(real) :])),
                "sounds": len(clips),
            },
            Goal("worst", 0.95, at_least=False),
            Goal("worst", 0.9, at_least=False),
            details=tuple(
                Detail(f"{k}: {clips[k].caption}", ours[k].correlation, names[ours[k].clip])
                for k in worst
            ),
        ),
    )


def captioned(bench: Bench) -> list[Clip]:
    """The held-out sounds whose captions are said: `bench.count` of them, or as many as there are.

    Those of a smaller count are the first of these.
    """
    return bench.corpus.clips("heldout", bench.count, bench.seed, SHORTEST, SECONDS)


def said(bench: Bench, number: int, clip: Clip) -> Job:
    """Four seconds of the caption of `clip`, the one of that number."""
    return Job(f"heldout/{number:04}", say(clip.caption, SECONDS), bench.stream_seed(number))


def _made(bench: Bench, entry: str, clips: list[Clip]) -> list[FloatArray]:
    """Four seconds of each caption; both entries use the same ones."""
    return list(
        bench.render_all(entry, [said(bench, number, clip) for number, clip in enumerate(clips)])
    )


def _padded(audio: FloatArray, size: int) -> FloatArray:
    """`audio` (n, 2) and silence after it, (size, 2)."""
    return np.pad(audio, ((0, size - len(audio)), (0, 0)))
