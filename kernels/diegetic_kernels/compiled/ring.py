"""The kernel of `diegetic_kernels.append_to_ring`."""

import triton
import triton.language as tl

from diegetic_kernels.compiled.rows import read_rows


@triton.jit(do_not_specialize=["M", "RING", "SKIP"])
def append_kernel(
    K,
    V,
    RingK,
    RingV,
    Weight,
    End,
    Page,
    Active,
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
    M,
    RING,
    SKIP,
    D: tl.constexpr,
    WIDE: tl.constexpr,
    NORM: tl.constexpr,
    EPS: tl.constexpr,
    HAS_PAGE: tl.constexpr,
    HAS_ACTIVE: tl.constexpr,
    ROWS: tl.constexpr,
):
    """One program: ROWS latents of one head of one session, normalised, into their slots.

    Of more latents than the ring has slots the first SKIP are left out: they are past already.
    """
    tile, h, b = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    rows = SKIP + tile * ROWS + tl.arange(0, ROWS)
    seen = rows < M
    if HAS_ACTIVE:
        seen = seen & (tl.load(Active + b) != 0)
    dims = tl.arange(0, WIDE)
    inside = seen[:, None] & (dims < D)[None, :]
    slots = ((tl.load(End + b) % RING).to(tl.int32) + rows) % RING
    p = b
    if HAS_PAGE:
        p = tl.load(Page + b).to(tl.int64)
    # Weight stands for the angles: nothing is turned here, they are not read.
    k = read_rows(
        K + b * k_b + h * k_h, k_m, rows, seen, Weight, Weight, Weight, rows,
        D, WIDE, 0, NORM, EPS,
    )  # fmt: skip
    v = tl.load(V + b * v_b + h * v_h + rows[:, None] * v_m + dims[None, :], mask=inside, other=0.0)
    tl.store(
        RingK + p * rk_p + h * rk_h + slots[:, None] * rk_r + dims[None, :],
        k.to(RingK.dtype.element_ty),
        mask=inside,
    )
    tl.store(RingV + p * rv_p + h * rv_h + slots[:, None] * rv_r + dims[None, :], v, mask=inside)
