"""What the attention kernels share: rows normalised and turned while they are read, softmax."""

import triton
import triton.language as tl


@triton.jit
def read_rows(
    X,
    stride,
    rows,
    seen,
    Weight,
    Cos,
    Sin,
    places,
    D: tl.constexpr,
    WIDE: tl.constexpr,
    ROTARY: tl.constexpr,
    NORM: tl.constexpr,
    EPS: tl.constexpr,
):
    """Rows of X as float32 (N, WIDE): 0 where not `seen`; NORM is 0 none, 1 layer, 2 rms.

    Every dimension that turns needs its partner, half of ROTARY away: it is read a second time,
    from the cache. `places` are rows of Cos and Sin.
    """
    dims = tl.arange(0, WIDE)
    inside = seen[:, None] & (dims < D)[None, :]
    start = X + rows[:, None] * stride
    x = tl.load(start + dims[None, :], mask=inside, other=0.0).to(tl.float32)
    mean = tl.zeros([rows.shape[0]], tl.float32)
    if NORM == 1:
        mean = tl.sum(x, 1) / D
        x = tl.where(inside, x - mean[:, None], 0.0)
    if NORM != 0:
        # Rounded to nearest, not approximated: its error would be in every score of the row.
        root = tl.sqrt_rn(tl.sum(x * x, 1) / D + EPS)
        scale = tl.div_rn(tl.full([rows.shape[0]], 1.0, tl.float32), root)
        weight = tl.load(Weight + dims, mask=dims < D, other=0.0).to(tl.float32)
        x = x * scale[:, None] * weight[None, :]
    if ROTARY != 0:
        HALF: tl.constexpr = ROTARY // 2
        turns = dims < ROTARY
        partner = tl.where(dims < HALF, dims + HALF, tl.where(turns, dims - HALF, 0))
        both = seen[:, None] & turns[None, :]
        y = tl.load(start + partner[None, :], mask=both, other=0.0).to(tl.float32)
        if NORM != 0:
            other = tl.load(Weight + partner, mask=turns, other=0.0).to(tl.float32)
            y = (y - mean[:, None]) * scale[:, None] * other[None, :]
        angle = places[:, None] * HALF + (dims % HALF)[None, :]
        cos = tl.load(Cos + angle, mask=both, other=1.0)
        sin = tl.load(Sin + angle, mask=both, other=0.0)
        x = x * cos + tl.where((dims < HALF)[None, :], -y, y) * sin
    return x


@triton.jit
def absorb(scores, v, peak, total, acc):
    """Take one tile of keys into the online softmax (arXiv 1805.02867), in base 2.

    `peak` is the running maximum of a row, `total` its running sum, `acc` its weighted values.
    """
    higher = tl.maximum(peak, tl.max(scores, 1))
    safe = tl.where(higher == float("-inf"), 0.0, higher)  # nothing seen so far
    weights = tl.exp2(scores - safe[:, None])
    keep = tl.exp2(peak - safe)
    total = total * keep + tl.sum(weights, 1)
    acc = tl.dot(weights.to(v.dtype), v, acc * keep[:, None], input_precision="ieee")
    return higher, total, acc
