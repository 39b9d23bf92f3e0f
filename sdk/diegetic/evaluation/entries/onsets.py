"""From frames alone, on maps that training never saw: does it sound when something happens?"""

import numpy as np

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench
from diegetic.evaluation.corpus import Game
from diegetic.evaluation.onsets import Matches, find_onsets, match, shuffled, total
from diegetic.evaluation.rows import Detail, Goal, Row
from diegetic.evaluation.watch import watch_game
from diegetic.snapshot import FloatArray

NAME = "onsets"
SECONDS = 60.0  # of each map
SHUFFLES = 200


def run(bench: Bench) -> tuple[Row, ...]:
    """F1 of our onsets and the game's events, of shuffled events, and of the game's own sound."""
    rng = np.random.default_rng(bench.seed)
    ours: list[Matches] = []
    own: list[Matches] = []
    chance: list[list[Matches]] = []
    details = []
    for game in bench.progress(NAME, bench.corpus.games()):
        samples = watched(bench, game)
        seconds = len(samples) / RATE
        events = game.event_times[game.event_times < seconds]
        found = find_onsets(samples)
        ours.append(match(found, events))
        own.append(match(find_onsets(game.audio[: len(samples)]), events))
        chance.append([match(found, shuffled(events, seconds, rng)) for _ in range(SHUFFLES)])
        note = f"{len(events)} events, {len(found)} onsets; the game's own sound {own[-1].f1:.2f}"
        details.append(Detail(game.name, ours[-1].f1, note))
    f1 = total(ours).f1
    usual = float(np.mean([total(matches).f1 for matches in zip(*chance, strict=True)]))
    return (
        Row(
            "frames only, held-out maps: onsets within 100 ms of the game's events",
            {
                "F1": f1,
                "shuffled": usual,
                "times": f1 / max(usual, 1e-9),
                "the game's own sound": total(own).f1,
            },
            Goal("times", 2),
            Goal("F1", 0.6),
            details=tuple(details),
        ),
    )


def watched(bench: Bench, game: Game) -> FloatArray:
    """What the frames of `game` alone give, for a minute or as long as it lasts."""
    seconds = min(SECONDS, game.seconds)
    return bench.render(f"{NAME}/{game.name}", watch_game(game, seconds), seed=bench.stream_seed(0))
