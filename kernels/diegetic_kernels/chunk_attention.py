"""Self-attention of a new chunk: against the sink, the ring of the prefix, and itself.

    sink    |·|
    ring       |--- slots, oldest at (end - length) % R ---|
    chunk                                                   |- block -|- block -|   queries

Queries and keys of the chunk come raw: their norm and their rotation are part of the operation. The
ring holds keys that are normalised and not rotated, so nothing in it changes while time goes on;
they are rotated where they are read, by their distance from the chunk's start.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

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
class Ring:
    """The prefix of every session in a fixed number of slots R; nothing in it is ever shifted.

    Attributes:
        keys: (B, Hkv, R, D), normalised, not rotated; with `page` any number of pages, not B.
        values: likewise.
        end: (B,) int32 or int64, latents ever written: latent i lies in slot i % R.
        length: (B,) int32 or int64, how many of the latest are seen, at most R.
        page: (B,) int32 or int64, on which page a session's ring lies; None: they lie in order.
    """

    keys: Tensor
    values: Tensor
    end: Tensor
    length: Tensor
    page: Tensor | None = None


@dataclass(frozen=True)
class Sink:
    """A key and a value that all see, each (Hkv, D); of the key only what is not rotated counts."""

    key: Tensor
    value: Tensor


def chunk_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    ring: Ring | None,
    *,
    sink: Sink | None = None,
    q_norm: RowNorm | None = None,
    k_norm: RowNorm | None = None,
    turn: Tensor | None = None,
    active: Tensor | None = None,
    block: int | None = None,
    impl: Implementation = "auto",
    tile: Tile | None = None,
) -> Tensor:
    """Attend `q` (B, H, M, D) to the sink, the ring and `k`, `v` (B, Hkv, M, D).

    Scores, softmax and sums are float32 in every implementation. For inference: no gradient is
    kept by `triton` and `flash`.

    Args:
        q: queries, neither normalised nor rotated; any strides, the last dimension dense.
        k: keys of the chunk, likewise; Hkv divides H.
        v: values of the chunk.
        ring: what came before, on the same device and of the same dtype; None is nothing.
        sink: None is no sink.
        q_norm: of the queries; None where they are normalised already.
        k_norm: of the chunk's keys, likewise.
        turn: from `rotary_turn(-R, R + M, ...)`; None does not rotate.
        active: (B,) bool: a session that is not sits this step out, and its output is zero.
        block: latents that see each other; a block sees those before it. None is M.
        impl: `reference` is the specification, `auto` what the table says for this card.
        tile: of `triton`; None is the table's, or the usual one.

    Returns:
        (B, H, M, D) in the dtype of `q`; from `triton` its memory is (B, M, H, D).

    Raises:
        ValueError: the shapes do not belong together, or `impl` cannot run here.
    """
    _check(q, k, v, ring, sink, turn, active, block)
    check_norm(q_norm, q.shape[3], "q_norm")
    check_norm(k_norm, q.shape[3], "k_norm")
    batch, heads, m, _ = q.shape
    size = 0 if ring is None else ring.keys.shape[2]
    weights = tuple(norm.weight for norm in (q_norm, k_norm) if norm is not None)
    sinks = () if sink is None else (sink.key, sink.value)
    rings = () if ring is None else (ring.keys, ring.values)
    inputs = (q, k, v, *weights, *sinks, *rings)
    if q.numel() == 0:
        return empty_like_heads(q)
    chosen = choose("chunk_attention", impl, q, m, size + m, batch * heads, inputs, tile)
    if chosen.impl == "triton":
        return _triton(
            q, k, v, ring if size else None, sink, q_norm, k_norm, turn, active, block or m,
            chosen.tile,
        )  # fmt: skip
    q, k = normalise(q, q_norm), normalise(k, k_norm)
    if chosen.impl == "flash":
        if (block or m) < m:
            raise ValueError("chunk_attention cannot run with impl='flash': several blocks")
        out = _flash(q, k, v, ring, sink, turn)
    else:
        attend = softmax.eager if chosen.impl == "reference" else softmax.fused
        keys, values, hidden = _gather(k, v, ring, sink, turn, block or m)
        bias = torch.zeros(hidden.shape, device=q.device).masked_fill(hidden, -torch.inf)
        out = attend(rotate(q, _of_chunk(turn, m)), keys, values, bias)
    return out if active is None else out.masked_fill(~active[:, None, None, None], 0.0)


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    ring: Ring | None,
    sink: Sink | None,
    turn: Tensor | None,
    active: Tensor | None,
    block: int | None,
) -> None:
    if q.ndim != 4 or k.shape != v.shape or k.ndim != 4 or q.shape[0] != k.shape[0]:
        raise ValueError(
            "q must be (B, H, M, D) and k, v (B, Hkv, M, D), "
            f"got {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}"
        )
    batch, heads, m, dim = q.shape
    kv_heads = k.shape[1]
    if k.shape[2:] != q.shape[2:] or kv_heads == 0 or heads % kv_heads:
        raise ValueError(
            "k must have the length and head size of q, and heads that divide those of q, "
            f"got q {tuple(q.shape)} and k {tuple(k.shape)}"
        )
    if not 16 <= dim <= 128:
        raise ValueError(f"the head size D must be 16 to 128, got {dim}")
    if k.dtype != q.dtype or v.dtype != q.dtype:
        raise ValueError(f"q, k and v must be of one dtype, got {q.dtype}, {k.dtype}, {v.dtype}")
    if block is not None and block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    check_places({"k": k, "v": v, "turn": turn, "active": active}, q)
    if active is not None and (active.shape != (batch,) or active.dtype != torch.bool):
        raise ValueError(f"active must be ({batch},) bool, got {active.shape} {active.dtype}")
    if sink is not None:
        check_places({"sink.key": sink.key, "sink.value": sink.value}, q)
        if sink.key.shape != (kv_heads, dim) or sink.value.shape != (kv_heads, dim):
            raise ValueError(
                f"sink.key and sink.value must be ({kv_heads}, {dim}), "
                f"got {tuple(sink.key.shape)} and {tuple(sink.value.shape)}"
            )
    if ring is not None:
        check_ring(ring, k)
    check_turn(turn, m + (0 if ring is None else ring.keys.shape[2]), dim)


def check_ring(ring: Ring, k: Tensor) -> None:
    """Refuse a ring that does not belong to keys `k` (B, Hkv, M, D).

    Raises:
        ValueError: another shape, dtype or device.
    """
    batch, heads, _, dim = k.shape
    shape = ring.keys.shape
    fits = ring.keys.ndim == 4 and (shape[1], shape[3]) == (heads, dim)
    fits = fits and (ring.page is not None or shape[0] == batch)
    if not fits or ring.values.shape != shape:
        pages = batch if ring.page is None else "pages"
        raise ValueError(
            f"ring.keys and ring.values must be ({pages}, {heads}, R, {dim}), "
            f"got {tuple(shape)} and {tuple(ring.values.shape)}"
        )
    if ring.keys.dtype != k.dtype or ring.values.dtype != k.dtype:
        raise ValueError(f"the ring must be of dtype {k.dtype}, got {ring.keys.dtype}")
    if ring.keys.stride(3) != 1 or ring.values.stride(3) != 1:
        raise ValueError(f"the ring must be dense in D, got strides {ring.keys.stride()}")
    counts = {"ring.end": ring.end, "ring.length": ring.length, "ring.page": ring.page}
    for name, count in counts.items():
        check_count(count, batch, name)
    check_places({"ring.keys": ring.keys, "ring.values": ring.values, **counts}, k)


def _of_chunk(turn: Tensor | None, m: int) -> Tensor | None:
    return None if turn is None else turn[:, turn.shape[1] - m :]


def _gather(
    k: Tensor,
    v: Tensor,
    ring: Ring | None,
    sink: Sink | None,
    turn: Tensor | None,
    block: int,
    newest_first: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """All keys, rotated, and values in one row: sink, chunk, ring; and who may not see them.

    The ring's are oldest first, those not seen in front; or newest first, those not seen at the
    end. The mask is (B, 1, M, N), True where hidden.
    """
    batch, heads, m, dim = k.shape
    blocks = torch.arange(m, device=k.device) // block
    hidden = [(blocks[None] > blocks[:, None]).expand(batch, -1, -1)]
    keys, values = [rotate(k, _of_chunk(turn, m))], [v]
    if sink is not None:
        still = 0 if turn is None else 2 * turn.shape[2]
        key = functional.pad(sink.key[:, still:], (still, 0))
        keys.insert(0, key.to(k.dtype)[None, :, None].expand(batch, -1, -1, -1))
        values.insert(0, sink.value.to(k.dtype)[None, :, None].expand(batch, -1, -1, -1))
        hidden.insert(0, hidden[0].new_zeros(batch, m, 1))
    size = 0 if ring is None else ring.keys.shape[2]
    if ring is not None and size:
        age = torch.arange(size, device=k.device)
        age = age if newest_first else age.flip(0)
        slots = (ring.end[:, None].long() - 1 - age) % size
        index = slots[:, None, :, None].expand(-1, heads, -1, dim)
        rings = [of_sessions(held, ring.page) for held in (ring.keys, ring.values)]
        held_keys, held_values = (held.gather(2, index) for held in rings)
        past = None if turn is None else turn[:, :size]
        if past is not None and newest_first:
            past = past.flip(1)
        # What is not seen may hold anything, NaN too: 0 times NaN would be NaN.
        unseen = age[None] >= ring.length[:, None]
        blank = unseen[:, None, :, None]
        keys.append(rotate(held_keys.masked_fill(blank, 0.0), past))
        values.append(held_values.masked_fill(blank, 0.0))
        hidden.append(unseen[:, None].expand(-1, m, -1))
    return torch.cat(keys, 2), torch.cat(values, 2), torch.cat(hidden, 2)[:, None]


def _flash(
    q: Tensor, k: Tensor, v: Tensor, ring: Ring | None, sink: Sink | None, turn: Tensor | None
) -> Tensor:
    batch, _, m, _ = q.shape
    keys, values, _ = _gather(k, v, ring, sink, turn, m, newest_first=True)
    always = m + (sink is not None)
    if ring is None:
        lengths = torch.full((batch,), always, device=q.device)
    else:
        lengths = always + ring.length.clamp(max=ring.keys.shape[2])
    return softmax.flash(rotate(q, _of_chunk(turn, m)), keys, values, lengths)


def _triton(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    ring: Ring | None,
    sink: Sink | None,
    q_norm: RowNorm | None,
    k_norm: RowNorm | None,
    turn: Tensor | None,
    active: Tensor | None,
    block: int,
    tile: Tile,
) -> Tensor:
    from diegetic_kernels.compiled.chunk_attention import chunk_attention_kernel

    batch, heads, m, dim = q.shape
    q, k, v = dense_rows(q), dense_rows(k), dense_rows(v)
    out = empty_like_heads(q)
    size = 0 if ring is None else ring.keys.shape[2]
    # `q` stands for every tensor that is not there: the kernel does not read it.
    ring_k, ring_v = (q, q) if ring is None else (ring.keys, ring.values)
    end, length = (q, q) if ring is None else (ring.end, ring.length)
    page = None if ring is None else ring.page
    sink_k, sink_v = (q, q) if sink is None else (sink.key.contiguous(), sink.value.contiguous())
    q_weight = q if q_norm is None else q_norm.weight.contiguous()
    k_weight = q if k_norm is None else k_norm.weight.contiguous()
    cos, sin = (q, q) if turn is None else (turn[0], turn[1])
    (q_kind, q_eps), (k_kind, k_eps) = norm_flags(q_norm), norm_flags(k_norm)
    with on_device(q):
        chunk_attention_kernel[(-(-m // tile.queries), heads, batch)](
            q, k, v, ring_k, ring_v, sink_k, sink_v, q_weight, k_weight, cos, sin, end, length,
            q if page is None else page, q if active is None else active.view(torch.uint8), out,
            *q.stride()[:3], *k.stride()[:3], *v.stride()[:3],
            *ring_k.stride()[:3], *ring_v.stride()[:3], *out.stride()[:3],
            M=m,
            BLOCK=block,
            RING=size,
            GROUP=heads // k.shape[1],
            D=dim,
            WIDE=power_of_two(dim),
            ROTARY=0 if turn is None else 2 * turn.shape[2],
            SCALE=float(dim) ** -0.5 * 1.4426950408889634,
            Q_NORM=q_kind,
            Q_EPS=q_eps,
            K_NORM=k_kind,
            K_EPS=k_eps,
            HAS_SINK=sink is not None,
            HAS_PAGE=page is not None,
            HAS_ACTIVE=active is not None,
            BLOCK_M=tile.queries,
            CHUNK_N=min(tile.keys, power_of_two(m)),
            BLOCK_N=tile.keys,
            num_warps=tile.warps,
            num_stages=tile.stages,
        )  # fmt: skip
    return out
