"""Weights of eight bits: smaller to ship, and products of integers, which are faster.

A weight matrix (N, K) becomes whole numbers and one scale a row. `integer_products` then lets a
graph quantise what comes in, all of it with one scale and offset, and multiply integers
(ONNX DynamicQuantizeLinear and MatMulInteger); everything between stays float32.
"""

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from diegetic.weights import SCALE

# Two products of 0..255 and -63..63 fit 16 bits: processors without VNNI add them there.
LARGEST = 63
SMALLEST_SIDE = 64  # of a matrix that is worth it


def worth_quantising(name: str, tensor: Tensor) -> bool:
    """Whether `tensor` is a matrix that activations are multiplied by, and a large one."""
    return name.endswith(".weight") and tensor.ndim == 2 and min(tensor.shape) >= SMALLEST_SIDE


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(N, K) to int8 (N, K) and float32 scales (N,)."""
    scale = weight.detach().float().abs().amax(dim=1).clamp(min=1e-12) / LARGEST
    return (weight.detach().float() / scale[:, None]).round().to(torch.int8), scale


def integer_products(model: onnx.ModelProto, quantised: set[str]) -> None:
    """Replace, in place, every x @ weight.T whose weight is `quantised` by integer arithmetic.

    The graph must have, for each, initializers `weight.int8` (N, K) and `weight` + SCALE (N,).
    """
    transposed = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Transpose" and node.input[0] in quantised
    }
    nodes: list[onnx.NodeProto] = []
    ready: dict[str, tuple[str, str, str]] = {}  # activations that are quantised already
    for node in model.graph.node:
        weight = transposed.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None:
            nodes.append(node)
            continue
        entering, out = node.input[0], node.output[0]
        if entering not in ready:
            ready[entering] = (f"{entering}.u8", f"{entering}.step", f"{entering}.zero")
            nodes.append(
                helper.make_node("DynamicQuantizeLinear", [entering], list(ready[entering]))
            )
        whole, step, zero = ready[entering]
        matrix = f"{out}.matrix"
        nodes += [
            helper.make_node("Transpose", [f"{weight}.int8"], [matrix], perm=[1, 0]),
            helper.make_node("MatMulInteger", [whole, matrix, zero], [f"{out}.i32"]),
            helper.make_node("Cast", [f"{out}.i32"], [f"{out}.sum"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [step, weight + SCALE], [f"{out}.steps"]),
            helper.make_node("Mul", [f"{out}.sum", f"{out}.steps"], [out]),
        ]
    _keep_used(model, nodes)


def _keep_used(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Give `model` those of `nodes`, and of its initializers, that its outputs need."""
    needed = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    initializers = [entry for entry in model.graph.initializer if entry.name in needed]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(reversed(kept))
    model.graph.initializer.extend(initializers)
