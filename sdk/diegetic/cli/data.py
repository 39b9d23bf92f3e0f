"""`diegetic data`: fetch and decode packages, make sounds, write captions, record ViZDoom, crop."""

import argparse
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from diegetic.cli.shared import count
from diegetic.errors import DiegeticError

if TYPE_CHECKING:
    from diegetic.training.captioner import Captions

CAPTIONER = """\
CAPTIONER is module:function of your own, found from the working folder. It is called once a clip as
function(sound, rate, fields): sound is (n, 2) float32 in -1..1, rate is 48000, fields what is known
without hearing it (subject, kind, category, noun, tags, captions, package, path, seconds: see
diegetic.training.captioner.Fields). It returns 1 to 32 sentences of at most 200 characters, which
are used beside the most general one of the rules. Answers are kept in build/captioned.jsonl, so a
run that was stopped goes on. A clip on which it fails is said, counted in build/summary.json, and
keeps the captions of the rules.
"""

DEFAULT_ROOT = Path("data")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the steps; each can be stopped and run again."""
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    fetch = steps.add_parser("fetch", help="download and unpack packages through apt and npm")
    fetch.add_argument("packages", nargs="*", help="names of the catalogue; default: all of them")
    build = steps.add_parser(
        "build", help="decode what was fetched into one file of samples", epilog=CAPTIONER
    )
    synthesize = steps.add_parser(
        "synthesize",
        help="make sounds of things that have few recordings; after build",
        epilog=CAPTIONER,
    )
    for step in (build, synthesize):
        step.add_argument("--workers", type=count, default=2, help="processes (default: 2)")
    captions = steps.add_parser(
        "captions", help="write the captions anew, without decoding", epilog=CAPTIONER
    )
    for step in (build, synthesize, captions):
        step.add_argument(
            "--captioner", metavar="CAPTIONER", help="your own captioning model; see below"
        )
    vizdoom = steps.add_parser("vizdoom", help="record pictures, sound and events of ViZDoom")
    vizdoom.add_argument("--seconds", type=float, help="length of every take, for a short trial")
    textures = steps.add_parser("textures", help="crop pictures of surfaces")
    for step in (fetch, build, synthesize, captions, vizdoom, textures):
        step.add_argument(
            "--root", type=Path, default=DEFAULT_ROOT, help="folder (default: ./data)"
        )


def run(arguments: argparse.Namespace) -> int:
    """Run one step; 0 if all went well, 1 if something was left out, which is listed on stderr."""
    root: Path = arguments.root
    if arguments.step == "fetch":
        return _fetch(root, arguments.packages)
    if arguments.step == "build":
        return _build(root, arguments.workers, arguments.captioner)
    if arguments.step == "synthesize":
        return _synthesize(root, arguments.workers, arguments.captioner)
    if arguments.step == "captions":
        return _captions(root, _captioner(root, arguments.captioner))
    if arguments.step == "vizdoom":
        return _vizdoom(root, arguments.seconds)
    return _textures(root)


def _fetch(root: Path, packages: list[str]) -> int:
    from diegetic.training import catalog
    from diegetic.training.fetch import Fetched, fetch

    chosen = packages or list(catalog.packages())
    with _bar() as bar:
        task = bar.add_task("packages", total=len(chosen))

        def show(result: Fetched) -> None:
            bar.update(task, advance=1, description=result.package)

        results = fetch(root, chosen, progress=show)
    missing = sum(len(result.missing) for result in results)
    mismatched = sum(len(result.mismatched) for result in results)
    for result in results:
        if result.problem:
            _complain(f"{result.package}: {result.problem}")
            continue
        for path in result.missing:
            _complain(f"{result.package}: missing {path}")
        for path in result.mismatched:
            _complain(f"{result.package}: md5 differs, will not be used: {path}")
    found = sum(result.found for result in results)
    Console().print(
        f"{found} clips of {len(results)} packages below {root}; {missing} missing, "
        f"{mismatched} with another md5"
    )
    return 1 if missing or mismatched else 0


def _build(root: Path, workers: int, captioner: str | None) -> int:
    from diegetic.training.build import Decoded, build

    asked = _captioner(root, captioner)  # a wrong name is said before an hour of decoding
    with _bar() as bar:
        task = bar.add_task("decoding", total=None)

        def show(row: Decoded, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=row.package)

        rows = build(root, workers=workers, progress=show)
    dropped = [row for row in rows if row.dropped]
    for row in dropped:
        _complain(f"{row.package}: {row.path}: {row.dropped}")
    Console().print(f"{len(rows) - len(dropped)} clips decoded, {len(dropped)} left out")
    failed = _captions(root, asked)
    return 1 if dropped else failed


def _synthesize(root: Path, workers: int, captioner: str | None) -> int:
    from diegetic.training.build import Decoded
    from diegetic.training.synthesize import synthesize

    asked = _captioner(root, captioner)
    with _bar() as bar:
        task = bar.add_task("synthesis", total=None)

        def show(row: Decoded, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=row.path.split("/")[1])

        rows = synthesize(root, workers=workers, progress=show)
    dropped = [row for row in rows if row.dropped]
    for row in dropped:
        _complain(f"{row.path}: {row.dropped}")
    Console().print(f"{len(rows) - len(dropped)} sounds made, {len(dropped)} left out")
    failed = _captions(root, asked)
    return 1 if dropped else failed


def _captioner(root: Path, name: str | None) -> "Captions | None":
    """The captioner of that name, found from the working folder."""
    from diegetic.training.captioner import Captions

    if name is None:
        return None
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return Captions(root / "build", name)


def _captions(root: Path, captioner: "Captions | None") -> int:
    from diegetic.training.build import write_segments

    with _bar() as bar:
        task = bar.add_task("captions", total=None)
        summary = write_segments(
            root, captioner, lambda done, total: bar.update(task, completed=done, total=total)
        )
    _hours(root)
    if holes := summary.holes():
        _complain(f"missing: {holes}; see {root / 'build' / 'summary.json'}")
    return 1 if summary.captions_failed else 0


def _hours(root: Path) -> None:
    """Print the hours of each kind and split."""
    from diegetic.config import RATE
    from diegetic.training.build import read_segments

    hours: defaultdict[tuple[str, str], float] = defaultdict(float)
    for segment in read_segments(root):
        hours[segment["split"], segment["kind"]] += segment["samples"] / RATE / 3600
    for (split, kind), value in sorted(hours.items()):
        Console().print(f"{split:8} {kind:8} {value:6.2f} h")


def _vizdoom(root: Path, seconds: float | None) -> int:
    from dataclasses import replace

    from diegetic.training.vizdoom_capture import TAKES, capture

    if seconds is not None and not seconds > 0:
        raise DiegeticError(f"--seconds must be positive, got {seconds}")
    takes = [replace(take, seconds=seconds or take.seconds) for take in TAKES]
    with _bar() as bar:
        task = bar.add_task("recording", total=len(takes))
        paths = capture(root, takes, lambda path: bar.update(task, advance=1))
    Console().print(f"{len(paths)} takes in {paths[0].parent}")
    _summarise(root)
    return 0


def _textures(root: Path) -> int:
    from diegetic.training.textures import write_textures

    crops = write_textures(root)
    for path in crops.unread:
        _complain(f"{path} is left out: unreadable, too small or mostly transparent")
    Console().print(f"{len(crops.pixels)} crops of {len(set(crops.surfaces.tolist()))} surfaces")
    _summarise(root)
    return 0


def _summarise(root: Path) -> None:
    """Tell the summary of the build, if there is one yet, what has come."""
    from diegetic.training.summary import refresh_summary

    refresh_summary(root)


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description:28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")
