"""Inputs for the tests of the kernels, and the error that they are allowed."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diegetic_kernels import Gate, Ring, RowNorm, Sink, rotary_turn

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
ON_CARD = torch.cuda.is_available() and not INTERPRETED
DEVICE = "cuda" if ON_CARD else "cpu"


def run_under_the_interpreter(tests: str) -> None:
    """Run those of the file `tests` that say triton in a process that interprets the kernels."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests]
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "-k", "triton"],
        env=environment,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@dataclass(frozen=True)
class Chunk:
    """A chunk, its ring and who sees what; the sizes are those that break things."""

    m: int
    ring: int
    lengths: tuple[int, ...]
    ends: tuple[int, ...]
    heads: int = 2
    kv_heads: int = 2
    dim: int = 64
    rotary: int = 32
    block: int | None = None
    sink: bool = True
    active: tuple[bool, ...] | None = None
    norm: str | None = "layer"
    page: tuple[int, ...] | None = None


CHUNKS = {
    "the shipped shape": Chunk(10, 64, (64, 40), (128, 40)),
    "one latent, one slot": Chunk(1, 1, (1, 0), (5, 0)),
    "sink and itself": Chunk(1, 7, (0, 0), (0, 3)),
    "no ring": Chunk(7, 0, (0, 0), (0, 0), norm="rms"),
    "no sink, nothing before": Chunk(5, 13, (0, 13), (0, 1000), sink=False),
    "primes, wrapped": Chunk(13, 37, (37, 31), (53, 40), norm="rms"),
    "wrapped in a tile": Chunk(3, 97, (97, 89), (130, 1_000_003)),
    "blocks": Chunk(20, 16, (16, 5), (21, 5), block=5),
    "ragged blocks, many tiles": Chunk(71, 19, (19, 2), (20, 2), block=10, heads=1, kv_heads=1),
    "grouped heads": Chunk(4, 11, (11, 6), (12, 6), heads=4, kv_heads=2),
    "small head": Chunk(3, 9, (9, 4), (9, 4), dim=32, rotary=16),
    "odd head": Chunk(3, 9, (9, 4), (14, 4), dim=96, rotary=96),
    "large head": Chunk(2, 9, (9, 4), (14, 4), dim=128, rotary=64),
    "one sits out": Chunk(6, 16, (16, 16, 3), (20, 16, 3), active=(True, False, True)),
    "all given": Chunk(6, 16, (16, 7), (20, 7), rotary=0, norm=None, sink=False),
    "on pages": Chunk(5, 16, (16, 9, 0), (0, 16, 37), page=(6, 0, 3)),
}


@dataclass(frozen=True)
class ChunkInputs:
    """What `chunk_attention` takes, less `impl`."""

    q: Tensor
    k: Tensor
    v: Tensor
    ring: Ring | None
    sink: Sink | None
    q_norm: RowNorm | None
    k_norm: RowNorm | None
    turn: Tensor | None
    active: Tensor | None
    block: int | None

    def arguments(self, wide: bool = False) -> tuple[tuple[object, ...], dict[str, object]]:
        """Positional and named arguments; `wide` makes those that count float64."""

        def lift(x: Tensor) -> Tensor:
            return x.double() if wide else x

        ring = self.ring and Ring(
            lift(self.ring.keys),
            lift(self.ring.values),
            self.ring.end,
            self.ring.length,
            self.ring.page,
        )
        named = {
            "sink": self.sink,
            "q_norm": self.q_norm,
            "k_norm": self.k_norm,
            "turn": self.turn,
            "active": self.active,
            "block": self.block,
        }
        return (lift(self.q), lift(self.k), lift(self.v), ring), named


def chunk_inputs(case: Chunk, dtype: torch.dtype) -> ChunkInputs:
    """Seeded inputs; what may not be read is NaN."""
    make = torch.Generator().manual_seed(case.m + 100 * case.ring)
    batch = len(case.lengths)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=make)

    # As the model has them: three parts of one projection.
    width = case.heads * case.dim
    kv_width = case.kv_heads * case.dim
    projected = (normal(batch, case.m, width + 2 * kv_width) * 2).to(DEVICE, dtype)
    q, k, v = (
        part.unflatten(2, (-1, case.dim)).transpose(1, 2)
        for part in projected.split((width, kv_width, kv_width), dim=2)
    )
    # A layer of many, as the model keeps them.
    held = normal(2, batch, 2, case.kv_heads, case.ring, case.dim)
    for index, (length, end) in enumerate(zip(case.lengths, case.ends, strict=True)):
        for slot in range(case.ring):
            if (end - 1 - slot) % case.ring >= length:
                held[:, index, :, :, slot] = float("nan")
    if case.page is not None:
        held = on_pages(held, case.page)
    held = held.to(DEVICE, dtype)
    ring = Ring(
        held[0, :, 1],
        held[1, :, 1],
        torch.tensor(case.ends, device=DEVICE),
        torch.tensor(case.lengths, dtype=torch.int32, device=DEVICE),
        None if case.page is None else torch.tensor(case.page, device=DEVICE),
    )
    norms = [
        None if case.norm is None else RowNorm((1 + 0.1 * normal(case.dim)).to(DEVICE), case.norm)  # type: ignore[arg-type]
        for _ in range(2)
    ]
    sink = Sink(*(normal(2, case.kv_heads, case.dim)).to(DEVICE)) if case.sink else None
    return ChunkInputs(
        q,
        k,
        v,
        ring if case.ring else None,
        sink,
        norms[0],
        norms[1],
        rotary_turn(-case.ring, case.ring + case.m, case.rotary, DEVICE) if case.rotary else None,
        None if case.active is None else torch.tensor(case.active, device=DEVICE),
        case.block,
    )


def on_pages(held: Tensor, page: tuple[int, ...]) -> Tensor:
    """What is `held` (2, B, ...) on the pages of its sessions; on the others is NaN."""
    pages = held.new_full((2, max(page) + 2, *held.shape[2:]), float("nan"))
    for index, place in enumerate(page):
        pages[:, place] = held[:, index]
    return pages


@dataclass(frozen=True)
class Cross:
    """Queries, kept keys, and what is added to their scores."""

    m: int
    n: int
    lengths: tuple[int, ...] | None = None
    bias: bool = False
    gate: bool = False
    heads: int = 2
    kv_heads: int = 2
    dim: int = 64
    rotary: int = 32
    norm: str | None = "layer"
    page: tuple[int, ...] | None = None


CROSSES = {
    "the shipped shape": Cross(10, 79, bias=True),
    "faded": Cross(10, 79, gate=True),
    "all at once": Cross(7, 41, (41, 13), bias=True, gate=True),
    "lengths": Cross(5, 131, (131, 0, 1, 67)),
    "one key": Cross(1, 1),
    "many queries": Cross(37, 17, (17, 3), norm="rms"),
    "grouped heads": Cross(3, 23, heads=4, kv_heads=1, dim=32, rotary=32),
    "all given": Cross(16, 64, norm=None, rotary=0),
    "pages, one shared": Cross(6, 29, (29, 7, 13), bias=True, gate=True, page=(4, 2, 4)),
}


@dataclass(frozen=True)
class CrossInputs:
    """What `cross_attention` takes, less `impl`."""

    q: Tensor
    k: Tensor
    v: Tensor
    named: dict[str, object]

    def arguments(self, wide: bool = False) -> tuple[tuple[Tensor, ...], dict[str, object]]:
        """Positional and named arguments; `wide` makes those that count float64."""
        parts = (self.q, self.k, self.v)
        return tuple(x.double() if wide else x for x in parts), self.named


def cross_inputs(case: Cross, dtype: torch.dtype) -> CrossInputs:
    """Seeded inputs; keys beyond the lengths are finite, as kept ones are."""
    make = torch.Generator().manual_seed(case.m + 100 * case.n)
    batch = 2 if case.lengths is None else len(case.lengths)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=make)

    q = (normal(batch, case.m, case.heads, case.dim) * 2).to(DEVICE, dtype).transpose(1, 2)
    kept = normal(2, batch, 3, case.kv_heads, case.n, case.dim)
    levels = torch.tensor([0.0, -0.7, float("-inf")]).expand(batch, 3).to(DEVICE)
    kind = (torch.arange(case.n) % 3).to(DEVICE)
    hidden = torch.where(torch.rand(batch, case.n, generator=make) < 0.3, -1e4, 0.0)
    if case.page is not None:
        kept, hidden = on_pages(kept, case.page), on_pages(hidden.expand(2, -1, -1), case.page)[0]
    kept = kept.to(DEVICE, dtype)[:, :, 1]
    named = {
        "norm": None
        if case.norm is None
        else RowNorm((1 + 0.1 * normal(case.dim)).to(DEVICE), case.norm),  # type: ignore[arg-type]
        "turn": rotary_turn(0, case.m, case.rotary, DEVICE) if case.rotary else None,
        "page": None if case.page is None else torch.tensor(case.page, device=DEVICE),
        "length": None if case.lengths is None else torch.tensor(case.lengths, device=DEVICE),
        "bias": hidden.to(DEVICE) if case.bias else None,
        "gate": Gate(levels, kind) if case.gate else None,
    }
    return CrossInputs(q, kept[0], kept[1], named)


def assert_within_rounding(
    actual: Tensor, rough: Tensor, exact: Tensor, loose: bool = False
) -> None:
    """Allow twice the error that the same mathematics makes in the same dtype without a kernel.

    And four units in the last place of the largest value: powers and roots on a card are good to
    two each. Kernels that are not ours may err four times as much (`loose`).
    """
    assert actual.dtype == rough.dtype
    assert torch.isfinite(actual).all()
    budget = (4 if loose else 2) * (rough.double() - exact).abs().max()
    budget = budget + 4 * torch.finfo(rough.dtype).eps * exact.abs().max()
    assert (actual.double() - exact).abs().max() <= budget
