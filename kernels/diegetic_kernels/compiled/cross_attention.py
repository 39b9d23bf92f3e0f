"""The kernel of `diegetic_kernels.cross_attention`."""

import triton
import triton.language as tl

from diegetic_kernels.compiled.rows import absorb, read_rows


@triton.jit
def cross_attention_kernel(
    Q,
    K,
    V,
    Weight,
    Cos,
    Sin,
    Page,
    Length,
    Bias,
    Gate,
    Kind,
    Out,
    q_b,
    q_h,
    q_m,
    k_p,
    k_h,
    k_n,
    v_p,
    v_h,
    v_n,
    bias_p,
    gate_b,
    o_b,
    o_h,
    o_m,
    M: tl.constexpr,
    N: tl.constexpr,
    GROUP: tl.constexpr,
    D: tl.constexpr,
    WIDE: tl.constexpr,
    ROTARY: tl.constexpr,
    SCALE: tl.constexpr,
    NORM: tl.constexpr,
    EPS: tl.constexpr,
    HAS_PAGE: tl.constexpr,
    HAS_LENGTH: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_GATE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """One program: BLOCK_M queries of one head of one session, all its keys."""
    tile, h, b = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    g = h // GROUP
    LOG2_E: tl.constexpr = 1.4426950408889634
    rows = tile * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, WIDE)
    inside = dims < D
    q = read_rows(
        Q + b * q_b + h * q_h, q_m, rows, rows < M, Weight, Cos, Sin, rows,
        D, WIDE, ROTARY, NORM, EPS,
    )  # fmt: skip
    q = q.to(Q.dtype.element_ty)
    peak = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, WIDE], tl.float32)

    p = b
    if HAS_PAGE:
        p = tl.load(Page + b).to(tl.int64)
    k_head = K + p * k_p + g * k_h + dims[None, :]
    v_head = V + p * v_p + g * v_h + dims[None, :]
    length = N
    if HAS_LENGTH:
        length = tl.minimum(tl.load(Length + b), N).to(tl.int32)
    for start in range(0, N, BLOCK_N):
        cols = start + tl.arange(0, BLOCK_N)
        seen = cols < length
        there = seen[:, None] & inside[None, :]
        k = tl.load(k_head + cols[:, None] * k_n, mask=there, other=0.0)
        v = tl.load(v_head + cols[:, None] * v_n, mask=there, other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * SCALE
        if HAS_BIAS:
            bias = tl.load(Bias + p * bias_p + cols, mask=seen, other=0.0).to(tl.float32)
            scores += bias[None, :] * LOG2_E
        if HAS_GATE:
            kind = tl.load(Kind + cols, mask=seen, other=0)
            gate = tl.load(Gate + b * gate_b + kind, mask=seen, other=0.0).to(tl.float32)
            scores += gate[None, :] * LOG2_E
        scores = tl.where(seen[None, :], scores, float("-inf"))
        peak, total, acc = absorb(scores, v, peak, total, acc)

    out = acc / tl.where(total == 0.0, 1.0, total)[:, None]
    tl.store(
        Out + b * o_b + h * o_h + rows[:, None] * o_m + dims[None, :],
        out.to(Out.dtype.element_ty),
        mask=(rows < M)[:, None] & inside[None, :],
    )
