"""What the compiler makes of the kernels, for cards that need not be there.

    python -m diegetic_kernels.compiled.report --arch 80 90 120

prints registers, shared memory and spills of every shipped tile, as ptxas (which comes with triton)
reports them.
"""

import argparse
import json
import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from diegetic_kernels.choice import Tile, default_tile, tiles
from diegetic_kernels.compiled.chunk_attention import chunk_attention_kernel
from diegetic_kernels.compiled.cross_attention import cross_attention_kernel
from diegetic_kernels.compiled.modulate import modulate_kernel
from diegetic_kernels.compiled.ring import append_kernel

ARCHITECTURES = (80, 90, 120)


@dataclass(frozen=True)
class Build:
    """A kernel as it is launched: pointers by element type, and what is constant."""

    name: str
    kernel: Any
    pointers: dict[str, str]
    constants: dict[str, object]
    warps: int
    stages: int


@dataclass(frozen=True)
class Usage:
    """What one build takes on one architecture; spills and shared memory in bytes."""

    name: str
    arch: int
    registers: int
    shared: int
    spills: int
    stack: int


def attention_builds(
    tile: Tile, element: str, dim: int = 64, m: int = 10, ring: int = 1024
) -> list[Build]:
    """Both attentions as the model that ships asks for them, with enough keys to loop."""
    floats, counts = "*fp32", "*i64"
    head = {"GROUP": 1, "D": dim, "WIDE": dim, "ROTARY": dim // 2, "SCALE": 0.18}
    label = f"{element} D{dim} {tile.queries}x{tile.keys} warps {tile.warps} stages {tile.stages}"
    whole = max(16, 1 << (m - 1).bit_length())
    chunk = Build(
        f"chunk_attention {label}",
        chunk_attention_kernel,
        dict.fromkeys(("Q", "K", "V", "RingK", "RingV", "Out"), f"*{element}")
        | dict.fromkeys(("SinkK", "SinkV", "QWeight", "KWeight", "Cos", "Sin"), floats)
        | {"End": counts, "Length": counts, "Active": "*u8"},
        head
        | {"M": m, "BLOCK": m, "RING": ring, "Q_NORM": 1, "Q_EPS": 1e-5, "K_NORM": 1}
        | {"K_EPS": 1e-5, "HAS_SINK": True, "HAS_ACTIVE": True, "BLOCK_M": tile.queries}
        | {"CHUNK_N": min(tile.keys, whole), "BLOCK_N": tile.keys},
        tile.warps,
        tile.stages,
    )
    cross = Build(
        f"cross_attention {label}",
        cross_attention_kernel,
        dict.fromkeys(("Q", "K", "V", "Out"), f"*{element}")
        | dict.fromkeys(("Weight", "Cos", "Sin", "Bias", "Gate"), floats)
        | {"Length": counts, "Kind": counts},
        head
        | {"M": m, "N": ring, "NORM": 1, "EPS": 1e-5, "HAS_LENGTH": True, "HAS_BIAS": True}
        | {"HAS_GATE": True, "BLOCK_M": tile.queries, "BLOCK_N": tile.keys},
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
        | {"Weight": "*fp32", "End": "*i64", "Active": "*u8"},
        {"D": 64, "WIDE": 64, "NORM": 1, "EPS": 1e-5, "HAS_ACTIVE": True, "ROWS": 16},
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


def shipped_builds(arch: int) -> list[Build]:
    """All that may run: every tile for sm_90, elsewhere the ones that run without a table."""
    builds = other_builds("bf16")
    for dtype, element in ((torch.bfloat16, "bf16"), (torch.float32, "fp32")):
        usual = tuple(default_tile(dtype, m, 64) for m in (10, 64))
        for tile in tiles(dtype) if arch == 90 else dict.fromkeys(usual):
            builds += attention_builds(tile, element)
        builds += attention_builds(default_tile(dtype, 10, 128), element, dim=128)
    return builds


def usage(build: Build, arch: int) -> Usage:
    """Compile `build` for sm_`arch` and ask ptxas what it takes."""
    names = build.kernel.arg_names
    given = build.pointers | dict.fromkeys(build.constants, "constexpr")
    signature = {name: given.get(name, "i32") for name in names}
    # As PyTorch's tensors lie: pointers and strides are multiples of 16.
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(names)
        if signature[name] != "constexpr" and (signature[name] != "i32" or "_" in name)
    }
    constants = {(names.index(name),): value for name, value in build.constants.items()}
    source = ASTSource(build.kernel, signature, constants, aligned)
    options = {"num_warps": build.warps, "num_stages": build.stages}
    made = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)
    told = _ptxas(made.asm["ptx"], arch)
    spilled = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", told)
    stack = re.search(r"(\d+) bytes stack frame", told)
    registers = re.search(r"Used (\d+) registers", told)
    if spilled is None or stack is None or registers is None:
        raise RuntimeError(f"ptxas for sm_{arch} says nothing of registers: {told}")
    return Usage(
        build.name,
        arch,
        int(registers[1]),
        int(made.metadata.shared),
        int(spilled[1]) + int(spilled[2]),
        int(stack[1]),
    )


def _ptxas(ptx: str, arch: int) -> str:
    folder = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    newer = folder / "ptxas-blackwell"
    program = newer if arch >= 100 and newer.exists() else folder / "ptxas"
    target = re.search(r"^\.target (\w+)", ptx, re.MULTILINE)
    name = target[1] if target else f"sm_{arch}"
    with tempfile.TemporaryDirectory() as held:
        text = Path(held) / "kernel.ptx"
        text.write_text(ptx)
        command = [str(program), "-v", f"--gpu-name={name}", str(text), "-o", f"{held}/kernel.o"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr + done.stdout


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--arch", type=int, nargs="+", default=list(ARCHITECTURES))
    parser.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    options = parser.parse_args()
    rows = [usage(build, arch) for arch in options.arch for build in shipped_builds(arch)]
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print(f"{'kernel':55} {'sm':>4} {'registers':>9} {'shared':>7} {'spills':>6} {'stack':>5}")
    for row in rows:
        print(
            f"{row.name:55} {row.arch:4} {row.registers:9} {row.shared:7} "
            f"{row.spills:6} {row.stack:5}"
        )


if __name__ == "__main__":
    main()
