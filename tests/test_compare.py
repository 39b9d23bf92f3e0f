import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def compare() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("compare")


@pytest.fixture(scope="module")
def open_small(compare: ModuleType) -> ModuleType:
    return importlib.import_module("open_small")


def test_the_other_transformer_is_of_the_published_size(open_small: ModuleType) -> None:
    with torch.device("meta"):
        network = open_small.Transformer(open_small.Shape())
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(341, abs=0.5)
    assert open_small.Shape().seconds == pytest.approx(11.9, abs=0.05)


def test_the_other_transformer_makes_latents_that_depend_on_all_it_is_told(
    open_small: ModuleType,
) -> None:
    torch.manual_seed(0)
    shape = open_small.Shape(width=32, depth=2, heads=2, latents=7, condition=5, tokens=3)
    network = open_small.Transformer(shape)
    tokens, length = torch.randn(1, 3, 5), torch.randn(1, 5)

    def made(tokens: object, length: object) -> object:
        torch.manual_seed(1)
        return open_small.sample(network, tokens, length)

    usual = made(tokens, length)
    assert usual.shape == (1, shape.channels, 7)
    assert torch.isfinite(usual).all()
    assert torch.equal(usual, made(tokens, length))
    assert not torch.allclose(usual, made(tokens.flip(2), length))
    assert not torch.allclose(usual, made(tokens, -length))


def test_processes_take_turns_and_the_first_does_not_count(
    compare: ModuleType, open_small: ModuleType
) -> None:
    small = open_small.Shape(width=32, depth=1, heads=2, latents=4, condition=5, tokens=3)
    players = {name: (compare.play_theirs, (1, small)) for name in ("a", "b")}
    found = compare.take_turns(players, 2)
    assert {name: len(turns) for name, turns in found.items()} == {"a": 2, "b": 2}
    for turns in found.values():
        for turn in turns:
            assert len(turn.factors) == 1
            assert turn.factors[0] > 0
            assert "width 32, 1 layers" in turn.says


def test_a_process_that_ends_is_said(compare: ModuleType, open_small: ModuleType) -> None:
    impossible = open_small.Shape(width=32, heads=64)
    with pytest.raises(SystemExit, match="theirs ended before its time"):
        compare.take_turns({"theirs": (compare.play_theirs, (1, impossible))}, 1)
