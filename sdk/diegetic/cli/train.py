"""`diegetic train`: the recipe of the shipped weights, in steps that can be repeated or resumed."""

import argparse
from pathlib import Path

from diegetic.cli.shared import count

STEPS = ("codec", "scenes", "transformer", "export", "all")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("step", choices=STEPS, help="`all` does every step in order")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of `diegetic data` (data)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/v0"), help="checkpoints, logs (runs/v0)"
    )
    parser.add_argument("--weights", type=Path, help="where `export` writes (OUT/weights)")
    parser.add_argument("--codec-steps", type=count, default=1500, help="length (1500)")
    parser.add_argument("--transformer-steps", type=count, default=6000, help="length (6000)")
    parser.add_argument("--scenes", type=count, default=16_000, help="scenes composed (16000)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")


def run(arguments: argparse.Namespace) -> int:
    """Do the step, or all of them; what is already done goes on where it stopped."""
    import logging

    from diegetic.training.codec_trainer import CodecTraining, train_codec
    from diegetic.training.dit_trainer import DiTTraining, train_dit
    from diegetic.training.export import export
    from diegetic.training.recipe import build_scenes

    logging.getLogger("diegetic").setLevel(logging.INFO)
    build, out, seed = arguments.data / "build", arguments.out, arguments.seed
    codec, transformer = out / "codec.pt", out / "dit.pt"
    steps = STEPS[:-1] if arguments.step == "all" else (arguments.step,)
    if "codec" in steps:
        train_codec(build, out, CodecTraining(steps=arguments.codec_steps, seed=seed))
    if "scenes" in steps:
        build_scenes(build, codec, arguments.data / "scenes", arguments.scenes, seed)
    if "transformer" in steps:
        settings = DiTTraining(steps=arguments.transformer_steps, seed=seed)
        train_dit(arguments.data / "scenes", out, settings)
    if "export" in steps:
        export(codec, transformer, arguments.weights or out / "weights")
    return 0
