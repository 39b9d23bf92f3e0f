"""The kernel of `diegetic_kernels.modulate` and `gated_residual`."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["N"])
def modulate_kernel(
    X,
    Change,
    Gate,
    Scale,
    Shift,
    Sum,
    Out,
    x_b,
    x_n,
    c_b,
    c_n,
    gate_b,
    scale_b,
    shift_b,
    N,
    W: tl.constexpr,
    WIDE: tl.constexpr,
    NORM: tl.constexpr,
    EPS: tl.constexpr,
    GATED: tl.constexpr,
    MODULATED: tl.constexpr,
    ROWS: tl.constexpr,
):
    """One program: ROWS rows of one session; Sum and Out are dense (B, N, W).

    Sum = X + Gate * Change where GATED, then Out = norm(Sum) * (1 + Scale) + Shift where MODULATED.
    """
    tile, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    rows = tile * ROWS + tl.arange(0, ROWS)
    dims = tl.arange(0, WIDE)
    inside = dims < W
    there = (rows < N)[:, None] & inside[None, :]
    dense = b * N * W + rows[:, None] * W + dims[None, :]
    x = tl.load(X + b * x_b + rows[:, None] * x_n + dims[None, :], mask=there, other=0.0)
    x = x.to(tl.float32)
    if GATED:
        change = tl.load(
            Change + b * c_b + rows[:, None] * c_n + dims[None, :], mask=there, other=0.0
        )
        gate = tl.load(Gate + b * gate_b + dims, mask=inside, other=0.0).to(tl.float32)
        x += change.to(tl.float32) * gate[None, :]
        tl.store(Sum + dense, x.to(Sum.dtype.element_ty), mask=there)
    if MODULATED:
        if NORM == 1:
            x = tl.where(there, x - (tl.sum(x, 1) / W)[:, None], 0.0)
        root = tl.sqrt_rn(tl.sum(x * x, 1) / W + EPS)
        x = x * tl.div_rn(tl.full([ROWS], 1.0, tl.float32), root)[:, None]
        scale = tl.load(Scale + b * scale_b + dims, mask=inside, other=0.0).to(tl.float32)
        shift = tl.load(Shift + b * shift_b + dims, mask=inside, other=0.0).to(tl.float32)
        x = x * (1.0 + scale)[None, :] + shift[None, :]
        tl.store(Out + dense, x.to(Out.dtype.element_ty), mask=there)
