"""Training: it resumes bit for bit, sees what the live conditioner says, and nothing held out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diegetic.codec import BANDS, FRAMES_PER_LATENT
from diegetic.conditioning import Conditioner
from diegetic.config import LATENT_DIM, StreamConfig
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.errors import DiegeticError, MediaError
from diegetic.model.decoder import Decoder
from diegetic.model.spectral import SpectralLatents, band_levels
from diegetic.snapshot import (
    BLEND_SLOTS,
    BLEND_TOKENS,
    EVENT_SLOTS,
    EVENT_TOKENS,
    FRAME_DIM,
    FRAME_SLOTS,
    FRAME_TOKENS,
    PARAMETER_TOKENS,
    SLOTS,
    SWITCH_TOKENS,
    TEXT_DIM,
    TEXT_SLOTS,
    WORD_SLOTS,
)
from diegetic.training import codec_trainer, dit_trainer, loop, scenes
from diegetic.training.audio_store import AudioStore
from diegetic.training.codec_trainer import CodecTraining, energy_loss, train_codec
from diegetic.training.dataset import (
    CHUNKS,
    EVENTS,
    FRAMES,
    NONE,
    Conditions,
    SceneArrays,
    Tables,
    mask_modalities,
    scene_latents,
)
from diegetic.training.dit_trainer import DiTTraining, train_dit
from diegetic.training.draft import Draft, merge, save_scenes
from diegetic.training.scenes import compose_scene, render_scenes
from diegetic.training.studio import Studio
from diegetic.world import FRAME_SPACING, World
from small_build import small_build

TINY_CODEC = CodecTraining(steps=20, batch=1, seconds=0.2, warmup=1)
TINY_DIT = DiTTraining(steps=20, hidden=1, shown=1, chunks=2, warmup=1, guided_after=0.3)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def rendered(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    torch.manual_seed(0)
    latents = SpectralLatents()
    latents.fit(torch.randn(1000, 416) - 5)
    studio = Studio(AudioStore(build), [], {}, black_picture=0)
    parts = [render_scenes(studio, latents, range(k, k + 4), seed=1) for k in (0, 4)]
    arrays, texts = merge(parts)
    embedded = TextEncoder().encode_many(texts).astype(np.float16)
    save_scenes(root, arrays, Tables(embedded, np.zeros((1, FRAME_DIM), np.float16)))
    return root


def state(path: Path, part: str) -> dict[str, torch.Tensor]:
    saved: dict[str, torch.Tensor] = torch.load(path, weights_only=True)[part]
    return saved


class InterruptionError(Exception):
    pass


def interrupt_after(monkeypatch: pytest.MonkeyPatch, module: object, name: str, calls: int) -> None:
    """Let `module.name` work `calls` times, then fail; a checkpoint is written at step 10."""
    original, left = getattr(module, name), iter(range(calls))

    def failing(*arguments: object, **named: object) -> object:
        if next(left, None) is None:
            raise InterruptionError
        return original(*arguments, **named)

    monkeypatch.setattr(module, name, failing)
    monkeypatch.setattr(loop, "REPORT", 10)


def test_twenty_steps_of_the_codec_are_ten_and_ten_bit_for_bit(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_codec(build, tmp_path / "whole", TINY_CODEC)
    with monkeypatch.context() as patch, pytest.raises(InterruptionError):
        interrupt_after(patch, codec_trainer, "energy_loss", 12)  # two steps are done again
        train_codec(build, tmp_path / "parts", TINY_CODEC)
    parts = tmp_path / "parts" / "codec.pt"
    assert torch.load(parts, weights_only=True)["step"] == 10
    train_codec(build, tmp_path / "parts", TINY_CODEC)
    ours, theirs = state(whole, "model"), state(parts, "model")
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_twenty_steps_of_the_transformer_are_ten_and_ten_bit_for_bit(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_dit(rendered, tmp_path / "whole", TINY_DIT)
    with monkeypatch.context() as patch, pytest.raises(InterruptionError):
        interrupt_after(patch, dit_trainer, "flow_loss", 21)  # in the middle of step 11
        train_dit(rendered, tmp_path / "parts", TINY_DIT)
    parts = tmp_path / "parts" / "dit.pt"
    assert torch.load(parts, weights_only=True)["step"] == 10
    train_dit(rendered, tmp_path / "parts", TINY_DIT)
    for part in ("model", "average"):
        ours, theirs = state(whole, part), state(parts, part)
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name]), name
    rows = (tmp_path / "whole" / "dit.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["step"] == TINY_DIT.steps


def test_training_leaves_the_arithmetic_as_it_was(build: Path, tmp_path: Path) -> None:
    train_codec(build, tmp_path, replace(TINY_CODEC, steps=1))
    assert np.float32(1e-40) / np.float32(2) > 0


@pytest.mark.parametrize("seconds", [0.81, 0.0, float("nan"), -0.2])
def test_a_crop_that_is_no_whole_number_of_latents_is_refused(seconds: float) -> None:
    with pytest.raises(
        DiegeticError, match=r"seconds of a crop must be a positive multiple of 0\.02"
    ):
        CodecTraining(seconds=seconds)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chunks": CHUNKS + 1}, f"chunks must be from 1 to {CHUNKS}, got {CHUNKS + 1}"),
        ({"shown": 0}, "hidden and shown must be 1 or more, got 14 and 0"),
        ({"accumulate": 0}, "accumulate must be 1 or more, got 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be positive, got inf"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float], said: str) -> None:
    with pytest.raises(DiegeticError, match=said):
        DiTTraining(**change)


def test_the_energy_loss_prefers_the_true_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """The score is proper: decoding noise at its own level scores better than 6 dB off."""
    # Bands are brought to their levels after decoding, which would hide how loud it was.
    monkeypatch.setattr(codec_trainer, "hold_levels", lambda sound, levels: sound)
    torch.manual_seed(0)
    audio = torch.logspace(-2.5, -0.7, 8)[:, None, None] * torch.randn(8, 24 * 960, 2)
    decoder = Decoder()
    decoder.latents.fit(band_levels(audio).reshape(-1, FRAMES_PER_LATENT * BANDS))
    losses = []
    for shift in (0.0, 0.7, -0.7):
        bias = decoder.magnitude.bias.data.view(2, 2, -1)
        bias[0], bias[1] = -9.0, shift + 0.12  # all noise; the mean of |noise| is 1 / 1.13
        decoder.roughness.bias.data.fill_(9.0)
        losses.append(float(energy_loss(decoder, audio).detach()))
    assert losses[0] < min(losses[1:])


def test_a_scene_depends_on_seed_and_number_alone(build: Path) -> None:
    studio = Studio(AudioStore(build), [], {}, black_picture=0)
    first, kind = compose_scene(studio, 3, 11)
    compose_scene(studio, 3, 4)
    again, same_kind = compose_scene(studio, 3, 11)
    assert kind == same_kind
    assert first.text == again.text
    np.testing.assert_array_equal(first.mixed(), again.mixed())
    other, _ = compose_scene(studio, 4, 11)
    assert first.mixed().tobytes() != other.mixed().tobytes()


def test_training_sees_what_the_live_conditioner_says(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One scene told both ways: through arrays, and through World and Conditioner."""
    draft = Draft()
    draft.text = ["rain falling" if k < 3 else "a crackling fire" for k in range(CHUNKS)]
    draft.switches = [("surface grass",)] * CHUNKS
    draft.parameters = ("health", "threat")
    draft.values[:, 0], draft.values[:, 1] = 0.5, 0.25
    draft.events = [("shot", 0.05, 1.0), ("shot", 0.5, 0.5), ("door", 0.9, 1.0)]
    monkeypatch.setattr(scenes, "compose_scene", lambda studio, seed, number: (draft, 0))
    latents = SpectralLatents()
    studio = Studio(AudioStore(build), [], {}, black_picture=0)
    arrays, texts = render_scenes(studio, latents, [0], 0)
    encoder = TextEncoder()
    tables = Tables(
        encoder.encode_many(texts).astype(np.float16), np.zeros((1, FRAME_DIM), np.float16)
    )
    config = StreamConfig()
    chunks = np.arange(CHUNKS)
    conditions = Conditions(arrays, tables, config, torch.device("cpu"))
    filled = conditions.fill(torch.tensor([0]), torch.from_numpy(chunks))
    told = {name: tensor.numpy() for name, tensor in filled.items()}

    world = World(clock=lambda: 0.0)
    for name in ("health", "threat"):
        world.declare_parameter(name)
    world.set_parameter("health", 0.5)
    world.set_parameter("threat", 0.25)
    world.set_switch("surface", "grass")
    world.set_prompt("rain falling")
    world.set_prompt("a crackling fire", at=3 * config.hop)
    for name, at, gain in draft.events:
        world.post_event(name, at=at, gain_db=20 * float(np.log10(gain)))
    conditioner = Conditioner(encoder, ImageEncoder())
    for k in chunks:
        live = conditioner(world.snapshot(k * config.hop, (k + 1) * config.hop))
        np.testing.assert_array_equal(told["present"][0, k] > 0, live.present)
        np.testing.assert_allclose(told["words"][0, k], live.words, atol=1e-3)
        np.testing.assert_allclose(told["times"][0, k], live.times, atol=1e-5)
        np.testing.assert_allclose(told["values"][0, k], live.values, atol=1e-5)
    assert told["present"][0, :, WORD_SLOTS - EVENT_SLOTS : WORD_SLOTS].any()
    assert (arrays.frame == NONE).all()


def test_training_sees_frames_as_a_live_world_keeps_them() -> None:
    """Frames of a game at 17.5 a second, in time with the sound that is made from them."""
    config, rate = StreamConfig(), 17.5
    blank = SceneArrays(
        latents=np.zeros((1, scene_latents(config), LATENT_DIM), np.float16),
        text=np.full((1, CHUNKS), NONE, np.int32),
        blend=np.full((1, CHUNKS, BLEND_SLOTS), NONE, np.int32),
        share=np.zeros((1, CHUNKS, BLEND_SLOTS), np.float32),
        layer=np.zeros((1, 3), np.bool_),
        switch=np.full((1, CHUNKS, 2), NONE, np.int32),
        parameter=np.full((1, 3), NONE, np.int32),
        value=np.zeros((1, CHUNKS, 3), np.float32),
        event=np.full((1, EVENTS), NONE, np.int32),
        event_time=np.zeros((1, EVENTS), np.float32),
        event_gain=np.zeros((1, EVENTS), np.float32),
        frame=np.arange(FRAMES, dtype=np.int32)[None],
        frame_time=(np.arange(FRAMES, dtype=np.float32) / rate - 0.4)[None],
        kind=np.zeros(1, np.int32),
    )
    pictures = np.zeros((FRAMES, FRAME_DIM), np.float16)
    pictures[:, 0] = np.arange(FRAMES)
    tables = Tables(np.zeros((1, TEXT_SLOTS, TEXT_DIM), np.float16), pictures)
    conditions = Conditions(blank, tables, config, torch.device("cpu"))
    told = conditions.fill(torch.tensor([0]), torch.arange(CHUNKS))

    world, shown = World(clock=lambda: 0.0), 0
    for k in range(CHUNKS):
        start, end = k * config.hop, (k + 1) * config.hop
        while shown < FRAMES and blank.frame_time[0, shown] < end:
            # What was seen while the chunk before played ends where this one begins.
            at = float(blank.frame_time[0, shown]) - config.hop
            world.push_frame(np.full((4, 4, 3), shown, np.uint8), at=at)
            shown += 1
        frames = world.snapshot(start, end).frames
        there = told["present"][0, k, FRAME_TOKENS] > 0
        seen = told["frames"][0, k, there, 0].tolist()
        assert len(seen) == FRAME_SLOTS
        assert seen[-1] == frames[-1].pixels[0, 0, 0]
        times = told["times"][0, k, FRAME_TOKENS].tolist()
        assert times[-1] == pytest.approx(frames[-1].time - start, abs=1e-5)
        # The world forgets some in between, so the older ones may be neighbours.
        for picture, time in zip(seen, times, strict=True):
            assert time == pytest.approx(blank.frame_time[0, int(picture)] - end, abs=1e-5)
        assert (np.diff(times) >= FRAME_SPACING - 1e-6).all()
        live = [frame.time - start for frame in frames]
        np.testing.assert_allclose(times, live[-FRAME_SLOTS:], atol=1 / rate + 1e-6)


def test_masks_hide_whole_modalities_and_now_and_then_everything() -> None:
    full = torch.ones(4000, 2, SLOTS)
    masked = mask_modalities(full, np.random.default_rng(0))
    assert (full == 1).all()
    assert torch.equal(masked[:, 0], masked[:, 1])  # a clip is masked as a whole
    telling = (slice(0, BLEND_TOKENS.stop), EVENT_TOKENS, FRAME_TOKENS)
    said = torch.stack([masked[:, :, where].flatten(1).any(1) for where in telling], 1)
    rest = masked[:, :, SWITCH_TOKENS.start : PARAMETER_TOKENS.stop].flatten(1).any(1)
    everything = (masked == 0).flatten(1).all(1).float().mean()
    assert 0.07 < everything < 0.12
    for index in range(3):
        alone = said[:, index] & (said.sum(1) == 1) & ~rest
        assert 0.05 < alone.float().mean() < 0.09
        assert 0.2 < (~said[:, index]).float().mean() < 0.45


def test_a_clip_told_by_frames_alone_is_left_with_them() -> None:
    shown = torch.zeros(500, 1, SLOTS)
    shown[:, :, FRAME_TOKENS] = 1
    masked = mask_modalities(shown, np.random.default_rng(1))
    assert (masked <= shown).all()
    assert masked.flatten(1).any(1).float().mean() > 0.65


def test_missing_inputs_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="diegetic data build"):
        train_codec(tmp_path, tmp_path / "out", TINY_CODEC)
    with pytest.raises(MediaError, match="diegetic train scenes"):
        train_dit(tmp_path, tmp_path / "out", TINY_DIT)
