"""`diegetic eval`: render, judge, and write a table, plots and sounds."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from diegetic.cli import shared
from diegetic.errors import DiegeticError
from diegetic.evaluation import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from diegetic.evaluation.bench import Bench
    from diegetic.evaluation.results import Subject

COUNT = 300


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--weights", type=Path, help="folder of other weights than those shipped")
    parser.add_argument(
        "--teacher", type=Path, help="folder of the weights that a student is compared with"
    )
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of `diegetic data` (data)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/eval"), help="table, plots, sounds (runs/eval)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")
    shared.add_nfe_argument(parser)
    parser.add_argument(
        "--count",
        type=shared.count,
        default=COUNT,
        help=f"sounds where sets are compared; fewer are quicker and read higher ({COUNT})",
    )
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES)
    )
    parser.add_argument(
        "--fresh", action="store_true", help="do again what OUT has of these weights and this seed"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; 0, or 1 if something that must be reached is missed."""
    from diegetic.evaluation.evaluate import evaluate
    from diegetic.evaluation.results import MARKDOWN, TABLE, Subject, read_results
    from diegetic.generator import WEIGHTS
    from diegetic.weights import fingerprint

    out: Path = arguments.out
    weights = arguments.weights or WEIGHTS
    subject = Subject(fingerprint(weights), arguments.seed, shared.evaluations(arguments))
    results, names = read_results(out, subject), list(dict.fromkeys(arguments.only))
    for name in names if arguments.fresh else ():
        results.entries.pop(name, None)
    with _bar() as bar:
        task = bar.add_task("loading", total=None)

        def show(entry: str, done: int, total: int) -> None:
            bar.update(task, description=entry, completed=done, total=total)

        bench = open_bench(arguments, weights, subject, show)
        results = evaluate(bench, results, out, names)
    console = shared.console()
    console.print(results.shown())
    console.print(f"{out / TABLE}, {out / MARKDOWN}")
    rows = [row for done in results.entries.values() for row in done.rows]
    return int(any(row.verdict == "missed" for row in rows))


def open_bench(
    arguments: argparse.Namespace,
    weights: Path,
    subject: "Subject",
    on_progress: "Callable[[str, int, int], None]",
) -> "Bench":
    """Everything that entries need; the networks and the listener are loaded.

    Raises:
        WeightsError: the weights are missing or damaged.
        DiegeticError: the teacher's are those of a student.
        MediaError: nothing was built in `arguments.data`.
    """
    from diegetic.conditioning import Conditioner
    from diegetic.encoders import ImageEncoder, TextEncoder
    from diegetic.evaluation.bench import Bench, Renders, Voice
    from diegetic.evaluation.codec import NetworksCodec
    from diegetic.evaluation.corpus import Corpus
    from diegetic.evaluation.editor import GeneratorEditor
    from diegetic.evaluation.entries.student import TEACHER_NFE
    from diegetic.evaluation.judge import Judge
    from diegetic.generator import ChunkGenerator, load_generator
    from diegetic.onnx_backend import OnnxNetworks
    from diegetic.weights import fingerprint, read_distilled

    def voiced(generator: ChunkGenerator, known: str) -> Voice:
        name = f"{known}-seed{subject.seed}-nfe{generator.nfe}"
        return Voice(
            generator, known, Renders(arguments.out / "sounds" / name, fresh=arguments.fresh)
        )

    corpus = Corpus(arguments.data)
    generator = load_generator(weights, nfe=subject.nfe)
    voice = voiced(generator, subject.weights)

    def at(nfe: int) -> Voice:
        if nfe == subject.nfe:
            return voice
        return voiced(load_generator(weights, nfe=nfe), subject.weights)

    teacher: Voice | None = None
    folder: Path | None = arguments.teacher
    if folder is not None:
        if read_distilled(folder):
            raise DiegeticError(f"--teacher must be the weights of no student, got {folder}")
        teacher = voiced(load_generator(folder, nfe=TEACHER_NFE), fingerprint(folder))
    return Bench(
        generator=generator,
        conditioner=Conditioner(TextEncoder(), ImageEncoder()),
        editor=GeneratorEditor(generator),
        codec=NetworksCodec(OnnxNetworks(weights)),
        listener=Judge(),
        corpus=corpus,
        renders=voice.renders,
        at=at,
        teacher=teacher,
        seed=subject.seed,
        count=arguments.count,
        on_progress=on_progress,
    )


def _bar() -> Progress:
    """How far the entry is; hidden where nobody looks."""
    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
