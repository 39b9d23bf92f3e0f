"""On maps that training never saw: does sound made from frames and events alone follow the game?

    python benchmarks/follows_game.py [--data data] [--seconds 60] [--keep DIR]

Needs the `train` and `judge` extras, and OpenAL (Debian: libopenal1) where the game is not recorded
yet. The game's own sound and ours are cut into windows of 100 ms; printed is the rank correlation
of their levels, beside that against the game's levels moved to another time (1,000 random circular
shifts of at least two seconds). Ours may come up to a hop late: the best of three delays is taken,
for the shifted ones too.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata

from diegetic import Session
from diegetic.config import RATE
from diegetic.evaluation.corpus import read_game
from diegetic.evaluation.watch import watch_game
from diegetic.training.vizdoom_capture import TAKES, capture

WINDOW = RATE // 10
SHIFTS = 1000
DELAYS = (0, 1, 2)  # windows
FLOOR = 1e-4


def levels(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """RMS level (dB) of every window of (n, 2) samples."""
    count = len(samples) // WINDOW
    power = np.square(samples[: count * WINDOW], dtype=np.float64).reshape(count, -1).mean(1)
    return np.asarray(10 * np.log10(power + FLOOR**2))


def correlation(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Spearman's rank correlation, at the best of `DELAYS`."""
    best = -1.0
    for delay in DELAYS:
        a, b = rankdata(ours[delay:]), rankdata(theirs[: len(theirs) - delay])
        best = max(best, float(np.corrcoef(a, b)[0, 1]))
    return best


def main() -> None:
    """Record where needed, make sound, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the sounds")
    arguments = parser.parse_args()
    takes = [take for take in TAKES if take.split == "heldout"]
    table = Table("map", "events", "correlation", "shifted: mean", "shifted: 95 %", "p")
    rng = np.random.default_rng(arguments.seed)
    for path in capture(arguments.data, takes):
        game = read_game(path)
        with Session(seed=arguments.seed) as session:
            made = watch_game(game, arguments.seconds, told=True)(session)
        true = game.audio[: len(made)]
        ours, theirs = levels(made), levels(true)
        count = min(len(ours), len(theirs))
        ours, theirs = ours[:count], theirs[:count]
        found = correlation(ours, theirs)
        shifted = [
            correlation(ours, np.roll(theirs, rng.integers(20, count - 20))) for _ in range(SHIFTS)
        ]
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            soundfile.write(arguments.keep / f"{path.stem}-ours.wav", made, RATE)
            soundfile.write(arguments.keep / f"{path.stem}-game.wav", true, RATE)
        table.add_row(
            path.stem,
            str(int((game.event_times < arguments.seconds).sum())),
            f"{found:.3f}",
            f"{np.mean(shifted):.3f}",
            f"{np.quantile(shifted, 0.95):.3f}",
            f"{(1 + sum(s >= found for s in shifted)) / (1 + SHIFTS):.3f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
