"""What a student makes of a scene, chunk after chunk, as it will live.

    scene    |- past hops, clean -|- hop -|- hop -|- ... -|- overlap -|
                 (or hidden)       chunk 0: n evaluations -> its hop joins the ring
                                           chunk 1: n evaluations on its own past -> ...

The rollout itself has no gradient. Of each chunk one evaluation is marked: what went into it is
kept, and `velocity_of` computes the marked evaluations of all chunks again, at once and with
gradient. Streaming and this are the same function (`diegetic.training.parallel`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from diegetic.config import StreamConfig
from diegetic.flow import Solver, follow_flow
from diegetic.model.dit import BLOCKS, HEAD_DIM, HEADS, HIDDEN, Cross, DiT, Memory
from diegetic.training.dataset import CHUNKS, Batch
from diegetic.training.parallel import Layout, clean_pass, layout, noisy_pass, null_cross


@dataclass(frozen=True)
class Stretch:
    """L consecutive chunks of each of B scenes, from hop `begin` on, and what is said about them.

    Attributes:
        past: (B, begin * hop, LATENT_DIM), clean.
        hidden: (B,) bool, whose past is not seen.
        target: (B, L, chunk, LATENT_DIM), the scene's own latents.
        noise: (B, L * hop + overlap, LATENT_DIM): it belongs to places in the stream, so that a
            chunk's overlap and its successor's beginning start from the same.
        guidance: (B,).
        said: the conditioning of every chunk, for `ConditioningNet`, each (B * L, ...).
        where: the layout of the chunks, with what each clip may see.
    """

    past: Tensor
    hidden: Tensor
    target: Tensor
    noise: Tensor
    guidance: Tensor
    said: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    where: Layout

    @property
    def chunk_noise(self) -> Tensor:
        """(B, L, chunk, LATENT_DIM): what each chunk starts from."""
        return self.noise[:, self.where.noisy_positions - self.past.shape[1]]


@dataclass(frozen=True)
class Rollout:
    """What was made of a stretch.

    Attributes:
        clean: (B, T, LATENT_DIM), the past and the hops that were made, but for the last one.
        mixed: (B, L, chunk, LATENT_DIM), what went into the marked evaluations.
        t: (B, L), their times.
        guess: (B, L, chunk, LATENT_DIM), the data as those evaluations guess it.
        made: (B, L, chunk, LATENT_DIM), what came out of the last evaluations.
    """

    clean: Tensor
    mixed: Tensor
    t: Tensor
    guess: Tensor
    made: Tensor


def stretch(batch: Batch, begin: int, hidden: Tensor, guidance: Tensor) -> Stretch:
    """The chunks of `batch`, which has all CHUNKS of its scenes, from hop `begin` to the end.

    `hidden` is (B,) bool, `guidance` (B,). The ring must hold all of the past.
    """
    config = StreamConfig()
    latents, count = batch.latents, batch.latents.shape[0]
    hop, length = config.hop_latents, CHUNKS - begin
    if not 0 <= begin * hop <= config.prefix_latents or length < 1:
        last = min(config.prefix_latents // hop, CHUNKS - 1)
        raise ValueError(f"begin must be from 0 to {last}, got {begin}")
    where = _unseen(_places(begin, length, latents.device), begin * hop, hidden)

    def later(x: Tensor) -> Tensor:
        return x.reshape(count, CHUNKS, *x.shape[1:])[:, begin:].flatten(0, 1)

    return Stretch(
        past=latents[:, : begin * hop],
        hidden=hidden,
        target=latents[:, where.noisy_positions],
        noise=torch.randn_like(latents[:, begin * hop :]),
        guidance=guidance,
        said=(
            later(batch.words),
            later(batch.frames),
            later(batch.values),
            later(batch.times),
            later(batch.present),
        ),
        where=where,
    )


@cache
def _places(begin: int, length: int, device: torch.device) -> Layout:
    """The layout of a stretch, which asks the device for a number once."""
    with device:
        return layout(torch.arange(begin, begin + length), StreamConfig())


def _unseen(where: Layout, past: int, hidden: Tensor) -> Layout:
    """`where` with a batch: the first `past` latents are not seen by clips that are `hidden`."""
    count = len(where.clean_positions)
    covered = hidden[:, None] & (where.clean_positions < past)
    columns = torch.where(covered, HIDDEN, 0.0)
    chunks = where.noisy_positions.numel()
    clean = functional.pad(columns, (1, 0))[:, None, None]
    noisy = functional.pad(columns, (1, chunks))[:, None, None]
    return replace(
        where,
        clean_bias=(where.clean_bias + clean).clamp(min=HIDDEN) if count else where.clean_bias,
        noisy_bias=(where.noisy_bias + noisy).clamp(min=HIDDEN),
    )


@torch.no_grad()
def roll_out(dit: DiT, scene: Stretch, way: Solver, marked: Sequence[int]) -> Rollout:
    """Make the chunks of `scene` one after another on what was made before, without gradient.

    Args:
        dit: the student.
        scene: what is to be made.
        way: its solver.
        marked: of each chunk, which evaluation is kept: 0 .. n - 1.
    """
    count, length = scene.target.shape[:2]
    hop = StreamConfig().hop_latents
    said = _split(Cross(*dit.conditioning(*scene.said)), length)
    blank = vars(null_cross(dit)).values()
    null = Cross(*(part.expand(count, *part.shape[1:]) for part in blank))
    ring = _empty_ring(scene.past)
    unseen = torch.where(scene.hidden, HIDDEN, 0.0)
    for at in range(0, scene.past.shape[1], hop):
        ring = _append(dit, ring, scene.past[:, at : at + hop], null, unseen)
    hops, kept, made = [scene.past], [], []
    for k in range(length):
        start = scene.noise[:, k * hop : k * hop + scene.target.shape[2]]
        chunk, mark = _sample(dit, start, scene.guidance, said[k], ring, way, marked[k])
        made.append(chunk)
        kept.append(mark)
        if k + 1 < length:
            hops.append(chunk[:, :hop])
            ring = _append(dit, ring, hops[-1], null, torch.zeros_like(unseen))
    mixed, t, guess = (torch.stack(parts, 1) for parts in zip(*kept, strict=True))
    return Rollout(torch.cat(hops, dim=1), mixed, t, guess, torch.stack(made, 1))


def velocity_of(dit: DiT, scene: Stretch, clean: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """What `dit`, the student or who judges it, says of all chunks of `scene` at once.

    Past and conditioning are computed once.

    Args:
        dit: the model.
        scene: where the chunks lie and what is said about them.
        clean: (B, T, LATENT_DIM), as in `Rollout`.

    Returns:
        The velocity (B, L, chunk, LATENT_DIM), float32, at noisy latents of that shape and times
        (B, L).
    """
    cross = Cross(*dit.conditioning(*scene.said))
    kept = clean_pass(dit, clean, scene.where)
    guidance = scene.guidance[:, None].expand(scene.target.shape[:2])

    def velocity(mixed: Tensor, t: Tensor) -> Tensor:
        return noisy_pass(dit, mixed, t, guidance, cross, kept, scene.where).float()

    return velocity


def _sample(
    dit: DiT,
    noise: Tensor,
    guidance: Tensor,
    said: Cross,
    ring: Memory,
    way: Solver,
    marked: int,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """One chunk as `ChunkGenerator.sample` makes it, and (mixed, t, guess) at `marked`."""
    seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def velocity(x: Any, t: float) -> Any:
        at = torch.full_like(guidance, t)
        now = dit(x, at, guidance, said, ring)[0].float()
        seen.append((x, at, x - t * now))
        return now

    start: Any = noise
    made: Any = follow_flow(velocity, start, way)  # arrays or tensors, it is the same arithmetic
    return made, seen[marked]


def _append(dit: DiT, ring: Memory, latents: Tensor, null: Cross, bias: Tensor) -> Memory:
    """The ring after one hop of clean latents, as `ChunkGenerator.append`; `bias` is (B,)."""
    hop = latents.shape[1]
    zero = torch.zeros_like(bias)
    _, keys, values = dit(latents, zero, zero + 1, null, ring)
    return Memory(
        torch.cat((ring.keys[:, :, :, hop:], keys.float()), dim=3),
        torch.cat((ring.values[:, :, :, hop:], values.float()), dim=3),
        torch.cat((ring.bias[:, hop:], bias[:, None].expand(-1, hop)), dim=1),
    )


def _empty_ring(like: Tensor) -> Memory:
    count, size = like.shape[0], StreamConfig().prefix_latents
    empty = like.new_zeros(count, BLOCKS, HEADS, size, HEAD_DIM)
    return Memory(empty, empty, like.new_full((count, size), HIDDEN))


def _split(cross: Cross, length: int) -> list[Cross]:
    """The conditioning of every chunk by itself, each with a batch of clips."""
    parts = [part.reshape(-1, length, *part.shape[1:]).unbind(1) for part in vars(cross).values()]
    return [Cross(*fields) for fields in zip(*parts, strict=True)]
