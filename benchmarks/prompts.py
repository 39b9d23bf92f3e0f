"""Twelve prompts, ten seconds each: does an independent listener hear what was asked for?

    python benchmarks/prompts.py [--nfe 4] [--guidance 2] [--seed 0] [--weights DIR] [--keep DIR]

Needs the `judge` extra. A prompt counts when a fitting AudioSet class is among the first ten
that the listener names.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from diegetic import Session
from diegetic.config import RATE

sys.path.insert(0, str(Path(__file__).resolve().parent))
from judge import Judge

SECONDS = 10.0
FIRST = 10
PROMPTS: dict[str, tuple[str, ...]] = {
    "rain falling": ("Rain", "Raindrop", "Rain on surface"),
    "thunderstorm": ("Thunderstorm", "Thunder"),
    "birds in a forest": ("Bird", "Bird vocalization, bird call, bird song", "Chirp, tweet"),
    "crickets at night": ("Cricket", "Insect"),
    "a stream": ("Stream", "Waterfall", "Water"),
    "ocean waves": ("Ocean", "Waves, surf"),
    "strong wind": ("Wind", "Wind noise (microphone)"),
    "a crackling fire": ("Fire", "Crackle"),
    "a train passing": ("Train", "Rail transport", "Railroad car, train wagon"),
    "heavy machinery": (
        "Heavy engine (low frequency)",
        "Engine",
        "Mechanisms",
        "Medium engine (mid frequency)",
    ),
    "laser gun": (
        "Gunshot, gunfire",
        "Machine gun",
        "Fusillade",
        "Artillery fire",
        "Cap gun",
        "Zing",
    ),
    "calm ambient music": ("Ambient music", "Music", "New-age music", "Background music"),
}


def main() -> None:
    """Render, listen, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nfe", type=int, default=4)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the sounds")
    arguments = parser.parse_args()
    judge = Judge()
    table = Table("prompt", "rank", "fitting class", "heard", "dBFS RMS")
    fitting = 0
    for prompt, labels in PROMPTS.items():
        with Session(seed=arguments.seed, nfe=arguments.nfe, weights=arguments.weights) as session:
            session.set_prompt(prompt)
            session.set_guidance(arguments.guidance)
            samples = session.read(SECONDS)
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            soundfile.write(arguments.keep / f"{prompt.replace(' ', '-')}.wav", samples, RATE)
        probabilities, _ = judge.hear(samples, RATE)
        rank, label = judge.rank(probabilities, labels)
        fitting += rank <= FIRST
        level = 10 * np.log10(np.mean(samples**2) + 1e-12)
        table.add_row(prompt, str(rank), label, judge.top(probabilities), f"{level:.1f}")
    console = Console(width=120)
    console.print(table)
    console.print(
        f"{fitting} of {len(PROMPTS)} prompts have a fitting class in the first {FIRST} "
        f"(nfe {arguments.nfe}, guidance {arguments.guidance:g}, seed {arguments.seed})"
    )


if __name__ == "__main__":
    main()
