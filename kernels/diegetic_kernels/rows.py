"""What is done to queries and keys before they meet: a norm over a head, and rotary positions."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class RowNorm:
    """A norm of every row of a head, with `weight` (D,) and no bias.

    Attributes:
        weight: (D,), of any float type.
        kind: `layer` takes the mean off first (arXiv 1607.06450), `rms` does not (1910.07467).
        eps: added to the mean square.
    """

    weight: Tensor
    kind: Literal["layer", "rms"] = "layer"
    eps: float = 1e-5


def rotary_turn(
    first: int, count: int, rotary: int, device: torch.device | str = "cpu", base: float = 1e4
) -> Tensor:
    """Cosines and sines (2, count, rotary / 2), float32, of positions `first` and after.

    The rotary embedding of arXiv 2104.09864 on the first `rotary` dimensions of a head: dimension i
    of the first half turns with dimension i of the second.

    Raises:
        ValueError: `rotary` is odd or negative.
    """
    if rotary < 0 or rotary % 2:
        raise ValueError(f"rotary must be even and at least 0, got {rotary}")
    half = rotary // 2
    steps = torch.arange(half, dtype=torch.float32, device=device)
    positions = torch.arange(first, first + count, dtype=torch.float32, device=device)
    angle = positions[:, None] * base ** (-steps / max(1, half))
    return torch.stack((angle.cos(), angle.sin()))


def normalise(x: Tensor, norm: RowNorm | None) -> Tensor:
    """The eager norm of `x` (..., D), in its dtype (autocast would widen it)."""
    if norm is None:
        return x
    weight, shape = norm.weight.to(x.dtype), (x.shape[-1],)
    if norm.kind == "rms":
        return functional.rms_norm(x, shape, weight, norm.eps).to(x.dtype)
    return functional.layer_norm(x, shape, weight, None, norm.eps).to(x.dtype)


def rotate(x: Tensor, turn: Tensor | None) -> Tensor:
    """Turn `x` (B, H, N, D) by `turn` (2, N, half) or (2, B, 1, N, half), in its dtype."""
    if turn is None:
        return x
    cos, sin = turn
    half = turn.shape[-1]
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat(
        ((a * cos - b * sin).to(x.dtype), (a * sin + b * cos).to(x.dtype), rest), dim=-1
    )


def check_norm(norm: RowNorm | None, dim: int, name: str) -> None:
    """Refuse a norm that does not belong to heads of `dim`.

    Raises:
        ValueError: the weight has another shape, or the kind is unknown.
    """
    if norm is None:
        return
    if norm.weight.shape != (dim,):
        raise ValueError(f"{name}.weight must be ({dim},), got {tuple(norm.weight.shape)}")
    if norm.kind not in ("layer", "rms"):
        raise ValueError(f"{name}.kind must be 'layer' or 'rms', got {norm.kind!r}")


def check_turn(turn: Tensor | None, rows: int, dim: int) -> None:
    """Refuse a table of angles that is not (2, rows, at most dim / 2), float and dense.

    Raises:
        ValueError: another shape, another layout.
    """
    if turn is None:
        return
    if turn.ndim != 3 or turn.shape[:2] != (2, rows) or 2 * turn.shape[2] > dim:
        raise ValueError(
            f"turn must be (2, {rows}, at most {dim // 2}) (cos and sin, position, pair), "
            f"got {tuple(turn.shape)}"
        )
    if turn.shape[2] > 1 and (
        turn.stride(2) != 1 or (rows > 1 and turn.stride(1) != turn.shape[2])
    ):
        raise ValueError(
            "turn must be float32 and dense in its last two dimensions, "
            f"got {turn.dtype} and strides {turn.stride()}"
        )
