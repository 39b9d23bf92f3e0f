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

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from diegetic_kernels.compiled.builds import Build, shipped_builds

ARCHITECTURES = (80, 90, 120)


@dataclass(frozen=True)
class Usage:
    """What one build takes on one architecture; spills and shared memory in bytes."""

    name: str
    arch: int
    registers: int
    shared: int
    spills: int
    stack: int


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
