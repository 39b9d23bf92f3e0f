"""The shipped weights again, whose files say something else about what the transformer is."""

import json
import shutil
from pathlib import Path

import onnx

from diegetic.generator import WEIGHTS
from diegetic.weights import DISTILLED, GRAPHS, TENSORS, write_sums


def labelled_weights(folder: Path, tensors: str | None, graphs: str | None) -> Path:
    """Write them into `folder`; return it.

    Args:
        folder: is made.
        tensors: whether the transformer is distilled, as the tensors' file says it; None is
            nothing, as in weights from before there were students.
        graphs: the same, as the transformer's graphs say it.
    """
    folder.mkdir()
    for name in (TENSORS, *GRAPHS):
        shutil.copy(WEIGHTS / name, folder)
    shift = _label_tensors(folder / TENSORS, tensors)
    for name in GRAPHS:
        _label_graph(folder / name, graphs if "transformer" in name else None, shift)
    write_sums(folder)
    return folder


def _label_tensors(path: Path, word: str | None) -> int:
    """Return by how many bytes the tensors moved."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])
    head["__metadata__"].pop(DISTILLED, None)
    if word is not None:
        head["__metadata__"][DISTILLED] = word
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at multiples of eight
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return len(text) - length


def _label_graph(path: Path, word: str | None, shift: int) -> None:
    model = onnx.load(path, load_external_data=False)
    told = {entry.key: entry.value for entry in model.metadata_props if entry.key != DISTILLED}
    onnx.helper.set_model_props(model, told if word is None else told | {DISTILLED: word})
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "offset":
                entry.value = str(int(entry.value) + shift)
    path.write_bytes(model.SerializeToString(deterministic=True))
