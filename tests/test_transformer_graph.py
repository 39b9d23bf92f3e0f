"""The transformer's graph, which is written by hand, is the transformer."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from diegetic.config import LATENT_DIM
from diegetic.model.dit import BLOCKS, HEAD_DIM, HEADS, HIDDEN, TOKENS, WIDTH, Cross, DiT, Memory
from diegetic.networks import FloatArray
from diegetic.training.transformer_graph import transformer_graph


@pytest.fixture(scope="module")
def dit() -> DiT:
    """A transformer none of whose tensors is zero or one."""
    torch.manual_seed(3)
    dit = DiT().eval()
    with torch.no_grad():
        for tensor in dit.parameters():
            tensor.add_(0.05 * torch.randn_like(tensor))
    return dit


@pytest.fixture(scope="module")
def graph(dit: DiT) -> onnxruntime.InferenceSession:
    tensors = {f"dit.{name}": tensor for name, tensor in dit.state_dict().items()}
    model = transformer_graph({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    for entry in model.graph.initializer:
        if entry.name in tensors:
            entry.CopyFrom(numpy_helper.from_array(tensors[entry.name].numpy(), entry.name))
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize(("batch", "latents", "ring"), [(1, 11, 64), (3, 8, 64), (2, 1, 1)])
def test_it_computes_what_the_model_computes(
    dit: DiT, graph: onnxruntime.InferenceSession, batch: int, latents: int, ring: int
) -> None:
    rng = np.random.default_rng(batch)

    def normal(*shape: int) -> FloatArray:
        return rng.standard_normal(shape).astype(np.float32)

    def hidden(count: int) -> FloatArray:
        return np.where(rng.random((batch, count)) < 0.3, np.float32(HIDDEN), np.float32(0))

    given = {
        "latents": normal(batch, latents, LATENT_DIM),
        "t": rng.random(batch).astype(np.float32),
        "guidance": 1 + rng.random(batch).astype(np.float32),
        "cross_keys": normal(batch, BLOCKS, HEADS, TOKENS, HEAD_DIM),
        "cross_values": normal(batch, BLOCKS, HEADS, TOKENS, HEAD_DIM),
        "cross_bias": hidden(TOKENS),
        "summary": normal(batch, WIDTH),
        "prefix_keys": normal(batch, BLOCKS, HEADS, ring, HEAD_DIM),
        "prefix_values": normal(batch, BLOCKS, HEADS, ring, HEAD_DIM),
        "prefix_bias": hidden(ring),
    }
    tensors = {name: torch.from_numpy(array) for name, array in given.items()}
    keys, values, bias = (tensors[f"cross_{part}"] for part in ("keys", "values", "bias"))
    cross = Cross(keys, values, bias, tensors["summary"])
    prefix = Memory(*(tensors[f"prefix_{part}"] for part in ("keys", "values", "bias")))
    with torch.inference_mode():
        wanted = dit(tensors["latents"], tensors["t"], tensors["guidance"], cross, prefix)
    for got, true in zip(graph.run(None, given), wanted, strict=True):
        assert got.shape == true.shape
        np.testing.assert_allclose(got, true.numpy(), atol=2e-5 * float(true.abs().max()))
