"""Nothing said, nothing heard."""

import numpy as np

from diegetic.evaluation.bench import Bench, say
from diegetic.evaluation.measures import loudest_second
from diegetic.evaluation.rows import Goal, Row
from diegetic.evaluation.watch import watch_picture

NAME = "empty"
SECONDS = 10.0
BLACK = np.zeros((72, 128, 3), np.uint8)


def run(bench: Bench) -> tuple[Row, ...]:
    """A scene of which nothing is said, and one in which only black frames are seen."""
    plays = {"nothing said": say("", SECONDS), "black frames": watch_picture(BLACK, SECONDS)}
    levels = {
        name: loudest_second(
            bench.render(f"{NAME}/{name.replace(' ', '-')}", play, seed=bench.stream_seed(0))
        )
        for name, play in bench.progress(NAME, list(plays.items()))
    }
    return (
        Row(
            "an empty scene: its loudest second",
            {"dBFS": max(levels.values()), **levels},
            Goal("dBFS", -50, at_least=False),
            Goal("dBFS", -60, at_least=False),
        ),
    )
