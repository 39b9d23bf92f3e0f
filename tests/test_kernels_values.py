"""Every implementation of the fused operations against float64, on a card where there is one.

Without a card Triton's kernels run in its interpreter, in a process of their own: the variable that
asks for it is read when a kernel is decorated.
"""

import importlib.util

import pytest
import torch

from diegetic_kernels import (
    append_to_ring,
    chunk_attention,
    cross_attention,
    gated_modulate,
    gated_residual,
    modulate,
)
from diegetic_kernels.choice import Implementation, why_no_flash
from kernel_cases import (
    CHUNKS,
    CROSSES,
    DEVICE,
    INTERPRETED,
    ON_CARD,
    Chunk,
    Cross,
    assert_within_rounding,
    chunk_inputs,
    cross_inputs,
    run_under_the_interpreter,
)

HAS_TRITON = importlib.util.find_spec("triton") is not None
RUNS_TRITON = HAS_TRITON and (ON_CARD or INTERPRETED)
TRITON = pytest.param(
    "triton",
    marks=pytest.mark.skipif(
        not RUNS_TRITON, reason="no CUDA device: test_under_the_interpreter runs this one"
    ),
)
FLASH = pytest.param(
    "flash",
    marks=pytest.mark.skipif(
        why_no_flash(torch.device(DEVICE), torch.float16) is not None,
        reason="needs a CUDA device and flash-attn",
    ),
)
# The interpreter is slow, and cuts bfloat16 off instead of rounding it.
DTYPES = [torch.float32, torch.float16] + ([] if INTERPRETED else [torch.bfloat16])


@pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
@pytest.mark.skipif(INTERPRETED, reason="this is the inner run")
def test_under_the_interpreter() -> None:
    run_under_the_interpreter(__file__)


@pytest.mark.parametrize("impl", ["sdpa", TRITON, FLASH])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CHUNKS)
@torch.inference_mode()
def test_a_chunk_is_within_rounding(name: str, dtype: torch.dtype, impl: Implementation) -> None:
    inputs = chunk_inputs(CHUNKS[name], dtype)
    if impl == "flash" and (dtype == torch.float32 or CHUNKS[name].block is not None):
        pytest.skip("flash-attn does not cover this, which is an error of its own")
    given, named = inputs.arguments()
    wide, _ = inputs.arguments(wide=True)
    exact = chunk_attention(*wide, **named, impl="reference")  # type: ignore[arg-type]
    rough = chunk_attention(*given, **named, impl="reference")  # type: ignore[arg-type]
    made = chunk_attention(*given, **named, impl=impl)  # type: ignore[arg-type]
    assert_within_rounding(made, rough, exact, loose=impl != "triton")
    if impl == "triton":
        assert made.transpose(1, 2).is_contiguous()  # merging heads copies nothing
    if inputs.active is not None:
        assert not made[~inputs.active].any()


@pytest.mark.parametrize("impl", ["sdpa", TRITON, FLASH])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CROSSES)
@torch.inference_mode()
def test_conditioning_is_within_rounding(
    name: str, dtype: torch.dtype, impl: Implementation
) -> None:
    case = CROSSES[name]
    if impl == "flash" and (dtype == torch.float32 or case.bias or case.gate):
        pytest.skip("flash-attn does not cover this, which is an error of its own")
    inputs = cross_inputs(case, dtype)
    given, named = inputs.arguments()
    wide, _ = inputs.arguments(wide=True)
    exact = cross_attention(*wide, **named, impl="reference")  # type: ignore[arg-type]
    rough = cross_attention(*given, **named, impl="reference")  # type: ignore[arg-type]
    made = cross_attention(*given, **named, impl=impl)  # type: ignore[arg-type]
    assert_within_rounding(made, rough, exact, loose=impl != "triton")


@pytest.mark.skipif(not RUNS_TRITON, reason="no CUDA device: test_under_the_interpreter runs it")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("shape", [(1, 1, 32), (3, 7, 256), (2, 13, 97)])
@torch.inference_mode()
def test_triton_modulates_within_rounding(
    shape: tuple[int, int, int], norm: str, dtype: torch.dtype
) -> None:
    make = torch.Generator().manual_seed(sum(shape))
    batch, n, width = shape
    # Offsets that a variance taken in one pass, or in half precision, would not survive.
    x = (torch.randn(batch, n, 2 * width, generator=make) + 3).to(DEVICE, dtype)[..., :width]
    change = torch.randn(shape, generator=make).to(DEVICE, dtype)
    steer = torch.randn(batch, 3, 1, width, generator=make).to(DEVICE, dtype)
    gate, scale, shift = steer.unbind(1)
    parts = (x, change, gate, scale, shift)
    wide = tuple(part.double() for part in parts)
    results = []
    for a, impl in ((parts, "triton"), (parts, "reference"), (wide, "reference")):
        made = modulate(a[0], *a[3:], norm=norm, impl=impl)  # type: ignore[arg-type]
        added = gated_residual(*a[:3], impl=impl)  # type: ignore[arg-type]
        both = gated_modulate(*a, norm=norm, impl=impl)  # type: ignore[arg-type]
        results.append((made, added, *both))
    for made, rough, exact in zip(*results, strict=True):
        assert_within_rounding(made, rough, exact)


@pytest.mark.skipif(not RUNS_TRITON, reason="no CUDA device: test_under_the_interpreter runs it")
@torch.inference_mode()
def test_triton_keeps_the_residual_stream_wide_between_narrow_parts() -> None:
    make = torch.Generator().manual_seed(6)
    x, change = (torch.randn(2, 7, 256, generator=make).to(DEVICE) for _ in range(2))
    # What steers all sessions alike is one row, of which the others are views.
    gate, scale, shift = torch.randn(3, 1, 1, 256, generator=make).to(DEVICE).expand(3, 2, 1, -1)
    for narrow in DTYPES:
        parts = (x, change.to(narrow), gate, scale, shift)
        wide = tuple(part.double() for part in parts)
        pairs = zip(
            gated_modulate(*parts, dtype=narrow, impl="triton"),
            gated_modulate(*parts, dtype=narrow, impl="reference"),
            gated_modulate(*wide, impl="reference"),
            strict=True,
        )
        for made, rough, exact in pairs:
            assert_within_rounding(made, rough, exact)
        assert_within_rounding(
            modulate(x, scale, shift, dtype=narrow, impl="triton"),
            modulate(x, scale, shift, dtype=narrow, impl="reference"),
            modulate(wide[0], wide[3], wide[4], impl="reference"),
        )


@pytest.mark.skipif(not RUNS_TRITON, reason="no CUDA device: test_under_the_interpreter runs it")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "name", ["the shipped shape", "primes, wrapped", "one sits out", "on pages"]
)
@torch.inference_mode()
def test_triton_appends_what_the_reference_appends(name: str, dtype: torch.dtype) -> None:
    rings = []
    for impl in ("triton", "reference"):
        inputs = chunk_inputs(CHUNKS[name], dtype)
        assert inputs.ring is not None
        append_to_ring(
            inputs.k,
            inputs.v,
            inputs.ring,
            norm=inputs.k_norm,
            active=inputs.active,
            impl=impl,  # type: ignore[arg-type]
        )
        rings.append(inputs.ring)
    made, held = (torch.stack((ring.keys, ring.values)).double() for ring in rings)
    # One unit in the last place of a normalised key, of which none is over 8.
    allowed = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(made, held, rtol=0, atol=allowed, equal_nan=True)
    torch.testing.assert_close(made[1], held[1], rtol=0, atol=0, equal_nan=True)


@pytest.mark.skipif(not RUNS_TRITON, reason="no CUDA device: test_under_the_interpreter runs it")
@torch.inference_mode()
def test_triton_gives_a_session_the_same_bits_alone_and_among_others() -> None:
    case = Chunk(10, 37, (37, 5, 0), (50, 5, 0))
    given, named = chunk_inputs(case, torch.float16).arguments()
    together = chunk_attention(*given, **named, impl="triton")  # type: ignore[arg-type]
    q, k, v, ring = given
    for index in range(3):
        part = slice(index, index + 1)
        its = type(ring)(  # type: ignore[call-arg]
            ring.keys[part],  # type: ignore[attr-defined]
            ring.values[part],  # type: ignore[attr-defined]
            ring.end[part],  # type: ignore[attr-defined]
            ring.length[part],  # type: ignore[attr-defined]
        )
        alone = chunk_attention(
            q[part],  # type: ignore[index]
            k[part],  # type: ignore[index]
            v[part],  # type: ignore[index]
            its,  # type: ignore[arg-type]
            **named,  # type: ignore[arg-type]
            impl="triton",
        )
        assert torch.equal(alone[0], together[index])


@pytest.mark.skipif(not ON_CARD, reason="needs a CUDA device")
@torch.inference_mode()
def test_all_can_be_captured_in_a_graph() -> None:
    chunk, named = chunk_inputs(CHUNKS["one sits out"], torch.bfloat16).arguments()
    cross, said = cross_inputs(Cross(10, 79, bias=True, gate=True), torch.bfloat16).arguments()

    def step() -> list[torch.Tensor]:
        made = []
        for impl in ("sdpa", "triton", "auto"):
            made.append(chunk_attention(*chunk, **named, impl=impl))  # type: ignore[arg-type]
            made.append(cross_attention(*cross, **said, impl=impl))  # type: ignore[arg-type]
        return made

    eager = step()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    graph.replay()
    torch.cuda.synchronize()
    for a, b in zip(eager, captured, strict=True):
        assert torch.equal(a, b)
