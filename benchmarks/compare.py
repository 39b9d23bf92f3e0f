"""How much faster than real time, beside a transformer of the size that others ship.

    python benchmarks/compare.py [--nfe N] [--rounds 5] [--weights FOLDER]

In turn, each in a process of its own: ours through ONNX Runtime as it ships, the same in float32,
and a 341M, 8-step transformer of Stable Audio Open Small's shape with random weights, float32 in
torch on all cores (`open_small.py` beside this file; needs `diegetic[torch]`). Ours is everything
from the prompt to the limited mix; theirs is its transformer alone, without text encoder and
autoencoder.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from diegetic import report
from diegetic.networks import Precision
from live import Row, cold_start, peak_memory, percentiles, show, summary

if TYPE_CHECKING:
    from open_small import Shape

PROMPT = "rain on a tin roof"
SECONDS = 11.84  # of ours a round: whole hops, about what theirs makes at once
PERCENTILES = ("p50", "p95", "p99")


@dataclass(frozen=True)
class Round:
    """What one process did in its turn.

    Attributes:
        factors: compute time / audio time of each chunk or sample.
        memory: bytes that it has held at most.
        says: what it is.
    """

    factors: tuple[float, ...]
    memory: float
    says: str


def main() -> int:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nfe", type=int, help="evaluations per chunk of ours (the usual ones)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each, after one (5)")
    parser.add_argument("--weights", type=Path, help="folder of other weights than those shipped")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    facts = report.machine()
    facts["torch"] = report.installed_version("torch") or "missing"
    console.print(", ".join(f"{name}: {value}" for name, value in facts.items()), soft_wrap=True)
    cold = cold_start(arguments.nfe, arguments.weights)
    players: dict[str, tuple[Callable[..., None], tuple[object, ...]]] = {
        "ours, as it ships": (play_ours, (arguments.weights, arguments.nfe, "int8")),
        "ours, float32": (play_ours, (arguments.weights, arguments.nfe, "float32")),
    }
    if report.installed_version("torch") is not None:
        from open_small import Shape

        players["theirs, float32"] = (play_theirs, (os.cpu_count() or 1, Shape()))
    rounds = take_turns(players, arguments.rounds)
    found = {
        name: summary([factor for turn in turns for factor in turn.factors])
        for name, turns in rounds.items()
    }
    for name, turns in rounds.items():
        console.print(f"{name}: {turns[-1].says}, {sum(len(t.factors) for t in turns)} measured")
    rows = [Row(f"RTF, {name}", percentiles(part, "{:.3f}")) for name, part in found.items()]
    for ours in list(found)[:2]:
        for theirs in list(found)[2:]:
            ratio = {p: found[theirs][p] / found[ours][p] for p in PERCENTILES}
            rows.append(Row(f"{theirs} / {ours}", percentiles(ratio, "{:.1f}")))
    show(console, "compute time / audio time", PERCENTILES, rows)
    rest = [Row("cold start to first sample, s", (f"{cold:.2f}",))]
    rest += [
        Row(f"peak memory, {name}, MB", (f"{turns[-1].memory / 1e6:.0f}",))
        for name, turns in rounds.items()
    ]
    show(console, "and", ("",), rest)
    return 0


def take_turns(
    players: "dict[str, tuple[Callable[..., None], tuple[object, ...]]]", rounds: int
) -> dict[str, list[Round]]:
    """Let each play `rounds` times, one after the other, after a turn that does not count."""
    found: dict[str, list[Round]] = {name: [] for name in players}
    with ExitStack() as stack:
        started = {
            name: stack.enter_context(process(play, settings))
            for name, (play, settings) in players.items()
        }
        for number in range(1 + rounds):
            for name, connection in started.items():
                try:
                    connection.send("go")
                    turn: Round = connection.recv()
                except (EOFError, OSError):
                    raise SystemExit(f"{name} ended before its time") from None
                if number:
                    found[name].append(turn)
    return found


@contextmanager
def process(play: Callable[..., None], settings: Sequence[object]) -> Iterator[Connection]:
    """A process that plays a round whenever it is told to, and ends after None."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=play, args=(theirs, *settings), daemon=True)
    child.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        child.join()


def play_ours(
    connection: Connection, weights: Path | None, nfe: int | None, precision: Precision
) -> None:
    """Read a session, hop by hop: conditioning, network, decoder, crossfade, mixer, limiter."""
    from diegetic.conditioning import Conditioner
    from diegetic.encoders import ImageEncoder, TextEncoder
    from diegetic.generator import load_generator
    from diegetic.session import Session

    generator = load_generator(weights, backend="onnx", precision=precision, nfe=nfe)
    with Session(
        generator=generator, conditioner=Conditioner(TextEncoder(), ImageEncoder())
    ) as session:
        session.set_prompt(PROMPT)
        session.warm_up()
        hop = session.config.hop
        for _ in told(connection):
            factors = []
            for _ in range(round(SECONDS / hop)):
                start = time.perf_counter()
                session.read(hop)
                factors.append((time.perf_counter() - start) / hop)
            says = f"{generator.nfe} evaluations a chunk of {hop:g} s, {precision}, one thread"
            connection.send(Round(tuple(factors), peak_memory(), says))


def play_theirs(connection: Connection, threads: int, shape: "Shape") -> None:
    """Make samples of a transformer of that shape."""
    import torch

    from open_small import Transformer, sample

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = Transformer(shape).eval()
    size = sum(parameter.numel() for parameter in network.parameters())
    tokens, length = torch.randn(1, shape.tokens, shape.condition), torch.randn(1, shape.condition)
    for _ in told(connection):
        start = time.perf_counter()
        sample(network, tokens, length)
        factor = (time.perf_counter() - start) / shape.seconds
        says = f"{size / 1e6:.0f}M parameters, {shape}, {threads} threads"
        connection.send(Round((factor,), peak_memory(), says))


def told(connection: Connection) -> Iterator[None]:
    """Go on as long as it is told to."""
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        yield


if __name__ == "__main__":
    sys.exit(main())
