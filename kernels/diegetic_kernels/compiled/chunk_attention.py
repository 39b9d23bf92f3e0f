"""The kernel of `diegetic_kernels.chunk_attention`."""

import triton
import triton.language as tl

from diegetic_kernels.compiled.rows import absorb, read_rows


@triton.jit
def chunk_attention_kernel(
    Q,
    K,
    V,
    RingK,
    RingV,
    SinkK,
    SinkV,
    QWeight,
    KWeight,
    Cos,
    Sin,
    End,
    Length,
    Page,
    Active,
    Out,
    q_b,
    q_h,
    q_m,
    k_b,
    k_h,
    k_m,
    v_b,
    v_h,
    v_m,
    rk_p,
    rk_h,
    rk_r,
    rv_p,
    rv_h,
    rv_r,
    o_b,
    o_h,
    o_m,
    M: tl.constexpr,
    BLOCK: tl.constexpr,
    RING: tl.constexpr,
    GROUP: tl.constexpr,
    D: tl.constexpr,
    WIDE: tl.constexpr,
    ROTARY: tl.constexpr,
    SCALE: tl.constexpr,
    Q_NORM: tl.constexpr,
    Q_EPS: tl.constexpr,
    K_NORM: tl.constexpr,
    K_EPS: tl.constexpr,
    HAS_SINK: tl.constexpr,
    HAS_PAGE: tl.constexpr,
    HAS_ACTIVE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    CHUNK_N: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """One program: BLOCK_M queries of one head of one session, all keys that they may see.

    Loops run to sizes known when compiled, since streams have few; what is beyond a session's
    length is neither read nor seen.
    """
    tile, h, b = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    g = h // GROUP
    rows = tile * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, WIDE)
    inside = dims < D
    q = read_rows(
        Q + b * q_b + h * q_h, q_m, rows, rows < M, QWeight, Cos, Sin, RING + rows,
        D, WIDE, ROTARY, Q_NORM, Q_EPS,
    )  # fmt: skip
    q = q.to(Q.dtype.element_ty)

    if HAS_SINK:
        # Of the sink's key only what is not rotated: it lies at no place.
        still = inside & (dims >= ROTARY)
        sink = tl.load(SinkK + g * D + dims, mask=still, other=0.0).to(tl.float32)
        peak = tl.sum(q.to(tl.float32) * sink[None, :], 1) * SCALE
        total = tl.full([BLOCK_M], 1.0, tl.float32)
        value = tl.load(SinkV + g * D + dims, mask=inside, other=0.0).to(tl.float32)
        acc = tl.zeros([BLOCK_M, WIDE], tl.float32) + value[None, :]
    else:
        peak = tl.full([BLOCK_M], float("-inf"), tl.float32)
        total = tl.zeros([BLOCK_M], tl.float32)
        acc = tl.zeros([BLOCK_M, WIDE], tl.float32)

    # The chunk: a latent sees its own block and those before it.
    for start in range(0, M, CHUNK_N):
        cols = start + tl.arange(0, CHUNK_N)
        k = read_rows(
            K + b * k_b + g * k_h, k_m, cols, cols < M, KWeight, Cos, Sin, RING + cols,
            D, WIDE, ROTARY, K_NORM, K_EPS,
        ).to(Q.dtype.element_ty)  # fmt: skip
        v = tl.load(
            V + b * v_b + g * v_h + cols[:, None] * v_m + dims[None, :],
            mask=(cols < M)[:, None] & inside[None, :],
            other=0.0,
        )
        seen = (cols < M)[None, :] & (cols[None, :] // BLOCK <= rows[:, None] // BLOCK)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * SCALE
        scores = tl.where(seen, scores, float("-inf"))
        peak, total, acc = absorb(scores, v, peak, total, acc)

    live = True
    if HAS_ACTIVE:
        live = tl.load(Active + b) != 0
    if RING != 0:
        # Oldest first: key j of the valid ones is at position j - length, wherever its slot is.
        length = tl.minimum(tl.load(Length + b).to(tl.int32), RING)
        if HAS_ACTIVE:
            length = tl.where(live, length, 0)
        first = ((tl.load(End + b) % RING).to(tl.int32) - length + RING) % RING
        p = b
        if HAS_PAGE:
            p = tl.load(Page + b).to(tl.int64)
        for start in range(0, RING, BLOCK_N):
            cols = start + tl.arange(0, BLOCK_N)
            slots = first + cols
            slots = tl.where(slots >= RING, slots - RING, slots)
            k = read_rows(
                RingK + p * rk_p + g * rk_h, rk_r, slots, cols < length, KWeight, Cos, Sin,
                RING - length + cols, D, WIDE, ROTARY, 0, 0.0,
            ).to(Q.dtype.element_ty)  # fmt: skip
            v = tl.load(
                RingV + p * rv_p + g * rv_h + slots[:, None] * rv_r + dims[None, :],
                mask=(cols < length)[:, None] & inside[None, :],
                other=0.0,
            )
            scores = tl.dot(q, tl.trans(k), input_precision="ieee") * SCALE
            scores = tl.where((cols < length)[None, :], scores, float("-inf"))
            peak, total, acc = absorb(scores, v, peak, total, acc)

    out = acc / total[:, None]
    if HAS_ACTIVE:
        out = tl.where(live, out, 0.0)
    tl.store(
        Out + b * o_b + h * o_h + rows[:, None] * o_m + dims[None, :],
        out.to(Out.dtype.element_ty),
        mask=(rows < M)[:, None] & inside[None, :],
    )
