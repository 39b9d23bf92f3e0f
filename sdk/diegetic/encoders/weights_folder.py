"""The encoders' shipped weights: found, checked against SHA256SUMS, and opened."""

import hashlib
from pathlib import Path

import onnxruntime

from diegetic.errors import WeightsError

WEIGHTS = Path(__file__).parent / "weights"
SUMS = "SHA256SUMS"


def read_checked(folder: Path, name: str) -> bytes:
    """Return the bytes of `folder`/`name`, if they are those that SHA256SUMS promises.

    Raises:
        WeightsError: the file or its sum is missing, or they disagree.
    """
    remedy = "reinstall diegetic or run python -m diegetic.training.encoders"
    try:
        lines = (folder / SUMS).read_text().splitlines()
        data = (folder / name).read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {error.filename}: {error.strerror}; {remedy}") from error
    sums = {file: digest for digest, _, file in (line.partition("  ") for line in lines)}
    expected = sums.get(name)
    if expected is None:
        raise WeightsError(f"{folder / SUMS} has no line for {name}; {remedy}")
    got = hashlib.sha256(data).hexdigest()
    if got != expected:
        raise WeightsError(
            f"{folder / name} is damaged: expected sha256 {expected[:12]}…, "
            f"got {got[:12]}… ({len(data)} bytes); {remedy}"
        )
    return data


def open_session(folder: Path, name: str, threads: int) -> onnxruntime.InferenceSession:
    """Open the checked ONNX file on the CPU with `threads` threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    data = read_checked(folder, name)
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
