"""How the kernels are launched: what is compiled to see whether it spills."""

from dataclasses import dataclass
from typing import Any

import torch

from diegetic_kernels.choice import Tile, default_tile, tiles
from diegetic_kernels.compiled.chunk_attention import chunk_attention_kernel
from diegetic_kernels.compiled.cross_attention import cross_attention_kernel
from diegetic_kernels.compiled.modulate import modulate_kernel
from diegetic_kernels.compiled.ring import append_kernel

# The model that ships: latents of a chunk and of its hop, which is kept; of the prefix; tokens of
# the conditioning, to whole tiles; hidden dimensions, and those of a head.
CHUNK, HOP, RING, TOKENS, WIDTH, HEAD = 11, 8, 64, 48, 256, 64


@dataclass(frozen=True)
class Build:
    """A kernel as it is launched: pointers by element type, and what is constant."""

    name: str
    kernel: Any
    pointers: dict[str, str]
    constants: dict[str, object]
    warps: int
    stages: int


def attention_builds(
    tile: Tile, element: str, dim: int = 64, m: int = 10, ring: int = 1024
) -> list[Build]:
    """Both attentions with all that they can, and enough keys to loop."""
    floats, counts = "*fp32", "*i64"
    head = {"GROUP": 1, "D": dim, "WIDE": dim, "ROTARY": dim // 2, "SCALE": 0.18}
    label = f"{element} D{dim} {tile.queries}x{tile.keys} warps {tile.warps} stages {tile.stages}"
    whole = max(16, 1 << (m - 1).bit_length())
    chunk = Build(
        f"chunk_attention {label}",
        chunk_attention_kernel,
        dict.fromkeys(("Q", "K", "V", "RingK", "RingV", "Out"), f"*{element}")
        | dict.fromkeys(("SinkK", "SinkV", "QWeight", "KWeight", "Cos", "Sin"), floats)
        | {"End": counts, "Length": counts, "Page": counts, "Active": "*u8"},
        head
        | {"M": m, "BLOCK": m, "RING": ring, "Q_NORM": 1, "Q_EPS": 1e-5, "K_NORM": 1}
        | {"K_EPS": 1e-5, "HAS_SINK": True, "HAS_PAGE": True, "HAS_ACTIVE": True}
        | {"BLOCK_M": tile.queries}
        | {"CHUNK_N": min(tile.keys, whole), "BLOCK_N": tile.keys},
        tile.warps,
        tile.stages,
    )
    cross = Build(
        f"cross_attention {label}",
        cross_attention_kernel,
        dict.fromkeys(("Q", "K", "V", "Out"), f"*{element}")
        | dict.fromkeys(("Weight", "Cos", "Sin", "Bias", "Gate"), floats)
        | {"Page": counts, "Length": counts, "Kind": counts},
        head
        | {"M": m, "N": ring, "NORM": 1, "EPS": 1e-5, "HAS_PAGE": True, "HAS_LENGTH": True}
        | {"HAS_BIAS": True, "HAS_GATE": True, "BLOCK_M": tile.queries, "BLOCK_N": tile.keys},
        tile.warps,
        tile.stages,
    )
    return [chunk, cross]


def other_builds(element: str) -> list[Build]:
    """The ring's append, and modulation of 256 dimensions with the gated residual in front."""
    append = Build(
        f"append_to_ring {element}",
        append_kernel,
        dict.fromkeys(("K", "V", "RingK", "RingV"), f"*{element}")
        | {"Weight": "*fp32", "End": "*i64", "Page": "*i64", "Active": "*u8"},
        {"D": 64, "WIDE": 64, "NORM": 1, "EPS": 1e-5, "HAS_PAGE": True, "HAS_ACTIVE": True}
        | {"ROWS": 16},
        2,
        3,
    )
    modulate = Build(
        f"gated_modulate {element}",
        modulate_kernel,
        dict.fromkeys(("X", "Change", "Gate", "Scale", "Shift", "Sum", "Out"), f"*{element}"),
        {"W": 256, "WIDE": 256, "NORM": 1, "EPS": 1e-5, "GATED": True, "MODULATED": True}
        | {"ROWS": 2},
        2,
        3,
    )
    return [append, modulate]


def model_attention(tile: Tile, element: str, m: int) -> list[Build]:
    """Both attentions as the model that ships launches them, over `m` latents of many sessions."""
    label = f"of {m} {element} {tile.queries}x{tile.keys} warps {tile.warps} stages {tile.stages}"
    floats, counts, own = "*fp32", "*i64", f"*{element}"
    head = {"M": m, "GROUP": 1, "D": HEAD, "WIDE": HEAD, "ROTARY": HEAD // 2}
    head |= {"SCALE": float(HEAD) ** -0.5 * 1.4426950408889634, "HAS_PAGE": True}
    chunk = Build(
        f"chunk_attention {label}",
        chunk_attention_kernel,
        dict.fromkeys(("Q", "K", "V", "RingK", "RingV", "SinkK", "SinkV", "Active", "Out"), own)
        | dict.fromkeys(("QWeight", "KWeight", "Cos", "Sin"), floats)
        | dict.fromkeys(("End", "Length", "Page"), counts),
        head
        | {"BLOCK": m, "RING": RING, "Q_NORM": 1, "Q_EPS": 1e-5, "K_NORM": 1, "K_EPS": 1e-5}
        | {"HAS_SINK": True, "HAS_ACTIVE": False, "BLOCK_M": tile.queries}
        | {"CHUNK_N": min(tile.keys, 16), "BLOCK_N": tile.keys},
        tile.warps,
        tile.stages,
    )
    cross = Build(
        f"cross_attention {label}",
        cross_attention_kernel,
        dict.fromkeys(("Q", "K", "V", "Length", "Bias", "Gate", "Kind", "Out"), own)
        | dict.fromkeys(("Weight", "Cos", "Sin"), floats)
        | {"Page": counts},
        head
        | {"N": TOKENS, "NORM": 1, "EPS": 1e-5, "HAS_LENGTH": False, "HAS_BIAS": True}
        | {"HAS_GATE": False, "BLOCK_M": tile.queries, "BLOCK_N": tile.keys},
        tile.warps,
        tile.stages,
    )
    return [chunk, cross]


def model_others(element: str) -> list[Build]:
    """The model's other kernels: in front of its blocks, between their parts, behind them; append.

    The residual stream and what steers are float32.
    """
    builds = []
    floats, own = "*fp32", f"*{element}"
    kinds = {
        ("modulate", False, floats, own),
        ("gated_modulate", True, own, own),
        ("gated_modulate", True, own, floats),
    }
    for name, gated, change, out in sorted(kinds):
        builds.append(
            Build(
                f"{name} {element} to {out[1:]}",
                modulate_kernel,
                dict.fromkeys(("X", "Gate", "Scale", "Shift", "Sum"), floats)
                | {"Change": change, "Out": out},
                {"W": WIDTH, "WIDE": WIDTH, "NORM": 1, "EPS": 1e-5, "GATED": gated}
                | {"MODULATED": True, "ROWS": 2},
                2,
                3,
            )
        )
    append = Build(
        f"append_to_ring {element} by page",
        append_kernel,
        dict.fromkeys(("K", "V", "RingK", "RingV", "Active"), own)
        | {"Weight": floats, "End": "*i64", "Page": "*i64"},
        {"D": HEAD, "WIDE": HEAD, "NORM": 1, "EPS": 1e-5, "HAS_PAGE": True, "HAS_ACTIVE": False}
        | {"ROWS": 16},
        2,
        3,
    )
    return [*builds, append]


def shipped_builds(arch: int) -> list[Build]:
    """All that may run: every tile for sm_90, elsewhere the ones that run without a table."""
    builds = other_builds("bf16")
    for dtype, element in ((torch.bfloat16, "bf16"), (torch.float32, "fp32")):
        usual = dict.fromkeys(default_tile(dtype, m, 64) for m in (CHUNK, 64))
        for tile in tiles(dtype) if arch == 90 else usual:
            builds += attention_builds(tile, element)
        builds += attention_builds(default_tile(dtype, CHUNK, 128), element, dim=128)
        builds += model_builds(dtype, element, arch)
    return builds


def model_builds(dtype: torch.dtype, element: str, arch: int) -> list[Build]:
    """All that the model that ships launches; its few queries are never tiled by more than 16."""
    builds = model_others(element)
    usual = default_tile(dtype, CHUNK, HEAD)
    for m in (CHUNK, HOP):
        builds += model_attention(usual, element, m)
    if arch == 90:
        for tile in tiles(dtype):
            if tile.queries == 16 and tile != usual:
                builds += model_attention(tile, element, CHUNK)
    return builds
