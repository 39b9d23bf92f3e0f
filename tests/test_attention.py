"""The attention op: both implementations against float64, and its errors."""

import pytest
import torch

from diegetic_kernels import attention
from diegetic_kernels.attention import Implementation

SHAPES = [(1, 1, 1, 1, 32), (2, 4, 10, 74, 64), (1, 5, 7, 13, 64), (3, 2, 1, 129, 32)]


def inputs(shape: tuple[int, int, int, int, int]) -> tuple[torch.Tensor, ...]:
    batch, heads, m, n, d = shape
    make = torch.Generator().manual_seed(sum(shape))
    q = torch.randn(batch, heads, m, d, generator=make)
    k = torch.randn(batch, heads, n, d, generator=make)
    v = torch.randn(batch, heads, n, d, generator=make)
    hidden = torch.rand(batch, 1, m, n, generator=make) < 0.4
    hidden[..., 0] = False
    return q, k, v, torch.where(hidden, -1e4, 0.0)


def exactly(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    scores = torch.einsum("bhmd,bhnd->bhmn", q.double(), k.double()) / q.shape[3] ** 0.5
    return torch.einsum("bhmn,bhnd->bhmd", (scores + bias.double()).softmax(-1), v.double())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("impl", ["auto", "reference", "sdpa"])
def test_it_is_the_softmax_weighted_mean(
    shape: tuple[int, int, int, int, int], impl: Implementation
) -> None:
    q, k, v, bias = inputs(shape)
    made = attention(q, k, v, bias, impl=impl)
    # Rounding of float32 sums over at most 129 keys of size about one.
    assert (made.double() - exactly(q, k, v, bias)).abs().max() < 5e-6


@pytest.mark.parametrize("impl", ["reference", "sdpa"])
def test_bfloat16_errs_no_more_than_its_rounding(impl: Implementation) -> None:
    q, k, v, bias = (x.bfloat16() for x in inputs((2, 4, 10, 74, 64)))
    made = attention(q, k, v, bias, impl=impl)
    assert made.dtype == torch.bfloat16
    assert (made.double() - exactly(q, k, v, bias)).abs().max() < 0.03


def test_a_hidden_key_changes_nothing() -> None:
    q, k, v, bias = inputs((2, 4, 10, 74, 64))
    bias[..., 5] = -1e4
    other = v.clone()
    other[:, :, 5] = 1e3
    torch.testing.assert_close(attention(q, k, v, bias), attention(q, k, other, bias))


def test_wrong_shapes_and_names_are_refused() -> None:
    q, k, v, bias = inputs((2, 4, 10, 74, 64))
    with pytest.raises(ValueError, match=r"q must be \(B, H, M, D\).*got"):
        attention(q, k, v[:, :, :3], bias)
    with pytest.raises(ValueError, match="impl must be"):
        attention(q, k, v, bias, impl="triton")  # type: ignore[arg-type]
