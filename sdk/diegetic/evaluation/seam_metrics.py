"""How well seams can be told from other places of the same recording.

    fade        fade        fade        one random place in each free stretch, with the seams' own
    |--|   []   |--|  []    |--|        position on the grid of latents

What a place is like is measured by `seam_features`. A feature speaks against a seam only through
its rank among the other places of that recording: what is loud or rough anyway proves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import expit, ndtri
from scipy.stats import rankdata

from diegetic.config import SAMPLES_PER_LATENT
from diegetic.evaluation.seam_features import (
    FEATURES,
    FRAME,
    FloatArray,
    Values,
    describe,
    fade_step,
)

GRIDS = (SAMPLES_PER_LATENT, SAMPLES_PER_LATENT // 4, 1)  # latents, the decoder's frames, samples
_RIDGE = 30.0  # holds the classifier's weights back, as if so many places spoke against each
_NEWTON_STEPS = 12


@dataclass(frozen=True)
class Recording:
    """Sound with fades in it.

    Attributes:
        samples: (n, 2) in ±1.
        fades: first sample of every fade, in order; no other place touches one.
        judged: those of `fades` that are measured.
        overlap: length of a fade, samples.
        sides: what went out and what came in at each of `judged`, (overlap, 2) each; empty when
            that is not known.
    """

    samples: FloatArray
    fades: tuple[int, ...]
    judged: tuple[int, ...]
    overlap: int
    sides: tuple[tuple[FloatArray, FloatArray], ...] = ()


@dataclass(frozen=True)
class Places:
    """Features of a recording's judged seams, (S, FEATURES), and of other places, (P, FEATURES)."""

    seams: Values
    others: Values


@dataclass(frozen=True)
class Told:
    """Area under the curve: 0.5 is not told, 1 always (0 too: by less than is usual).

    `error` is the standard error of the mean over recordings.
    """

    auc: float
    error: float


def find_places(recording: Recording, rng: np.random.Generator) -> Places:
    """Describe the judged seams, and a random place between each two fades from the first one on.

    Fades closer together than is usual in the recording are left out, and so are places between.

    Raises:
        ValueError: nothing is judged, or fades are too close to compare with what is between them.
    """
    fades, overlap = recording.fades, recording.overlap
    stretches = list(pairwise(fades))
    usual = int(np.median([following - fade for fade, following in stretches] or [0]))
    half = _half_window(overlap, usual)
    reach = half - overlap // 2  # of a window, beyond its fade
    starts = np.array(fades)
    seams = [
        fade + overlap // 2
        for fade in recording.judged
        if reach <= fade <= len(recording.samples) - overlap - reach
        and ((abs(starts - fade) >= overlap + reach) | (starts == fade)).all()
    ]
    if not seams:
        raise ValueError(f"judged must be seams with room around them, got {recording.judged}")
    others = [
        _free_middle(fade + overlap // 2, fade + overlap + half, following - half, rng)
        for fade, following in stretches
        if fade >= recording.judged[0] and following - fade >= overlap + 2 * half
    ]
    seen = [
        np.stack([recording.samples[middle - half : middle + half] for middle in middles])
        for middles in (seams, others)
    ]
    return Places(describe(seen[0], overlap), describe(seen[1], overlap))


def room(overlap: int, usual: int) -> int:
    """Return how far apart the starts of two fades must be for either to be measured.

    `usual` is how far apart they are mostly; all are samples.

    Raises:
        ValueError: that is too near to measure anything.
    """
    return overlap + _half_window(overlap, usual) - overlap // 2


def fade_steps(recordings: Sequence[Recording]) -> Values:
    """Return the level (dB) that each judged fade adds; empty where no sides are known."""
    return np.array(
        [
            fade_step(recording.samples[fade : fade + recording.overlap], out, into)
            for recording in recordings
            for fade, (out, into) in zip(recording.judged, recording.sides, strict=False)
        ]
    )


def excess(found: Sequence[Places], feature: str, percentile: float) -> float:
    """How much further |`feature`| reaches at seams than elsewhere, mean over recordings (dB)."""
    column = FEATURES.index(feature)
    return float(
        np.mean(
            [
                np.percentile(np.abs(place.seams[:, column]), percentile)
                - np.percentile(np.abs(place.others[:, column]), percentile)
                for place in found
            ]
        )
    )


def shift(found: Sequence[Places], feature: str) -> float:
    """Median of `feature` at seams less that elsewhere, mean over recordings (dB)."""
    column = FEATURES.index(feature)
    return float(
        np.mean(
            [
                np.median(place.seams[:, column]) - np.median(place.others[:, column])
                for place in found
            ]
        )
    )


def told_by(found: Sequence[Places], feature: str) -> Told:
    """How well one feature alone tells the seams."""
    column = FEATURES.index(feature)
    return _told([(place.seams[:, column], place.others[:, column]) for place in found])


def permutation_test(
    found: Sequence[Places], feature: str, rng: np.random.Generator, rounds: int = 2000
) -> tuple[float, float]:
    """Return z and two-sided p of `feature`, were seams places like others.

    The statistic is the sum of the seams' ranks; places are exchanged within a recording only.
    """
    column = FEATURES.index(feature)
    statistic, shuffled = 0.0, np.zeros(rounds)
    for place in found:
        values = np.concatenate((place.seams[:, column], place.others[:, column]))
        ranks, count = rankdata(values) / len(values), len(place.seams)  # recordings weigh alike
        statistic += ranks[:count].sum()
        shuffled += rng.permuted(np.tile(ranks, (rounds, 1)), axis=1)[:, :count].sum(1)
    apart, spread = statistic - float(shuffled.mean()), float(shuffled.std())
    extreme = int((np.abs(shuffled - shuffled.mean()) >= abs(apart) * (1 - 1e-9)).sum())
    z = apart / spread if spread > 1e-9 else 0.0
    return float(z), (1 + extreme) / (1 + rounds)


def classify(found: Sequence[Places], features: Sequence[str] = FEATURES) -> Told:
    """How well `features` together tell the seams of a recording never heard before.

    A logistic regression on the features' normal scores within their recording and the squares of
    those, fitted to all recordings but the one that it is tried on.

    Raises:
        ValueError: there are fewer than two recordings.
    """
    if len(found) < 2:
        raise ValueError(f"recordings must be at least 2, got {len(found)}")
    columns = [FEATURES.index(feature) for feature in features]
    inputs = [_scores(np.concatenate((place.seams, place.others))[:, columns]) for place in found]
    labels = [np.repeat([1.0, 0.0], [len(place.seams), len(place.others)]) for place in found]
    pairs = []
    for held, (x, y) in enumerate(zip(inputs, labels, strict=True)):
        weights = _fit(
            np.concatenate([*inputs[:held], *inputs[held + 1 :]]),
            np.concatenate([*labels[:held], *labels[held + 1 :]]),
        )
        score = x @ weights
        pairs.append((score[y == 1], score[y == 0]))
    return _told(pairs)


def _half_window(overlap: int, usual: int) -> int:
    half = min(overlap, (usual - overlap) // 2)
    if half < overlap // 2 + FRAME:
        raise ValueError(
            f"fades of {overlap} samples must start {2 * (overlap + FRAME)} apart, got {usual}"
        )
    return half


def _free_middle(seam: int, low: int, high: int, rng: np.random.Generator) -> int:
    """Draw from low..high, on the coarsest grid through `seam` that has a point there."""
    for step in GRIDS:
        options = range(low + (seam - low) % step, high + 1, step)
        if options:
            return int(rng.choice(options))
    raise ValueError(f"low must not exceed high, got {low} and {high}")


def _told(pairs: Sequence[tuple[Values, Values]]) -> Told:
    """Area under the curve of (seams, others), mean over recordings weighted by their seams."""
    areas, weights = [], []
    for seams, others in pairs:
        ranks = rankdata(np.concatenate((seams, others)))[: len(seams)]
        wins = ranks.sum() - len(seams) * (len(seams) + 1) / 2
        areas.append(wins / (len(seams) * len(others)))
        weights.append(len(seams))
    spread = np.std(areas, ddof=1) if len(areas) > 1 else np.nan
    return Told(float(np.average(areas, weights=weights)), float(spread / np.sqrt(len(areas))))


def _scores(features: Values) -> Values:
    """Normal scores of each column and their squares, centred, (N, 2 FEATURES)."""
    z = ndtri((rankdata(features, axis=0) - 0.5) / len(features))
    return np.concatenate((z, np.square(z) - 1), axis=1)


def _fit(x: Values, y: Values) -> Values:
    """Ridge logistic regression by Newton's method; return the weights without the intercept."""
    design = np.concatenate((np.ones((len(x), 1)), x), axis=1)
    ridge = np.diag(np.r_[1e-6, np.full(x.shape[1], _RIDGE)])
    weights = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = expit(design @ weights)
        gradient = design.T @ (y - chance) - ridge @ weights
        bend = (design * (chance * (1 - chance))[:, None]).T @ design + ridge
        weights = weights + np.linalg.solve(bend, gradient)
    return np.asarray(weights[1:])
