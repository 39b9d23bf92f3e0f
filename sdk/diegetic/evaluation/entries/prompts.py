"""Does an independent listener hear what was asked for in words?"""

from collections.abc import Sequence

import numpy as np

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench, say
from diegetic.evaluation.measures import level
from diegetic.evaluation.prompts import SCENES, TWELVE, Prompts
from diegetic.evaluation.rows import Detail, Goal, Row

SCENES_NAME, TWELVE_NAME = "prompts", "v0"
SECONDS = 10.0
SCENES_FIRST, TWELVE_FIRST = 5, 10  # ranks that count
SEEDS = 3


def run_scenes(bench: Bench) -> tuple[Row, ...]:
    """Twenty-four sounds and scenes of games."""
    name = f"{len(SCENES)} prompts: a fitting class in the first {SCENES_FIRST}"
    return (_row(bench, SCENES_NAME, SCENES, SCENES_FIRST, name, (14, 20)),)


def run_twelve(bench: Bench) -> tuple[Row, ...]:
    """The twelve prompts of the first version."""
    name = f"the {len(TWELVE)} prompts of v0: a fitting class in the first {TWELVE_FIRST}"
    return (_row(bench, TWELVE_NAME, TWELVE, TWELVE_FIRST, name, (10, 12)),)


def _row(
    bench: Bench, folder: str, prompts: Prompts, first: int, name: str, bounds: tuple[int, int]
) -> Row:
    """How many of `prompts` are heard among the `first` ranks: of the seeds the mean counts."""
    seeds = tuple(range(bench.seed, bench.seed + SEEDS))
    details = _ranks(bench, folder, prompts, seeds)
    each = {
        f"seed {seed}": float(sum(detail.value <= first for detail in details[k :: len(seeds)]))
        for k, seed in enumerate(seeds)
    }
    must, aim = (Goal("heard", bound) for bound in bounds)
    heard = float(np.mean(list(each.values())))
    figures = {"heard": heard, **each, "mean log rank": _log_rank(details)}
    return Row(name, figures, must, aim, details=details)


def scene_file(prompt: str, seed: int) -> str:
    """The name under which `run_scenes` keeps the sound of `prompt`."""
    return _file(SCENES_NAME, prompt, seed)


def _ranks(bench: Bench, folder: str, prompts: Prompts, seeds: Sequence[int]) -> tuple[Detail, ...]:
    """The rank of the best fitting class of every prompt with every seed, seeds innermost."""
    todo = [(prompt, labels, seed) for prompt, labels in prompts.items() for seed in seeds]
    details = []
    for prompt, labels, seed in bench.progress(folder, todo):
        samples = bench.render(
            _file(folder, prompt, seed), say(prompt, SECONDS), seed=bench.stream_seed(0, seed)
        )
        probabilities, _ = bench.listener.hear(samples, RATE)
        rank, label = bench.listener.rank(probabilities, labels)
        note = f"{label}; {bench.listener.top(probabilities)}; {level(samples):.0f} dBFS"
        details.append(Detail(prompt, rank, note))
    return tuple(details)


def _log_rank(details: Sequence[Detail]) -> float:
    """Mean of the logarithm of the rank: 0 where all are first; lower is better."""
    return float(np.mean(np.log([detail.value for detail in details])))


def _file(folder: str, prompt: str, seed: int) -> str:
    return f"{folder}/{prompt.replace(' ', '-')}-{seed}"
