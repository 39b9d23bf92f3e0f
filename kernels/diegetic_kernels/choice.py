"""Which implementation runs, and with which tile: looked up, never tried out while a stream plays.

`table.json` holds, by the name of the device and by bucket of shapes, what `python -m
diegetic_kernels.tune` measured there. A device that is not in it gets torch's own kernels.
"""

import functools
import importlib.util
import json
import logging
import os
from dataclasses import dataclass
from importlib import resources
from typing import Literal, cast

import torch
from torch import Tensor

Implementation = Literal["auto", "reference", "triton", "flash", "sdpa"]
Operation = Literal["chunk_attention", "cross_attention", "modulate"]
HALVES = (torch.float16, torch.bfloat16)
DTYPES = (*HALVES, torch.float32)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tile:
    """Queries and keys of one program, its warps, and the stages of its pipeline."""

    queries: int
    keys: int
    warps: int
    stages: int


# What the tuner chooses among, and what the tests hold free of spills. In float32 the products run
# without tensor cores, so that tiles are small.
HALF_TILES = (
    Tile(16, 32, 4, 1),
    Tile(16, 64, 4, 1),
    Tile(16, 64, 4, 2),
    Tile(16, 128, 4, 2),
    Tile(16, 128, 8, 2),
    Tile(16, 256, 8, 1),
    Tile(32, 64, 4, 2),
    Tile(64, 64, 8, 1),
)
FLOAT_TILES = (Tile(16, 16, 8, 1), Tile(16, 32, 4, 1))


@dataclass(frozen=True)
class Choice:
    """What runs: an implementation, and the best tile for `triton`."""

    impl: Implementation
    tile: Tile


def default_tile(dtype: torch.dtype, m: int, dim: int) -> Tile:
    """The tile for `m` queries of `dim` where nothing was measured."""
    if dtype not in HALVES:
        return FLOAT_TILES[0] if dim > 64 else FLOAT_TILES[1]
    if dim > 64:
        return HALF_TILES[0]
    return HALF_TILES[-1] if m > 32 else HALF_TILES[1]


def tiles(dtype: torch.dtype) -> tuple[Tile, ...]:
    """The tiles that may be tried with `dtype`."""
    return HALF_TILES if dtype in HALVES else FLOAT_TILES


def bucket(dtype: torch.dtype, m: int, n: int, programs: int) -> str:
    """The table's name for a shape: powers of two, rounded up.

    Args:
        dtype: of the queries; both halves share their buckets.
        m: queries.
        n: keys.
        programs: sessions times heads.
    """
    kind = "half" if dtype in HALVES else "float32"
    return f"{kind} {_log2(m)} {_log2(n)} {_log2(programs)}"


def _log2(count: int) -> int:
    return max(0, count - 1).bit_length()


@functools.cache
def table() -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    """`table.json`: device, operation, bucket, choice."""
    text = resources.files("diegetic_kernels").joinpath("table.json").read_text("utf-8")
    return cast("dict[str, dict[str, dict[str, dict[str, object]]]]", json.loads(text))


def why_no_triton(device: torch.device) -> str | None:
    """Why Triton's kernels cannot run on tensors of `device`; None where they can."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed (it exists for Linux only)"
    if interpreted():
        return None
    if device.type != "cuda":
        return f"the tensors are on {device.type}, not on cuda (nor is TRITON_INTERPRET=1 set)"
    major, minor = torch.cuda.get_device_capability(device)
    if major < 8:
        return f"the card has compute capability {major}.{minor}, the kernels need 8.0"
    return None


def why_no_flash(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why flash-attn cannot run on tensors of `device` and `dtype`; None where it can."""
    if device.type != "cuda":
        return f"the tensors are on {device.type}, not on cuda"
    if dtype not in HALVES:
        return f"flash-attn takes float16 and bfloat16, not {dtype}"
    try:
        import flash_attn  # noqa: F401
    except ImportError as error:
        return f"flash-attn cannot be imported: {error}"
    return None


def interpreted() -> bool:
    """Whether Triton's kernels run in its interpreter, on any device."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@functools.cache
def _measured(name: str, operation: str) -> dict[str, dict[str, object]]:
    found = table().get(name, {}).get(operation, {})
    if not found:
        _log.warning(
            "%s: torch's own kernels, since %r is not in the table "
            "(python -m diegetic_kernels.tune measures it)",
            operation,
            name,
        )
    return found


@functools.cache
def _nearest(name: str, operation: str, key: str) -> Choice | None:
    """The measured bucket nearest to `key`, of the same dtype; None where there is none."""
    kind, *sizes = key.split()
    near: tuple[int, str] | None = None
    for other in _measured(name, operation):
        its_kind, *its = other.split()
        if its_kind == kind:
            far = sum(abs(int(a) - int(b)) for a, b in zip(sizes, its, strict=True))
            near = min(near or (far, other), (far, other))
    if near is None:
        return None
    entry = _measured(name, operation)[near[1]]
    return Choice(cast(Implementation, entry["impl"]), Tile(*cast("list[int]", entry["tile"])))


def choose(
    operation: Operation,
    impl: Implementation,
    x: Tensor,
    m: int,
    n: int,
    programs: int,
    inputs: tuple[Tensor, ...],
    tile: Tile | None = None,
) -> Choice:
    """What runs for `x`, its last dimension the head.

    Args:
        operation: which.
        impl: what was asked for.
        x: the queries.
        m: queries.
        n: keys.
        programs: sessions times heads.
        inputs: all tensors that a gradient could be asked of.
        tile: what was asked for; None is the table's.

    Raises:
        ValueError: `triton` or `flash` was asked for and cannot run: says why.
    """
    if impl not in ("auto", "reference", "triton", "flash", "sdpa"):
        raise ValueError(
            f"impl must be 'auto', 'reference', 'triton', 'flash' or 'sdpa', got {impl!r}"
        )
    usual = default_tile(x.dtype, m, x.shape[-1])
    wants_gradient = torch.is_grad_enabled() and any(part.requires_grad for part in inputs)
    if impl == "triton":
        why = why_no_triton(x.device)
        if why is None and wants_gradient:
            why = "it is for inference only, and an input requires a gradient"
        if why is None and x.dtype not in DTYPES:
            why = f"it takes float16, bfloat16 and float32, not {x.dtype}"
        if why is not None:
            raise ValueError(f"{operation} cannot run with impl='triton': {why}")
        found = _lookup(operation, x, m, n, programs) if tile is None else None
        return Choice("triton", tile or (found.tile if found else usual))
    if impl == "flash":
        why = why_no_flash(x.device, x.dtype)
        if why is not None:
            raise ValueError(f"{operation} cannot run with impl='flash': {why}")
    if impl != "auto":
        return Choice(impl, usual)
    if not x.is_cuda:
        return Choice("reference", usual)
    found = None if wants_gradient else _lookup(operation, x, m, n, programs)
    if found is None or (found.impl == "triton" and why_no_triton(x.device) is not None):
        return Choice("sdpa", usual)
    return found


def _lookup(operation: Operation, x: Tensor, m: int, n: int, programs: int) -> Choice | None:
    return measured(operation, x.device, x.dtype, x.shape[-1], m, n, programs)


def measured(
    operation: Operation,
    device: torch.device,
    dtype: torch.dtype,
    dim: int,
    m: int,
    n: int,
    programs: int,
) -> Choice | None:
    """What the table says of queries that need not be there; None where it says nothing.

    It was measured with heads of 64, and is not taken for larger ones (`dim`). The other arguments
    are those of `choose` and `bucket`.
    """
    large = operation != "modulate" and dim > 64
    if device.type != "cuda" or dtype not in DTYPES or large:
        return None
    name = torch.cuda.get_device_name(device)
    return _nearest(name, operation, bucket(dtype, m, n, programs))
