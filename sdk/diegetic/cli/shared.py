"""What several commands have in common: arguments of a session, number types, progress."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from diegetic.config import StreamConfig
from diegetic.flow import STUDENT_NFE, USUAL_NFE
from diegetic.snapshot import LAYERS, Conditioning, Snapshot, null_conditioning

if TYPE_CHECKING:
    from diegetic.conditioning import Conditioner
    from diegetic.generator import ChunkGenerator
    from diegetic.session import Session

DEFAULT_CONFIG = StreamConfig()
BACKENDS = ("auto", "onnx", "torch")


def console() -> Console:
    """Where commands write their results; diagnostics go to stderr by logging."""
    return Console(highlight=False, soft_wrap=True)


def positive(text: str) -> float:
    """A finite number above zero, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return value


def count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def add_session_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that choose the networks and how they run."""
    parser.add_argument("--seed", type=int, default=0, help="same seed, same inputs: same sound")
    add_nfe_argument(parser)
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="what computes (auto)")
    parser.add_argument("--weights", type=Path, help="folder of other weights than those shipped")


def add_nfe_argument(parser: argparse.ArgumentParser) -> None:
    """The argument that trades quality for speed."""
    parser.add_argument(
        "--nfe",
        type=count,
        help=f"network evaluations per chunk ({USUAL_NFE}; {STUDENT_NFE} of a student's weights)",
    )


def evaluations(arguments: argparse.Namespace) -> int:
    """Evaluations per chunk that are asked for, or are usual with the weights of `arguments`."""
    from diegetic.generator import usual_nfe

    asked: int | None = arguments.nfe
    return usual_nfe(arguments.weights) if asked is None else asked


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that choose where sound goes."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--device", help="number or name; see `diegetic devices`")
    where.add_argument("--no-device", action="store_true", help="pace the sound by the clock")


def add_layers_argument(parser: argparse.ArgumentParser) -> None:
    """The argument that leaves layers out."""
    parser.add_argument(
        "--layers",
        type=_layers,
        default=(),
        metavar="NAMES",
        help=f"some of {','.join(LAYERS)} (all)",
    )


def add_edit_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of what is made for a recording."""
    parser.add_argument("recording", type=Path, help="mono or stereo: WAV, FLAC, Ogg, MP3")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help=".wav, .flac (24 bit) or .ogg"
    )
    parser.add_argument("--prompt", default="", help="words that guide what is made")
    add_layers_argument(parser)
    add_session_arguments(parser)


def open_session(arguments: argparse.Namespace, *, live: bool = False) -> "Session":
    """The session that `add_session_arguments` describes; a live one has a process for networks."""
    from diegetic.session import Session

    return Session(
        seed=arguments.seed,
        nfe=arguments.nfe,
        backend=arguments.backend,
        weights=arguments.weights,
        isolated=live,
    )


def session_factory(
    arguments: argparse.Namespace, config: StreamConfig = DEFAULT_CONFIG
) -> "Callable[[], Session]":
    """Make live sessions of these lengths that share one process of networks, loaded now."""
    from diegetic.inference import InferenceProcess
    from diegetic.session import Session

    networks = InferenceProcess(
        config, nfe=arguments.nfe, backend=arguments.backend, weights=arguments.weights
    )
    return lambda: Session(
        config, seed=arguments.seed, generator=networks, conditioner=networks.conditioner
    )


def open_networks(arguments: argparse.Namespace) -> "tuple[ChunkGenerator, Conditioner]":
    """The networks that `add_session_arguments` describes."""
    from diegetic.conditioning import Conditioner
    from diegetic.encoders import ImageEncoder, TextEncoder
    from diegetic.generator import load_generator

    generator = load_generator(arguments.weights, backend=arguments.backend, nfe=arguments.nfe)
    return generator, Conditioner(TextEncoder(), ImageEncoder())


def asked_for(
    arguments: argparse.Namespace, conditioner: Callable[[Snapshot], Conditioning]
) -> Conditioning:
    """What `add_edit_arguments` asks for; where nothing is said, whatever fits the recording."""
    if not arguments.prompt:
        return null_conditioning(arguments.layers)
    layers = frozenset(arguments.layers)
    return conditioner(Snapshot(0.0, DEFAULT_CONFIG.hop, arguments.prompt, layers=layers))


def progress_bar() -> Progress:
    """Seconds of sound done, and how long it will take; hidden where nobody looks."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.1f} s"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _layers(text: str) -> tuple[str, ...]:
    """Layers between commas, for argparse."""
    names = tuple(name.strip() for name in text.split(","))
    wrong = [name for name in names if name not in LAYERS]
    if wrong:
        raise argparse.ArgumentTypeError(f"expected some of {','.join(LAYERS)}, got {wrong[0]!r}")
    return names
