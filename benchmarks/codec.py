"""What the codec loses: sounds of packages that training never saw, analysed and decoded again.

    python benchmarks/codec.py [--data data] [--checkpoint runs/v0/codec.pt] [--count 60]

Needs the `train` and `judge` extras and the built data. Printed, over `count` random held-out
clips of at least a second: the cosine of an independent listener's embeddings of original and
decoded, the Fréchet distance of the two sets (biased up for few clips: compare at equal count), the
change of level, of the side's level against the mid's, and the level that silence is decoded to.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from scipy.linalg import sqrtm

from diegetic.config import RATE, SAMPLES_PER_LATENT
from diegetic.model.decoder import Decoder
from diegetic.model.inverse import hold_levels, synthesise
from diegetic.model.spectral import noise_spectra, to_left_right
from diegetic.training.audio_store import AudioStore

sys.path.insert(0, str(Path(__file__).resolve().parent))
from judge import Judge

LONGEST = 10 * RATE


@torch.inference_mode()
def decoded(decoder: Decoder, audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 2) samples through latents and back; n is a whole number of latents."""
    latents = decoder.latents.encode(torch.from_numpy(audio)[None])
    noise = noise_spectra(torch.randn(1, 2, len(audio)))
    spectra, _ = decoder(latents, noise, decoder.start(1))
    sound = hold_levels(synthesise(spectra), decoder.latents.levels(latents))
    return np.asarray(to_left_right(sound)[0].numpy())


def level(samples: NDArray[np.float32]) -> float:
    """RMS in dB."""
    return float(10 * np.log10(np.square(samples, dtype=np.float64).mean() + 1e-12))


def width(samples: NDArray[np.float32]) -> float:
    """Level of the side against the mid, dB."""
    return level(samples[:, 0] - samples[:, 1]) - level(samples[:, 0] + samples[:, 1])


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Fréchet distance between two sets of embeddings (N, D)."""
    cross = sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    return float(apart + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * cross))


def main() -> None:
    """Decode, listen, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--checkpoint", type=Path, default=Path("runs/v0/codec.pt"))
    parser.add_argument("--count", type=int, default=60)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    decoder = Decoder().eval()
    decoder.load_state_dict(torch.load(arguments.checkpoint, weights_only=True)["model"])
    store = AudioStore(arguments.data / "build")
    held = [s for s in store.segments if s.split == "heldout" and s.samples >= RATE]
    chosen = np.random.default_rng(0).permutation(len(held))[: arguments.count]
    judge = Judge()
    before, after, levels, widths = [], [], [], []
    for index in chosen:
        segment = held[index]
        count = min(segment.samples, LONGEST) // SAMPLES_PER_LATENT * SAMPLES_PER_LATENT
        audio = store.read(segment, 0, count)
        made = decoded(decoder, audio)
        before.append(judge.hear(audio, RATE)[1])
        after.append(judge.hear(made, RATE)[1])
        levels.append(level(made) - level(audio))
        if width(audio) > -40:  # of a stereo sound
            widths.append(width(made) - width(audio))
    a, b = np.stack(before).astype(np.float64), np.stack(after).astype(np.float64)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    silence = level(decoded(decoder, np.zeros((RATE, 2), np.float32)))
    console = Console(highlight=False)
    console.print(f"{len(chosen)} held-out clips")
    console.print(f"cosine: mean {cosine.mean():.3f}, median {np.median(cosine):.3f}")
    console.print(f"Fréchet distance: {frechet(a, b):.1f}")
    console.print(
        f"level: median {np.median(levels):+.2f} dB, mean of |change| {np.abs(levels).mean():.2f}"
    )
    console.print(
        f"side against mid: mean of |change| {np.abs(widths).mean():.2f} dB ({len(widths)} clips)"
    )
    console.print(f"silence is decoded to {silence:.0f} dBFS")


if __name__ == "__main__":
    main()
