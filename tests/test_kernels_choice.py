"""Which implementation runs, what is said about it, and what is refused."""

import logging
import sys
import types

import pytest
import torch
from torch import Tensor

from diegetic_kernels import (
    Ring,
    RowNorm,
    append_to_ring,
    attention,
    choice,
    chunk_attention,
    cross_attention,
    modulate,
    rotary_turn,
)
from diegetic_kernels.choice import Tile
from kernel_cases import CHUNKS, CROSSES, DEVICE, ON_CARD, chunk_inputs, cross_inputs


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    for cached in (choice._measured, choice._nearest):
        cached.cache_clear()
    return monkeypatch


def test_the_nearest_bucket_of_the_same_kind_is_taken(fresh: pytest.MonkeyPatch) -> None:
    held = {
        "card": {
            "chunk_attention": {
                "half 4 7 2": {"impl": "triton", "tile": [16, 64, 4, 2]},
                "half 4 11 8": {"impl": "sdpa", "tile": [16, 128, 4, 2]},
                "float32 4 7 2": {"impl": "sdpa", "tile": [16, 32, 4, 1]},
            }
        }
    }
    fresh.setattr(choice, "table", lambda: held)
    small = choice.bucket(torch.bfloat16, 10, 74, 4)
    assert small == "half 4 7 2" == choice.bucket(torch.float16, 16, 128, 3)
    found = choice._nearest("card", "chunk_attention", small)
    assert found is not None and found.impl == "triton" and found.tile == Tile(16, 64, 4, 2)
    large = choice._nearest("card", "chunk_attention", choice.bucket(torch.float16, 8, 900, 64))
    assert large is not None and large.impl == "sdpa"
    single = choice._nearest("card", "chunk_attention", choice.bucket(torch.float32, 1, 1, 1))
    assert single is not None and single.tile.keys == 32
    assert choice._nearest("card", "cross_attention", small) is None


def test_an_unknown_card_is_told_about_once(
    fresh: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fresh.setattr(choice, "table", lambda: {})
    with caplog.at_level(logging.WARNING):
        for m in (1, 2, 40):
            assert choice._nearest("Card 1", "chunk_attention", f"half {m} 7 2") is None
    assert len(caplog.messages) == 1
    assert "torch's own kernels" in caplog.text and "'Card 1'" in caplog.text


def test_the_table_that_ships_names_what_exists() -> None:
    for card, operations in choice.table().items():
        assert card
        for operation, buckets in operations.items():
            assert operation in ("chunk_attention", "cross_attention")
            for name, entry in buckets.items():
                kind, *sizes = name.split()
                dtype = torch.float16 if kind == "half" else torch.float32
                assert kind in ("half", "float32") and len(sizes) == 3
                assert entry["impl"] in ("sdpa", "triton")
                assert Tile(*entry["tile"]) in choice.tiles(dtype)  # type: ignore[misc]


def test_without_a_card_auto_is_the_reference() -> None:
    given, named = (part for part in chunk_inputs(CHUNKS["blocks"], torch.float32).arguments())
    moved = [x.cpu() for x in given[:3]]  # type: ignore[attr-defined]
    auto, plain = (chunk_attention(*moved, None, block=5, impl=i) for i in ("auto", "reference"))
    assert torch.equal(auto, plain)
    assert named


@pytest.mark.skipif(ON_CARD, reason="a card is there")
def test_triton_asked_for_without_a_card_says_why(fresh: pytest.MonkeyPatch) -> None:
    given, named = chunk_inputs(CHUNKS["blocks"], torch.float32).arguments()
    crossing, said = cross_inputs(CROSSES["lengths"], torch.float32).arguments()
    x, steer = torch.zeros(1, 2, 16), torch.zeros(1, 1, 16)
    if sys.platform == "linux":
        why = "impl='triton': (the tensors are on cpu|triton is not installed)"
    else:
        why = "impl='triton': triton is not installed"
    with pytest.raises(ValueError, match=why):
        chunk_attention(*given, **named, impl="triton")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=why):
        cross_attention(*crossing, **said, impl="triton")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=why):
        modulate(x, steer, steer, impl="triton")
    with pytest.raises(ValueError, match=why):
        append_to_ring(*given[1:], impl="triton")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="impl='flash': the tensors are on cpu"):
        chunk_attention(*given, **named, impl="flash")  # type: ignore[arg-type]


def stand_in(q: Tensor, k: Tensor, v: Tensor, cache_seqlens: Tensor) -> Tensor:
    """What flash-attn's function of this name computes: (B, N, H, D), the first keys seen."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    seen = torch.arange(k.shape[2], device=q.device) < cache_seqlens[:, None]
    bias = torch.where(seen, 0.0, float("-inf"))[:, None, None]
    return attention(q, k, v, bias, impl="reference").transpose(1, 2)


@pytest.mark.parametrize("name", [name for name, case in CHUNKS.items() if case.block is None])
@torch.inference_mode()
def test_flash_is_given_what_may_be_seen_in_front(name: str, fresh: pytest.MonkeyPatch) -> None:
    fresh.setitem(
        sys.modules, "flash_attn", types.SimpleNamespace(flash_attn_with_kvcache=stand_in)
    )
    fresh.setattr(choice, "why_no_flash", lambda device, dtype: None)
    given, named = chunk_inputs(CHUNKS[name], torch.float32).arguments()
    made, plain = (
        chunk_attention(*given, **named, impl=impl)  # type: ignore[arg-type]
        for impl in ("flash", "reference")
    )
    # The same sums in float32 in another order, of raw keys of up to 8 in the largest case.
    torch.testing.assert_close(made, plain, rtol=0, atol=1e-5)


def test_flash_says_what_it_does_not_cover(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(choice, "why_no_flash", lambda device, dtype: None)
    given, named = chunk_inputs(CHUNKS["blocks"], torch.float32).arguments()
    with pytest.raises(ValueError, match="impl='flash': several blocks"):
        chunk_attention(*given, **named, impl="flash")  # type: ignore[arg-type]
    crossing, said = cross_inputs(CROSSES["faded"], torch.float32).arguments()
    with pytest.raises(ValueError, match="impl='flash': bias or gate"):
        cross_attention(*crossing, **said, impl="flash")  # type: ignore[arg-type]


def test_triton_missing_is_said(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(choice.importlib.util, "find_spec", lambda name: None)
    why = choice.why_no_triton(torch.device("cuda"))
    assert why is not None and "not installed" in why


def test_triton_keeps_no_gradient_and_says_so(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(choice, "why_no_triton", lambda device: None)
    q = torch.zeros(1, 1, 2, 32, device=DEVICE, requires_grad=True)
    for call in (
        lambda: chunk_attention(q, q, q, None, impl="triton"),
        lambda: cross_attention(q, q, q, impl="triton"),
    ):
        with pytest.raises(ValueError, match="inference only, and an input requires a gradient"):
            call()
    x = q[0]
    with pytest.raises(ValueError, match=r"inference only|cannot run with impl='triton'"):
        modulate(x, x[:, :1], x[:, :1], impl="triton")
    # The others do.
    for impl in ("auto", "reference", "sdpa"):
        chunk_attention(q, q, q, None, impl=impl).sum().backward()  # type: ignore[arg-type]


def test_what_does_not_belong_together_is_refused() -> None:
    q = torch.zeros(2, 4, 3, 32)
    zero = torch.zeros(2, dtype=torch.int64)
    ring = Ring(torch.zeros(2, 4, 5, 32), torch.zeros(2, 4, 5, 32), zero, zero)
    with pytest.raises(ValueError, match=r"q must be \(B, H, M, D\).*got"):
        chunk_attention(q, q, q[:, :, :2], None)
    with pytest.raises(ValueError, match="heads that divide"):
        chunk_attention(q, q[:, :3], q[:, :3], None)
    with pytest.raises(ValueError, match="D must be 16 to 128, got 8"):
        chunk_attention(q[..., :8], q[..., :8], q[..., :8], None)
    with pytest.raises(ValueError, match="one dtype"):
        chunk_attention(q, q.half(), q, None)
    with pytest.raises(ValueError, match=r"turn must be \(2, 8, at most 16\)"):
        chunk_attention(q, q, q, ring, turn=rotary_turn(0, 3, 16))
    with pytest.raises(ValueError, match=r"active must be \(2,\) bool"):
        chunk_attention(q, q, q, ring, active=torch.ones(2))
    with pytest.raises(ValueError, match="block must be at least 1"):
        chunk_attention(q, q, q, ring, block=0)
    with pytest.raises(ValueError, match=r"ring.end must be \(2,\) int32 or int64"):
        chunk_attention(q, q, q, Ring(ring.keys, ring.values, zero.float(), zero))
    with pytest.raises(ValueError, match=r"ring.keys and ring.values must be \(2, 4, R, 32\)"):
        chunk_attention(q, q, q, Ring(ring.keys[:, :1], ring.values, zero, zero))
    with pytest.raises(ValueError, match=r"q_norm.weight must be \(32,\)"):
        chunk_attention(q, q, q, ring, q_norm=RowNorm(torch.ones(16)))
    with pytest.raises(ValueError, match=r"bias must be \(2, 3\)"):
        cross_attention(q, q, q, bias=torch.zeros(2, 4))
    with pytest.raises(ValueError, match="impl must be"):
        cross_attention(q, q, q, impl="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"scale must be \(2, 1, 32\)"):
        modulate(q[:, 0], torch.zeros(2, 32), torch.zeros(2, 1, 32))
    with pytest.raises(ValueError, match="rotary must be even"):
        rotary_turn(0, 3, 5)
