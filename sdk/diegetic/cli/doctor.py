"""`diegetic doctor`: what is installed, what would be used, what is missing and how to get it."""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table

from diegetic.cli import shared
from diegetic.errors import DiegeticError, WeightsError

State = Literal["good", "optional", "bad"]
MARKS = {"good": "[green]✓[/]", "optional": "[yellow]–[/]", "bad": "[bold red]✗[/]"}

BASE = (
    "numpy",
    "onnxruntime",
    "pyzmq",
    "msgspec",
    "sounddevice",
    "soundfile",
    "soxr",
    "rich",
    "tokenizers",
)
EXTRAS = {
    "demo": ("vizdoom", "av", "matplotlib"),
    "torch": ("torch", "safetensors"),
    "train": ("torch", "safetensors", "onnx", "onnxscript", "scipy", "vizdoom"),
    "judge": ("ai-edge-litert", "matplotlib", "scipy"),
}
ENGINES = {"auto": "ONNX Runtime", "onnx": "ONNX Runtime", "torch": "torch"}
PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Check:
    """One line of the table: `state` is bad only where the base path does not work without it."""

    name: str
    state: State
    finding: str
    remedy: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    shared.add_session_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the table; exit code 0 if sound can be made, else 1."""
    table = Table(box=None, header_style="bold", show_header=False)
    works = True
    for check in _checks(arguments):
        works &= check.state != "bad"
        finding = check.finding + (f"\n[dim]→ {check.remedy}[/]" if check.remedy else "")
        table.add_row(MARKS[check.state], check.name, finding)
    console = shared.console()
    console.print(table)
    console.print("sound can be made" if works else "[bold red]no sound can be made[/]")
    return 0 if works else 1


def _checks(arguments: argparse.Namespace) -> Iterator[Check]:
    yield _machine()
    base = _base()
    yield base
    if base.state == "bad":  # what follows needs them
        return
    yield from weight_checks(PACKAGE)
    yield _guarded("first sound", lambda: _first_sound(arguments))
    yield _audio()
    yield from card_checks()
    for extra, needs in EXTRAS.items():
        yield _extra(extra, needs)


def _machine() -> Check:
    from diegetic.report import machine

    facts = machine()
    finding = f"{facts['cpu']}, {facts['cores']} cores, {facts['os']}, Python {facts['python']}"
    return Check("machine", "good", finding)


def _base() -> Check:
    from diegetic.report import installed_version

    versions = {name: installed_version(name) for name in BASE}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        return Check("packages", "bad", f"missing: {', '.join(missing)}", "pip install diegetic")
    return Check("packages", "good", ", ".join(f"{n} {v}" for n, v in versions.items()))


def weight_checks(package: Path) -> Iterator[Check]:
    """Compare every file of weights under `package` with the SHA256SUMS beside it."""
    from diegetic.encoders.weights_folder import SUMS, read_checked

    for sums in sorted(package.rglob(SUMS)):
        folder = sums.parent
        names = [line.partition("  ")[2] for line in sums.read_text().splitlines() if line]
        name = folder.relative_to(package.parent).as_posix()
        try:
            size = sum(len(read_checked(folder, file)) for file in names)
        except WeightsError as error:
            yield Check(name, "bad", str(error), "pip install --force-reinstall diegetic")
            continue
        yield Check(name, "good", f"{len(names)} files, {size / 1e6:.1f} MB, sha256 as promised")


def _first_sound(arguments: argparse.Namespace) -> Check:
    """Make two chunks: the first from nothing, the second at the pace of a stream."""
    start = time.perf_counter()
    with shared.open_session(arguments) as session:
        session.set_prompt("rain")
        hop = session.config.hop
        session.read(hop)
        cold = time.perf_counter() - start
        session.read(hop)
        stages = session.records()[-1].stages_ms
    took = sum(stages.values())
    finding = (
        f"{ENGINES[arguments.backend]}: loaded and sounding after {cold:.1f} s; "
        f"then {hop * 1000:.0f} ms of sound in {took:.0f} ms "
        f"(RTF {took / 1000 / hop:.2f}, {shared.evaluations(arguments)} evaluations)"
    )
    remedy = "" if took / 1000 < hop else "this is slower than real time: try a smaller --nfe"
    return Check("first sound", "good", finding, remedy)


def _audio() -> Check:
    from diegetic.output import choose_output
    from diegetic.sink import list_devices

    try:
        count = len(list_devices())
    except DiegeticError as error:
        remedy = "Debian, Ubuntu: apt install libportaudio2; without: --no-device"
        return Check("audio", "optional", str(error), remedy)
    output = choose_output()
    state: State = "good" if output.audible else "optional"
    return Check("audio", state, f"{count} outputs; would use: {output.description}")


def card_checks() -> Iterator[Check]:
    """What there is for many sessions on one card, what they would run on, and why."""
    from diegetic.slots.card import card_facts, kernels_of_streams, why_no_cuda

    for fact in card_facts():
        yield Check(fact.name, "good" if fact.use else "optional", fact.finding, fact.remedy)
    if why_no_cuda() is None:
        finding = "on the GPU, in batches, in CUDA graphs, bfloat16"
        yield Check("many sessions", "good", f"{finding}; {kernels_of_streams()}")
    else:
        finding = "on the processor, by ONNX Runtime, one chunk after another"
        yield Check("many sessions", "optional", finding)


def _extra(name: str, needs: tuple[str, ...]) -> Check:
    from diegetic.report import installed_version

    versions = {need: installed_version(need) for need in needs}
    missing = [need for need, version in versions.items() if version is None]
    if missing:
        remedy = f"pip install 'diegetic[{name}]'"
        return Check(f"extra {name}", "optional", f"missing: {', '.join(missing)}", remedy)
    return Check(f"extra {name}", "good", ", ".join(f"{n} {v}" for n, v in versions.items()))


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except (DiegeticError, ImportError) as error:
        return Check(name, "bad", str(error))
