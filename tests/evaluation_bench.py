"""A bench for tests of the evaluation: a little data, a listener and a codec without networks."""

import json
from pathlib import Path

import numpy as np

from diegetic.config import RATE, SAMPLES_PER_LATENT
from diegetic.evaluation.bench import Bench, Renders, Voice
from diegetic.evaluation.corpus import Corpus
from diegetic.snapshot import Conditioning, FloatArray
from tone_generator import ToneGenerator, plain_conditioner

EVENTS = (0.5, 1.1, 1.93, 2.4, 3.25, 5.6, 6.05)  # s, of the game
GAME_SECONDS = 8.0
SECONDS = {"bed": 8.0, "music": 9.0, "oneshot": 0.7}
TONES = {"bed": 200.0, "music": 400.0, "oneshot": 800.0}  # Hz


class EnergyListener:
    """Hears how much there is in each of eight bands."""

    def hear(self, samples: FloatArray, rate: int) -> tuple[FloatArray, FloatArray]:
        power = np.square(np.abs(np.fft.rfft(samples.mean(1)))) / len(samples)
        bands = np.array([part.mean() for part in np.array_split(power[: len(power) // 4], 8)])
        return (bands / (bands.sum() + 1e-9)).astype(np.float32), np.log(bands + 1e-6)

    def rank(self, probabilities: FloatArray, labels: tuple[str, ...]) -> tuple[int, str]:
        return int((probabilities > probabilities[0]).sum()) + 1, labels[0]

    def top(self, probabilities: FloatArray, count: int = 3) -> str:
        return f"band {int(np.argmax(probabilities))}"


class EnvelopeCodec:
    """Latents are the levels of the two channels' quarters; what is decoded is a little softer."""

    def encode(self, audio: FloatArray) -> FloatArray:
        count = -(-len(audio) // SAMPLES_PER_LATENT)
        padded = np.pad(audio, ((0, count * SAMPLES_PER_LATENT - len(audio)), (0, 0)))
        quarters = padded.reshape(count, 4, -1, 2)
        power = np.square(quarters).mean(2).reshape(count, -1)
        return np.log(power + 1e-6).astype(np.float32)

    def reconstruct(self, audio: FloatArray, seed: int) -> FloatArray:
        return (0.98 * audio).astype(np.float32)


class NoiseEditor:
    """What it makes is noise."""

    def fill(
        self, audio: FloatArray, start_s: float, end_s: float, said: Conditioning, seed: int
    ) -> FloatArray:
        out = audio.copy()
        begin, stop = round(start_s * RATE), round(end_s * RATE)
        out[begin:stop] = np.random.default_rng(seed).normal(0, 0.1, (stop - begin, 2))
        return out

    def go_on(self, audio: FloatArray, said: Conditioning, seconds: float, seed: int) -> FloatArray:
        rng = np.random.default_rng(seed)
        return rng.normal(0, 0.1, (round(seconds * RATE), 2)).astype(np.float32)


def sound(kind: str, number: int) -> FloatArray:
    """A tone of its own that comes and goes, with a little noise, (n, 2)."""
    rng = np.random.default_rng((len(kind), number))
    time = np.arange(round(SECONDS[kind] * RATE)) / RATE
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(1, 6) * time + number)
    tone = np.sin(2 * np.pi * TONES[kind] * (1 + 0.1 * number) * time)
    left, right = 0.2 * swell * tone + rng.normal(0, 0.01, (2, len(time)))
    return np.stack((left, 0.5 * right), 1).astype(np.float32)


def write_data(root: Path) -> None:
    """Build `root`: three held-out and three training sounds of each kind, a game, a picture."""
    build = root / "build"
    (build / "vizdoom").mkdir(parents=True)
    rows, offset = [], 0
    with (build / "audio.i16").open("wb") as file:
        for split in ("train", "heldout"):
            for kind in SECONDS:
                for number in range(3):
                    samples = sound(kind, number + 3 * (split == "heldout"))
                    file.write(np.round(samples * 32767).astype(np.int16).tobytes())
                    rows.append(
                        {
                            "offset": offset,
                            "samples": len(samples),
                            "package": f"{split}-package",
                            "path": f"{kind}-{number}.wav",
                            "kind": kind,
                            "category": "test",
                            "captions": [f"a {kind}", f"the {kind}"],
                            "split": split,
                        }
                    )
                    offset += len(samples)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (build / "segments.jsonl").write_text(lines, encoding="utf-8")
    frames = np.arange(0, GAME_SECONDS, 2 / 35)
    for split in ("train", "heldout"):
        np.savez(
            build / "vizdoom" / f"{split}_map.npz",
            split=np.array(split),
            frames=np.zeros((len(frames), 8, 8, 3), np.uint8),
            frame_times=frames,
            audio=clicks(EVENTS, GAME_SECONDS),
            event_names=np.array(["shot"] * len(EVENTS)),
            event_times=np.array(EVENTS),
        )
    np.savez(
        build / "textures.npz",
        pixels=np.full((1, 8, 8, 3), 90, np.uint8),
        surface=np.array(["water"]),
    )


def clicks(times: tuple[float, ...], seconds: float) -> "np.ndarray[tuple[int, int], np.dtype]":
    """Bursts of noise that begin at `times` and decay, (n, 2) int16, in a little hiss."""
    rng = np.random.default_rng(0)
    out = rng.normal(0, 1e-4, (round(seconds * RATE), 2))
    for time in times:
        start = round(time * RATE)
        length = min(4800, len(out) - start)
        decay = np.exp(-np.arange(length) / 1200)[:, None]
        out[start : start + length] += 0.2 * decay * rng.normal(0, 1, (length, 2))
    return np.round(np.clip(out, -1, 1) * 32767).astype(np.int16)


def make_bench(root: Path, *, fresh: bool = False, seed: int = 0, count: int = 4) -> Bench:
    """A bench on the data in `root`, which keeps sounds in root/sounds."""
    return Bench(
        generator=ToneGenerator(),
        conditioner=plain_conditioner,
        editor=NoiseEditor(),
        codec=EnvelopeCodec(),
        listener=EnergyListener(),
        corpus=Corpus(root),
        renders=Renders(root / "sounds", fresh=fresh),
        at=lambda nfe: Voice(ToneGenerator(), "tones", Renders(root / f"sounds-{nfe}")),
        seed=seed,
        count=count,
    )
