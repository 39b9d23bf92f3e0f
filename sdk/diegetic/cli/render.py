"""`diegetic render`: a scene in words, or a picture, becomes a sound file."""

import argparse
import math
from pathlib import Path

from diegetic.cli import shared
from diegetic.config import RATE
from diegetic.errors import DiegeticError
from diegetic.prompts import Prompt
from diegetic.render import PictureShown, render


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "prompts",
        nargs="*",
        metavar="prompt",
        help='what is heard, for example "rain on a tin roof"; several are blended, each with its '
        'weight behind a colon, or 1: "rain:3" "wind over a field"',
    )
    parser.add_argument("--image", type=Path, help="a picture that is seen all the time")
    shared.add_layers_argument(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help=".wav, .flac (24 bit) or .ogg"
    )
    parser.add_argument("--seconds", type=shared.positive, default=30.0, help="length (30)")
    parser.add_argument(
        "--guidance", type=shared.positive, help="how closely to follow the words, 1 to 5"
    )
    shared.add_session_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file."""
    if not arguments.prompts and arguments.image is None:
        raise DiegeticError("expected a prompt or --image, got neither")
    picture = None
    if arguments.image is not None:
        from diegetic.video import read_picture

        picture = read_picture(arguments.image)
    with shared.open_session(arguments) as session:
        if arguments.prompts:
            session.set_prompt(blended(arguments.prompts))
        if arguments.layers:
            session.set_layers(arguments.layers)
        if arguments.guidance is not None:
            session.set_guidance(arguments.guidance)
        source = session if picture is None else PictureShown(session, picture)
        seen = [] if picture is None else [arguments.image.name]
        with shared.progress_bar() as bar:
            task = bar.add_task(", ".join(arguments.prompts + seen), total=arguments.seconds)
            level = render(
                source,
                arguments.output,
                arguments.seconds,
                on_progress=lambda done: bar.update(task, completed=done),
            )
            elapsed = bar.tasks[0].elapsed or 0.0
    shared.console().print(
        f"{arguments.output}: {arguments.seconds:g} s, {RATE // 1000} kHz stereo, "
        f"{level:.1f} dBFS RMS, made in {elapsed:.1f} s (RTF {elapsed / arguments.seconds:.2f})"
    )
    return 0


def blended(prompts: list[str]) -> Prompt:
    """Return one prompt as it is, several as texts and their weights.

    A weight is a number behind the last colon; other colons are part of the text.
    """
    if len(prompts) == 1:
        return prompts[0]
    weights: dict[str, float] = {}
    for prompt in prompts:
        text, weight = _weighted(prompt)
        weights[text] = weights.get(text, 0.0) + weight
    return weights


def _weighted(prompt: str) -> tuple[str, float]:
    text, colon, tail = prompt.rpartition(":")
    try:
        weight = float(tail)
    except ValueError:
        weight = math.nan
    return (text, weight) if colon and not math.isnan(weight) else (prompt, 1.0)
