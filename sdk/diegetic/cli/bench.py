"""`diegetic bench`: measure on this machine what a game's players would notice."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from diegetic.cli import shared
from diegetic.config import StreamConfig

if TYPE_CHECKING:
    from diegetic.latency.figures import Row
    from diegetic.latency.trial import Trial

TRIALS = 20
COARSE = 0.001  # s; a clock with longer steps is worth a word


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what can be measured."""
    from diegetic.latency.scene import KINDS

    default = StreamConfig()
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    latency = what.add_parser(
        "latency",
        help="knob to ear: from the game's send to the first sample that differs",
        description=(
            "Knob to ear: from a client's send (a process of its own) to the first sample of the "
            "recorded stream that differs from a twin run without the change."
        ),
    )
    latency.add_argument(
        "--trials", type=shared.count, default=TRIALS, help=f"of each kind ({TRIALS})"
    )
    latency.add_argument(
        "--kinds",
        nargs="+",
        choices=KINDS,
        default=KINDS,
        metavar="KIND",
        help=f"what is changed: {', '.join(KINDS)} (all)",
    )
    latency.add_argument(
        "--hop", type=shared.positive, default=default.hop, help=f"s per chunk ({default.hop:g})"
    )
    latency.add_argument(
        "--lookahead",
        type=shared.positive,
        default=default.lookahead,
        help=f"s made ahead ({default.lookahead:g})",
    )
    latency.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    shared.add_output_arguments(latency)
    shared.add_session_arguments(latency)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; 0 if every kind gave a figure, else 1."""
    from diegetic.latency import trial
    from diegetic.latency.figures import build_report, rows
    from diegetic.output import choose_output
    from diegetic.report import machine, write_report
    from diegetic.sink import check_writable

    config = StreamConfig(hop=arguments.hop, lookahead=arguments.lookahead)
    target: Path | None = arguments.json
    if target is not None:
        check_writable(target)  # now, not after minutes
    output = choose_output(arguments.device, no_device=arguments.no_device)
    make_session = shared.session_factory(arguments, config)
    console = shared.console()
    console.print(", ".join(f"{name}: {value}" for name, value in machine().items()))
    console.print(f"playing on: {output.description}")
    with _bar() as bar:
        task = bar.add_task("waiting", total=arguments.trials * len(arguments.kinds))
        trials = trial.measure(
            make_session,
            output.sink,
            trials=arguments.trials,
            kinds=list(dict.fromkeys(arguments.kinds)),
            seed=arguments.seed,
            on_trial=lambda done: bar.update(task, advance=1, description=_line(done)),
        )
    nfe = shared.evaluations(arguments)
    _show(console, rows(trials), trials, config, nfe)
    if target is not None:
        report = build_report(
            trials,
            config=config,
            output=output.description,
            nfe=nfe,
            backend=arguments.backend,
        )
        write_report(report, target)
    return 0 if all(row.measured for row in rows(trials)) else 1


def _show(
    console: Console,
    rows: "Sequence[Row]",
    trials: "Sequence[Trial]",
    config: StreamConfig,
    nfe: int,
) -> None:
    from diegetic.latency import figures

    table = Table(title="knob to ear, ms", title_justify="left", box=None, pad_edge=False)
    table.add_column("change")
    for column in ("trials", "p50", "p95", "p99", "session's own p50", "p95", "ratio"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.kind,
            str(row.measured),
            *(_figure(row.ear_ms.get(p), "{:.0f}") for p in ("p50", "p95", "p99")),
            *(_figure(row.own_ms.get(p), "{:.0f}") for p in ("p50", "p95")),
            _figure(row.ratio, "{:.2f}"),
        )
    console.print(table)
    console.print(
        f"of which the device declares {figures.declared_ms(trials):.0f} ms; "
        f"hop {config.hop * 1000:g} ms, lookahead {config.lookahead * 1000:g} ms, {nfe} evaluations"
    )
    rtf = figures.rtf(trials)
    factors = ", ".join(f"{name} {value:.2f}" for name, value in rtf.items())
    console.print(f"RTF {factors}; underruns: {sum(trial.underruns for trial in trials)}")
    for row in rows:
        for trouble, times in row.troubles.items():
            total = row.measured + sum(row.troubles.values())
            console.print(f"[yellow]{row.kind}: {times} of {total} not measured: {trouble}[/]")
    if rtf.get("p50", 0.0) >= 1:
        console.print("[yellow]sound is made slower than it is played: try a smaller --nfe[/]")
    step = time.get_clock_info("monotonic").resolution
    if step > COARSE:
        console.print(f"[yellow]this system's clock has steps of {step * 1000:.0f} ms[/]")


def _line(trial: "Trial") -> str:
    heard = trial.trouble if trial.ear is None else f"{trial.ear * 1000:.0f} ms"
    return f"{trial.kind}: {heard}"


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _bar() -> Progress:
    """Trials done, and how long the rest will take; hidden where nobody looks."""
    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
