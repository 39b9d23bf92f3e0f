"""`diegetic train`: the recipe of the shipped weights, in steps that can be repeated or resumed."""

import argparse
from dataclasses import replace
from pathlib import Path

from diegetic.cli.shared import count, positive
from diegetic.errors import DiegeticError

STEPS = ("codec", "scenes", "transformer", "student", "export", "all")
TOGETHER = ("codec", "transformer", "student")  # the steps that many processes do as one

EPILOG = """\
`student` distils OUT/dit.pt, its teacher, to make a chunk in 1, 2 or 4 evaluations: it needs a GPU
and, if that has little memory, fewer --clips. `export --student` ships it instead of its teacher.
On N GPUs (or N machines, whose --out must be one shared folder) start `codec`, `transformer` and
`student` by: torchrun --nproc-per-node N -m diegetic train transformer --device cuda.
A step then takes N times --accumulate draws, and their mean gradient. A GPU can afford more of the
codec's adversary: --crops 32 --adversary-after 0 --adversary-every 1 --adversary-width 24. On
machines that know Ray, `scenes` is rendered by it: --engine ray.

The networks that ship are trained further by `scenes --from shipped`, `transformer --from shipped
--learning-rate 3e-4` and `export --from shipped`: what is not in OUT is taken from that folder.
Latents stay the same to the bit, also where `codec --from` trains.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("step", choices=STEPS, help="`all` does the others in order")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of `diegetic data` (data)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/v0"), help="checkpoints, logs (runs/v0)"
    )
    parser.add_argument("--weights", type=Path, help="where `export` writes (OUT/weights)")
    parser.add_argument("--codec-steps", type=count, default=3000, help="length (3000)")
    parser.add_argument("--transformer-steps", type=count, default=4500, help="length (4500)")
    parser.add_argument("--student-steps", type=count, default=700, help="length (700)")
    parser.add_argument(
        "--student",
        action="store_true",
        help="`all` trains a student too, and OUT/student.pt is exported instead of OUT/dit.pt",
    )
    parser.add_argument(
        "--clips", type=count, default=256, help="scenes a student's step (and process) plays (256)"
    )
    parser.add_argument(
        "--crop", type=positive, default=0.8, help="seconds of sound a codec step hears (0.8)"
    )
    parser.add_argument(
        "--from",
        dest="start",
        type=Path,
        metavar="WEIGHTS",
        help="folder of weights to train on from, or `shipped`; or a codec.pt, whose decoder is",
    )
    parser.add_argument(
        "--crops", type=count, default=4, help="crops a codec step (and process) hears (4)"
    )
    parser.add_argument(
        "--adversary-after",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="of the codec's steps before it has an adversary; 1: never (0.5)",
    )
    parser.add_argument(
        "--adversary-every", type=count, default=4, help="steps between their meetings (4)"
    )
    parser.add_argument(
        "--adversary-width", type=count, default=8, help="channels of its first layers (8)"
    )
    parser.add_argument(
        "--learning-rate",
        type=positive,
        help="at its highest (8e-4 codec, 1e-3 transformer, 2e-4 student)",
    )
    parser.add_argument("--device", choices=("cpu", "cuda", "auto"), default="cpu", help="(cpu)")
    parser.add_argument(
        "--accumulate", type=count, default=1, help="draws a step: N times the batch (1)"
    )
    parser.add_argument("--scenes", type=count, default=16_000, help="scenes composed (16000)")
    parser.add_argument("--workers", type=count, default=2, help="that render scenes at once (2)")
    parser.add_argument(
        "--engine",
        choices=("processes", "ray"),
        default="processes",
        help="what runs them: this machine's processes, or Ray (processes)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")


def run(arguments: argparse.Namespace) -> int:
    """Do the step, or all of them; what is already done goes on where it stopped."""
    import logging

    from diegetic.training.codec_trainer import CodecTraining, train_codec
    from diegetic.training.dit_trainer import DiTTraining, train_dit
    from diegetic.training.export import export
    from diegetic.training.group import launched
    from diegetic.training.recipe import build_scenes
    from diegetic.training.student import StudentTraining, train_student
    from diegetic.training.summary import warn_of_holes

    logging.getLogger("diegetic").setLevel(logging.INFO)
    if launched() and arguments.step not in TOGETHER:
        raise DiegeticError(
            f"torchrun is for {', '.join(TOGETHER)}: run {arguments.step!r} without it"
        )
    build, out, seed = arguments.data / "build", arguments.out, arguments.seed
    scenes, device = arguments.data / "scenes", arguments.device
    steps, start = _steps(arguments), _start(arguments)
    weights = start if start is not None and start.is_dir() else None

    def of(step: str, made: Path) -> Path:
        """What `step` makes, or the weights that are gone on from where it was and is not done."""
        return made if weights is None or step in steps or made.exists() else weights

    transformer, student = out / "dit.pt", out / "student.pt"
    codec, teacher = of("codec", out / "codec.pt"), of("transformer", transformer)
    # All are made first: what cannot be trained is refused before hours have gone into it.
    hearing = CodecTraining(
        steps=arguments.codec_steps,
        seconds=arguments.crop,
        batch=arguments.crops,
        adversary_after=arguments.adversary_after,
        adversary_every=arguments.adversary_every,
        adversary_width=arguments.adversary_width,
        accumulate=arguments.accumulate,
        seed=seed,
    )
    making = DiTTraining(
        steps=arguments.transformer_steps, accumulate=arguments.accumulate, seed=seed
    )
    distilling = StudentTraining(
        steps=arguments.student_steps,
        clips=arguments.clips,
        accumulate=arguments.accumulate,
        seed=seed,
    )
    if arguments.learning_rate is not None:
        hearing = replace(hearing, learning_rate=arguments.learning_rate)
        making = replace(making, learning_rate=arguments.learning_rate)
        distilling = replace(distilling, learning_rate=arguments.learning_rate)
    if "codec" in steps or "scenes" in steps:
        warn_of_holes(build)
    if "codec" in steps:
        train_codec(build, out, hearing, device, start)
    if "scenes" in steps:
        build_scenes(
            build, codec, scenes, arguments.scenes, seed, arguments.workers, arguments.engine
        )
    if "transformer" in steps:
        train_dit(scenes, out, making, device, weights)
    if "student" in steps:
        train_student(scenes, teacher, out, distilling, device)
    if "export" in steps:
        made = student if arguments.student else transformer
        export(codec, made, arguments.weights or out / "weights", arguments.student)
    return 0


def _start(arguments: argparse.Namespace) -> Path | None:
    """What `--from` names, None where nothing is."""
    from diegetic.generator import WEIGHTS

    start: Path | None = WEIGHTS if arguments.start == Path("shipped") else arguments.start
    if start is None or start.is_dir():
        return start
    if not start.is_file():
        raise DiegeticError(
            f"--from must be a folder of weights or a codec.pt, no {start} is there"
        )
    if arguments.step not in ("codec", "all"):
        raise DiegeticError(
            f"--from must be a folder of weights for {arguments.step!r}, got the file {start}"
        )
    return start


def _steps(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The steps that are asked for, in their order."""
    if arguments.step != "all":
        return (arguments.step,)
    return tuple(step for step in STEPS[:-1] if step != "student" or arguments.student)
