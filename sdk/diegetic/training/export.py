"""Checkpoints to what ships: tensors in one file, and ONNX graphs whose weights lie in it.

    weights.safetensors   | 8 bytes | header | tensor | tensor | ...
    *.onnx                initializer -> (weights.safetensors, offset, length)

Large matrices are int8 with a scale a row, all else is float16. Nothing is stored twice: torch
reads the file by name, ONNX Runtime by offset. Of each network that is evaluated live there are two
graphs: one computes in float32, the other (`.int8.onnx`) multiplies integers.
"""

import json
import logging
import struct
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch import Tensor, nn

from diegetic.codec import BANDS, BINS, FRAMES_PER_LATENT
from diegetic.config import LATENT_DIM, StreamConfig
from diegetic.errors import WeightsError
from diegetic.model.decoder import BLOCKS as DECODER_BLOCKS
from diegetic.model.decoder import KERNEL, Decoder
from diegetic.model.decoder import WIDTH as DECODER_WIDTH
from diegetic.model.dit import (
    BLOCKS,
    HEAD_DIM,
    HEADS,
    ConditioningNet,
    DiT,
)
from diegetic.model.spectral import SpectralLatents
from diegetic.snapshot import FRAME_DIM, FRAME_SLOTS, SLOTS, TEXT_DIM, WORD_SLOTS
from diegetic.training.checkpoint import averaged, distilled, load_weights, read_checkpoint
from diegetic.training.origin import load_decoder
from diegetic.training.quantise import integer_products, quantise, worth_quantising
from diegetic.training.transformer_graph import transformer_graph
from diegetic.weights import DISTILLED, FORMAT, SCALE, TENSORS, write_sums

log = logging.getLogger(__name__)

OPSET = 20
_TYPES = {
    torch.int8: TensorProto.INT8,
    torch.float16: TensorProto.FLOAT16,
    torch.float32: TensorProto.FLOAT,
}
SHAPES = (
    BLOCKS,
    HEADS,
    HEAD_DIM,
    FRAMES_PER_LATENT,
    DECODER_BLOCKS,
    KERNEL - 1,
    DECODER_WIDTH,
)


class _Part(nn.Module):
    """What lies below `dit.` in the weights file, reduced to its conditioning."""

    def __init__(self, conditioning: ConditioningNet) -> None:
        super().__init__()
        self.conditioning = conditioning


class _Conditioning(nn.Module):
    """`ConditioningNet.forward` under the names of the weights file."""

    def __init__(self, dit: DiT) -> None:
        super().__init__()
        self.dit = _Part(dit.conditioning)

    def forward(
        self, words: Tensor, frames: Tensor, values: Tensor, times: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        made: tuple[Tensor, Tensor, Tensor, Tensor] = self.dit.conditioning(
            words, frames, values, times, present
        )
        return made


class _Decoder(nn.Module):
    """`Decoder.forward`, and the levels that it starts from, under the weights file's names.

    Of the noise and of what is made, real and imaginary parts lie in planes: (2, B, 2, F, BINS).
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, latents: Tensor, noise: Tensor, state: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        spectra, after = self.decoder(latents, noise.permute(1, 2, 3, 4, 0), state, kept)
        return spectra.permute(4, 0, 1, 2, 3), self.decoder.latents.levels(latents), after


class _Latents(nn.Module):
    """What lies below `decoder.` in the weights file, reduced to its latents."""

    def __init__(self, latents: SpectralLatents) -> None:
        super().__init__()
        self.latents = latents


class _Analysis(nn.Module):
    """`SpectralLatents.project` under the weights file's names."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = _Latents(decoder.latents)

    def forward(self, levels: Tensor) -> Tensor:
        return self.decoder.latents.project(levels)


def export(codec: Path, transformer: Path, out: Path, student: bool = False) -> None:
    """Write the weights folder `out` from two checkpoints.

    Args:
        codec: of the codec's training, or a weights folder whose codec is taken as it is.
        transformer: of the transformer's or of a student's, whose averaged weights are taken.
        out: the folder.
        student: whether `transformer` has to be a student. A checkpoint tells what it is; of one
            that does not, this is believed.

    Raises:
        WeightsError: a checkpoint is missing, damaged or of another model, or the transformer is a
            teacher where a student was asked for.
    """
    if not codec.exists() or not transformer.is_file():
        missing = transformer if codec.exists() else codec
        raise WeightsError(f"there is no {missing} to export: train it first")
    decoder, dit, saved = load_decoder(codec).eval(), DiT().eval(), read_checkpoint(transformer)
    told = distilled(transformer, saved)
    if student and told is False:
        raise WeightsError(f"{transformer} must be a student, it is a teacher")
    load_weights(transformer, averaged(saved), dit)
    export_modules(decoder, dit, out, student if told is None else told)


def export_modules(decoder: Decoder, dit: DiT, out: Path, student: bool = False) -> None:
    """Write the weights folder `out` from modules; `student` is what the transformer is."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {f"dit.{n}": t for n, t in dit.state_dict().items()}
    tensors |= {f"decoder.{n}": t for n, t in decoder.state_dict().items()}
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if worth_quantising(name, tensor):
            stored[name], stored[name + SCALE] = quantise(tensor)
        else:
            stored[name] = tensor.detach().half().contiguous()
    kind = {DISTILLED: json.dumps(student)}
    save_file(stored, out / TENSORS, {"format_version": FORMAT} | kind)
    offsets = tensor_offsets(out / TENSORS)
    size = StreamConfig().chunk_latents
    graphs: dict[str, tuple[nn.Module, dict[str, Tensor], list[str]]] = {
        "conditioning": (
            _Conditioning(dit),
            {
                "words": torch.zeros(2, WORD_SLOTS, TEXT_DIM),
                "frames": torch.zeros(2, FRAME_SLOTS, FRAME_DIM),
                "values": torch.zeros(2, SLOTS),
                "times": torch.zeros(2, SLOTS),
                "present": torch.ones(2, SLOTS),
            },
            ["keys", "values_out", "bias", "summary"],
        ),
        "decoder": (
            _Decoder(decoder),
            {
                "latents": torch.zeros(2, size, LATENT_DIM),
                "noise": torch.zeros(2, 2, 2, size * FRAMES_PER_LATENT, BINS),
                "state": decoder.start(2),
                "kept": torch.tensor([StreamConfig().hop_latents]),
            },
            ["spectra", "levels", "state_out"],
        ),
        "analysis": (
            _Analysis(decoder),
            {"levels": torch.zeros(2, size * FRAMES_PER_LATENT, BANDS)},
            ["latents"],
        ),
    }
    models = {
        name: _trace(module.eval(), inputs, outputs)
        for name, (module, inputs, outputs) in graphs.items()
    }
    models["transformer"] = transformer_graph({n: tuple(t.shape) for n, t in tensors.items()})
    for name, model in models.items():
        quantised = _point_into(model, stored, offsets)
        told = {"format": FORMAT, "shapes": json.dumps(SHAPES)}
        helper.set_model_props(model, told | kind if name == "transformer" else told)
        _write(model, out / f"{name}.onnx")
        if quantised:
            integer_products(model, quantised)
            _write(model, out / f"{name}.int8.onnx")
    write_sums(out)


def _write(model: onnx.ModelProto, path: Path) -> None:
    path.write_bytes(model.SerializeToString(deterministic=True))
    log.info("wrote %s (%d nodes)", path.name, len(model.graph.node))


def tensor_offsets(path: Path) -> dict[str, tuple[int, int]]:
    """Where each tensor lies in a safetensors file: name -> (offset, length) in bytes."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    spans = {name: entry["data_offsets"] for name, entry in header.items()}
    return {name: (8 + length + begin, end - begin) for name, (begin, end) in spans.items()}


def _trace(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    """Trace with free axes: batch and, where there is such, time."""
    batch = torch.export.Dim("batch", min=1, max=256)
    latents = torch.export.Dim("latents", min=1, max=512)
    shapes: dict[str, dict[int, object]] = {name: {0: batch} for name in inputs}
    if "latents" in inputs:
        shapes["latents"][1] = latents
    if "noise" in inputs:
        shapes["noise"] = {1: batch, 3: FRAMES_PER_LATENT * latents}
        shapes["kept"] = {}
    if "levels" in inputs:
        shapes["levels"][1] = FRAMES_PER_LATENT * latents
    program = torch.onnx.export(
        module,
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=outputs,
        dynamic_shapes=shapes,
        opset_version=OPSET,
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    if program is None:
        raise WeightsError("torch.onnx.export returned nothing")
    return program.model_proto


def _point_into(
    model: onnx.ModelProto, tensors: dict[str, Tensor], offsets: dict[str, tuple[int, int]]
) -> set[str]:
    """Replace initializers that are weights by references into the safetensors file.

    Returns the names of those that are int8 there.
    """
    graph = model.graph
    weights = [entry.name for entry in graph.initializer if entry.name in tensors]
    others = [entry for entry in graph.initializer if entry.name not in tensors]
    quantised = {name for name in weights if tensors[name].dtype == torch.int8}
    references, nodes = [], []
    for name in weights:
        if name not in quantised:
            references.append(_reference(name, f"{name}.half", tensors, offsets))
            nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
            continue
        scale = name + SCALE
        references.append(_reference(name, f"{name}.int8", tensors, offsets))
        references.append(_reference(scale, scale, tensors, offsets))
        column = helper.make_tensor(f"{name}.column", TensorProto.INT64, [2], [-1, 1])
        references.append(column)
        whole, steps = f"{name}.whole", f"{name}.steps"
        nodes += [
            helper.make_node("Cast", [f"{name}.int8"], [whole], to=TensorProto.FLOAT),
            helper.make_node("Reshape", [scale, column.name], [steps]),
            helper.make_node("Mul", [whole, steps], [name]),
        ]
    nodes += graph.node
    for node in nodes:  # where in our source each came from: most of the file
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.value_info[:], graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*others, *references])
    return quantised


def _reference(
    stored: str, name: str, tensors: dict[str, Tensor], offsets: dict[str, tuple[int, int]]
) -> TensorProto:
    """An initializer `name` that lies in the safetensors file as `stored`."""
    offset, length = offsets[stored]
    tensor = TensorProto(
        name=name,
        data_type=_TYPES[tensors[stored].dtype],
        dims=list(tensors[stored].shape),
        data_location=TensorProto.EXTERNAL,
    )
    for key, value in (("location", TENSORS), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor
