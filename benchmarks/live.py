"""The live path under a clock: server, a real client process, figures.

    python benchmarks/live.py [--seconds 60] [--hog] [--device NAME] [--nfe 4] [--weights FOLDER]

The client process is game.py beside this file. `--hog` adds a process that spins on one core.
Beside the live figures, the same chunks are made by the torch backend where torch is installed.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from diegetic import report
from diegetic.conditioning import Conditioner
from diegetic.config import StreamConfig
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.generator import WEIGHTS, Generator, load_generator
from diegetic.inference import InferenceProcess
from diegetic.output import choose_output
from diegetic.server import Server
from diegetic.session import Session
from diegetic.snapshot import Snapshot

GAME = Path(__file__).resolve().with_name("game.py")
PROMPT = "rain on a tin roof"
COMPARED = 60  # chunks that each backend makes in turn
COLD = (
    "import pathlib, diegetic\n"
    "weights = pathlib.Path({weights!r})\n"
    "with diegetic.Session(nfe={nfe}, weights=weights) as session:\n"
    "    session.set_prompt('rain')\n"
    "    session.read(session.config.hop)\n"
    "print('sound', flush=True)"
)


@dataclass(frozen=True)
class Row:
    """A figure with its name, as text."""

    name: str
    values: tuple[str, ...]


def main() -> int:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hog", action="store_true", help="spin on one core meanwhile")
    parser.add_argument("--device", help="play on this device; else the clock sets the pace")
    parser.add_argument("--nfe", type=int, default=4)
    parser.add_argument("--weights", type=Path, help="folder of other weights than those shipped")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    facts = report.machine()
    console.print(", ".join(f"{name}: {value}" for name, value in facts.items()), soft_wrap=True)
    load = "one core kept busy" if arguments.hog else "nothing else running on purpose"
    console.print(f"{arguments.seconds:g} s live, nfe {arguments.nfe}, {load}")
    cold = cold_start(arguments.nfe, arguments.weights)
    with hog(arguments.hog):
        rows = live(arguments)
        rows.append(Row("cold start to first sample, s", (f"{cold:.2f}",)))
        show(console, "live", ("p50", "p95", "p99"), rows)
        show(
            console,
            "one chunk, generate only, one thread",
            ("p50", "p95", "p99"),
            compare(arguments.nfe, arguments.weights),
        )
    return 0


def cold_start(nfe: int, weights: Path | None) -> float:
    """Seconds from starting a fresh process to its first samples."""
    start = time.perf_counter()
    command = [sys.executable, "-c", COLD.format(nfe=nfe, weights=str(weights or WEIGHTS))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        took = time.perf_counter() - start
    if first.strip() != "sound":
        raise SystemExit("a fresh process made no sound")
    return took


def live(arguments: argparse.Namespace) -> list[Row]:
    """Serve a client process for as long as was asked for."""
    output = choose_output(arguments.device, no_device=arguments.device is None)
    networks = InferenceProcess(StreamConfig(), nfe=arguments.nfe, weights=arguments.weights)
    server = Server(
        "tcp://127.0.0.1:0",
        make_session=lambda: Session(generator=networks, conditioner=networks.conditioner),
        make_sink=output.sink,
    )
    with server:
        command = [sys.executable, str(GAME), server.endpoint, str(arguments.seconds)]
        subprocess.run(command, check=True)
    session, sink = server.session, server.sink
    if session is None or sink is None:
        raise SystemExit("the client never connected")
    metrics, status = session.metrics, server.status()
    rows = [
        Row("RTF", percentiles(metrics.rtf(), "{:.3f}")),
        Row("chunk, ms", percentiles(metrics.chunk_ms(), "{:.1f}")),
    ]
    for stage, values in metrics.stages_ms().items():
        rows.append(Row(f"  {stage}, ms", percentiles(values, "{:.1f}")))
    rows += [
        Row("knob to ear, ms", percentiles(metrics.knob_to_ear_ms(), "{:.0f}")),
        Row("underruns", (str(sink.underruns),)),
        Row("chunks", (str(status["chunks"]),)),
        Row("frames, prompts", (str(status["frames"]), str(status["prompts"]))),
        Row("parameters, events", (str(status["parameters"]), str(status["events"]))),
        Row("errors, dropped", (str(status["errors"]), str(status["dropped"]))),
        Row("peak memory of the server, MB", (f"{peak_memory() / 1e6:.0f}",)),
        Row("memory of its networks, MB", (f"{resident(networks.pid) / 1e6:.0f}",)),
        Row("played on", (output.description,)),
    ]
    return rows


def compare(nfe: int, weights: Path | None) -> list[Row]:
    """Make the same chunks with ONNX Runtime and, if it is installed, torch, in turn."""
    generators: dict[str, Generator] = {
        "onnx": load_generator(weights, backend="onnx", nfe=nfe, threads=1)
    }
    if report.installed_version("torch") is not None:
        generators["torch"] = load_generator(weights, backend="torch", nfe=nfe, threads=1)
    conditioner = Conditioner(TextEncoder(), ImageEncoder())
    hop = generators["onnx"].config.hop
    conditioning = conditioner(Snapshot(0.0, hop, prompt=PROMPT))
    states = {name: generator.start(0) for name, generator in generators.items()}
    times: dict[str, list[float]] = {name: [] for name in generators}
    for _ in range(COMPARED):
        for name, generator in generators.items():
            start = time.perf_counter()
            _, states[name] = generator.generate(states[name], conditioning)
            times[name].append((time.perf_counter() - start) * 1000)
    found = {name: summary(values[3:]) for name, values in times.items()}  # 3 to warm up
    rows = [Row(f"{name}, ms", percentiles(values, "{:.1f}")) for name, values in found.items()]
    if "torch" in found:
        ratio = {key: found["torch"][key] / found["onnx"][key] for key in found["onnx"]}
        rows.append(Row("torch / onnx", percentiles(ratio, "{:.2f}")))
    else:
        rows.append(Row("torch", ("not installed",)))
    return rows


def summary(values: Sequence[float]) -> dict[str, float]:
    """The percentiles of `values`, as metrics give them."""
    return {f"p{p}": float(np.percentile(values, p)) for p in (50, 95, 99)}


def percentiles(values: Mapping[str, float], form: str) -> tuple[str, ...]:
    """Format p50, p95 and p99; nothing was measured: dashes."""
    return tuple(form.format(values[p]) if p in values else "-" for p in ("p50", "p95", "p99"))


def show(console: Console, title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Print one table."""
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.name, *row.values)
    console.print(table)


def peak_memory() -> float:
    """Bytes of memory that this process held at most; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def resident(pid: int | None = None) -> float:
    """Bytes of memory that a process (None: this one) holds; 0 where the system does not say."""
    try:
        for line in Path(f"/proc/{pid or 'self'}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    if sys.platform == "win32":
        return 0.0
    command = ["ps", "-o", "rss=", "-p", str(pid or os.getpid())]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return float(found) * 1024 if found else 0.0


@contextmanager
def hog(wanted: bool) -> Iterator[None]:
    """Keep one core busy."""
    if not wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
