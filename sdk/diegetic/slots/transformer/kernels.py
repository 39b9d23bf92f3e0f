"""Whose kernels the transformer of an engine runs on: looked up once, when the engine is opened.

auto        ours, where the card's table says that they are the faster ones; else torch's
torch       torch's own, as on a processor and on a card that nobody measured
triton      ours; an error where they cannot run
reference   what ours are to compute, in torch's operators: slow, for tests and benchmarks
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.model.dit import HEAD_DIM, HEADS, TOKENS
from diegetic_kernels import choice
from diegetic_kernels.choice import Choice, Tile

Wanted = Literal["auto", "torch", "triton", "reference"]


@dataclass(frozen=True)
class Kernels:
    """What an engine runs for as long as it lives, whatever the number of its sessions.

    Attributes:
        impl: `torch` is torch's own; the others are as in `diegetic_kernels`.
        why: it was chosen, in a few words.
        chunk, cross: tiles of both attentions, for `triton`.
    """

    impl: Literal["torch", "triton", "reference"]
    why: str
    chunk: Tile
    cross: Tile

    @property
    def description(self) -> str:
        """Whose kernels, and why: for people."""
        whose = {"torch": "torch's kernels", "triton": "Triton's", "reference": "the reference"}
        return f"{whose[self.impl]} ({self.why})"


def choose_kernels(
    wanted: Wanted, config: StreamConfig, sessions: int, device: torch.device, dtype: torch.dtype
) -> Kernels:
    """Decide for an engine of so many `sessions`, which is when deadlines are hardest to meet.

    Raises:
        DiegeticError: `triton` is asked for and cannot run: says why. Or `wanted` is unknown.
    """
    if wanted not in get_args(Wanted):
        known = ", ".join(get_args(Wanted))
        raise DiegeticError(f"kernels must be one of {known}, got {wanted!r}")
    why_not = choice.why_no_triton(device)
    if wanted == "triton" and why_not is not None:
        raise DiegeticError(f"kernels cannot be 'triton': {why_not}")
    count = config.chunk_latents
    usual = choice.default_tile(dtype, count, HEAD_DIM)
    if wanted != "auto":
        tiles = _tiles(_looked_up(config, sessions, device, dtype), usual)
        return Kernels(wanted, "as asked", *tiles)
    if device.type != "cuda":
        return Kernels("torch", f"there are no others for {device.type}", usual, usual)
    if why_not is not None:
        return Kernels("torch", why_not, usual, usual)
    name = torch.cuda.get_device_name(device)
    if name not in choice.table():
        why = f"{name!r} is not in the table: python -m diegetic_kernels.tune measures it"
        return Kernels("torch", why, usual, usual)
    found = _looked_up(config, sessions, device, dtype)
    rows = f"{count} latents of {sessions} sessions"
    if all(one is not None and one.impl == "triton" for one in found):
        why = f"measured to be faster here with {rows}"
        return Kernels("triton", why, *_tiles(found, usual))
    return Kernels(
        "torch", f"Triton's were not measured to be faster here with {rows}", usual, usual
    )


def _looked_up(
    config: StreamConfig, sessions: int, device: torch.device, dtype: torch.dtype
) -> tuple[Choice | None, Choice | None]:
    """The table's word on both attentions; None where it has none, as on every processor."""
    if device.type != "cuda" or torch.cuda.get_device_name(device) not in choice.table():
        return None, None
    count = config.chunk_latents
    shape = (device, dtype, HEAD_DIM, count)
    programs = sessions * HEADS
    keys = config.prefix_latents + count
    return (
        choice.measured("chunk_attention", *shape, keys, programs),
        choice.measured("cross_attention", *shape, TOKENS, programs),
    )


def _tiles(found: tuple[Choice | None, Choice | None], usual: Tile) -> tuple[Tile, Tile]:
    chunk, cross = (usual if one is None else one.tile for one in found)
    return chunk, cross
