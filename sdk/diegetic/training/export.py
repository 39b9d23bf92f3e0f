"""Checkpoints to what ships: float16 tensors in one file, and ONNX graphs whose weights lie in it.

    weights.safetensors   | 8 bytes | header | tensor | tensor | ...
    *.onnx                initializer -> (weights.safetensors, offset, length), Cast to float32

So nothing is stored twice: torch reads the file by name, ONNX Runtime by offset.
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

from diegetic.config import LATENT_DIM, StreamConfig
from diegetic.errors import WeightsError
from diegetic.model.decoder import BLOCKS as DECODER_BLOCKS
from diegetic.model.decoder import KERNEL, Decoder
from diegetic.model.decoder import WIDTH as DECODER_WIDTH
from diegetic.model.dit import (
    BLOCKS,
    HEAD_DIM,
    HEADS,
    TOKENS,
    WIDTH,
    ConditioningNet,
    Cross,
    DiT,
    Memory,
)
from diegetic.model.spectral import BINS, FRAMES_PER_LATENT
from diegetic.snapshot import FRAME_DIM, FRAME_SLOTS, SLOTS, TEXT_DIM, WORD_SLOTS
from diegetic.weights import FORMAT, TENSORS, write_sums

log = logging.getLogger(__name__)

OPSET = 18
SHAPES = (
    BLOCKS,
    HEADS,
    HEAD_DIM,
    FRAMES_PER_LATENT,
    DECODER_BLOCKS,
    KERNEL - 1,
    DECODER_WIDTH,
)


class _Transformer(nn.Module):
    """`DiT.forward` with plain tensors for arguments."""

    def __init__(self, dit: DiT) -> None:
        super().__init__()
        self.dit = dit

    def forward(
        self,
        latents: Tensor,
        t: Tensor,
        guidance: Tensor,
        cross_keys: Tensor,
        cross_values: Tensor,
        cross_bias: Tensor,
        summary: Tensor,
        prefix_keys: Tensor,
        prefix_values: Tensor,
        prefix_bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        cross = Cross(cross_keys, cross_values, cross_bias, summary)
        prefix = Memory(prefix_keys, prefix_values, prefix_bias)
        made: tuple[Tensor, Tensor, Tensor] = self.dit(latents, t, guidance, cross, prefix)
        return made


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
    """`Decoder.forward` under the names of the weights file."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latents: Tensor, noise: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        made: tuple[Tensor, Tensor] = self.decoder(latents, noise, state)
        return made


def export(codec: Path, transformer: Path, out: Path) -> None:
    """Write the weights folder `out` from two checkpoints.

    Of the transformer the averaged weights are taken.

    Raises:
        WeightsError: a checkpoint is missing or of another configuration.
    """
    decoder, dit = Decoder().eval(), DiT().eval()
    try:
        decoder.load_state_dict(torch.load(codec, weights_only=True)["model"])
        dit.load_state_dict(torch.load(transformer, weights_only=True)["average"])
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(f"cannot export {codec} and {transformer}: {error}") from error
    export_modules(decoder, dit, out)


def export_modules(decoder: Decoder, dit: DiT, out: Path) -> None:
    """Write the weights folder `out` from modules."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {f"dit.{n}": t for n, t in dit.state_dict().items()}
    tensors |= {f"decoder.{n}": t for n, t in decoder.state_dict().items()}
    halves = {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}
    save_file(halves, out / TENSORS, {"format_version": FORMAT})
    offsets = tensor_offsets(out / TENSORS)
    config = StreamConfig()
    size, ring = config.chunk_latents, config.prefix_latents
    memory = (2, BLOCKS, HEADS)
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
        "transformer": (
            _Transformer(dit),
            {
                "latents": torch.zeros(2, size, LATENT_DIM),
                "t": torch.ones(2),
                "guidance": torch.ones(2),
                "cross_keys": torch.zeros(*memory, TOKENS, HEAD_DIM),
                "cross_values": torch.zeros(*memory, TOKENS, HEAD_DIM),
                "cross_bias": torch.zeros(2, TOKENS),
                "summary": torch.zeros(2, WIDTH),
                "prefix_keys": torch.zeros(*memory, ring, HEAD_DIM),
                "prefix_values": torch.zeros(*memory, ring, HEAD_DIM),
                "prefix_bias": torch.zeros(2, ring),
            },
            ["velocity", "keys", "values"],
        ),
        "decoder": (
            _Decoder(decoder),
            {
                "latents": torch.zeros(2, size, LATENT_DIM),
                "noise": torch.zeros(2, 2, size * FRAMES_PER_LATENT, BINS, 2),
                "state": decoder.start(2),
            },
            ["spectra", "state_out"],
        ),
    }
    for name, (module, inputs, outputs) in graphs.items():
        model = _trace(module, inputs, outputs)
        _point_into(model, halves, offsets)
        helper.set_model_props(model, {"format": FORMAT, "shapes": json.dumps(SHAPES)})
        (out / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
        log.info("wrote %s.onnx (%d nodes)", name, len(model.graph.node))
    write_sums(out)


def tensor_offsets(path: Path) -> dict[str, tuple[int, int]]:
    """Where each tensor lies in a safetensors file: name -> (offset, length) in bytes."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    spans = {name: entry["data_offsets"] for name, entry in header.items()}
    return {name: (8 + length + begin, end - begin) for name, (begin, end) in spans.items()}


def _trace(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    """Trace with free axes: batch and, where there are such, time and prefix."""
    batch = torch.export.Dim("batch", min=1, max=256)
    latents = torch.export.Dim("latents", min=1, max=512)
    shapes: dict[str, dict[int, object]] = {name: {0: batch} for name in inputs}
    if "latents" in inputs:
        shapes["latents"][1] = latents
    if "prefix_keys" in inputs:
        ring = torch.export.Dim("ring", min=2, max=4096)
        shapes["prefix_keys"][3] = shapes["prefix_values"][3] = shapes["prefix_bias"][1] = ring
    if "noise" in inputs:
        shapes["noise"][2] = FRAMES_PER_LATENT * latents
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
) -> None:
    """Replace initializers that are weights by references into the safetensors file."""
    casts = []
    for initializer in model.graph.initializer:
        name = initializer.name
        if name not in tensors:
            continue
        half = TensorProto(
            name=f"{name}.half",
            data_type=TensorProto.FLOAT16,
            dims=list(tensors[name].shape),
            data_location=TensorProto.EXTERNAL,
        )
        offset, length = offsets[name]
        for key, value in (("location", TENSORS), ("offset", offset), ("length", length)):
            half.external_data.add(key=key, value=str(value))
        initializer.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    for node in nodes:  # where in our source each came from: most of the file
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
