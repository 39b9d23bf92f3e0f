"""Attention of a chunk's queries to the conditioning, whose keys and values are kept."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diegetic_kernels import softmax
from diegetic_kernels.choice import Implementation, Tile, choose
from diegetic_kernels.launch import (
    check_count,
    check_places,
    dense_rows,
    empty_like_heads,
    norm_flags,
    of_sessions,
    on_device,
    power_of_two,
)
from diegetic_kernels.rows import RowNorm, check_norm, check_turn, normalise, rotate


@dataclass(frozen=True)
class Gate:
    """How much of each modality is heard: added to its scores, so that it can be faded live.

    Attributes:
        levels: (B, modalities), natural logarithms: 0 is all of it, -inf nothing.
        kind: (N,) int32 or int64, the modality of each key.
    """

    levels: Tensor
    kind: Tensor


def cross_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    norm: RowNorm | None = None,
    turn: Tensor | None = None,
    page: Tensor | None = None,
    length: Tensor | None = None,
    bias: Tensor | None = None,
    gate: Gate | None = None,
    impl: Implementation = "auto",
    tile: Tile | None = None,
) -> Tensor:
    """Attend `q` (B, H, M, D) to cached `k`, `v` (B, Hkv, N, D).

    Scores, softmax and sums are float32 in every implementation. For inference: no gradient is
    kept by `triton` and `flash`.

    Args:
        q: queries, neither normalised nor rotated; any strides, the last dimension dense.
        k: keys, normalised and rotated; Hkv divides H; with `page` any number of pages, not B.
        v: values, likewise.
        norm: of the queries; None where they are normalised already.
        turn: from `rotary_turn(0, M, ...)`; None does not rotate.
        page: (B,) int32 or int64, on which page of `k`, `v` and `bias` a session's conditioning
            lies, which sessions may share; None: they lie in order.
        length: (B,) int32 or int64, keys that are seen, the first ones; None is all. A session
            with none, which sits out, gets zeros.
        bias: (B, N), or (pages, N), added to the scores.
        gate: added to the scores, by modality.
        impl: `reference` is the specification, `auto` what the table says for this card.
        tile: of `triton`; None is the table's, or the usual one.

    Returns:
        (B, H, M, D) in the dtype of `q`; from `triton` its memory is (B, M, H, D).

    Raises:
        ValueError: the shapes do not belong together, or `impl` cannot run here.
    """
    _check(q, k, v, turn, page, length, bias, gate)
    check_norm(norm, q.shape[3], "norm")
    batch, heads, m, _ = q.shape
    n = k.shape[2]
    if q.numel() == 0 or n == 0:
        return empty_like_heads(q).zero_()
    weights = () if norm is None else (norm.weight,)
    added = tuple(
        part for part in (bias, None if gate is None else gate.levels) if part is not None
    )
    chosen = choose(
        "cross_attention", impl, q, m, n, batch * heads, (q, k, v, *weights, *added), tile
    )
    if chosen.impl == "triton":
        return _triton(q, k, v, norm, turn, page, length, bias, gate, chosen.tile)
    q = rotate(normalise(q, norm), turn)
    k, v = of_sessions(k, page), of_sessions(v, page)
    bias = None if bias is None else of_sessions(bias, page)
    if chosen.impl == "flash":
        if added:
            raise ValueError("cross_attention cannot run with impl='flash': bias or gate is given")
        lengths = torch.full((batch,), n, device=q.device) if length is None else length
        out = softmax.flash(q, k, v, lengths.clamp(1, n))
        return out.masked_fill((lengths < 1)[:, None, None, None], 0.0)
    attend = softmax.eager if chosen.impl == "reference" else softmax.fused
    return attend(q, k, v, _whole_bias(n, length, bias, gate, q.device))


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    turn: Tensor | None,
    page: Tensor | None,
    length: Tensor | None,
    bias: Tensor | None,
    gate: Gate | None,
) -> None:
    if (
        q.ndim != 4
        or k.ndim != 4
        or k.shape != v.shape
        or (page is None and k.shape[0] != q.shape[0])
        or k.shape[3] != q.shape[3]
        or k.shape[1] == 0
        or q.shape[1] % k.shape[1]
    ):
        raise ValueError(
            "q must be (B, H, M, D) and k, v (B, Hkv, N, D), Hkv a divisor of H, "
            f"got {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}"
        )
    batch, (pages, _, n, dim) = q.shape[0], k.shape
    if not 16 <= dim <= 128:
        raise ValueError(f"the head size D must be 16 to 128, got {dim}")
    if k.dtype != q.dtype or v.dtype != q.dtype:
        raise ValueError(f"q, k and v must be of one dtype, got {q.dtype}, {k.dtype}, {v.dtype}")
    check_turn(turn, q.shape[2], dim)
    check_places({"k": k, "v": v, "turn": turn, "page": page, "length": length, "bias": bias}, q)
    check_count(page, batch, "page")
    check_count(length, batch, "length")
    if bias is not None and bias.shape != (pages, n):
        raise ValueError(f"bias must be ({pages}, {n}), got {tuple(bias.shape)}")
    if gate is not None:
        check_places({"gate.levels": gate.levels, "gate.kind": gate.kind}, q)
        if gate.levels.ndim != 2 or gate.levels.shape[0] != batch:
            raise ValueError(
                f"gate.levels must be ({batch}, modalities), got {tuple(gate.levels.shape)}"
            )
        if gate.kind.shape != (n,) or gate.kind.dtype not in (torch.int32, torch.int64):
            raise ValueError(
                f"gate.kind must be ({n},) int32 or int64, "
                f"got {tuple(gate.kind.shape)} {gate.kind.dtype}"
            )


def _whole_bias(
    n: int, length: Tensor | None, bias: Tensor | None, gate: Gate | None, device: torch.device
) -> Tensor | None:
    """Length, bias and gate as one bias (B, 1, 1, N) in float32; None where there is none."""
    parts = []
    if bias is not None:
        parts.append(bias.float())
    if gate is not None:
        parts.append(gate.levels.float()[:, gate.kind.long()])
    if length is not None:
        hidden = torch.arange(n, device=device) >= length[:, None]
        parts.append(torch.zeros(hidden.shape, device=device).masked_fill(hidden, -torch.inf))
    return torch.stack(parts).sum(0)[:, None, None] if parts else None


def _triton(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    norm: RowNorm | None,
    turn: Tensor | None,
    page: Tensor | None,
    length: Tensor | None,
    bias: Tensor | None,
    gate: Gate | None,
    tile: Tile,
) -> Tensor:
    from diegetic_kernels.compiled.cross_attention import cross_attention_kernel

    batch, heads, m, dim = q.shape
    n = k.shape[2]
    q, k, v = dense_rows(q), dense_rows(k), dense_rows(v)
    out = empty_like_heads(q)
    # `q` stands for every tensor that is not there: the kernel does not read it.
    bias = None if bias is None else dense_rows(bias)
    levels = None if gate is None else dense_rows(gate.levels)
    cos, sin = (q, q) if turn is None else (turn[0], turn[1])
    kind, eps = norm_flags(norm)
    with on_device(q):
        cross_attention_kernel[(-(-m // tile.queries), heads, batch)](
            q, k, v, q if norm is None else norm.weight.contiguous(), cos, sin,
            q if page is None else page, q if length is None else length,
            q if bias is None else bias,
            q if levels is None else levels, q if gate is None else gate.kind.contiguous(), out,
            *q.stride()[:3], *k.stride()[:3], *v.stride()[:3],
            0 if bias is None else bias.stride(0), 0 if levels is None else levels.stride(0),
            *out.stride()[:3],
            M=m,
            N=n,
            GROUP=heads // k.shape[1],
            D=dim,
            WIDE=power_of_two(dim),
            ROTARY=0 if turn is None else 2 * turn.shape[2],
            SCALE=float(dim) ** -0.5 * 1.4426950408889634,
            NORM=kind,
            EPS=eps,
            HAS_PAGE=page is not None,
            HAS_LENGTH=length is not None,
            HAS_BIAS=bias is not None,
            HAS_GATE=gate is not None,
            BLOCK_M=tile.queries,
            BLOCK_N=tile.keys,
            num_warps=tile.warps,
            num_stages=tile.stages,
        )  # fmt: skip
    return out
