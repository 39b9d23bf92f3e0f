"""The decoder's adversary: what it sees, how much it is heeded, and that training resumes."""

import json
import math
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from diegetic.codec import BANDS, DELAY, FRAMES_PER_LATENT
from diegetic.errors import DiegeticError, WeightsError
from diegetic.model.decoder import Decoder
from diegetic.model.spectral import band_levels, band_matrix, window
from diegetic.training import codec_trainer, loop
from diegetic.training.adversary import (
    CHANNELS,
    FLOOR,
    HEEDED,
    LOUDER,
    MATCHED,
    WINDOWS,
    Adversary,
    balanced,
    matching,
    meet,
    pictured,
)
from diegetic.training.ahead import ahead
from diegetic.training.audio_store import AudioStore
from diegetic.training.codec_trainer import (
    Arena,
    CodecTraining,
    CropSampler,
    decode_twice,
    energy_distance,
    train_codec,
)
from diegetic.training.group import Group
from small_build import small_build

SAMPLES = 7440
CROP = SAMPLES + DELAY
TINY = CodecTraining(
    steps=20,
    batch=1,
    seconds=0.2,
    warmup=1,
    adversary_after=0.2,
    adversary_every=2,
    adversary_width=2,
)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec to go on from, which spares the fit of the latents."""
    path = tmp_path_factory.mktemp("former") / "former.pt"
    torch.save({"model": fitted().state_dict()}, path)
    return path


def adversary(width: int = 2) -> Adversary:
    torch.manual_seed(0)
    return Adversary(width)


def fitted() -> Decoder:
    torch.manual_seed(0)
    decoder = Decoder()
    noise = 10 ** torch.empty(8, 1, 1).uniform_(-3, -0.5) * torch.randn(8, 24 * 960, 2)
    decoder.latents.fit(band_levels(noise).reshape(-1, FRAMES_PER_LATENT * BANDS))
    return decoder


def saved(path: Path) -> dict[str, object]:
    content: dict[str, object] = torch.load(path, weights_only=True)
    return content


def assert_alike(ours: object, theirs: object) -> None:
    """Nested dicts and lists are equal to the bit."""
    if isinstance(ours, torch.Tensor):
        assert isinstance(theirs, torch.Tensor)
        assert torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert isinstance(theirs, dict)
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert_alike(ours[key], theirs[key])
    elif isinstance(ours, list):
        assert isinstance(theirs, list)
        for one, other in zip(ours, theirs, strict=True):
            assert_alike(one, other)
    else:
        assert ours == theirs


def test_twenty_steps_against_an_adversary_are_ten_and_ten_bit_for_bit(
    build: Path, former: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT", 10)
    whole = train_codec(build, tmp_path / "whole", TINY, "cpu", former)
    left = iter(range(5))  # at steps 4, 6, ... 12, and no more

    def failing(*given):  # type: ignore[no-untyped-def]
        if next(left, None) is None:
            raise InterruptedError
        return meet(*given)

    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(codec_trainer, "meet", failing)
        train_codec(build, tmp_path / "parts", TINY, "cpu", former)
    parts = tmp_path / "parts" / "codec.pt"
    assert saved(parts)["step"] == 10
    train_codec(build, tmp_path / "parts", TINY, "cpu", former)
    ours, theirs = saved(whole), saved(parts)
    assert ours["rival"] is not None
    for name in ("model", "optimiser", "rival", "step"):
        assert_alike(ours[name], theirs[name])


def test_they_meet_as_often_as_is_said() -> None:
    settings = replace(TINY, steps=10, adversary_after=0.25, adversary_every=3)
    arena = Arena(Decoder(), adversary(), settings)
    assert [step for step in range(10) if arena.open(step)] == [2, 5, 8]


def test_the_log_goes_on_from_that_of_the_steps_without_adversary(
    build: Path, former: Path, tmp_path: Path
) -> None:
    """The first meeting's loss is the energy distance, as if there were no adversary."""
    rows = []
    for share in (0.0, 1.0):
        out = tmp_path / str(share)
        settings = replace(TINY, steps=1, adversary_after=share)
        train_codec(build, out, settings, "cpu", former)
        rows.append(json.loads((out / "codec.jsonl").read_text())["loss"])
    assert rows[0] == pytest.approx(rows[1], rel=1e-5)


def test_a_former_codec_is_gone_on_from_and_its_latents_stay(
    build: Path, former: Path, tmp_path: Path
) -> None:
    settings = replace(TINY, steps=1, learning_rate=1e-9, seed=5)
    after = train_codec(build, tmp_path / "after", settings, "cpu", former)
    before, now = saved(former)["model"], saved(after)["model"]
    assert isinstance(before, dict)
    assert isinstance(now, dict)
    for name in before:
        if name.startswith("latents."):
            assert torch.equal(before[name], now[name])
        else:
            torch.testing.assert_close(before[name], now[name], rtol=0, atol=1e-6)
    assert saved(after)["step"] == 1  # its own


def test_what_is_no_codec_is_not_gone_on_from(build: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    torch.save({"model": {"slope": torch.zeros(2)}}, other)
    with pytest.raises(WeightsError, match=r"other\.pt was made by another model"):
        train_codec(build, tmp_path / "out", TINY, "cpu", other)
    with pytest.raises(WeightsError, match=r"none\.pt is damaged and cannot be gone on from"):
        train_codec(build, tmp_path / "out", TINY, "cpu", tmp_path / "none.pt")


def test_a_gradient_of_the_adversary_that_is_no_number_stops_the_training(
    build: Path, former: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(*given):  # type: ignore[no-untyped-def]
        duel = meet(*given)
        return replace(duel, loss=duel.loss * math.nan)

    monkeypatch.setattr(loop, "REPORT", 2)
    monkeypatch.setattr(codec_trainer, "meet", poisoned)
    with pytest.raises(DiegeticError, match=r"nan, at step 4; .*codec\.pt\) is good"):
        train_codec(build, tmp_path, TINY, "cpu", former)
    kept = saved(tmp_path / "codec.pt")
    assert kept["step"] == 4
    assert isinstance(kept["model"], dict)
    assert all(tensor.isfinite().all() for tensor in kept["model"].values())


def test_silence_is_not_filled_and_breaks_nothing() -> None:
    audio = torch.zeros(2, CROP, 2)
    audio[1] = 0.1 * torch.randn(CROP, 2)
    decoder = fitted()
    true, made = decode_twice(decoder, audio)
    made.retain_grad()
    duel = meet(adversary(), true, made, energy_distance(true, made))
    assert duel.gradient.isfinite().all()
    silent = made.detach().flatten(1).abs().amax(1) == 0
    assert silent.tolist() == [True, False, True, False]
    assert (duel.gradient[silent] == 0).all()
    assert (duel.gradient[~silent] != 0).any()
    duel.loss.backward()


def test_the_decoder_is_not_moved_by_the_adversarys_loss_nor_the_adversary_by_its() -> None:
    audio = 0.1 * torch.randn(1, CROP, 2)
    decoder, judges = fitted(), adversary()
    arena = Arena(decoder, judges, replace(TINY, adversary_after=0.0))
    for number, loss in enumerate(arena.losses(1000, audio)):
        loss.backward()
        assert any(p.grad is not None for p in decoder.parameters()) == (number == 0)
        assert any(p.grad is not None for p in judges.parameters()) == (number == 1)
        decoder.zero_grad()
        judges.zero_grad()


def test_an_adversary_that_is_not_yet_heeded_leaves_the_gradient_of_the_distance() -> None:
    true = 0.1 * torch.randn(1, 2, SAMPLES)
    made = (0.1 * torch.randn(2, 2, SAMPLES)).requires_grad_()
    (own,) = torch.autograd.grad(energy_distance(true, made), made)
    duel = meet(adversary(), true, made, energy_distance(true, made), heed=0.0)
    torch.testing.assert_close(duel.gradient, own)
    heeded = meet(adversary(), true, made, energy_distance(true, made), heed=1.0)
    added = (heeded.gradient - own).flatten(1).norm(dim=1) / own.flatten(1).norm(dim=1)
    assert ((added > 0.3) & (added < 1.6)).all()  # the two shares, more or less at right angles


class Listener(Adversary):
    """Scores a sound by its mean and hears it as it is."""

    def forward(self, sound: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        return [sound.mean((1, 2))], [sound.unsqueeze(2)]


@pytest.mark.parametrize(
    ("right", "wrong", "loss"), [(3.0, -3.0, 0.0), (0.5, -0.25, 1.25), (-3.0, 3.0, 8.0)]
)
def test_scores_are_held_apart_as_far_as_a_hinge_says(
    right: float, wrong: float, loss: float
) -> None:
    """Beyond 1 and -1 they are good enough; the decoder wants its own to rise all the same."""
    true = torch.full((2, 2, 10), right)
    made = torch.full((4, 2, 10), wrong, requires_grad=True)
    duel = meet(Listener(1), true, made, made.sum() * 1e-3)
    assert float(duel.loss) == pytest.approx(loss)
    assert duel.told["true"] == pytest.approx(right)
    assert duel.told["made"] == pytest.approx(wrong)
    own = 1e-3 * 20**0.5  # the length of its gradient in every clip
    pushed = (duel.gradient - 1e-3).flatten(1)
    # Down the gradient the scores rise, and the layers come nearer, be it up or down.
    share = -HEEDED - MATCHED if wrong < right else -HEEDED + MATCHED
    torch.testing.assert_close(pushed.sum(dim=1), torch.full((4,), share * own * 20**0.5))


def test_gradients_are_balanced_clip_by_clip() -> None:
    own = torch.zeros(3, 2, 4)
    own[0], own[1] = 1.0, 1e-6
    other = torch.randn(3, 2, 4) * 1e5
    other[1] = 0
    total = balanced(own, ((0.5, other),))
    assert (total - own)[0].norm() == pytest.approx(0.5 * float(own[0].norm()), rel=1e-5)
    assert torch.equal(total[1], own[1])
    assert (total[2] == 0).all()


def test_matching_is_least_where_the_decodings_are_spread_as_the_sound_is() -> None:
    """A regression would prefer the mean, which the energy distance rates worse than a sample."""
    torch.manual_seed(0)
    x, y, y2 = torch.randn(3, 4, 3, 50, 20)
    sampled = matching([x], [torch.cat((y, y2))])
    mean = matching([x], [torch.zeros(8, 3, 50, 20)])
    wild = matching([x], [2 * torch.cat((y, y2))])
    assert sampled < mean
    assert sampled < wild
    assert matching([x], [torch.cat((x, x))]) == 0


@pytest.mark.parametrize("size", WINDOWS)
def test_a_judge_sees_level_phase_and_place(size: int) -> None:
    time = torch.arange(SAMPLES) / size
    tone = torch.sin(2 * torch.pi * 16 * time)
    sound = torch.stack((tone, 1e-2 * tone)).expand(2, 2, SAMPLES)
    seen = pictured(sound, size)
    assert seen.shape == (2, CHANNELS, 1 + (SAMPLES - size) // (size // 4), size // 2 + 1)
    peak = seen[0, :, 0, 16]
    # Of the mid, then of the side: real, then imaginary parts; then levels; then frequency.
    mid, side = (peak[[k, k + 2]].norm() / LOUDER for k in (0, 1))
    assert mid == pytest.approx(1.0, abs=1e-2)
    assert side == pytest.approx(1e-2**0.3, rel=2e-2)
    assert peak[4] - peak[5] == pytest.approx(2 * math.log(100) / 8, rel=1e-2)
    assert peak[6] == pytest.approx(-1 + 2 * 16 / (size // 2), abs=1e-6)
    turned = pictured(-sound, size)[0, :, 0, 16]
    torch.testing.assert_close(turned[:4], -peak[:4], rtol=1e-3, atol=1e-3)
    assert pictured(torch.zeros(1, 2, SAMPLES), size)[0, 4].max() == pytest.approx(
        2 * math.log(FLOOR) / 8 + 1
    )


def test_decoder_and_adversary_learn_one_sound() -> None:
    """Clicks, again and again: the distance falls, and the adversary tells them from noise."""
    audio = torch.zeros(1, CROP, 2)
    audio[:, ::600] = 0.5
    decoder, judges = fitted(), adversary(4)
    optimisers = [torch.optim.AdamW(x.parameters(), 2e-3) for x in (decoder, judges)]
    told, gaps = [], []
    for step in range(16):
        torch.manual_seed(step)
        true, made = decode_twice(decoder, audio)
        energy = energy_distance(true, made)
        duel = meet(judges, true, made, energy)
        for optimiser in optimisers:
            optimiser.zero_grad()
        torch.autograd.backward([made, duel.loss], [duel.gradient, torch.ones(())])
        for optimiser in optimisers:
            optimiser.step()
        told.append(float(energy.detach()))
        gaps.append(float(duel.told["true"] - duel.told["made"]))
    assert np.mean(told[-4:]) < 0.95 * np.mean(told[:4])
    assert np.mean(gaps[-4:]) > np.mean(gaps[:4]) + 0.1


def test_every_tensor_of_a_meeting_is_made_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *what: torch.enable_grad())
    elsewhere = torch.device("meta")
    with FakeTensorMode(allow_non_fake_inputs=True), Group(elsewhere).on_device():
        decoder = Decoder()
        arena = Arena(decoder, Adversary(2), replace(TINY, adversary_after=0.0))
        devices = [loss.device for loss in arena.losses(0, torch.empty(2, CROP, 2))]
    assert devices == [elsewhere, elsewhere]


def test_crops_are_drawn_ahead_in_order_and_as_their_number_says(build: Path) -> None:
    sampler = CropSampler(AudioStore(build), "train")
    settings = replace(TINY, steps=4, accumulate=2)
    alone = Group(torch.device("cpu"))
    drawn = list(codec_trainer.crops(sampler, settings, alone, 1))
    assert len(drawn) == 6  # steps 1, 2 and 3
    keys = [(step, draw) for step in (1, 2, 3) for draw in (0, 1)]
    for batch, (step, draw) in zip(drawn, keys, strict=True):
        rng = loop.seed_draw(settings.seed, step, draw)
        assert torch.equal(batch, sampler.batch(1, settings.samples, rng))
    second = Group(torch.device("cpu"), rank=1, size=2)
    theirs = list(codec_trainer.crops(sampler, replace(settings, accumulate=1), second, 1))
    for batch, own in zip(theirs, drawn[1::2], strict=True):
        assert torch.equal(batch, own)


def test_what_fails_ahead_is_raised_in_its_turn_and_no_thread_stays() -> None:
    def make(key: int) -> int:
        if key == 3:
            raise OSError("no such sound")
        return 10 * key

    coming = ahead(make, range(100), workers=2)
    assert [next(coming) for _ in range(3)] == [0, 10, 20]
    with pytest.raises(OSError, match="no such sound"):
        next(coming)
    again = ahead(make, range(3), workers=2)
    assert next(again) == 0
    again.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_windows_and_matrices_kept_in_inference_can_be_trained_with() -> None:
    with torch.inference_mode():
        kept = [window(torch.device("cpu"), 64), band_matrix(24, torch.device("cpu"))]
    assert kept[0] is window(torch.device("cpu"), 64)
    for tensor in kept:
        weight = torch.ones(tensor.shape, requires_grad=True)
        (weight * tensor).sum().backward()
        assert weight.grad is not None
        assert torch.equal(weight.grad, tensor)
