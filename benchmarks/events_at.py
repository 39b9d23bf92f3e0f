"""How exactly an event that an engine times is heard: its `at` against the sample played.

    python benchmarks/events_at.py [--events 300] [--ahead 0.1 0.5] [--device NAME] [--hog]

A client process posts events, each at a time that lies ahead on its own clock; the server's player
says which sample each began with. Between the two lies a latency; what of it is not the same for
all (its distance from the median) is the error. Beside it that of events which are posted without a
time, at the moment itself. Status 1: the 99th percentile of the timed ones is above 1 ms.
"""

import argparse
import json
import random
import sys
import time

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bridge_process import Program
from diegetic import report
from diegetic.config import RATE, StreamConfig
from diegetic.inference import InferenceProcess
from diegetic.output import choose_output
from diegetic.server import Server
from diegetic.session import Session
from diegetic_bridge import Client, EventSpec
from live import hog

MUST_MS = 1.0
PERCENTILES = (50, 95, 99, 100)
EVENT = EventSpec("shot", variations=4, length=0.3)
PATIENCE = 60.0  # s for takes, and for the last event to be heard
APART = (0.1, 0.3)  # s between two events


def main() -> int:
    """Play, pair what was asked with what was heard, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--ahead", type=float, nargs=2, default=(0.1, 0.5), metavar="S")
    parser.add_argument("--device", help="play on this device; else the clock sets the pace")
    parser.add_argument("--hog", action="store_true", help="spin on one core meanwhile")
    parser.add_argument("--game", metavar="ENDPOINT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.game:
        play(arguments.game, arguments.events, *arguments.ahead)
        return 0
    output = choose_output(arguments.device, no_device=arguments.device is None)
    console = Console(highlight=False, soft_wrap=True)
    console.print(", ".join(f"{name}: {value}" for name, value in report.machine().items()))
    beside = "one core kept busy" if arguments.hog else "nothing beside it"
    console.print(f"{arguments.events} events of each kind, {beside}; {output.description}")
    networks = InferenceProcess(StreamConfig())
    server = Server(
        "tcp://127.0.0.1:0",
        make_session=lambda: Session(generator=networks, conditioner=networks.conditioner),
        make_sink=output.sink,
    )
    words = ("--events", arguments.events, "--ahead", *arguments.ahead)
    with hog(arguments.hog), server, Program(__file__, "--game", server.endpoint, *words) as game:
        asked = {kind: np.array(game.hear()) for kind in ("timed", "untimed")}
        session = server.session
        assert session is not None
        wanted = sum(map(len, asked.values()))
        until = time.monotonic() + PATIENCE
        while len(session.voices()) < wanted and time.monotonic() < until:
            time.sleep(0.1)
        voices = session.voices()
        game.let_go()
    if len(voices) != wanted:
        raise SystemExit(f"{wanted} events were posted, {len(voices)} were heard")
    table = Table("events", *(f"p{p}, ms" for p in PERCENTILES), box=None)
    errors = {}
    samples = np.array([voice.sample for voice in voices])
    for kind, moments in asked.items():
        heard, samples = np.sort(samples[: len(moments)]), samples[len(moments) :]
        errors[kind] = apart(moments, heard)
        spread = (f"{value:.3f}" for value in np.percentile(errors[kind], PERCENTILES))
        table.add_row(kind, *spread)
    console.print(table)
    ratio = np.percentile(errors["untimed"], 99) / np.percentile(errors["timed"], 99)
    late = sum(voice.asked >= 0 and voice.sample > voice.asked for voice in voices)
    dry = server.status()["underruns"]
    console.print(f"p99, untimed / timed: {ratio:.1f}; late: {late}; underruns: {dry}")
    return int(bool(np.percentile(errors["timed"], 99) > MUST_MS))


def apart(moments: NDArray[np.float64], samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far (ms) sorted `samples` are from `moments` (s), but for what all have in common.

    Samples count from the player's start: where the two clocks began is not known.
    """
    delays = (samples / RATE - np.sort(moments)) * 1000
    return np.asarray(np.abs(delays - np.median(delays)))


def play(endpoint: str, events: int, least: float, most: float) -> None:
    """Post timed events, then others; say when each was to be heard, on this clock."""
    rng = random.Random(0)
    with Client(endpoint, engine="benchmark", events=[EVENT]) as client:
        until = time.monotonic() + PATIENCE
        while (ready := client.bank_progress) is None or ready.ready < EVENT.variations:
            if time.monotonic() > until:
                raise SystemExit(f"no takes after {PATIENCE:g} s: {ready}")
            time.sleep(0.05)
        for timed in (True, False):
            moments = []
            for _ in range(events):
                time.sleep(rng.uniform(*APART))
                moments.append(time.monotonic() + (rng.uniform(least, most) if timed else 0.0))
                client.post_event(EVENT.name, at=moments[-1] if timed else None)
            time.sleep(most)
            print(json.dumps(moments), flush=True)
        sys.stdin.read()
    print("{}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
