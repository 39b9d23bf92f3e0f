"""Training: it resumes bit for bit, sees what the live conditioner says, and nothing held out."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from diegetic.codec import BANDS, FRAMES_PER_LATENT
from diegetic.conditioning import Conditioner
from diegetic.config import RATE, StreamConfig
from diegetic.encoders import ImageEncoder, TextEncoder
from diegetic.errors import DiegeticError, MediaError, WeightsError
from diegetic.model.decoder import Decoder
from diegetic.model.spectral import SpectralLatents, band_levels
from diegetic.snapshot import EVENT_SLOTS, FRAME_DIM, SLOTS, WORD_SLOTS
from diegetic.training import codec_trainer, dit_trainer
from diegetic.training.audio_store import AudioStore
from diegetic.training.checkpoint import Progress
from diegetic.training.codec_trainer import CodecTraining, energy_loss, train_codec
from diegetic.training.dataset import CHUNKS, NONE, Conditions, Tables, mask_modalities
from diegetic.training.dit_trainer import DiTTraining, train_dit
from diegetic.training.draft import Draft, merge, save_scenes
from diegetic.training.scenes import Studio, render_scenes
from diegetic.world import World

TINY_CODEC = CodecTraining(steps=3, batch=1, seconds=0.2, warmup=1)
TINY_DIT = DiTTraining(steps=3, hidden=1, shown=1, chunks=2, warmup=1, guided_after=0.3)
KINDS = {"bed": 5.0, "oneshot": 0.4, "music": 6.0}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sounds of each kind, one of them held out."""
    root = tmp_path_factory.mktemp("build")
    rng = np.random.default_rng(0)
    rows, parts, offset = [], [], 0
    for kind, seconds in KINDS.items():
        for split in ("train", "heldout"):
            count = round(seconds * RATE)
            noise = rng.standard_normal((count, 2)) * np.hanning(count)[:, None] * 6000
            parts.append(noise.astype(np.int16))
            rows.append(
                {
                    "offset": offset,
                    "samples": count,
                    "package": f"{kind}-{split}",
                    "path": f"{kind}.wav",
                    "kind": kind,
                    "category": "nature",
                    "captions": [f"{kind} for {split}"],
                    "split": split,
                }
            )
            offset += count
    np.concatenate(parts).tofile(root / "audio.i16")
    (root / "segments.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return root


@pytest.fixture(scope="module")
def scenes(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def weights(path: Path) -> dict[str, torch.Tensor]:
    saved: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["model"]
    return saved


class InterruptionError(Exception):
    pass


def interrupt_after(monkeypatch: pytest.MonkeyPatch, module: object, name: str, calls: int) -> None:
    """Let `module.name` work `calls` times, then fail; a checkpoint is written at every step."""
    original, left = getattr(module, name), iter(range(calls))

    def failing(*arguments: object, **named: object) -> object:
        if next(left, None) is None:
            raise InterruptionError
        return original(*arguments, **named)

    monkeypatch.setattr(module, name, failing)
    monkeypatch.setattr(module, "REPORT", 1)


def test_an_interrupted_codec_training_goes_on_bit_for_bit(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_codec(build, tmp_path / "whole", TINY_CODEC)
    with monkeypatch.context() as patch, pytest.raises(InterruptionError):
        interrupt_after(patch, codec_trainer, "energy_loss", 2)
        train_codec(build, tmp_path / "parts", TINY_CODEC)
    parts = train_codec(build, tmp_path / "parts", TINY_CODEC)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(parts)[name]), name


def test_an_interrupted_transformer_training_goes_on_bit_for_bit(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_dit(scenes, tmp_path / "whole", TINY_DIT)
    with monkeypatch.context() as patch, pytest.raises(InterruptionError):
        interrupt_after(patch, dit_trainer, "flow_loss", 2)
        train_dit(scenes, tmp_path / "parts", TINY_DIT)
    parts = train_dit(scenes, tmp_path / "parts", TINY_DIT)
    ours, theirs = (torch.load(path, weights_only=True)["average"] for path in (whole, parts))
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    rows = (tmp_path / "whole" / "dit.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["step"] == TINY_DIT.steps


def test_training_leaves_the_arithmetic_as_it_was(build: Path, tmp_path: Path) -> None:
    train_codec(build, tmp_path, TINY_CODEC)
    assert np.float32(1e-40) / np.float32(2) > 0


def test_a_checkpoint_of_another_model_is_refused(build: Path, tmp_path: Path) -> None:
    torch.save({"model": {}, "optimiser": {}, "step": 1, "minutes": 0.0}, tmp_path / "codec.pt")
    with pytest.raises(WeightsError, match="another model"):
        train_codec(build, tmp_path, TINY_CODEC)


def test_a_loss_that_is_no_number_stops_with_the_step() -> None:
    with pytest.raises(DiegeticError, match="loss became nan at step 7"):
        Progress(step=7).after_step(float("nan"), 0.1)


def test_the_energy_loss_prefers_the_true_level() -> None:
    """The score is proper: decoding noise at its own level scores better than 6 dB off."""
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


def test_what_is_held_out_is_never_in_a_scene(build: Path) -> None:
    studio = Studio(AudioStore(build), [], {}, black_picture=0)
    said = set()
    for number in range(60):
        draft, _ = studio.compose(0, number)
        said |= {text for text in draft.text if text} | {name for name, _, _ in draft.events}
    assert any("for train" in text for text in said)
    assert not any("for heldout" in text for text in said)


def test_a_scene_depends_on_seed_and_number_alone(build: Path) -> None:
    studio = Studio(AudioStore(build), [], {}, black_picture=0)
    first, kind = studio.compose(3, 11)
    studio.compose(3, 4)
    again, same_kind = studio.compose(3, 11)
    assert kind == same_kind
    assert first.text == again.text
    np.testing.assert_array_equal(first.audio, again.audio)
    other, _ = studio.compose(4, 11)
    assert first.audio.tobytes() != other.audio.tobytes()


def test_training_sees_what_the_live_conditioner_says(build: Path, tmp_path: Path) -> None:
    """One scene told both ways: through arrays, and through World and Conditioner."""
    draft = Draft()
    draft.text = ["rain falling" if k < 3 else "a crackling fire" for k in range(CHUNKS)]
    draft.switches = [("surface grass",)] * CHUNKS
    draft.parameters = ("health", "threat")
    draft.values[:, 0], draft.values[:, 1] = 0.5, 0.25
    draft.events = [("shot", 0.05, 1.0), ("shot", 0.5, 0.5), ("door", 0.9, 1.0)]

    class Told(Studio):
        def compose(self, seed: int, number: int) -> tuple[Draft, int]:
            return draft, 0

    latents = SpectralLatents()
    studio = Told(AudioStore(build), [], {}, black_picture=0)
    arrays, texts = render_scenes(studio, latents, [0], 0)
    encoder = TextEncoder()
    tables = Tables(
        encoder.encode_many(texts).astype(np.float16), np.zeros((1, FRAME_DIM), np.float16)
    )
    config = StreamConfig()
    chunks = np.arange(CHUNKS)
    told = Conditions(arrays, tables, config).fill(np.array([0]), chunks)

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


def test_masks_hide_whole_modalities_and_now_and_then_everything() -> None:
    full = np.ones((2000, 2, SLOTS), np.float32)
    masked = mask_modalities(full, np.random.default_rng(0))
    assert (full == 1).all()
    np.testing.assert_array_equal(masked[:, 0], masked[:, 1])  # a clip is masked as a whole
    everything = (masked == 0).all(axis=(1, 2)).mean()
    frames = (masked[:, :, WORD_SLOTS:] == 0).all(axis=(1, 2)).mean()
    assert 0.07 < everything < 0.14
    assert 0.22 < frames < 0.36


def test_missing_inputs_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="diegetic data build"):
        train_codec(tmp_path, tmp_path / "out", TINY_CODEC)
    with pytest.raises(MediaError, match="diegetic train scenes"):
        train_dit(tmp_path, tmp_path / "out", TINY_DIT)
