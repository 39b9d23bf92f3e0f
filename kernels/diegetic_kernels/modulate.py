"""Norm, scale and shift of hidden states, and what a sub-layer adds to them through its gate."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from diegetic_kernels.choice import DTYPES, why_no_triton
from diegetic_kernels.launch import NORMS, check_places, dense_rows, on_device, power_of_two

Implementation = Literal["auto", "reference", "triton"]
Norm = Literal["layer", "rms"]


def modulate(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    *,
    norm: Norm = "layer",
    eps: float = 1e-5,
    dtype: torch.dtype | None = None,
    impl: Implementation = "auto",
) -> Tensor:
    """Norm `x` (B, N, W) without weights, times 1 + `scale`, plus `shift`.

    Each may be of a float type of its own: `triton` computes in float32, the reference in the
    widest of them. For inference: `triton` keeps no gradient. `auto` is Triton's kernel on a card
    where it can run and no gradient is asked for, else the reference.

    Args:
        x: hidden states.
        scale: (B, 1, W).
        shift: (B, 1, W).
        norm: `layer` or `rms`.
        eps: added to the mean square.
        dtype: of what is made; None is that of `x`.
        impl: `reference` is the specification.

    Raises:
        ValueError: the shapes do not belong together, or `triton` cannot run here.
    """
    dtype = dtype or x.dtype
    _check(x, {"scale": scale, "shift": shift}, norm, dtype)
    if _by_triton(impl, dtype, (x, scale, shift)):
        return _triton(x, None, None, scale, shift, norm, eps, dtype)[1]
    return _modulated(x, scale, shift, norm, eps, dtype)


def gated_residual(
    x: Tensor, change: Tensor, gate: Tensor, *, impl: Implementation = "auto"
) -> Tensor:
    """`x` + `gate` * `change`: (B, N, W), (B, 1, W) and (B, N, W), in the dtype of `x`.

    Types are as for `modulate`.

    Raises:
        ValueError: the shapes do not belong together, or `triton` cannot run here.
    """
    _check(x, {"gate": gate}, "layer", x.dtype, change)
    if _by_triton(impl, x.dtype, (x, change, gate)):
        return _triton(x, change, gate, None, None, "layer", 0.0, x.dtype)[0]
    return (x + gate * change).to(x.dtype)


def gated_modulate(
    x: Tensor,
    change: Tensor,
    gate: Tensor,
    scale: Tensor,
    shift: Tensor,
    *,
    norm: Norm = "layer",
    eps: float = 1e-5,
    dtype: torch.dtype | None = None,
    impl: Implementation = "auto",
) -> tuple[Tensor, Tensor]:
    """`gated_residual`, and `modulate` of what it gives, in one launch: both results.

    What follows one sub-layer and comes before the next. The sum is in the dtype of `x`, which the
    residual stream keeps, and what is made of it in `dtype`, which the next sub-layer wants.

    Raises:
        ValueError: the shapes do not belong together, or `triton` cannot run here.
    """
    dtype = dtype or x.dtype
    _check(x, {"gate": gate, "scale": scale, "shift": shift}, norm, dtype, change)
    if _by_triton(impl, dtype, (x, change, gate, scale, shift)):
        return _triton(x, change, gate, scale, shift, norm, eps, dtype)
    added = (x + gate * change).to(x.dtype)
    return added, _modulated(added, scale, shift, norm, eps, dtype)


def _modulated(
    x: Tensor, scale: Tensor, shift: Tensor, norm: Norm, eps: float, dtype: torch.dtype
) -> Tensor:
    if norm == "rms":
        normed = functional.rms_norm(x, (x.shape[2],), None, eps).to(x.dtype)
    else:
        normed = functional.layer_norm(x, (x.shape[2],), None, None, eps).to(x.dtype)
    return (normed * (1 + scale) + shift).to(dtype)


def _check(
    x: Tensor,
    steer: dict[str, Tensor],
    norm: Norm,
    dtype: torch.dtype,
    change: Tensor | None = None,
) -> None:
    if not dtype.is_floating_point:
        raise ValueError(f"dtype must be a float type, got {dtype}")
    if x.ndim != 3:
        raise ValueError(f"x must be (B, N, W), got {tuple(x.shape)}")
    batch, _, width = x.shape
    for name, tensor in steer.items():
        if tensor.shape != (batch, 1, width) or not tensor.is_floating_point():
            raise ValueError(
                f"{name} must be ({batch}, 1, {width}) of a float type, "
                f"got {tuple(tensor.shape)} {tensor.dtype}"
            )
    if change is not None and (change.shape != x.shape or not change.is_floating_point()):
        raise ValueError(
            f"change must be {tuple(x.shape)} of a float type, "
            f"got {tuple(change.shape)} {change.dtype}"
        )
    if norm not in NORMS:
        raise ValueError(f"norm must be 'layer' or 'rms', got {norm!r}")
    check_places({"change": change, **steer}, x)


def _by_triton(impl: Implementation, dtype: torch.dtype, inputs: tuple[Tensor, ...]) -> bool:
    """Whether Triton's kernel runs on `inputs`, and makes `dtype` of them.

    Raises:
        ValueError: it was asked for and cannot.
    """
    if impl not in ("auto", "reference", "triton"):
        raise ValueError(f"impl must be 'auto', 'reference' or 'triton', got {impl!r}")
    x = inputs[0]
    if impl == "reference" or (impl == "auto" and not x.is_cuda):
        return False
    why = why_no_triton(x.device)
    if torch.is_grad_enabled() and any(part.requires_grad for part in inputs):
        why = "it is for inference only, and an input requires a gradient"
    strange = [one for one in (dtype, *(part.dtype for part in inputs)) if one not in DTYPES]
    if strange:
        why = f"it takes float16, bfloat16 and float32, not {strange[0]}"
    if impl == "triton" and why is not None:
        raise ValueError(f"modulate cannot run with impl='triton': {why}")
    return why is None and x.numel() > 0


def _triton(
    x: Tensor,
    change: Tensor | None,
    gate: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    norm: Norm,
    eps: float,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """The sum and what is made of it; where one is not asked for, `x` stands for it."""
    from diegetic_kernels.compiled.modulate import modulate_kernel

    batch, n, width = x.shape
    x = dense_rows(x)
    dense = (batch, n, width)
    added = x if change is None else torch.empty(dense, dtype=x.dtype, device=x.device)
    made = x if scale is None else torch.empty(dense, dtype=dtype, device=x.device)
    change = x if change is None else dense_rows(change)
    gate, scale, shift = (x if part is None else dense_rows(part) for part in (gate, scale, shift))
    rows = 2 if n > 1 else 1
    with on_device(x):
        modulate_kernel[(-(-n // rows), batch)](
            x, change, gate, scale, shift, added, made,
            x.stride(0), x.stride(1), change.stride(0), change.stride(1),
            gate.stride(0), scale.stride(0), shift.stride(0), n,
            W=width,
            WIDE=power_of_two(width),
            NORM=NORMS[norm],
            EPS=eps,
            GATED=added is not x,
            MODULATED=made is not x,
            ROWS=rows,
            num_warps=2 if width <= 512 else 4,
        )  # fmt: skip
    return added, made
