"""The transformer as an ONNX graph, written down node by node.

It computes what `diegetic.model.dit.DiT.forward` does. A traced graph does too, in three times as
many nodes, and for a chunk of eleven latents a node costs more than its arithmetic. It takes ONNX
Runtime 1.21: that scales and shifts a norm by what differs from batch to batch.

    once     time, guidance, gist -> scales, shifts and gates of all blocks
             [sink | prefix] of all blocks, keys rotated
    a block  x -> self-attention to [sink | prefix | chunk] -> cross-attention -> MLP
    once     velocity, and the blocks' keys and values
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from diegetic.config import LATENT_DIM
from diegetic.model.dit import BLOCKS, HEAD_DIM, HEADS, ROTARY, TOKENS, WIDTH

_OPSETS = {"": 18, "com.microsoft": 1}
_OF_ONNX_RUNTIME = ("FastGelu", "MultiHeadAttention", "RotaryEmbedding")
Attribute = int | float | list[int]
_PARTS = 9  # scale, shift and gate of three sub-layers
_HEADS_FIRST = [0, 2, 1, 3]  # (B, N, HEADS, HEAD_DIM) <-> (B, HEADS, N, HEAD_DIM)
_MEMORY = ("batch", BLOCKS, HEADS)
_INPUTS: dict[str, tuple[str | int, ...]] = {
    "latents": ("batch", "latents", LATENT_DIM),
    "t": ("batch",),
    "guidance": ("batch",),
    "cross_keys": (*_MEMORY, TOKENS, HEAD_DIM),
    "cross_values": (*_MEMORY, TOKENS, HEAD_DIM),
    "cross_bias": ("batch", TOKENS),
    "summary": ("batch", WIDTH),
    "prefix_keys": (*_MEMORY, "ring", HEAD_DIM),
    "prefix_values": (*_MEMORY, "ring", HEAD_DIM),
    "prefix_bias": ("batch", "ring"),
}
_OUTPUTS: dict[str, tuple[str | int, ...]] = {
    "velocity": ("batch", "latents", LATENT_DIM),
    "keys": (*_MEMORY, "latents", HEAD_DIM),
    "values": (*_MEMORY, "latents", HEAD_DIM),
}


def transformer_graph(weights: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
    """The graph of one evaluation.

    Args:
        weights: names and shapes of the tensors of a `DiT`, below `dit.`; those that the graph
            uses are its initializers, without data.
    """
    return _Transformer(weights).model()


class _Nodes:
    """Nodes one after another. An operator returns the name of what it makes."""

    def __init__(self, weights: dict[str, tuple[int, ...]]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self._weights = weights

    def several(self, count: int, kind: str, *given: str, **attributes: Attribute) -> list[str]:
        """The names of what an operator with `count` outputs makes."""
        names = [f"{kind}.{len(self.nodes)}.{index}" for index in range(count)]
        domain = "com.microsoft" if kind in _OF_ONNX_RUNTIME else ""
        node = helper.make_node(kind, given, names, domain=domain)
        node.attribute.extend(helper.make_attribute(*named) for named in attributes.items())
        self.nodes.append(node)
        return names

    def op(self, kind: str, *given: str, **attributes: Attribute) -> str:
        return self.several(1, kind, *given, **attributes)[0]

    def weight(self, name: str) -> str:
        """A tensor of the weights file."""
        self.initializers[name] = TensorProto(
            name=name, data_type=TensorProto.FLOAT, dims=self._weights[name]
        )
        return name

    def constant(self, value: list[int] | NDArray[np.float32]) -> str:
        """Whole numbers, or float32."""
        array = np.array(value, np.int64) if isinstance(value, list) else value
        name = f"constant.{len(self.initializers)}"
        self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def linear(self, x: str, name: str, bias: bool = True) -> str:
        across = self.op("Transpose", self.weight(f"{name}.weight"), perm=[1, 0])
        product = self.op("MatMul", x, across)
        return self.op("Add", product, self.weight(f"{name}.bias")) if bias else product

    def norm(self, x: str, *scale_and_shift: str) -> str:
        return self.op("LayerNormalization", x, *scale_and_shift, axis=-1, epsilon=1e-5)

    def silu(self, x: str) -> str:
        return self.op("Mul", x, self.op("Sigmoid", x))

    def waves(self, x: str, count: int, lowest: float, highest: float) -> str:
        """`diegetic.model.dit.fourier` of (B, 1): (B, 1, 2 count)."""
        steps = np.arange(count, dtype=np.float32) / np.float32(max(1, count - 1))
        rates = (lowest * (highest / lowest) ** steps).astype(np.float32)
        angle = self.op("Mul", self.op("Unsqueeze", x, self.constant([2])), self.constant(rates))
        return self.op("Concat", self.op("Cos", angle), self.op("Sin", angle), axis=-1)


class _Transformer(_Nodes):
    """The nodes of all blocks."""

    def model(self) -> onnx.ModelProto:
        self._steer()
        self._places()
        self._remember()
        x = self.linear("latents", "dit.enter")
        keys, values = [], []
        for index in range(BLOCKS):
            x, key, value = self._block(x, index)
            keys.append(key)
            values.append(value)
        split = self.constant([0, BLOCKS, HEADS, -1, HEAD_DIM])
        for name, parts in (("keys", keys), ("values", values)):
            stacked = self.op("Concat", *parts, axis=1)
            self.nodes.append(helper.make_node("Reshape", [stacked, split], [name]))
        velocity = self.linear(self.norm(x, *self._last), "dit.leave")
        self.nodes.append(helper.make_node("Identity", [velocity], ["velocity"]))
        floats = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "transformer",
            [floats(name, TensorProto.FLOAT, shape) for name, shape in _INPUTS.items()],
            [floats(name, TensorProto.FLOAT, shape) for name, shape in _OUTPUTS.items()],
            list(self.initializers.values()),
        )
        opsets = [helper.make_opsetid(*opset) for opset in _OPSETS.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def _steer(self) -> None:
        """Scales (one is added), shifts and gates of all blocks, each (B, 1, WIDTH)."""
        axis = self.constant([1])
        t, guidance, summary = (
            self.op("Unsqueeze", given, axis) for given in ("t", "guidance", "summary")
        )
        wave = self.waves(t, 32, 1.0, 300.0)
        hidden = self.linear(self.silu(self.linear(wave, "dit.time.0")), "dit.time.2")
        strength = self.waves(self.op("Reciprocal", guidance), 8, 0.5, 12.0)
        for more in (summary, self.linear(strength, "dit.guidance")):
            hidden = self.op("Add", hidden, more)
        hidden = self.silu(hidden)
        shared = self.op(
            "Reshape", self.linear(hidden, "dit.steer"), self.constant([0, _PARTS, WIDTH])
        )
        own = [self.weight(f"dit.blocks.{index}.modulation") for index in range(BLOCKS)]
        ones = np.zeros((BLOCKS * _PARTS, WIDTH), np.float32)
        ones[::3] = 1.0
        moved = self.op("Add", self.op("Concat", *own, axis=0), self.constant(ones))
        steers = self.op("Add", self.op("Concat", *[shared] * BLOCKS, axis=1), moved)
        self._steers = self.several(
            BLOCKS * _PARTS, "Split", steers, axis=1, num_outputs=BLOCKS * _PARTS
        )
        scale, shift = self.several(
            2, "Split", self.linear(hidden, "dit.final"), axis=2, num_outputs=2
        )
        self._last = self.op("Add", scale, self.constant(np.ones(WIDTH, np.float32))), shift

    def _places(self) -> None:
        """Tables of the rotary embedding, from the sink's place, before the ring, on."""
        size = [self.op("Shape", x, start=1, end=2) for x in ("prefix_bias", "latents")]
        ring, count = (self.op("Squeeze", one) for one in size)
        one = self.op("Squeeze", self.constant([1]))
        places = self.op("Range", self.op("Sub", self.op("Neg", ring), one), count, one)
        places = self.op("Unsqueeze", places, self.constant([1]))
        half = ROTARY // 2
        rates = np.float32(10_000.0) ** (-np.arange(half, dtype=np.float32) / np.float32(half))
        angle = self.op("Mul", self.op("Cast", places, to=TensorProto.FLOAT), self.constant(rates))
        self._tables = self.op("Cos", angle), self.op("Sin", angle)
        self._past = self.constant([0])  # the rows where [sink | ring] begins in the tables,
        self._own = self.op("Add", size[0], self.constant([1]))  # and the chunk
        pads = self.op("Concat", self.constant([0, 1, 0]), size[1], axis=0)
        bias = self.op("Pad", "prefix_bias", pads)
        axes = self.constant([1, 2])
        rows = self.op("Concat", self.constant([1, 1]), size[1], self.constant([1]), axis=0)
        self._bias, self._cross_bias = (
            self.op("Expand", self.op("Unsqueeze", row, axes), rows) for row in (bias, "cross_bias")
        )

    def _rotate(self, x: str, begin: str, heads: int = HEADS) -> str:
        """Turn `x` (B, heads, N, HEAD_DIM), whose first place is row `begin` of the tables."""
        return self.op(
            "RotaryEmbedding", x, begin, *self._tables, num_heads=heads, rotary_embedding_dim=ROTARY
        )

    def _remember(self) -> None:
        """Keys, rotated, and values of [sink | prefix], and of what is said, for each block."""
        merged = self.constant([0, BLOCKS * HEADS, -1, HEAD_DIM])
        batch = self.op("Shape", "t")
        every = self.op("Concat", batch, self.constant([1, 1, 1]), axis=0)
        sinks = [self.weight(f"dit.blocks.{index}.sink") for index in range(BLOCKS)]
        sink = self.several(2, "Split", self.op("Concat", *sinks, axis=1), axis=0, num_outputs=2)
        # Of the sink's key only what is not rotated: it lies at no place.
        still = np.zeros(HEAD_DIM, np.float32)
        still[ROTARY:] = 1.0
        sink[0] = self.op("Mul", sink[0], self.constant(still))
        past = []
        for name, first in zip(("prefix_keys", "prefix_values"), sink, strict=True):
            ring = self.op("Reshape", name, merged)
            past.append(self.op("Concat", self.op("Expand", first, every), ring, axis=2))
        past[0] = self._rotate(past[0], self._past, BLOCKS * HEADS)
        said = [self.op("Reshape", name, merged) for name in ("cross_keys", "cross_values")]
        self._memory, self._said = (
            [self.several(BLOCKS, "Split", x, axis=1, num_outputs=BLOCKS) for x in pair]
            for pair in (past, said)
        )

    def _block(self, x: str, index: int) -> tuple[str, str, str]:
        """What comes out of block `index`, and its keys and values."""
        name = f"dit.blocks.{index}"
        heads = self.linear(self._modulate(x, index, 0), f"{name}.qkv", bias=False)
        q, key, value = self.several(3, "Split", self._heads_first(heads), axis=1, num_outputs=3)
        q = self._rotate(self.norm(q, self.weight(f"{name}.q_norm.weight")), self._own)
        key = self.norm(key, self.weight(f"{name}.k_norm.weight"))
        own = (self._rotate(key, self._own), value)
        keys, values = (
            self.op("Concat", past[index], new, axis=2)
            for past, new in zip(self._memory, own, strict=True)
        )
        attended = self._attend(q, keys, values, self._bias)
        x = self._gated(x, self.linear(attended, f"{name}.self_out", bias=False), index, 0)
        q = self._heads_first(
            self.linear(self._modulate(x, index, 1), f"{name}.cross_q", bias=False)
        )
        q = self._rotate(self.norm(q, self.weight(f"{name}.cross_norm.weight")), self._own)
        keys, values = (part[index] for part in self._said)
        attended = self._attend(q, keys, values, self._cross_bias)
        x = self._gated(x, self.linear(attended, f"{name}.cross_out", bias=False), index, 1)
        hidden = self.op("FastGelu", self.linear(self._modulate(x, index, 2), f"{name}.enter"))
        return self._gated(x, self.linear(hidden, f"{name}.leave"), index, 2), key, value

    def _modulate(self, x: str, index: int, part: int) -> str:
        scale, shift, _ = self._steers[_PARTS * index + 3 * part :][:3]
        return self.norm(x, scale, shift)

    def _gated(self, x: str, change: str, index: int, part: int) -> str:
        gate = self._steers[_PARTS * index + 3 * part + 2]
        return self.op("Add", x, self.op("Mul", change, gate))

    def _heads_first(self, x: str) -> str:
        """(B, N, WIDTH ...) -> (B, HEADS ..., N, HEAD_DIM)."""
        apart = self.op("Reshape", x, self.constant([0, 0, -1, HEAD_DIM]))
        return self.op("Transpose", apart, perm=_HEADS_FIRST)

    def _attend(self, q: str, keys: str, values: str, bias: str) -> str:
        """Attention of heads, merged: (B, N, WIDTH)."""
        merged = self.op(
            "Reshape", self.op("Transpose", q, perm=_HEADS_FIRST), self.constant([0, 0, WIDTH])
        )
        return self.op("MultiHeadAttention", merged, keys, values, "", "", bias, num_heads=HEADS)
