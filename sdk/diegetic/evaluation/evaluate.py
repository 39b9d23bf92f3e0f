"""One evaluation, entry after entry: what is known already is kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from diegetic.evaluation.bench import Bench
from diegetic.evaluation.entries import ENTRIES, Entry, prompts
from diegetic.evaluation.plots import plot_ranks, plot_sheet
from diegetic.evaluation.prompts import SCENES
from diegetic.evaluation.results import Finished, Results
from diegetic.report import machine

SHEET = "prompts.png"


def evaluate(
    bench: Bench,
    results: Results,
    folder: Path,
    names: Sequence[str],
    clock: Callable[[], float] = time.perf_counter,
) -> Results:
    """Run the entries `names` that `results` lacks; write table and plots after each.

    An entry is run again if a row of it was skipped, or it was asked for another count of sounds
    or another teacher.

    Raises:
        DiegeticError: something is missing or cannot be written; finished entries are kept.
    """
    results = replace(results, machine=machine(), entries=dict(results.entries))
    for name in names:
        entry, known = ENTRIES[name], results.entries.get(name)
        if known is not None and _holds(known, entry, bench):
            continue
        begin = clock()
        rows = entry.run(bench)
        teacher = bench.teacher.weights if entry.taught and bench.teacher else ""
        results.entries[name] = Finished(rows, bench.count, clock() - begin, teacher)
        results.write(folder)
        if name in (prompts.SCENES_NAME, prompts.TWELVE_NAME):
            _plot(bench, results, name, folder)
    return results


def _holds(known: Finished, entry: Entry, bench: Bench) -> bool:
    """Whether what is known of `entry` is what `bench` would find."""
    counted = not entry.counted or known.count == bench.count
    other = entry.taught and bench.teacher is not None and known.teacher != bench.teacher.weights
    return known.whole and counted and not other


def _plot(bench: Bench, results: Results, name: str, folder: Path) -> None:
    scenes = name == prompts.SCENES_NAME
    (row,) = results.entries[name].rows
    first = prompts.SCENES_FIRST if scenes else prompts.TWELVE_FIRST
    plot_ranks(row.details, first, row.name, folder / f"ranks-{name}.png")
    if scenes:
        sounds = {
            prompt: bench.renders.read(prompts.scene_file(prompt, bench.seed)) for prompt in SCENES
        }
        plot_sheet(sounds, folder / SHEET)
