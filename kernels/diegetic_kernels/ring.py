"""Write a chunk's keys and values over the oldest ones of a ring."""

from typing import Literal

import torch
from torch import Tensor

from diegetic_kernels.choice import interpreted, why_no_triton
from diegetic_kernels.chunk_attention import Ring, check_ring
from diegetic_kernels.launch import check_places, dense_rows, norm_flags, on_device, power_of_two
from diegetic_kernels.rows import RowNorm, check_norm, normalise

ROWS = 16


def append_to_ring(
    k: Tensor,
    v: Tensor,
    ring: Ring,
    *,
    norm: RowNorm | None = None,
    active: Tensor | None = None,
    impl: Literal["auto", "reference", "triton"] = "auto",
) -> None:
    """Write `k`, `v` (B, Hkv, M, D) into the slots from `ring.end` on, in place.

    `ring.end` and `ring.length` stay as they are, since all layers share them: add M to `end`, and
    to `length` up to R, once per chunk and only for sessions that are active. For inference only.

    Args:
        k: keys, not rotated; normalised here by `norm`, or already where that is None.
        v: values.
        ring: what is written to; of more than R latents only the last R are. What a page holds that
            several sessions write to is one of theirs, or parts of several.
        norm: of the keys.
        active: (B,) bool: the ring of a session that is not active stays as it is.
        impl: `auto` is Triton's kernel on a card, where it can run.

    Raises:
        ValueError: the shapes do not belong together, or `triton` cannot run here.
    """
    if k.ndim != 4 or k.shape != v.shape or k.dtype != v.dtype:
        raise ValueError(
            "k and v must be (B, Hkv, M, D) of one dtype, "
            f"got {tuple(k.shape)} {k.dtype} and {tuple(v.shape)} {v.dtype}"
        )
    check_ring(ring, k)
    check_norm(norm, k.shape[3], "norm")
    check_places({"v": v, "active": active}, k)
    if active is not None and (active.shape != k.shape[:1] or active.dtype != torch.bool):
        raise ValueError(f"active must be ({k.shape[0]},) bool, got {active.shape} {active.dtype}")
    if impl not in ("auto", "reference", "triton"):
        raise ValueError(f"impl must be 'auto', 'reference' or 'triton', got {impl!r}")
    if torch.is_grad_enabled() and (k.requires_grad or v.requires_grad):
        raise ValueError("append_to_ring is for inference only, and k or v requires a gradient")
    if ring.keys.shape[2] == 0 or k.numel() == 0:
        return
    why = why_no_triton(k.device)
    if impl == "triton" and why is not None:
        raise ValueError(f"append_to_ring cannot run with impl='triton': {why}")
    if impl == "triton" or (impl == "auto" and why is None and not interpreted()):
        _triton(k, v, ring, norm, active)
    else:
        _reference(k, v, ring, norm, active)


def _reference(
    k: Tensor, v: Tensor, ring: Ring, norm: RowNorm | None, active: Tensor | None
) -> None:
    """The definition. A session that sits out writes what its slots hold already."""
    size, (batch, heads, m, _) = ring.keys.shape[2], k.shape
    first = max(0, m - size)
    slots = (ring.end[:, None].long() + torch.arange(first, m, device=k.device)) % size
    page = torch.arange(batch, device=k.device) if ring.page is None else ring.page.long()
    head = torch.arange(heads, device=k.device)
    index = (page[:, None, None], head[:, None], slots[:, None])
    for held, new in ((ring.keys, normalise(k, norm)), (ring.values, v)):
        new = new[:, :, first:]
        if active is not None:
            new = torch.where(active[:, None, None, None], new, held[index])
        held[index] = new.to(held.dtype)


def _triton(k: Tensor, v: Tensor, ring: Ring, norm: RowNorm | None, active: Tensor | None) -> None:
    from diegetic_kernels.compiled.ring import append_kernel

    k, v = dense_rows(k), dense_rows(v)
    batch, heads, m, dim = k.shape
    size = ring.keys.shape[2]
    skip = max(0, m - size)
    kind, eps = norm_flags(norm)
    with on_device(k):
        append_kernel[(-(-(m - skip) // ROWS), heads, batch)](
            k, v, ring.keys, ring.values, k if norm is None else norm.weight.contiguous(),
            ring.end, k if ring.page is None else ring.page,
            k if active is None else active.view(torch.uint8),
            *k.stride()[:3], *v.stride()[:3], *ring.keys.stride()[:3], *ring.values.stride()[:3],
            m, size, skip,
            D=dim,
            WIDE=power_of_two(dim),
            NORM=kind,
            EPS=eps,
            HAS_PAGE=ring.page is not None,
            HAS_ACTIVE=active is not None,
            ROWS=ROWS,
            num_warps=2,
        )  # fmt: skip
