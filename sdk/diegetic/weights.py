"""The shipped weights: one safetensors file, ONNX graphs that point into it, their sums."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from diegetic.errors import WeightsError

FORMAT = "5"
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
DISTILLED = "distilled"  # the word of the metadata that tells a student from a teacher

_LONGEST_HEAD = 100_000_000  # bytes, as in the safetensors library
_REMEDY = "reinstall diegetic, or make weights with `diegetic train export`"


def check_weights(folder: Path) -> None:
    """Compare every file in `folder` with its sum, and the version with ours.

    Raises:
        WeightsError: a file is missing or differs; the message names it and what to do.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise WeightsError(f"no weights in {folder} ({SUMS} cannot be read): {_REMEDY}") from error
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name in (TENSORS, *GRAPHS):
        try:
            with (folder / name).open("rb") as file:
                got = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise WeightsError(f"{folder / name} is missing: {_REMEDY}") from error
        if got != sums.get(name):
            expected = sums.get(name, "a line in " + SUMS)[:12]
            raise WeightsError(
                f"{folder / name} is damaged: expected sha256 {expected}…, "
                f"got {got[:12]}…: {_REMEDY}"
            )
    _metadata(folder)


def read_distilled(folder: Path) -> bool:
    """Whether the transformer of the weights in `folder` is a student; reads their head alone.

    Raises:
        WeightsError: the tensors are missing, damaged or of another version, or say nonsense.
    """
    return distilled_in(_metadata(folder), folder / TENSORS)


def distilled_in(metadata: Mapping[str, str], path: Path) -> bool:
    """Whether `metadata`, which was read from `path`, is a student's; without the word it is not.

    Raises:
        WeightsError: the word is neither true nor false.
    """
    said = metadata.get(DISTILLED, "false")
    if said not in ("true", "false"):
        raise WeightsError(f"{DISTILLED} must be 'true' or 'false', got {said!r}: {path}")
    return said == "true"


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


def _metadata(folder: Path) -> dict[str, str]:
    """What the file of the tensors in `folder` says about itself, checked for our version."""
    path = folder / TENSORS
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(min(length, _LONGEST_HEAD)))
        metadata: dict[str, str] = head.get("__metadata__", {})
        version = metadata.get("format_version")
    except OSError as error:
        raise WeightsError(
            f"no weights in {folder} ({TENSORS} cannot be read): {_REMEDY}"
        ) from error
    except (ValueError, AttributeError) as error:
        raise WeightsError(f"{path} is damaged: it has no safetensors head: {_REMEDY}") from error
    if version != FORMAT:
        raise WeightsError(f"weights must be of format {FORMAT}, got {version}: {folder}")
    return metadata
