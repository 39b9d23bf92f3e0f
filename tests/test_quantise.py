"""Eight-bit weights: near enough, and integers all the way through the product."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from diegetic.training.quantise import LARGEST, integer_products, quantise, worth_quantising
from diegetic.weights import SCALE


def test_a_weight_is_at_most_half_a_step_off_and_sums_of_two_products_fit_16_bits() -> None:
    torch.manual_seed(0)
    weight = torch.randn(96, 128) * torch.logspace(-3, 1, 96)[:, None]
    whole, scale = quantise(weight)
    assert whole.dtype == torch.int8
    assert int(whole.abs().max()) == LARGEST
    assert 2 * 255 * LARGEST < 2**15
    off = (whole.float() * scale[:, None] - weight).abs()
    assert bool((off <= 0.5001 * scale[:, None]).all())


def test_a_row_of_zeros_stays_zero() -> None:
    weight = torch.randn(64, 64)
    weight[3] = 0
    whole, scale = quantise(weight)
    assert not whole[3].any()
    assert bool(torch.isfinite(scale).all())


def test_only_large_matrices_are_worth_it() -> None:
    assert worth_quantising("blocks.0.qkv.weight", torch.zeros(768, 256))
    assert not worth_quantising("norm.weight", torch.zeros(256))
    assert not worth_quantising("kind.weight", torch.zeros(9, 256))
    assert not worth_quantising("latents.analysis", torch.zeros(416, 96))


def graph(weight: torch.Tensor) -> onnx.ModelProto:
    """y = x @ weight.T, twice from the same x, as the exporter leaves it."""
    whole, scale = quantise(weight)
    nodes = [
        helper.make_node("Cast", ["w.int8"], ["w.whole"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["w" + SCALE, "column"], ["w.steps"]),
        helper.make_node("Mul", ["w.whole", "w.steps"], ["w"]),
        helper.make_node("Transpose", ["w"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "turned"], ["first"]),
        helper.make_node("MatMul", ["x", "turned"], ["second"]),
        helper.make_node("Add", ["first", "second"], ["y"]),
    ]
    initializers = [
        numpy_helper.from_array(whole.numpy(), "w.int8"),
        numpy_helper.from_array(scale.numpy(), "w" + SCALE),
        numpy_helper.from_array(np.array([-1, 1]), "column"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weight.shape[1]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weight.shape[0]])
    made = helper.make_graph(nodes, "products", [x], [y], initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"x": x})[0])


def test_integer_products_are_those_of_floats_within_a_percent() -> None:
    torch.manual_seed(1)
    weight = torch.randn(64, 256)
    model = graph(weight)
    x = np.random.default_rng(0).standard_normal((11, 256)).astype(np.float32)
    floats = run(model, x)
    whole, scale = quantise(weight)
    stored = (whole.float() * scale[:, None]).numpy()
    np.testing.assert_allclose(floats, 2 * x @ stored.T, rtol=1e-4, atol=1e-4)
    integer_products(model, {"w"})
    assert np.abs(run(model, x) - floats).max() < 0.02 * np.abs(floats).max()


def test_what_only_fed_the_floats_is_gone_and_the_input_is_quantised_once() -> None:
    model = graph(torch.randn(64, 64))
    integer_products(model, {"w"})
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["MatMulInteger"] == 2
    assert kinds["DynamicQuantizeLinear"] == 1
    assert kinds["MatMul"] == kinds["Reshape"] == 0
    assert {entry.name for entry in model.graph.initializer} == {"w.int8", "w" + SCALE}
