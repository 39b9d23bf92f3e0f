"""What the training data has to say to the same prompts: its own sounds, chosen by their captions.

No network that learned from these sounds can be expected to know much more than they do.
"""

import numpy as np

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench
from diegetic.evaluation.entries.prompts import SCENES_FIRST, SECONDS, TWELVE_FIRST
from diegetic.evaluation.prompts import SCENES, TWELVE, Prompts
from diegetic.evaluation.rows import Detail, Row
from diegetic.snapshot import FloatArray, Snapshot

NAME = "data"
SOUNDS = 3  # that are heard in turn


def run(bench: Bench) -> tuple[Row, ...]:
    """Both lists of prompts, answered by the training sounds with the nearest captions."""
    captions = bench.corpus.training_captions
    known = np.stack([_sentence(bench, text) for text in bench.progress(NAME, captions)])
    return (
        _row(bench, SCENES, SCENES_FIRST, captions, known),
        _row(bench, TWELVE, TWELVE_FIRST, captions, known),
    )


def _row(bench: Bench, prompts: Prompts, first: int, captions: list[str], known: FloatArray) -> Row:
    details, decoded = [], []
    for number, (prompt, labels) in enumerate(prompts.items()):
        order = np.argsort(-(known @ _sentence(bench, prompt)), kind="stable")
        chosen = [captions[k] for k in order[:SOUNDS]]
        samples = bench.corpus.answer(chosen, SECONDS)
        through = bench.codec.reconstruct(samples, bench.stream_seed(number))
        heard, _ = bench.listener.hear(samples, RATE)
        again, _ = bench.listener.hear(through, RATE)
        details.append(
            Detail(
                prompt,
                bench.listener.rank(heard, labels)[0],
                f"{'; '.join(dict.fromkeys(chosen))}: {bench.listener.top(heard)}",
            )
        )
        decoded.append(bench.listener.rank(again, labels)[0])
    return Row(
        f"{len(prompts)} prompts, answered by the nearest training sounds: first {first}",
        {
            "heard": sum(detail.value <= first for detail in details),
            "through the codec": sum(rank <= first for rank in decoded),
        },
        details=tuple(details),
    )


def _sentence(bench: Bench, text: str) -> FloatArray:
    """The embedding of `text`, of length 1, (TEXT_DIM,)."""
    words = bench.conditioner(Snapshot(0.0, 1.0, prompt=text)).words[0]
    return np.asarray(words / np.linalg.norm(words), np.float32)
