"""Attention of a chunk's queries against keys and values, with an additive bias."""

from typing import Literal

import torch
from torch import Tensor

Implementation = Literal["auto", "reference", "sdpa"]


def attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, *, impl: Implementation = "auto"
) -> Tensor:
    """Attend `q` (B, H, M, D) to `k`, `v` (B, H, N, D); return (B, H, M, D) in the dtype of `q`.

    Args:
        q: queries, already normalised and rotated.
        k: keys, likewise.
        v: values.
        bias: added to the scaled scores, broadcastable to (B, H, M, N); -inf hides a key. Every
            query must see at least one key.
        impl: `reference` is the specification, `sdpa` torch's fused kernel, `auto` the quicker one.

    Raises:
        ValueError: the shapes do not belong together, or `impl` is unknown.
    """
    if q.ndim != 4 or k.shape != v.shape or q.shape[:2] + q.shape[3:] != k.shape[:2] + k.shape[3:]:
        raise ValueError(
            "q must be (B, H, M, D) and k, v (B, H, N, D), "
            f"got {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}"
        )
    if impl == "auto":
        # On a CPU torch's fused kernel is slower backwards, at our sizes, than the sum itself.
        impl = "sdpa" if q.is_cuda else "reference"
    if impl == "reference":
        return _reference(q, k, v, bias)
    if impl == "sdpa":
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, bias.to(q.dtype))
    raise ValueError(f"impl must be 'auto', 'reference' or 'sdpa', got {impl!r}")


def _reference(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """The definition; torch accumulates sums and softmax of half-precision tensors in float32."""
    scores: Tensor = (q * float(q.shape[3]) ** -0.5) @ k.transpose(2, 3) + bias
    return (scores.softmax(dim=3).to(v.dtype) @ v).to(q.dtype)
