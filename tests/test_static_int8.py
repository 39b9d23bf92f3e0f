"""Static quantisation of a picture network, and the pictures its ranges come from."""

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from diegetic.training.static_int8 import dead_leaves, integers

SIDE = 32


def network() -> "helper.ModelProto":
    """A convolution and a mean, with kernels of very different sizes."""
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((6, 3, 3, 3)).astype(np.float32)
    kernel *= np.logspace(-3, 0, 6, dtype=np.float32)[:, None, None, None]
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["seen"], kernel_shape=[3, 3]),
        helper.make_node("GlobalAveragePool", ["seen"], ["features"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", SIDE, SIDE, 3])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 6, 1, 1])
    graph = helper.make_graph(
        nodes, "network", [pixels], [features], [numpy_helper.from_array(kernel, "kernel")]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answer(model: "helper.ModelProto", picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    features: NDArray[np.float32] = session.run(None, {"pixels": picture[None].astype("f4")})[0]
    return features.ravel()


def test_a_network_answers_with_integers_as_it_did_with_floats() -> None:
    whole, made = network(), integers(network(), SIDE)
    kernels = [numpy_helper.to_array(x) for x in made.graph.initializer if len(x.dims) == 4]
    assert [kernel.dtype for kernel in kernels] == [np.int8]
    assert np.abs(kernels[0].astype(int)).max() == 64  # 7 bits, and each channel uses them
    assert (np.abs(kernels[0].astype(int)).max((1, 2, 3)) >= 63).all()
    for number in (1000, 1001):  # not among those of the ranges
        picture = dead_leaves(number, SIDE)
        floats, ours = answer(whole, picture), answer(made, picture)
        largest = answer(made, np.full_like(picture, 255))
        assert np.abs(ours[-1] - floats[-1]) < 0.02 * np.abs(largest[-1])


def test_dead_leaves_are_the_same_again_and_fill_the_range() -> None:
    pictures = [dead_leaves(number, SIDE) for number in (0, 0, 1)]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).mean() > 0.5
    for picture in pictures:
        assert picture.shape == (SIDE, SIDE, 3)
        assert np.ptp(picture) > 200
