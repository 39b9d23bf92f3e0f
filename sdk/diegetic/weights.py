"""The shipped weights: one safetensors file, ONNX graphs that point into it, their sums."""

import hashlib
from pathlib import Path

from diegetic.errors import WeightsError

FORMAT = "4"
TENSORS = "weights.safetensors"
GRAPHS = (
    "analysis.onnx",
    "conditioning.onnx",
    "conditioning.int8.onnx",
    "transformer.onnx",
    "transformer.int8.onnx",
    "decoder.onnx",
    "decoder.int8.onnx",
)
SUMS = "SHA256SUMS"
SCALE = ".int8_scale"  # int8 matrices have scales, one a row, under their name and this


def check_weights(folder: Path) -> None:
    """Compare every file in `folder` with its sum.

    Raises:
        WeightsError: a file is missing or differs; the message names it and what to do.
    """
    remedy = "reinstall diegetic, or make weights with `diegetic train export`"
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise WeightsError(f"no weights in {folder} ({SUMS} cannot be read): {remedy}") from error
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name in (TENSORS, *GRAPHS):
        try:
            with (folder / name).open("rb") as file:
                got = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise WeightsError(f"{folder / name} is missing: {remedy}") from error
        if got != sums.get(name):
            expected = sums.get(name, "a line in " + SUMS)[:12]
            raise WeightsError(
                f"{folder / name} is damaged: expected sha256 {expected}…, "
                f"got {got[:12]}…: {remedy}"
            )


def fingerprint(folder: Path) -> str:
    """Return sixteen characters that tell these weights from others, "" if there are none."""
    try:
        return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def write_sums(folder: Path) -> None:
    """Write the sums of all files of the weights in `folder`."""
    rows = (
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in (TENSORS, *GRAPHS)
    )
    (folder / SUMS).write_text("".join(rows), encoding="utf-8", newline="\n")
