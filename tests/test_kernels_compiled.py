"""The kernels compiled for cards that are not there: nothing spills."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed (Linux only)"
)
@pytest.mark.parametrize("arch", [80, 90, 120])
def test_no_shipped_tile_spills(arch: int) -> None:
    # A process of its own: here the kernels may have been decorated for the interpreter.
    environment = {name: text for name, text in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "diegetic_kernels.compiled.report", "--json"]
    done = subprocess.run(
        [*command, "--arch", str(arch)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    rows = json.loads(done.stdout)
    kinds = {row["name"].split()[0] for row in rows}
    assert kinds == {
        "append_to_ring",
        "modulate",
        "gated_modulate",
        "chunk_attention",
        "cross_attention",
    }
    # What a block may have on these cards, in bytes.
    limit = {80: 163, 90: 227, 120: 99}[arch] * 1024
    for row in rows:
        print(row)  # shown by pytest -s
        assert row["spills"] == 0 and row["stack"] == 0, row
        assert 0 < row["registers"] <= 255 and row["shared"] <= limit, row
