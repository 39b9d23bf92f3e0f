"""Train a student that makes a chunk in 1, 2 or 4 evaluations, from the transformer as teacher.

    first     the teacher's way from a noise to its data is learned as jumps to its end: the student
              is near from then on, and as varied
    next      a rival learns what the student makes, which meanwhile stays near
    then      the student makes scenes by itself, chunk after chunk on its own past, and is moved
              to where its teacher finds them likelier than they are among what the student makes
    again     from there on every third step is one of the first kind, to keep it varied

The first is the regression of DMD (arXiv 2311.18828), which has it all the time, the last DMD2
(arXiv 2405.14867) on rollouts with the student's own cache, Self-Forcing (arXiv 2506.08009). A
rival learns the flow of what the student makes. With its velocity and the teacher's at x_t =
(1 - t) x + t noise,

    gap = t (v_teacher - v_rival) = (data guessed by the rival) - (data guessed by the teacher)

is the way that x should not go, and is divided by how far x is from what the teacher guesses. All
three see the same past, which is the student's, and the same conditioning and guidance. The
gradient goes through one evaluation a chunk: the last one, or any.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from diegetic.config import StreamConfig
from diegetic.errors import DiegeticError
from diegetic.flow import STUDENT_WAYS, Solver, follow_flow, solver, student_solver
from diegetic.model.dit import DiT
from diegetic.training.checkpoint import Average, Checkpoint, Rival
from diegetic.training.dataset import CHUNKS, BatchSampler, load_scenes
from diegetic.training.dit_trainer import drawn_share
from diegetic.training.group import Group, joined
from diegetic.training.loop import CLIP, Training, denormals_flushed, train
from diegetic.training.origin import load_teacher
from diegetic.training.rollout import Rollout, Stretch, roll_out, stretch, velocity_of

log = logging.getLogger(__name__)

SHORTEST = 4  # chunks of a rollout: it begins anywhere before, and ends with the scene
TEACHER_EVALUATIONS = 16  # of the way that is learned first; a multiple of 4
NEAREST, FARTHEST = 0.02, 0.98  # where teacher and rival are asked
FLOOR = 0.1  # no guess of the teacher's is taken to be better: silence would weigh too much
WATCHED = 50  # steps between two lines about the rival and the spread


@dataclass(frozen=True, kw_only=True)
class StudentTraining(Training):
    """What makes the student; sizes are for a GPU.

    Attributes:
        clips: of a draw.
        hidden: share of the clips that begin without a past.
        first: steps in which the teacher's way is learned.
        again: one step in so many is one of the first kind; 0: none.
        met: steps after them in which the rival alone learns.
        rival_updates: of the rival, a step.
        decay: of the averaged weights.

    Raises:
        DiegeticError: a setting is out of range.
    """

    steps: int = 700
    clips: int = 256
    hidden: float = 0.5
    first: int = 100
    again: int = 3
    met: int = 20
    rival_updates: int = 4
    learning_rate: float = 2e-4
    warmup: int = 20
    decay: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        least = {"clips": 1, "first": 0, "again": 0, "met": 0, "rival_updates": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise DiegeticError(f"{name} must be {bound} or more, got {getattr(self, name)}")
        for name in ("hidden", "decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise DiegeticError(f"{name} must be from 0 to 1, got {getattr(self, name)}")


def jump_loss(student: DiT, teacher: DiT, scene: Stretch, weights: Tensor) -> Tensor:
    """How far the student's jumps from the teacher's way are from its end.

    The past is the scene's own, as the teacher was trained on; all chunks go their way at once.
    `weights` (LATENT_DIM,) are those of the dataset.
    """
    clean, noise = _true_past(scene), scene.chunk_noise
    states, end = _teachers_way(teacher, scene, clean, noise)
    pick = torch.randint(len(states), noise.shape[:2], device=noise.device)
    mixed = torch.stack(states).gather(0, pick[None, :, :, None, None].expand(1, *noise.shape))[0]
    t = 1 - pick / len(states)
    with torch.autocast(noise.device.type, torch.bfloat16):
        flow = velocity_of(student, scene, clean)(mixed, t)
    guess = mixed - t[:, :, None, None] * flow
    loss: Tensor = ((guess - end).square() * weights).mean()
    return loss


@torch.no_grad()
def _teachers_way(
    teacher: DiT, scene: Stretch, clean: Tensor, noise: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Where the teacher is at the times of the student's longest way, and where it ends."""
    asked = student_solver(max(STUDENT_WAYS)).times[:-1]
    states: list[Tensor] = []

    def velocity(x: Any, t: float) -> Any:
        if t in asked:
            states.append(x)
        return flow(x, x.new_full(x.shape[:2], t))

    start: Any = noise
    with torch.autocast(noise.device.type, torch.bfloat16):
        flow = velocity_of(teacher, scene, clean)
        end: Any = follow_flow(velocity, start, solver(TEACHER_EVALUATIONS))
    return states, end


def _true_past(scene: Stretch) -> Tensor:
    """The clean latents that the chunks of `scene` may see, when nothing is made."""
    hop = StreamConfig().hop_latents
    return torch.cat((scene.past, scene.target[:, :-1, :hop].flatten(1, 2)), dim=1)


def rival_loss(rival: DiT, scene: Stretch, rollout: Rollout, weights: Tensor) -> Tensor:
    """Rectified flow on what the student made: the rival knows how likely it is."""
    data = rollout.guess
    # As the transformer's own training: t leans to the noisy end.
    t = 1 - torch.rand(data.shape[:2], device=data.device) ** 1.5
    noise = torch.randn_like(data)
    mixed = torch.lerp(data, noise, t[:, :, None, None])
    with torch.autocast(data.device.type, torch.bfloat16):
        flow = velocity_of(rival, scene, rollout.clean)(mixed, t)
    loss: Tensor = ((flow - (noise - data)).square() * weights).mean()
    return loss


def matching_loss(
    student: DiT, teacher: DiT, rival: DiT, scene: Stretch, rollout: Rollout
) -> Tensor:
    """A loss whose gradient moves the marked guesses against the gap; its value is the gap's."""
    with torch.autocast(rollout.t.device.type, torch.bfloat16):
        flow = velocity_of(student, scene, rollout.clean)(rollout.mixed, rollout.t)
    guess = rollout.mixed - rollout.t[:, :, None, None] * flow
    target = guess.detach() - _gap(teacher, rival, scene, rollout.clean, guess.detach())
    return 0.5 * (guess - target).square().mean()


@torch.no_grad()
def _gap(teacher: DiT, rival: DiT, scene: Stretch, clean: Tensor, guess: Tensor) -> Tensor:
    """How much nearer to `guess` the rival's guesses are than the teacher's, normalised."""
    t = NEAREST + (FARTHEST - NEAREST) * torch.rand(guess.shape[:2], device=guess.device)
    far = t[:, :, None, None]
    noisy = torch.lerp(guess, torch.randn_like(guess), far)
    with torch.autocast(guess.device.type, torch.bfloat16):
        real = velocity_of(teacher, scene, clean)(noisy, t)
        made = velocity_of(rival, scene, clean)(noisy, t)
    off = (guess - (noisy - far * real)).abs().mean(dim=(2, 3), keepdim=True)
    return far * (real - made) / off.clamp(min=FLOOR)


def ways(rng: np.random.Generator, length: int) -> tuple[Solver, list[int]]:
    """The evaluations of one rollout of `length` chunks, and which of them is marked in each.

    Half the time it is the last one, which is heard; else any, so that none is left behind.
    """
    nfe = STUDENT_WAYS[int(rng.integers(len(STUDENT_WAYS)))]
    last, any_of_them = rng.random(length) < 0.5, rng.integers(nfe, size=length)
    return student_solver(nfe), np.where(last, nfe - 1, any_of_them).tolist()


@denormals_flushed()
def train_student(
    scenes_root: Path, teacher_path: Path, out: Path, settings: StudentTraining, device: str = "cpu"
) -> Path:
    """Train (or go on training) a student of the transformer; return the checkpoint's path.

    The checkpoint and its log, `out/student.jsonl`, are written as in `loop.train`; the averaged
    weights are exported as the transformer's are, and say that they are a student's. `device` is
    chosen, and the processes of `torchrun` found, as in `group.joined`.

    Raises:
        DiegeticError: as `loop.train` and `group.joined`.
        MediaError: there are no scenes in `scenes_root`.
        WeightsError: there is no teacher in `teacher_path`.
    """
    stream = StreamConfig()
    lengths = {"hop": stream.hop, "overlap": stream.overlap, "prefix": stream.prefix}
    with joined(device) as group:
        torch.manual_seed(settings.seed)
        teacher = load_teacher(teacher_path).to(group.device)
        student, rival = (_copy(teacher) for _ in range(2))
        optimiser, rivals = (_optimiser(model, settings) for model in (student, rival))
        average = Average(student, settings.decay)
        sampler = BatchSampler(*load_scenes(scenes_root), stream, group.device)

        def losses(step: int, rng: np.random.Generator) -> Iterator[Tensor]:
            batch = sampler.draw(settings.clips, CHUNKS, rng)
            begin = int(rng.integers(CHUNKS - SHORTEST + 1))
            hidden = torch.rand(settings.clips, device=group.device) < settings.hidden
            scene = stretch(batch, begin, hidden, 1 / drawn_share(settings.clips, group.device))
            if step < settings.first or (settings.again and step % settings.again == 0):
                yield jump_loss(student, teacher, scene, batch.weights)
                return
            with torch.autocast(group.device.type, torch.bfloat16):
                rollout = roll_out(student, scene, *ways(rng, CHUNKS - begin))
            follows = _follow(rival, rivals, scene, rollout, batch.weights, settings, group)
            if step % WATCHED == 0:
                _watch(step, scene, rollout, follows)
            if step >= settings.first + settings.met:
                yield matching_loss(student, teacher, rival, scene, rollout)

        path = out / "student.pt"
        against = Rival(rival, rivals)
        told = asdict(settings) | lengths | {"distilled": True}
        kept = Checkpoint(path, student, optimiser, average, told, against)
        train(kept, losses, settings, group)
    return path


def _copy(teacher: DiT) -> DiT:
    """A model that begins as the teacher."""
    dit = DiT().to(next(teacher.parameters()).device)
    dit.load_state_dict(teacher.state_dict())
    return dit


def _optimiser(model: nn.Module, settings: StudentTraining) -> Optimizer:
    # No momentum: the rival moves what is aimed at.
    return torch.optim.AdamW(
        model.parameters(), settings.learning_rate, (0.0, 0.99), weight_decay=0.0
    )


def _follow(
    rival: DiT,
    optimiser: Optimizer,
    scene: Stretch,
    rollout: Rollout,
    weights: Tensor,
    settings: StudentTraining,
    group: Group,
) -> Tensor:
    """Bring the rival up to what the student makes now; return its last loss, without gradient."""
    parameters = list(rival.parameters())
    loss = weights.new_zeros(())
    for _ in range(settings.rival_updates):
        optimiser.zero_grad()
        loss = rival_loss(rival, scene, rollout, weights)
        torch.autograd.backward(loss)
        group.mean(parameters, 0.0)
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimiser.step()
    optimiser.zero_grad()  # the loop's own step must not move it again
    return loss.detach()


def _watch(step: int, scene: Stretch, rollout: Rollout, rival: Tensor) -> None:
    """Say how the rival does, and how wide what is made spreads beside what is true."""
    clips = (0, 1, 2)
    ratio = rollout.made.std(dim=clips) / scene.target.std(dim=clips).clamp(min=1e-3)
    low, middle, high = torch.quantile(ratio, torch.tensor([0.1, 0.5, 0.9]).to(ratio)).tolist()
    log.info(
        "student at step %d: rival's loss %.4f, spread %.2f (%.2f .. %.2f) of the scenes'",
        *(step, float(rival), middle, low, high),
    )
