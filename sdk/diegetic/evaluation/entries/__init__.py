"""The entries of the evaluation, in the order of its table."""

from collections.abc import Callable
from dataclasses import dataclass

from diegetic.evaluation.bench import Bench
from diegetic.evaluation.entries import (
    codec,
    drift,
    empty,
    gap,
    heldout,
    onsets,
    prompts,
    retrieval,
    student,
    switch,
    tasks,
)
from diegetic.evaluation.rows import Row


@dataclass(frozen=True)
class Entry:
    """`run` gives the rows, which depend on the bench's count (`counted`), teacher (`taught`)."""

    run: Callable[[Bench], tuple[Row, ...]]
    counted: bool = False
    taught: bool = False


ENTRIES = {
    codec.NAME: Entry(codec.run, counted=True),
    prompts.SCENES_NAME: Entry(prompts.run_scenes),
    prompts.TWELVE_NAME: Entry(prompts.run_twelve),
    retrieval.NAME: Entry(retrieval.run),
    heldout.FAD_NAME: Entry(heldout.run_fad, counted=True),
    onsets.NAME: Entry(onsets.run),
    gap.NAME: Entry(gap.run),
    empty.NAME: Entry(empty.run),
    heldout.COPYING_NAME: Entry(heldout.run_copying, counted=True),
    tasks.NAME: Entry(tasks.run),
    student.NAME: Entry(student.run, counted=True, taught=True),
    drift.NAME: Entry(drift.run),
    switch.NAME: Entry(switch.run),
}
