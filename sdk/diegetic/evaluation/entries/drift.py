"""One prompt for ten minutes: is the last like the first?

    the stream    | minute 1 | minute 2 |  ...  | minute 10 |
    two others    | minute 1 |                                 of other seeds: what each is held to

Minutes are compared with the first ones of other streams, which have had no time to drift. Against
real sounds the distance is mostly how far the prompt's sound is from them at any time, and hides
what changes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench, Job, say
from diegetic.evaluation.measures import centroid, frechet, loudness
from diegetic.evaluation.rows import Detail, Goal, Row
from diegetic.snapshot import FloatArray

NAME = "drift"
PROMPTS = ("heavy rain on a metal roof", "a campfire crackling", "calm ambient music")
MINUTES, MINUTE = 10, 60.0  # s
OTHERS = 2
PIECE = 2.0  # s that are heard at a time


@dataclass(frozen=True)
class Course:
    """How a stream went: FAD, loudness (LUFS) and centroid (Hz) of each of its minutes."""

    prompt: str
    distances: tuple[float, ...]
    loudness: tuple[float, ...]
    centroids: tuple[float, ...]


def run(bench: Bench) -> tuple[Row, ...]:
    """What changed between the first and the last minute; of three prompts the worst counts."""
    courses = [_course(bench, prompt, sounds) for prompt, sounds in _sounds(bench)]
    title = f"same prompt, {MINUTES} minutes"
    last = f"minute {MINUTES}"
    return (
        _row(
            f"{title}: FAD({last}) / FAD(minute 1)",
            "times",
            courses,
            lambda course: course.distances,
            lambda course: course.distances[-1] / max(course.distances[0], 1e-9),
            (1.3, 1.1),
            f"to the first minutes of {OTHERS} other seeds",
        ),
        _row(
            f"{title}: change of loudness",
            "LU",
            courses,
            lambda course: course.loudness,
            lambda course: abs(course.loudness[-1] - course.loudness[0]),
            (2.0, 1.0),
        ),
        _row(
            f"{title}: change of the spectrum's centroid",
            "%",
            courses,
            lambda course: course.centroids,
            lambda course: 100 * abs(course.centroids[-1] / max(course.centroids[0], 1e-9) - 1),
            (10.0, 5.0),
        ),
    )


def _row(
    name: str,
    figure: str,
    courses: list[Course],
    curve: Callable[[Course], tuple[float, ...]],
    change: Callable[[Course], float],
    bounds: tuple[float, float],
    note: str = "",
) -> Row:
    """The worst change and each one; the details are the curves."""
    changes = {course.prompt: change(course) for course in courses}
    must, aim = (Goal(figure, bound, at_least=False) for bound in bounds)
    return Row(
        name,
        {figure: max(changes.values()), **changes},
        must,
        aim,
        note,
        tuple(
            Detail(f"{course.prompt}, minute {minute}", value)
            for course in courses
            for minute, value in enumerate(curve(course), 1)
        ),
    )


def _sounds(bench: Bench) -> Iterator[tuple[str, list[FloatArray]]]:
    """Each prompt's long stream, and the first minutes of the others."""
    jobs = []
    for prompt in PROMPTS:
        for other in range(1 + OTHERS):
            seconds = MINUTE if other else MINUTES * MINUTE
            name = f"{NAME}/{prompt.replace(' ', '-')}-{other}"
            jobs.append(Job(name, say(prompt, seconds), bench.stream_seed(other)))
    made = bench.render_all(NAME, jobs)
    for prompt in PROMPTS:
        yield prompt, [next(made) for _ in range(1 + OTHERS)]


def _course(bench: Bench, prompt: str, sounds: list[FloatArray]) -> Course:
    stream, *others = sounds
    minutes = list(_pieces(stream, MINUTE))
    usual = bench.embeddings(piece for other in others for piece in _pieces(other, PIECE))
    heard = [bench.embeddings(_pieces(minute, PIECE)) for minute in minutes]
    return Course(
        prompt,
        tuple(frechet(usual, embeddings) for embeddings in heard),
        tuple(loudness(minute) for minute in minutes),
        tuple(centroid(minute) for minute in minutes),
    )


def _pieces(samples: FloatArray, seconds: float) -> Iterator[FloatArray]:
    """`samples` (n, 2) in stretches of `seconds`; a shorter rest is left out."""
    size = round(seconds * RATE)
    for begin in range(0, len(samples) - size + 1, size):
        yield samples[begin : begin + size]
