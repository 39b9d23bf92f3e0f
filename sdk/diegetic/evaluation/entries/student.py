"""A student of few evaluations beside its teacher: as good, as fitting, as various?

captions, prompts, seeds   --student, 4, 2 and 1 evaluations-->   sounds   --listener-->  compared
                           --teacher, 32 evaluations---------->   sounds   --listener-->
"""

import math
from collections.abc import Mapping

import numpy as np

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench, Job, say
from diegetic.evaluation.entries import heldout
from diegetic.evaluation.entries.prompts import SCENES_FIRST
from diegetic.evaluation.measures import frechet, spread
from diegetic.evaluation.prompts import SCENES, Prompts
from diegetic.evaluation.rows import Detail, Goal, Row
from diegetic.flow import STUDENT_NFE
from diegetic.snapshot import FloatArray

NAME = "student"
STEPS, TEACHER_NFE = (4, 2, 1), 32
MUST = {4: 1.15, 2: 1.3, 1: 1.6}
AIM = {4: 1.0, 2: 1.1, 1: 1.3}
SHARE, LEAST = 6, 4  # of the bench's count, one in so many: a teacher takes its time
GROUPS = 10  # of the jackknife
SECONDS = 5.0  # of a prompt
SEEDS = 4
VARIOUS = (
    "heavy rain on a metal roof",
    "a campfire crackling",
    "footsteps on gravel",
    "epic orchestral battle music",
)


def run(bench: Bench) -> tuple[Row, ...]:
    """FAD to real sounds, classes heard and diversity, each against the teacher's."""
    if bench.teacher is None:
        note = "needs the teacher's weights: --teacher FOLDER"
        return (Row("student against its teacher", note=note),)
    students = {nfe: bench.speaking(bench.at(nfe)) for nfe in STEPS}
    teacher = bench.speaking(bench.teacher)
    return (
        *_distances(bench, students, teacher),
        _heard(students[STUDENT_NFE], teacher),
        _diversity(students, teacher),
    )


def _distances(bench: Bench, students: Mapping[int, Bench], teacher: Bench) -> list[Row]:
    """One row for each number of evaluations: FAD(student, real) / FAD(teacher, real).

    Both say the captions of the first sounds of the real set, with the same seeds. The error is the
    jackknife's over ten groups of captions (Efron and Tibshirani, An Introduction to the Bootstrap,
    chapter 11).
    """
    clips = heldout.captioned(bench)
    real = bench.embeddings(clip.audio for clip in clips)
    said = clips[: max(LEAST, bench.count // SHARE)]
    jobs = [heldout.said(bench, number, clip) for number, clip in enumerate(said)]
    theirs = bench.embeddings(teacher.render_all(NAME, jobs))
    rows = []
    for nfe, student in students.items():
        ours = bench.embeddings(student.render_all(NAME, jobs))
        rows.append(
            Row(
                f"student at {nfe}: FAD to real sounds, times that of its teacher at {TEACHER_NFE}",
                {
                    "times": _times(real, ours, theirs),
                    "±": _error(real, ours, theirs),
                    "FAD": frechet(real, ours),
                    "teacher": frechet(real, theirs),
                    "between them": frechet(theirs, ours),
                },
                Goal("times", MUST[nfe], at_least=False),
                Goal("times", AIM[nfe], at_least=False),
                note=f"{len(said)} captions, {len(real)} held-out sounds",
            )
        )
    return rows


def _heard(student: Bench, teacher: Bench) -> Row:
    """How many more of the 24 prompts are heard than the teacher's; the same seed for both."""
    ours, theirs = (_ranks(bench, SCENES) for bench in (student, teacher))
    heard, known = (sum(rank <= SCENES_FIRST for rank in ranks) for ranks in (ours, theirs))
    return Row(
        f"{len(SCENES)} prompts: a fitting class in the first {SCENES_FIRST}, "
        f"student at {STUDENT_NFE}",
        {
            "more than the teacher": heard - known,
            "heard": heard,
            "teacher": known,
            "mean log rank": float(np.log(ours).mean()),
            "teacher's": float(np.log(theirs).mean()),
        },
        Goal("more than the teacher", -3),
        Goal("more than the teacher", 0),
        note=f"{SECONDS:g} s each",
        details=tuple(
            Detail(prompt, our, f"teacher {their}")
            for prompt, our, their in zip(SCENES, ours, theirs, strict=True)
        ),
    )


def _ranks(bench: Bench, prompts: Prompts) -> list[int]:
    """The rank of the best fitting class of every prompt."""
    sounds = bench.render_all(NAME, [_job(bench, prompt, bench.seed) for prompt in prompts])
    return [
        bench.listener.rank(bench.listener.hear(samples, RATE)[0], labels)[0]
        for samples, labels in zip(sounds, prompts.values(), strict=True)
    ]


def _diversity(students: Mapping[int, Bench], teacher: Bench) -> Row:
    """Mean distance of what several seeds make of one prompt, as a share of the teacher's."""
    theirs = _spreads(teacher)
    ours = {nfe: _spreads(student) for nfe, student in students.items()}
    return Row(
        f"one prompt, {SEEDS} seeds: mean pairwise distance, as a share of the teacher's",
        {
            f"at {nfe}": float(np.sum(ours[nfe]) / max(float(np.sum(theirs)), 1e-9))
            for nfe in sorted(STEPS, key=lambda nfe: nfe != STUDENT_NFE)
        },
        Goal(f"at {STUDENT_NFE}", 0.9),
        note="cosine distance of embeddings",
        details=tuple(
            Detail(prompt, our, f"teacher {their:.3g}")
            for prompt, our, their in zip(VARIOUS, ours[STUDENT_NFE], theirs, strict=True)
        ),
    )


def _spreads(bench: Bench) -> list[float]:
    """The spread of each of the various prompts."""
    jobs = [
        _job(bench, prompt, seed)
        for prompt in VARIOUS
        for seed in range(bench.seed, bench.seed + SEEDS)
    ]
    found = bench.embeddings(bench.render_all(NAME, jobs))
    return [spread(part) for part in np.split(found, len(VARIOUS))]


def _job(bench: Bench, prompt: str, seed: int) -> Job:
    """`prompt` with another seed of the evaluation; both rows use the same sounds."""
    name = f"{NAME}/{prompt.replace(' ', '-')}-{seed}"
    return Job(name, say(prompt, SECONDS), bench.stream_seed(0, seed))


def _times(real: FloatArray, ours: FloatArray, theirs: FloatArray) -> float:
    return frechet(real, ours) / max(frechet(real, theirs), 1e-9)


def _error(real: FloatArray, ours: FloatArray, theirs: FloatArray) -> float:
    """The standard error of `_times`, were other captions said."""
    groups = np.arange(len(ours)) % GROUPS
    without = [groups != group for group in range(min(GROUPS, len(ours)))]
    each = [_times(real, ours[kept], theirs[kept]) for kept in without]
    return math.sqrt((len(each) - 1) * float(np.var(each)))
