"""Rain, fire, a crowd, silence: how long until the listener hears the new scene?

    told to     | rain      | fire      | crowd     | silence   |
    windows              |--|
                          |--|             one every tenth of a second, until two in a row are heard

A window that has both sounds in it may be heard as either, so even a hard cut is heard late. Of
each switch the same is measured on a cut: from what came last before it to what there was in the
second half of the new scene. That is the listener's own time and is taken away.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench, Job, Listener
from diegetic.evaluation.prompts import SCENES
from diegetic.evaluation.rows import Detail, Goal, Row
from diegetic.session import Session
from diegetic.snapshot import FloatArray

NAME = "switch"
SECONDS = 8.0  # of a scene
WINDOW, STEP = 0.975, 0.1  # s; the window is the judge's
FIRST = 10  # ranks that count
SEEDS = 3


@dataclass(frozen=True)
class Scene:
    """What is said, and the classes that are then to be heard."""

    name: str
    prompt: str
    labels: tuple[str, ...]


COURSE = (
    Scene("rain", "heavy rain on a metal roof", SCENES["heavy rain on a metal roof"]),
    Scene("fire", "a campfire crackling", SCENES["a campfire crackling"]),
    Scene("crowd", "a crowd cheering in an arena", SCENES["a crowd cheering in an arena"]),
    Scene("silence", "", ("Silence",)),
)


def run(bench: Bench) -> tuple[Row, ...]:
    """Seconds from each switch of three streams until the new class is heard."""
    jobs = [Job(f"{NAME}/{number}", _play, bench.stream_seed(number)) for number in range(SEEDS)]
    details, own = [], []
    for number, samples in enumerate(bench.render_all(NAME, jobs)):
        for place, (old, new) in enumerate(pairwise(COURSE), 1):
            switch = round(place * SECONDS * RATE)
            late, cut = _measure(bench.listener, samples, switch, old, new)
            own += [] if cut is None else [cut]
            heard = SECONDS if late is None else max(0.0, late - (cut or 0.0))
            told = "never heard" if late is None else f"{late:.1f} s after it"
            alone = "not even after a cut" if cut is None else f"after a cut {cut:.1f} s"
            details.append(
                Detail(f"{old.name} → {new.name}, stream {number}", heard, f"{told}, {alone}")
            )
    times = [detail.value for detail in details]
    return (
        Row(
            f"prompt switch ({' → '.join(scene.name for scene in COURSE)}): new class heard after",
            {
                "worst, s": max(times),
                "median": float(np.median(times)),
                **({"the judge's own": float(np.median(own))} if own else {}),
                "never": sum(time >= SECONDS for time in times),
                "switches": len(times),
            },
            Goal("worst, s", 2.0, at_least=False),
            Goal("worst, s", 0.5, at_least=False),
            note="the judge's own time is taken away; knob to ear comes on top",
            details=tuple(details),
        ),
    )


def _play(session: Session) -> FloatArray:
    parts = []
    for scene in COURSE:
        session.set_prompt(scene.prompt)
        parts.append(session.read(SECONDS))
    return np.concatenate(parts)


def _measure(
    listener: Listener, samples: FloatArray, switch: int, old: Scene, new: Scene
) -> tuple[float | None, float | None]:
    """Seconds from sample `switch` to hearing `new`, and the same of a hard cut."""
    window, whole = round(WINDOW * RATE), round(SECONDS * RATE)
    before = samples[switch - window : switch]
    after = samples[switch : switch + whole]
    return (
        _first_heard(listener, before, after, old, new),
        _first_heard(listener, before, after[whole // 2 :], old, new),
    )


def _first_heard(
    listener: Listener, before: FloatArray, after: FloatArray, old: Scene, new: Scene
) -> float | None:
    """Seconds into `after` at the end of the first window of two in which `new` is heard.

    A window's best fitting class is then among the first and before all that fit to `old`.
    """
    samples, step = np.concatenate((before, after)), round(STEP * RATE)
    since: int | None = None
    for end in range(len(before) + step, len(samples) + 1, step):
        probabilities, _ = listener.hear(samples[end - len(before) : end], RATE)
        rank = listener.rank(probabilities, new.labels)[0]
        if rank > FIRST or rank > listener.rank(probabilities, old.labels)[0]:
            since = None
        elif since is None:
            since = end
        else:
            return (since - len(before)) / RATE
    return None
