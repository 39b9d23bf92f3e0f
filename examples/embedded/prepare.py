"""Put all that a device needs to make one prompt's sound into a folder.

    python examples/embedded/prepare.py "heavy rain on a tin roof" rain

    rain/start.bin             the prompt as numbers, the solver's steps, the state before all sound
         conditioning.onnx     as exported
         transformer.onnx      as exported
         sound.onnx            the decoder, and what is computed around it (sound_graph.py)
         weights.safetensors   the numbers that the graphs point to

The licence and the list of sources lie beside them: whoever passes the weights on needs both.
"""

import argparse
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from sound_graph import sound_graph  # lies beside this file

from diegetic.codec import BANDS, LAG
from diegetic.conditioning import Conditioner
from diegetic.config import LATENT_DIM, SAMPLES_PER_LATENT
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.errors import DiegeticError
from diegetic.flow import Solver, solver, student_solver, usual_evaluations
from diegetic.generator import WEIGHTS, GeneratorState, load_generator
from diegetic.networks import FloatArray, Precision
from diegetic.snapshot import (
    DEFAULT_GUIDANCE,
    MAX_GUIDANCE,
    MIN_GUIDANCE,
    Conditioning,
    Snapshot,
    null_conditioning,
)
from diegetic.weights import TENSORS, check_weights, read_distilled

MAGIC = b"DIEGETI1"  # of start.bin; the digit is the version of its layout
PAPERS = ("LICENSE", "ATTRIBUTION.md", "MODEL_CARD.md")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Put all that a device needs to make one prompt's sound into a folder."
    )
    parser.add_argument("prompt", help="what is heard, in words")
    parser.add_argument("folder", type=Path, help="made if need be; its files are overwritten")
    parser.add_argument("--nfe", type=int, help="evaluations per chunk; the weights' usual number")
    parser.add_argument("--guidance", type=float, default=DEFAULT_GUIDANCE, help="1 to 5")
    parser.add_argument("--precision", choices=("int8", "float32"), default="int8")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="those shipped")
    said = parser.parse_args(arguments)
    try:
        prepare(said.prompt, said.folder, said.nfe, said.guidance, said.precision, said.weights)
    except (DiegeticError, OSError) as error:
        sys.exit(f"error: {error}")


def prepare(
    prompt: str, folder: Path, nfe: int | None, guidance: float, precision: Precision, weights: Path
) -> None:
    """Write `folder`; arguments as for `load_generator`, and `guidance` as in a Snapshot.

    Raises:
        WeightsError: the weights are missing, damaged or of another version.
        DiegeticError: `nfe` is not possible with them, or the model does not know such guidance.
    """
    if not MIN_GUIDANCE <= guidance <= MAX_GUIDANCE:
        raise DiegeticError(
            f"guidance must be in {MIN_GUIDANCE:g} .. {MAX_GUIDANCE:g}, got {guidance:g}"
        )
    check_weights(weights)
    distilled = read_distilled(weights)
    evaluations = usual_evaluations(distilled) if nfe is None else nfe
    generator = load_generator(weights, precision=precision, nfe=evaluations)
    way = student_solver(evaluations) if distilled else solver(evaluations)
    conditioner = Conditioner(TextEncoder(), ImageEncoder())
    hop = generator.config.hop_latents
    conditioning = conditioner(Snapshot(0.0, generator.config.hop, prompt, guidance=guidance))
    folder.mkdir(parents=True, exist_ok=True)
    write_start(
        folder / "start.bin",
        tensors(conditioning, way, generator.start(0), hop, generator.config.chunk_latents),
    )
    suffix = ".int8.onnx" if precision == "int8" else ".onnx"
    for name in ("conditioning", "transformer"):
        shutil.copyfile(weights / f"{name}{suffix}", folder / f"{name}.onnx")
    decoder = onnx.load(weights / f"decoder{suffix}", load_external_data=False)
    (folder / "sound.onnx").write_bytes(sound_graph(decoder).SerializeToString(deterministic=True))
    for name in (TENSORS, *(name for name in PAPERS if (weights / name).exists())):
        shutil.copyfile(weights / name, folder / name)


def tensors(
    said: Conditioning, way: Solver, state: GeneratorState, hop: int, chunk: int
) -> list[FloatArray]:
    """The tensors of start.bin: what the program's enum names, in that order.

    What is filled anew every hop is zero here; its shape tells the program the lengths.
    """
    steps = zip(way.times, np.diff(way.times), way.factors, strict=False)
    return [
        *_slots(said),
        *_slots(null_conditioning()),
        np.array(list(steps)),
        np.array([said.guidance]),
        np.zeros(1),  # t
        np.zeros((1, chunk, LATENT_DIM)),
        state.prefix.keys,
        state.prefix.values,
        state.prefix.bias,
        np.zeros((1, hop, LATENT_DIM)),
        np.zeros((1 + hop, 2 * SAMPLES_PER_LATENT)),  # white noise
        state.decoder,
        state.sound.tails.reshape(-1, 1, LAG),
        state.sound.pasts.reshape(-1, 1, LAG),
        state.sound.wanted.reshape(-1, BANDS),
    ]


def _slots(said: Conditioning) -> list[FloatArray]:
    present = said.present.astype(np.float32)
    return [array[None] for array in (said.words, said.frames, said.values, said.times, present)]


def write_start(path: Path, arrays: list[FloatArray]) -> None:
    """Write arrays one after another: rank (int32), shape (int64) and numbers (float32)."""
    with path.open("wb") as file:
        file.write(MAGIC)
        for array in arrays:
            file.write(struct.pack(f"<i{array.ndim}q", array.ndim, *array.shape))
            file.write(np.ascontiguousarray(array, "<f4").tobytes())


if __name__ == "__main__":
    main()
