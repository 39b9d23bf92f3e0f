"""Attention of whole tensors: the eager definition, torch's fused kernel and flash-attn."""

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional


def eager(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Attend `q` (B, H, M, D) to `k`, `v` (B, Hkv, N, D); scores and softmax at least float32.

    `bias` is added to the scores, broadcastable to (B, H, M, N); a query that may see nothing, all
    of its row -inf, gets zeros.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    k, v = _for_all_heads(k, q), _for_all_heads(v, q)
    scores = (q.to(wide) @ k.to(wide).transpose(2, 3)) * float(q.shape[3]) ** -0.5
    if bias is not None:
        scores = scores + bias
    weights: Tensor = scores.softmax(dim=3).to(v.dtype)
    if bias is not None:
        weights = weights.masked_fill((scores == -torch.inf).all(3, keepdim=True), 0.0)
    out: Tensor = (weights.to(wide) @ v.to(wide)).to(q.dtype)
    return out


def fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """The same by torch's scaled_dot_product_attention."""
    k, v = _for_all_heads(k, q), _for_all_heads(v, q)
    if bias is None:
        return functional.scaled_dot_product_attention(q, k, v)
    hidden = (bias == -torch.inf).all(3, keepdim=True)
    whole = bias.to(q.dtype).expand(q.shape[0], -1, q.shape[2], -1)
    # torch's kernels disagree about a row that sees nothing: let it see, and drop what it saw.
    out = functional.scaled_dot_product_attention(q, k, v, whole.masked_fill(hidden, 0.0))
    return out.masked_fill(hidden, 0.0)


def flash(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    """The same by flash-attn; of `k` and `v` the first `lengths` (B,) are seen, at least one."""
    from flash_attn import flash_attn_with_kvcache

    out = flash_attn_with_kvcache(
        q.transpose(1, 2),
        k.transpose(1, 2),
        v.transpose(1, 2),
        cache_seqlens=lengths.to(torch.int32),
    )
    return cast(Tensor, out).transpose(1, 2)


def _for_all_heads(x: Tensor, q: Tensor) -> Tensor:
    """Repeat the heads of `x` (B, Hkv, N, D), each for its group of the heads of `q`."""
    group = q.shape[1] // x.shape[1]
    return x if group == 1 else x[:, :, None].expand(-1, -1, group, -1, -1).flatten(1, 2)
