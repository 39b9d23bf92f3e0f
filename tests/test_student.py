"""The student: what it is trained on is what is heard live, and only what is marked is moved."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from diegetic.config import LATENT_DIM, StreamConfig
from diegetic.errors import DiegeticError, WeightsError
from diegetic.flow import STUDENT_WAYS, student_solver
from diegetic.generator import ChunkGenerator, position_noise
from diegetic.model.decoder import Decoder
from diegetic.model.dit import DiT
from diegetic.snapshot import (
    FRAME_DIM,
    FRAME_SLOTS,
    SLOTS,
    TEXT_DIM,
    WORD_SLOTS,
    Conditioning,
)
from diegetic.torch_backend import TorchNetworks
from diegetic.training import loop, rollout, student
from diegetic.training.dataset import CHUNKS, Batch
from diegetic.training.dit_trainer import drawn_share
from diegetic.training.draft import LATENTS
from diegetic.training.group import Group
from diegetic.training.origin import load_teacher
from diegetic.training.parallel import Layout, layout
from diegetic.training.rollout import Rollout, Stretch, roll_out, stretch, velocity_of
from diegetic.training.student import (
    StudentTraining,
    jump_loss,
    matching_loss,
    rival_loss,
    train_student,
    ways,
)
from small_scenes import small_scenes, small_teacher, some_dit

TINY = StudentTraining(steps=4, clips=1, first=1, again=0, met=1, rival_updates=2, warmup=1)
HOP = StreamConfig().hop_latents


def some_batch(count: int) -> Batch:
    torch.manual_seed(5)
    chunks = count * CHUNKS
    return Batch(
        chunks=torch.arange(CHUNKS),
        weights=torch.linspace(0.5, 1.5, LATENT_DIM),
        latents=torch.randn(count, LATENTS, LATENT_DIM),
        words=torch.randn(chunks, WORD_SLOTS, TEXT_DIM) / TEXT_DIM**0.5,
        frames=torch.randn(chunks, FRAME_SLOTS, FRAME_DIM) / FRAME_DIM**0.5,
        values=torch.rand(chunks, SLOTS),
        times=-torch.rand(chunks, SLOTS),
        present=(torch.rand(chunks, SLOTS) < 0.5).float(),
    )


def some_stretch(begin: int, count: int = 2) -> Stretch:
    """Clips that go on from their past, but for the first one, which has none."""
    return stretch(
        some_batch(count), begin, torch.arange(count) == 0, torch.linspace(1.0, 5.0, count)
    )


class _Live(TorchNetworks):
    """The networks of a student that is not stored."""

    def __init__(self, dit: DiT) -> None:
        self._dit, self._decoder, self.distilled = dit, Decoder().eval(), True


def heard(dit: DiT, nfe: int, scene: Stretch, batch: Batch, clip: int, begin: int) -> Tensor:
    """What `ChunkGenerator` makes of one clip, on the noise of seed `clip`: (L, chunk, C)."""
    generator = ChunkGenerator(_Live(dit), StreamConfig(), nfe)
    state, latents = generator.start(clip), batch.latents.numpy()
    if not scene.hidden[clip]:
        for k in range(begin):
            _, state = generator.append(state, latents[clip : clip + 1, k * HOP : (k + 1) * HOP])
    state = replace(state, position=begin * HOP)
    made = []
    for k in range(begin, CHUNKS):
        row = clip * CHUNKS + k
        said = Conditioning(
            words=batch.words[row].numpy(),
            frames=batch.frames[row].numpy(),
            values=batch.values[row].numpy(),
            times=batch.times[row].numpy(),
            present=batch.present[row].numpy() > 0,
            guidance=float(scene.guidance[clip]),
        )
        chunk = generator.sample(state, said)
        _, state = generator.append(state, chunk[:, :HOP])
        made.append(torch.from_numpy(chunk[0]))
    return torch.stack(made)


@pytest.mark.parametrize(("nfe", "begin"), [(1, 8), (2, 8), (4, 8), (2, 1), (1, 0)])
def test_a_rollout_is_what_is_heard_live(nfe: int, begin: int) -> None:
    dit, batch, scene = some_dit(1), some_batch(2), some_stretch(begin)
    length = scene.noise.shape[1]
    rows = [position_noise(clip, begin * HOP, length)[1:, :LATENT_DIM] for clip in range(2)]
    scene = replace(scene, noise=torch.from_numpy(np.stack(rows)))
    made = roll_out(dit, scene, student_solver(nfe), [0] * (CHUNKS - begin)).made
    for clip in range(2):
        live = heard(dit, nfe, scene, batch, clip, begin)
        torch.testing.assert_close(made[clip], live, rtol=1e-3, atol=1e-3)


def test_the_past_and_what_is_said_matter_to_a_rollout() -> None:
    """Else the test above would hold whatever is seen."""
    dit, scene = some_dit(1), some_stretch(8)
    way, marked = student_solver(1), [0] * 4
    made = roll_out(dit, scene, way, marked).made
    others = (
        replace(scene, past=scene.past + 1),
        replace(scene, guidance=scene.guidance + 1),
        replace(scene, said=(scene.said[0] + 1, *scene.said[1:])),
    )
    for other, moved in zip(others, ([1], [0, 1], [0, 1]), strict=True):
        apart = (roll_out(dit, other, way, marked).made - made).abs().amax((2, 3))
        assert all(bool((apart[clip] > 0.01).all()) for clip in moved)
        assert all(not apart[clip].any() for clip in {0, 1} - set(moved))  # it has no past


@pytest.mark.parametrize("begin", [0, 3, 8])
def test_all_marked_evaluations_at_once_are_those_of_the_rollout(begin: int) -> None:
    dit, scene = some_dit(1), some_stretch(begin)
    marked = [k % 4 for k in range(CHUNKS - begin)]
    rolled = roll_out(dit, scene, student_solver(4), marked)
    assert rolled.t[0].tolist() == [1 - k % 4 / 4 for k in range(CHUNKS - begin)]
    flow = velocity_of(dit, scene, rolled.clean)(rolled.mixed, rolled.t)
    guess = rolled.mixed - rolled.t[:, :, None, None] * flow
    torch.testing.assert_close(guess, rolled.guess, rtol=1e-3, atol=1e-3)
    last = roll_out(dit, scene, student_solver(4), [3] * (CHUNKS - begin))
    torch.testing.assert_close(last.guess, last.made, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last.made[:, :-1, :HOP].flatten(1, 2), last.clean[:, begin * HOP :])


def rolled_scene(dit: DiT) -> tuple[Stretch, Rollout]:
    scene = some_stretch(8)
    return scene, roll_out(dit, scene, student_solver(2), [0, 1, 1, 0])


def test_the_gradient_goes_through_the_marked_evaluations_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last bias is added to velocities: its gradient is known, if nothing else is moved."""
    dit = some_dit(1)
    scene, rolled = rolled_scene(dit)
    assert not any(part.requires_grad for part in vars(rolled).values())
    gap = torch.randn_like(rolled.guess)
    monkeypatch.setattr(student, "_gap", lambda *asked: gap)
    matching_loss(dit, some_dit(2), some_dit(3), scene, rolled).backward()  # type: ignore[no-untyped-call]
    expected = (-rolled.t[:, :, None, None] * gap).sum((0, 1, 2)) / gap.numel()
    assert dit.leave.bias.grad is not None
    torch.testing.assert_close(dit.leave.bias.grad, expected, rtol=0.02, atol=1e-5)  # bfloat16
    assert all(
        p.grad is not None and p.grad.isfinite().all()
        for block in dit.blocks
        for p in block.parameters()
    )


def test_nothing_moves_where_rival_and_teacher_agree() -> None:
    dit, judge = some_dit(1), some_dit(2)
    scene, rolled = rolled_scene(dit)
    same, other = some_dit(2), some_dit(3)
    assert matching_loss(dit, judge, same, scene, rolled).item() == 0
    loss = matching_loss(dit, judge, other, scene, rolled)
    assert loss.item() > 0
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for model in (judge, other) for p in model.parameters())


def test_guesses_move_to_the_teachers_data_and_away_from_the_rivals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of data that is one point m the velocity is (x - m) / t."""
    teacher, rival = some_dit(1), some_dit(2)
    point = {id(teacher): 3.0, id(rival): 1.0}

    def known(dit: DiT, *seen: object) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x, t: (x - point[id(dit)]) / t[:, :, None, None]

    monkeypatch.setattr(student, "velocity_of", known)
    scene = some_stretch(8)
    guess = torch.ones_like(scene.target)
    gap = student._gap(teacher, rival, scene, scene.past, guess)
    torch.testing.assert_close(gap, torch.full_like(gap, -1.0), rtol=1e-3, atol=1e-3)


def test_the_student_learns_the_end_of_the_teachers_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who always guesses the end is right, at each of the times; half the way is wrong."""
    teacher, pupil = some_dit(1), some_dit(2)
    asked: list[float] = []

    def known(dit: DiT, *seen: object) -> Callable[[Tensor, Tensor], Tensor]:
        def velocity(x: Tensor, t: Tensor) -> Tensor:
            if dit is pupil:
                asked.extend(t.flatten().tolist())
            return scale * torch.ones_like(x) if dit is pupil else torch.ones_like(x)

        return velocity

    monkeypatch.setattr(student, "velocity_of", known)
    scene, weights = some_stretch(0), torch.ones(LATENT_DIM)
    scale = 1.0
    assert jump_loss(pupil, teacher, scene, weights).item() < 1e-8
    assert set(asked) == {1.0, 0.75, 0.5, 0.25}
    scale = 0.5
    assert jump_loss(pupil, teacher, scene, weights).item() > 0.05


def test_every_evaluation_is_marked_and_the_last_most_often() -> None:
    rng = np.random.default_rng(0)
    times: dict[int, list[int]] = {nfe: [0] * nfe for nfe in STUDENT_WAYS}
    for _ in range(300):
        way, marked = ways(rng, 5)
        nfe = len(way.factors)
        assert len(marked) == 5
        for mark in marked:
            times[nfe][mark] += 1
    assert all(min(counts) > 0 and counts[-1] == max(counts) for counts in times.values())
    assert student_solver(4).times[::2] == student_solver(2).times
    assert student_solver(1).times == (1.0, 0.0)


def test_guidance_is_drawn_from_what_may_be_asked() -> None:
    drawn = 1 / drawn_share(1000, torch.device("cpu"))
    assert drawn.min() == 1.0
    assert 4 < drawn.max() <= 5.0


def test_the_rival_follows_and_keeps_no_gradient_for_the_loops_own_step() -> None:
    dit, rival = some_dit(1), some_dit(2)
    scene, rolled = rolled_scene(dit)
    optimiser = torch.optim.AdamW(rival.parameters(), 1e-3)
    settings, weights = replace(TINY, rival_updates=1), torch.ones(LATENT_DIM)
    alone = Group(torch.device("cpu"))
    losses = [
        float(student._follow(rival, optimiser, scene, rolled, weights, settings, alone))
        for _ in range(8)
    ]
    assert sum(losses[-3:]) < sum(losses[:3])
    assert all(parameter.grad is None for parameter in rival.parameters())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of noise, and a teacher."""
    root = small_scenes(tmp_path_factory.mktemp("student"))
    small_teacher(root / "dit.pt")
    return root


class InterruptionError(Exception):
    pass


def test_four_steps_are_two_and_two_bit_for_bit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT", 2)
    monkeypatch.setattr(student, "TEACHER_EVALUATIONS", 8)
    teacher = folder / "dit.pt"
    whole = train_student(folder, teacher, tmp_path / "whole", TINY)
    original, left = roll_out, iter(range(2))

    def failing(*asked: object) -> Rollout:
        if next(left, None) is None:
            raise InterruptionError
        return original(*asked)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(InterruptionError):
        patch.setattr(student, "roll_out", failing)  # a step of which the file is not told
        train_student(folder, teacher, tmp_path / "parts", TINY)
    parts = tmp_path / "parts" / "student.pt"
    assert torch.load(parts, weights_only=True)["step"] == 2
    train_student(folder, teacher, tmp_path / "parts", TINY)
    ours, theirs = (torch.load(path, weights_only=True) for path in (whole, parts))
    begun = load_teacher(teacher).state_dict()
    for part in ("model", "average"):
        assert ours[part].keys() == begun.keys()  # it is exported as the transformer's
    for ours_part, theirs_part in (
        (ours["model"], theirs["model"]),
        (ours["average"], theirs["average"]),
        (ours["rival"]["model"], theirs["rival"]["model"]),
    ):
        for name, tensor in ours_part.items():
            assert torch.equal(tensor, theirs_part[name]), name
        assert all(tensor.isfinite().all() for tensor in ours_part.values())
        assert any(not torch.equal(tensor, begun[name]) for name, tensor in ours_part.items())
    assert ours["configuration"]["distilled"] is True
    rows = (tmp_path / "whole" / "student.jsonl").read_text().splitlines()
    assert np.isfinite([json.loads(row)["loss"] for row in rows]).all()
    with pytest.raises(WeightsError, match="clips 1, now 2"):
        train_student(folder, teacher, tmp_path / "parts", replace(TINY, clips=2))


def test_the_teachers_way_is_learned_first_and_again_and_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student, "TEACHER_EVALUATIONS", 4)
    took: list[str] = []

    def noted(name: str) -> Callable[..., Tensor]:
        loss: Callable[..., Tensor] = getattr(student, name)

        def call(*asked: object) -> Tensor:
            took.append(name.removesuffix("_loss"))
            return loss(*asked)

        return call

    for name in ("jump_loss", "rival_loss", "matching_loss"):
        monkeypatch.setattr(student, name, noted(name))
    settings = replace(TINY, steps=5, first=1, again=2, rival_updates=1)
    train_student(folder, folder / "dit.pt", tmp_path, settings)
    assert took == ["jump", "rival", "jump", "rival", "matching", "jump"]


def test_a_teacher_that_is_not_there_or_not_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no teacher in .*dit\.pt"):
        load_teacher(tmp_path / "dit.pt")
    torch.save({"average": {"leave.weight": torch.zeros(2)}}, tmp_path / "dit.pt")
    with pytest.raises(WeightsError, match=r"dit\.pt was made by another model"):
        load_teacher(tmp_path / "dit.pt")
    torch.save({"configuration": {"distilled": True}}, tmp_path / "dit.pt")
    with pytest.raises(WeightsError, match=r"dit\.pt is a student: it cannot be the teacher"):
        load_teacher(tmp_path / "dit.pt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clips": 0}, "clips must be 1 or more, got 0"),
        ({"first": -1}, "first must be 0 or more, got -1"),
        ({"rival_updates": 0}, "rival_updates must be 1 or more, got 0"),
        ({"hidden": 1.5}, r"hidden must be from 0 to 1, got 1\.5"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, int], said: str) -> None:
    with pytest.raises(DiegeticError, match=said):
        StudentTraining(**change)


@pytest.mark.parametrize("begin", [-1, 9, CHUNKS])
def test_a_stretch_whose_past_does_not_fit_the_ring_is_refused(begin: int) -> None:
    with pytest.raises(ValueError, match=f"begin must be from 0 to 8, got {begin}"):
        some_stretch(begin)


def test_every_tensor_is_made_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one that is not the CPU, whose tensors have no numbers but know where they lie."""
    monkeypatch.setattr(torch, "autocast", lambda *what: torch.enable_grad())
    monkeypatch.setattr(student, "TEACHER_EVALUATIONS", 8)
    device = torch.device("meta")
    where = layout(torch.arange(8, CHUNKS), StreamConfig())  # its lengths need real numbers

    def moved(begin: int, length: int, asked: torch.device) -> Layout:
        assert asked == device
        return Layout(**{name: torch.empty_like(x, device=device)
                         for name, x in vars(where).items()})  # fmt: skip

    monkeypatch.setattr(rollout, "_places", moved)
    with FakeTensorMode(allow_non_fake_inputs=True), Group(device).on_device():
        pupil, teacher, rival = (DiT() for _ in range(3))
        batch = some_batch(2)
        hidden = torch.rand(2, device=device) < 0.5
        scene = stretch(batch, 8, hidden, 1 / drawn_share(2, device))
        rolled = roll_out(pupil, scene, student_solver(2), [0, 1, 1, 0])
        losses = (
            jump_loss(pupil, teacher, scene, batch.weights),
            rival_loss(rival, scene, rolled, batch.weights),
            matching_loss(pupil, teacher, rival, scene, rolled),
        )
    assert all(part.device == device for part in (*losses, *vars(rolled).values()))
