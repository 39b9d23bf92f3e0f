"""Half a second of a held-out sound is made anew: can it be told from what was there?

given    |<----- 2 s ----->|  gap  |<-- 1.5 s -->|
seams                     [ ]     [ ]                 windows of two fades
the gap               [               ]               with a quarter of a second around it
"""

from dataclasses import dataclass

import numpy as np

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench
from diegetic.evaluation.measures import cosines
from diegetic.evaluation.rows import Goal, Row
from diegetic.evaluation.seam_features import describe
from diegetic.evaluation.seam_metrics import Places, classify
from diegetic.snapshot import FloatArray, Snapshot

NAME = "gap"
TITLE = "a gap of 0.5 s filled in: seams, true against filled"
BEFORE, GAP, AFTER = 2.0, 0.5, 1.5  # s
AROUND = 0.25  # s
RECORDINGS, GAPS_EACH = 24, 5
LONGEST = 12.0  # s of a recording
KINDS = frozenset(("bed", "music"))  # of a one-shot the gap would be all there is


@dataclass(frozen=True)
class Filled:
    """An excerpt (n, 2) of recording number `recording` as it is, and with its gap made anew."""

    recording: int
    true: FloatArray
    made: FloatArray


def run(bench: Bench) -> tuple[Row, ...]:
    """AUC of a classifier of the seams, and of one that is shown the whole gap."""
    filled = fill_gaps(bench, NAME)
    fade = bench.generator.config.overlap_samples
    begin, end = round(BEFORE * RATE), round((BEFORE + GAP) * RATE)
    around = round(AROUND * RATE)
    seams = classify(
        _places(filled, [(begin - fade, begin + fade), (end - fade, end + fade)], fade)
    )
    whole = classify(_places(filled, [(begin - around, end + around)], end - begin))
    return (
        Row(
            TITLE,
            {"AUC": seams.auc, "±": seams.error, "the whole gap": whole.auc, "gaps": len(filled)},
            Goal("AUC", 0.8, at_least=False),
            Goal("AUC", 0.65, at_least=False),
        ),
    )


def run_inpainting(bench: Bench, entry: str, title: str) -> Row:
    """How alike the listener hears the gap, true and filled, with what lies around it."""
    filled = fill_gaps(bench, entry)
    cut = slice(round((BEFORE - AROUND) * RATE), round((BEFORE + GAP + AROUND) * RATE))
    true = bench.embeddings(pair.true[cut] for pair in filled)
    made = bench.embeddings(pair.made[cut] for pair in filled)
    other = cosines(true, np.roll(true, GAPS_EACH, axis=0))
    return Row(
        title,
        {"cosine": float(cosines(true, made).mean()), "other sounds": float(other.mean())},
        note=f"{len(filled)} gaps of {GAP:g} s in held-out sounds",
    )


def fill_gaps(bench: Bench, entry: str) -> list[Filled]:
    """Excerpts of held-out recordings, said in words, with a gap in each."""
    size = round((BEFORE + GAP + AFTER) * RATE)
    clips = bench.corpus.clips(
        "heldout", RECORDINGS, bench.seed, BEFORE + GAP + AFTER, LONGEST, KINDS
    )
    excerpts = [(number, k, clip) for number, clip in enumerate(clips) for k in range(GAPS_EACH)]
    out = []
    for number, k, clip in bench.progress(entry, excerpts):
        rng = np.random.default_rng((bench.seed, number, k))
        start = int(rng.integers(len(clip.audio) - size + 1))
        true = clip.audio[start : start + size]
        seed = bench.stream_seed(number * GAPS_EACH + k)

        def make(
            true: FloatArray = true, caption: str = clip.caption, seed: int = seed
        ) -> FloatArray:
            said = bench.conditioner(Snapshot(BEFORE, BEFORE + GAP, prompt=caption))
            return bench.editor.fill(true, BEFORE, BEFORE + GAP, said, seed)

        out.append(Filled(number, true, bench.renders.get(f"{NAME}/{number:02}-{k}", make)))
    return out


def _places(filled: list[Filled], windows: list[tuple[int, int]], fade: int) -> list[Places]:
    """Features of `windows` (first and last sample), filled and true, recording by recording."""
    found = []
    for recording in sorted({pair.recording for pair in filled}):
        pairs = [pair for pair in filled if pair.recording == recording]
        made, true = (
            np.stack([sound[low:high] for sound in sounds for low, high in windows])
            for sounds in ([pair.made for pair in pairs], [pair.true for pair in pairs])
        )
        found.append(Places(seams=describe(made, fade), others=describe(true, fade)))
    return found
