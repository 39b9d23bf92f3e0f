"""The loop of every training: alike in one process and many, stopped with its last good file."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import diegetic
from diegetic.config import LATENT_DIM, StreamConfig
from diegetic.errors import DiegeticError, WeightsError
from diegetic.model.decoder import Decoder
from diegetic.snapshot import FRAME_DIM, FRAME_SLOTS, SLOTS, TEXT_DIM, WORD_SLOTS
from diegetic.training import dit_trainer, loop
from diegetic.training.alignment import AlignedDiT
from diegetic.training.checkpoint import Checkpoint
from diegetic.training.codec_trainer import energy_loss
from diegetic.training.dataset import Batch
from diegetic.training.dit_trainer import DiTTraining, flow_loss
from diegetic.training.draft import LATENTS
from diegetic.training.group import Group, joined
from diegetic.training.loop import seed_draw, train
from diegetic.training.parallel import Layout, layout
from line_training import SETTINGS, Line, checkpoint, lines, losses

ALONE = Group(torch.device("cpu"))
needs_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def first_line() -> Line:
    """What the first process of `line_training.main` begins with."""
    torch.manual_seed(0)
    model = Line()
    torch.nn.init.normal_(model.slope, std=0.1)
    return model


def trained(path: Path, settings: loop.Training = SETTINGS) -> Line:
    model = first_line()
    train(checkpoint(path, model), losses(model), settings, ALONE)
    return model


def test_two_processes_train_as_one_that_accumulates_their_draws(tmp_path: Path) -> None:
    roots = [str(Path(diegetic.__file__).parents[1]), str(Path(__file__).parent)]
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    environment["PYTHONPATH"] = os.pathsep.join([*roots, *sys.path])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
               "-m", "line_training", str(tmp_path)]  # fmt: skip
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=600)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    torch.manual_seed(0)
    model, rival = lines()
    path, twice = tmp_path / "alone.pt", replace(SETTINGS, accumulate=2)
    train(checkpoint(path, model, rival), losses(model, rival=rival), twice, ALONE)
    kept = torch.load(tmp_path / "line.pt", weights_only=True)
    assert kept["step"] == SETTINGS.steps
    states = zip(
        first, second, (kept["model"], kept["rival"]["model"]), (model, rival), strict=True
    )
    for ours, theirs, saved, line in states:
        alone = line.state_dict()
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name]), name
            assert torch.equal(tensor, saved[name]), name
            torch.testing.assert_close(tensor, alone[name], rtol=1e-5, atol=1e-6)
        assert torch.equal(ours["idle"], torch.ones(3))  # what nobody uses does not even decay
    logs = [json.loads((tmp_path / name).read_text()) for name in ("line.jsonl", "alone.jsonl")]
    assert logs[0]["loss"] == pytest.approx(logs[1]["loss"], rel=1e-5)


def test_a_step_is_the_mean_of_its_draws(tmp_path: Path) -> None:
    """Of two draws, the loss told is the mean; one draw alone gives another."""
    logged = []
    for draws in (1, 2):
        trained(tmp_path / f"{draws}.pt", replace(SETTINGS, steps=1, accumulate=draws))
        logged.append(json.loads((tmp_path / f"{draws}.jsonl").read_text())["loss"])
    single = []
    for draw in (0, 1):
        model = first_line()
        single.append(sum(float(x.detach()) for x in losses(model)(0, seed_draw(0, 0, draw))))
    assert logged[0] == pytest.approx(single[0], rel=1e-6)
    assert logged[1] == pytest.approx(sum(single) / 2, rel=1e-6)


def test_every_draw_of_every_step_is_another() -> None:
    seen = set()
    for seed, step, draw in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (0, 0, 2)):
        rng = seed_draw(seed, step, draw)
        seen.add(float(rng.random()))
    assert len(seen) == 6
    torch_seen = set()
    for step, draw in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2)):
        seed_draw(0, step, draw)
        torch_seen.add(float(torch.rand(())))
    assert len(torch_seen) == 5


@pytest.mark.parametrize("gradient_alone", [False, True])
def test_a_loss_or_gradient_that_is_no_number_stops_with_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gradient_alone: bool
) -> None:
    monkeypatch.setattr(loop, "REPORT", 2)
    model, path = first_line(), tmp_path / "line.pt"
    drawn = losses(model, poison=-1 if gradient_alone else 3)

    def steep(step, rng):  # type: ignore[no-untyped-def]
        yield from drawn(step, rng)
        if gradient_alone and step == 3:
            yield (model.idle - 1).sum().square().sqrt()  # 0, and its slope is 0 / 0

    with pytest.raises(DiegeticError, match=r"(nan|inf).* at step 3; .*line\.pt\) is good"):
        train(checkpoint(path, model), steep, SETTINGS, ALONE)
    kept = torch.load(path, weights_only=True)
    assert kept["step"] == 2
    assert all(tensor.isfinite().all() for tensor in kept["model"].values())
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


@needs_full_disk
def test_a_full_disk_keeps_the_former_checkpoint_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "line.pt"
    trained(path, replace(SETTINGS, steps=2))
    whole = path.read_bytes()
    (tmp_path / "line.pt.part").symlink_to("/dev/full")
    with pytest.raises(DiegeticError, match=r"line\.pt: No space left.*what was there .* is kept"):
        trained(path, replace(SETTINGS, steps=4))
    assert path.read_bytes() == whole
    assert not (tmp_path / "line.pt.part").is_symlink()
    trained(path, replace(SETTINGS, steps=4))  # there is space again
    assert torch.load(path, weights_only=True)["step"] == 4


def test_another_configuration_is_refused_with_what_differs(tmp_path: Path) -> None:
    path, model = tmp_path / "line.pt", first_line()
    kept = checkpoint(path, model, batch=4, hop=0.16, steps=2, learning_rate=0.1)
    train(kept, losses(model), replace(SETTINGS, steps=2), ALONE)
    other = checkpoint(path, model, batch=8, hop=0.16, steps=9, learning_rate=0.2)
    with pytest.raises(WeightsError, match=r"another configuration: batch 4, now 8; only") as error:
        other.load()
    assert "hop" not in str(error.value)
    same = checkpoint(path, model, batch=4, hop=0.16, steps=9, learning_rate=0.2)
    assert same.load().step == 2  # longer and slower is allowed


def test_another_model_is_refused_with_the_shapes_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "line.pt"
    trained(path, replace(SETTINGS, steps=1))
    other = Line()
    other.slope = torch.nn.Parameter(torch.zeros(3))
    del other.rare
    with pytest.raises(WeightsError, match=r"another model: rare is \(1,\), here not there; "
                                           r"slope is \(2,\), here \(3,\)$"):  # fmt: skip
        checkpoint(path, other).load()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 and no more", b"something else"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "line.pt"
    path.write_bytes(damage)
    with pytest.raises(WeightsError, match=r"line\.pt is damaged"):
        checkpoint(path, Line()).load()


def test_a_checkpoint_without_configuration_is_gone_on_from(tmp_path: Path) -> None:
    path, model = tmp_path / "line.pt", first_line()
    trained(path, replace(SETTINGS, steps=1))
    saved = torch.load(path, weights_only=True)
    del saved["configuration"]
    torch.save(saved, path)
    assert checkpoint(path, model, batch=4).load().step == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(DiegeticError, match="device cuda needs a GPU"), joined("cuda"):
        pass
    with joined("auto") as group:
        assert group.device.type == "cpu"


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(DiegeticError, match="one of cpu, cuda, auto, got 'tpu'"), joined("tpu"):
        pass


class _Unaligned(torch.nn.Module):
    """In place of the alignment, whose choice of rows needs real numbers."""

    def forward(self, tokens, present, latents, clips):  # type: ignore[no-untyped-def]
        assert clips.device == latents.device
        return tokens.mean()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A device that is not the CPU, whose tensors have no numbers but know where they lie."""
    monkeypatch.setattr(torch, "autocast", lambda *what: torch.enable_grad())
    return torch.device("meta")


def test_every_tensor_of_the_codec_loss_is_made_on_its_device(elsewhere: torch.device) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True), Group(elsewhere).on_device():
        loss = energy_loss(Decoder(), torch.empty(2, 9600, 2))
    assert loss.device == elsewhere


@pytest.mark.parametrize("past", [False, True])
def test_every_tensor_of_the_flow_loss_is_made_on_its_device(
    elsewhere: torch.device, monkeypatch: pytest.MonkeyPatch, past: bool
) -> None:
    where = layout(torch.tensor([1, 3, 5]), StreamConfig(), past)  # its lengths need real numbers

    def moved(chunks: torch.Tensor, config: StreamConfig, past: bool) -> Layout:
        assert chunks.device == elsewhere
        return Layout(**{name: torch.empty_like(x, device=elsewhere)
                         for name, x in vars(where).items()})  # fmt: skip

    monkeypatch.setattr(dit_trainer, "layout", moved)
    with FakeTensorMode(allow_non_fake_inputs=True), Group(elsewhere).on_device():
        dit = AlignedDiT()
        dit.alignment = _Unaligned()
        batch = Batch(
            chunks=torch.empty(3, dtype=torch.int64),
            weights=torch.empty(LATENT_DIM),
            latents=torch.empty(2, LATENTS, LATENT_DIM),
            words=torch.empty(6, WORD_SLOTS, TEXT_DIM),
            frames=torch.empty(6, FRAME_SLOTS, FRAME_DIM),
            values=torch.empty(6, SLOTS),
            times=torch.empty(6, SLOTS),
            present=torch.empty(6, SLOTS),
        )
        loss = flow_loss(dit, batch, DiTTraining(), guided=True, past=past)
    assert loss.device == elsewhere


def test_a_rival_is_gone_on_from_and_begun_where_a_file_has_none(tmp_path: Path) -> None:
    model, rival = lines()
    kept = checkpoint(tmp_path / "line.pt", model, rival)
    train(kept, losses(model, rival=rival), replace(SETTINGS, steps=2), ALONE)
    again, opposed = lines()
    other = checkpoint(tmp_path / "line.pt", again, opposed)
    assert other.load().step == 2
    assert torch.equal(opposed.slope, rival.slope)
    assert other.rival is not None
    assert other.rival.optimiser.state_dict()["state"].keys() == {0}  # its slope's, the only moved
    trained(tmp_path / "alone.pt", replace(SETTINGS, steps=2))
    fresh = opposed.slope.detach().clone()
    assert checkpoint(tmp_path / "alone.pt", again, opposed).load().step == 2
    assert torch.equal(opposed.slope, fresh)


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    model = first_line()
    kept: Checkpoint = checkpoint(tmp_path / "line.pt", model)
    train(kept, losses(model), SETTINGS, ALONE)
    assert kept.average is not None
    between = kept.average.model.state_dict()["slope"]
    assert not torch.equal(between, model.slope)
    assert (between - first_line().slope).norm() < (model.slope - first_line().slope).norm()
