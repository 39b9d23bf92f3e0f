"""What every launch needs: the device of its tensors, sizes that Triton can tile."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from diegetic_kernels.rows import RowNorm

NORMS = {"layer": 1, "rms": 2}


def on_device(x: Tensor) -> AbstractContextManager[object]:
    """Make the device of `x` the current one: that is where Triton launches."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def power_of_two(size: int, least: int = 16) -> int:
    """The least power of two that holds `size` and is at least `least`."""
    return max(least, 1 << max(0, size - 1).bit_length())


def norm_flags(norm: RowNorm | None) -> tuple[int, float]:
    """A norm as the kernels know it: 0 none, 1 layer, 2 rms; and its epsilon."""
    return (NORMS[norm.kind], norm.eps) if norm is not None else (0, 0.0)


def dense_rows(x: Tensor) -> Tensor:
    """`x` itself where its last dimension is dense, else a copy."""
    return x if x.stride(-1) == 1 or x.shape[-1] == 1 else x.contiguous()


def empty_like_heads(q: Tensor) -> Tensor:
    """An empty (B, H, M, D) whose memory is (B, M, H, D), so that merging heads copies nothing."""
    batch, heads, m, dim = q.shape
    return torch.empty(batch, m, heads, dim, dtype=q.dtype, device=q.device).transpose(1, 2)


def of_sessions(pages: Tensor, page: Tensor | None) -> Tensor:
    """What lies on the `page` (B,) of each session, (B, ...); None: they lie in order."""
    return pages if page is None else pages.index_select(0, page)


def check_count(count: Tensor | None, batch: int, name: str) -> None:
    """Refuse counts or pages of sessions that are not whole numbers, (batch,) and dense.

    Raises:
        ValueError: another shape, type or layout.
    """
    if count is None:
        return
    dense = count.ndim == 1 and (batch < 2 or count.stride(0) == 1)
    if count.shape != (batch,) or count.dtype not in (torch.int32, torch.int64) or not dense:
        raise ValueError(
            f"{name} must be ({batch},) int32 or int64 and dense, "
            f"got {tuple(count.shape)} {count.dtype}"
        )


def check_places(inputs: dict[str, Tensor | None], like: Tensor) -> None:
    """Refuse tensors that do not lie on the device of `like`.

    Raises:
        ValueError: one lies elsewhere.
    """
    for name, tensor in inputs.items():
        if tensor is not None and tensor.device != like.device:
            raise ValueError(f"{name} must be on {like.device}, got {tensor.device}")
