"""What the fused operations mean: their references against plain sums and against the model."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from diegetic.model.dit import (
    HEAD_DIM,
    HEADS,
    HIDDEN,
    ROTARY,
    WIDTH,
    Block,
    rotary,
    rotate,
    split_heads,
)
from diegetic_kernels import (
    Gate,
    Ring,
    RowNorm,
    Sink,
    append_to_ring,
    attention,
    chunk_attention,
    cross_attention,
    gated_modulate,
    gated_residual,
    modulate,
    rotary_turn,
)
from kernel_cases import CHUNKS, CROSSES, Chunk, chunk_inputs, cross_inputs


def normed(x: Tensor, norm: RowNorm | None) -> Tensor:
    if norm is None:
        return x
    centred = x - x.mean() if norm.kind == "layer" else x
    return centred / (centred.square().mean() + norm.eps).sqrt() * norm.weight.double().cpu()


def placed(x: Tensor, position: int, turned: int) -> Tensor:
    out, half = x.clone(), turned // 2
    for i in range(half):
        angle = position * 1e4 ** (-i / half)
        a, b = float(x[i]), float(x[i + half])
        out[i] = a * math.cos(angle) - b * math.sin(angle)
        out[i + half] = a * math.sin(angle) + b * math.cos(angle)
    return out


def one_by_one(case: Chunk) -> Tensor:
    """`chunk_attention` as a sum over the keys that a query sees, one after another."""
    given = chunk_inputs(case, torch.float32)
    q, k, v = (x.double().cpu() for x in (given.q, given.k, given.v))
    out = torch.zeros(q.shape, dtype=torch.float64)
    block = case.block or case.m
    for b, (length, end) in enumerate(zip(case.lengths, case.ends, strict=True)):
        page = b if case.page is None else case.page[b]
        if case.active is not None and not case.active[b]:
            continue
        for h in range(case.heads):
            g = h // (case.heads // case.kv_heads)
            seen: list[tuple[int, Tensor, Tensor]] = []
            if given.sink is not None:
                key = given.sink.key[g].double().cpu().clone()
                key[: case.rotary] = 0
                seen.append((-1, key, given.sink.value[g].double().cpu()))
            for age in range(length):
                assert given.ring is not None
                slot = (end - 1 - age) % case.ring
                key = given.ring.keys[page, g, slot].double().cpu()
                key = placed(key, -1 - age, case.rotary)
                seen.append((-1, key, given.ring.values[page, g, slot].double().cpu()))
            for j in range(case.m):
                key = placed(normed(k[b, g, j], given.k_norm), j, case.rotary)
                seen.append((j // block, key, v[b, g, j]))
            for i in range(case.m):
                query = placed(normed(q[b, h, i], given.q_norm), i, case.rotary)
                mine = [(key, value) for place, key, value in seen if place <= i // block]
                scores = torch.stack([query @ key for key, _ in mine]) / case.dim**0.5
                out[b, h, i] = scores.softmax(0) @ torch.stack([value for _, value in mine])
    return out


@pytest.mark.parametrize(
    "name",
    [
        "sink and itself",
        "no ring",
        "blocks",
        "grouped heads",
        "odd head",
        "one sits out",
        "on pages",
    ],
)
@torch.inference_mode()
def test_a_chunk_sees_sink_ring_and_blocks(name: str) -> None:
    given, named = chunk_inputs(CHUNKS[name], torch.float32).arguments()
    made = chunk_attention(*given, **named, impl="reference")  # type: ignore[arg-type]
    # float32 angles up to 16 and sums of at most 40 terms of size one.
    torch.testing.assert_close(made.double().cpu(), one_by_one(CHUNKS[name]), rtol=0, atol=1e-5)


def model_block() -> Block:
    torch.manual_seed(5)
    block = Block().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return block


@pytest.mark.parametrize("filled", [0, 10, 61, 64])
@torch.inference_mode()
def test_it_is_what_the_model_computes(filled: int) -> None:
    block, size, count = model_block(), 64, 10
    steer = tuple(0.3 * torch.randn(2, 1, 1, WIDTH) for _ in range(9))
    x = torch.randn(2, count, WIDTH)
    q, k, v = block.project(x, steer)
    past_keys, past_values = torch.randn(2, 2, HEADS, size, HEAD_DIM)
    bias = torch.full((2, size), HIDDEN)
    bias[:, size - filled :] = 0.0
    turn = rotary(torch.arange(-size, count))
    own = (turn[0][size:], turn[1][size:])
    theirs = block.attend(
        rotate(q, own),
        rotate(torch.cat((past_keys, k), 2), turn),
        torch.cat((past_values, v), 2),
        functional.pad(bias, (1, count))[:, None, None],
    )
    raw = block.qkv(block.modulate(x, steer, 0)).chunk(3, dim=2)
    end = torch.tensor([1000, 1000 + 7])
    slots = (end[:, None] - size + torch.arange(size)) % size
    index = slots[:, None, :, None].expand(-1, HEADS, -1, HEAD_DIM)
    ring = Ring(
        torch.empty_like(past_keys).scatter_(2, index, past_keys),
        torch.empty_like(past_values).scatter_(2, index, past_values),
        end,
        torch.tensor([filled, filled]),
    )
    ours = chunk_attention(
        *(split_heads(part) for part in raw),
        ring,
        sink=Sink(*block.sink[:, :, 0]),
        q_norm=RowNorm(block.q_norm.weight),
        k_norm=RowNorm(block.k_norm.weight),
        turn=rotary_turn(-size, size + count, ROTARY),
    )
    # The same sums in float32, in another order.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)

    cross_keys, cross_values = torch.randn(2, 2, HEADS, 79, HEAD_DIM)
    cross_bias = torch.where(torch.rand(2, 79) < 0.5, HIDDEN, 0.0)
    queries = rotate(block.cross_queries(x, steer), own)
    theirs = attention(queries, cross_keys, cross_values, cross_bias[:, None, None])
    ours = cross_attention(
        split_heads(block.cross_q(block.modulate(x, steer, 1))),
        cross_keys,
        cross_values,
        norm=RowNorm(block.cross_norm.weight),
        turn=rotary_turn(0, count, ROTARY),
        bias=cross_bias,
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)

    scale, shift, gate = (steer[part][:, 0] for part in (3, 4, 2))
    change = torch.randn_like(x)
    added = block.gated(x, change, steer, 0)
    torch.testing.assert_close(gated_residual(x, change, gate), added)
    torch.testing.assert_close(modulate(x, scale, shift), block.modulate(x, steer, 1))
    both = gated_modulate(x, change, gate, scale, shift)
    torch.testing.assert_close(both, (added, block.modulate(added, steer, 1)))


@torch.inference_mode()
def test_appending_hop_by_hop_keeps_the_latest() -> None:
    make = torch.Generator().manual_seed(2)
    size, hop = 7, 3
    norm = RowNorm(torch.rand(32, generator=make), "rms")
    ring = Ring(
        torch.zeros(2, 1, size, 32),
        torch.zeros(2, 1, size, 32),
        torch.zeros(2, dtype=torch.int64),
        torch.zeros(2, dtype=torch.int64),
    )
    k, v = torch.randn(2, 2, 1, 8 * hop, 32, generator=make)
    q, own_k, own_v = torch.randn(3, 2, 1, 4, 32, generator=make)
    for step in range(8):
        part = slice(step * hop, (step + 1) * hop)
        active = torch.tensor([True, step < 2])
        append_to_ring(k[:, :, part], v[:, :, part], ring, norm=norm, active=active)
        ring.end.add_(hop * active)
        ring.length.copy_((ring.length + hop * active).clamp(max=size))
    for b, written in enumerate((8 * hop, 2 * hop)):
        kept = slice(max(0, written - size), written)
        length = min(size, written)
        keys = functional.rms_norm(k[b : b + 1, :, kept], (32,), norm.weight, norm.eps)
        plain = Ring(keys, v[b : b + 1, :, kept], torch.tensor([0]), torch.tensor([length]))
        one = slice(b, b + 1)
        lone = (q[one], own_k[one], own_v[one])
        expected = chunk_attention(*lone, plain, turn=rotary_turn(-length, length + 4, 16))
        made = chunk_attention(
            *lone,
            Ring(ring.keys[one], ring.values[one], ring.end[one], ring.length[one]),
            turn=rotary_turn(-size, size + 4, 16),
        )
        torch.testing.assert_close(made, expected, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_of_more_than_a_ring_the_last_are_kept() -> None:
    ring = Ring(
        torch.zeros(1, 1, 4, 16), torch.zeros(1, 1, 4, 16), torch.tensor([2]), torch.tensor([2])
    )
    k = torch.arange(9.0)[None, None, :, None].expand(1, 1, 9, 16)
    append_to_ring(k, k, ring)
    # Latent 2 + i lies in slot (2 + i) % 4; the last four are 5 to 8.
    assert ring.keys[0, 0, :, 0].tolist() == [6.0, 7.0, 8.0, 5.0]


@torch.inference_mode()
def test_what_is_appended_on_pages_touches_no_other() -> None:
    make = torch.Generator().manual_seed(3)
    before = torch.randn(2, 6, 2, 5, 16, generator=make)
    k, v = torch.randn(2, 3, 2, 2, 16, generator=make)
    end, page = torch.tensor([3, 4, 10]), torch.tensor([5, 0, 2])
    keys, values = before.clone()
    append_to_ring(
        k, v, Ring(keys, values, end, end, page), active=torch.tensor([True, True, False])
    )
    wanted = before.clone()
    for b, slots in ((0, (3, 4)), (1, (4, 0))):
        for j, slot in enumerate(slots):
            wanted[0, page[b], :, slot], wanted[1, page[b], :, slot] = k[b, :, j], v[b, :, j]
    assert torch.equal(torch.stack((keys, values)), wanted)


@torch.inference_mode()
def test_conditioning_on_pages_is_that_of_its_session() -> None:
    (q, k, v), named = cross_inputs(CROSSES["pages, one shared"], torch.float32).arguments()
    page, bias = named.pop("page"), named.pop("bias")
    made = cross_attention(q, k, v, page=page, bias=bias, **named)  # type: ignore[arg-type]
    order = [4, 2, 4]
    wanted = cross_attention(q, k[order], v[order], bias=bias[order], **named)  # type: ignore[arg-type, index]
    assert torch.equal(made, wanted)


@torch.inference_mode()
def test_a_residual_stream_stays_wide_between_narrow_parts() -> None:
    make = torch.Generator().manual_seed(4)
    x, change = torch.randn(2, 2, 3, 32, generator=make)
    gate, scale, shift = torch.randn(3, 2, 1, 32, generator=make)
    half = change.half()
    added, made = gated_modulate(x, half, gate, scale, shift, dtype=torch.float16)
    assert added.dtype == torch.float32 and made.dtype == torch.float16
    assert torch.equal(added, x + gate * half.float())
    assert torch.equal(gated_residual(x, half, gate), added)
    assert torch.equal(modulate(added, scale, shift).half(), made)
    assert gated_residual(half, x, gate).dtype == torch.float16


@torch.inference_mode()
def test_a_modality_fades_out_to_nothing() -> None:
    inputs = cross_inputs(replace(CROSSES["faded"], gate=False), torch.float32)
    (q, k, v), named = inputs.arguments()
    kind = (torch.arange(k.shape[2]) % 2).to(q.device)

    def heard(level: float) -> Tensor:
        levels = torch.tensor([[0.0, level]], device=q.device).expand(q.shape[0], 2)
        named["gate"] = Gate(levels, kind)
        return cross_attention(q, k, v, **named)  # type: ignore[arg-type]

    named["gate"] = None
    rest = cross_attention(q, k[:, :, ::2], v[:, :, ::2], **named)  # type: ignore[arg-type]
    far = [(heard(level) - rest).abs().max() for level in (0.0, -2.0, -4.0)]
    assert far[0] > far[1] > far[2] > 1e-3
    torch.testing.assert_close(heard(float("-inf")), rest, rtol=0, atol=2e-6)
