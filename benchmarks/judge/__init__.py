"""An independent listener: YAMNet (Apache-2.0) names what it hears.

It knows 521 AudioSet classes and nothing of how our sounds are made. It hears 16 kHz mono, so up to
8 kHz only, and is weak on one-shots shorter than half a second. Clips are peak-normalised first,
because quiet ones otherwise read as "Silence".
"""

import csv
from pathlib import Path

import numpy as np
import soxr
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
RATE, WINDOW, STEP = 16_000, 15_600, 7_800
LOUD = 0.7


class Judge:
    """One loaded tagger."""

    def __init__(self) -> None:
        with (HERE / "yamnet_class_map.csv").open(encoding="utf-8") as file:
            self.labels = [row["display_name"] for row in csv.DictReader(file)]
        self._net = Interpreter(
            str(HERE / "yamnet.tflite"), num_threads=1, experimental_preserve_all_tensors=True
        )
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._output = self._net.get_output_details()[0]["index"]
        self._pooled = next(
            t["index"]
            for t in self._net.get_tensor_details()
            if t["name"].endswith("global_average_pooling2d/Mean")
        )

    def hear(
        self, samples: NDArray[np.float32], rate: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Samples (n, channels) -> mean class probabilities (521,) and mean embedding (1024,)."""
        mono = soxr.resample(samples.mean(1), rate, RATE).astype(np.float32)
        peak = np.abs(mono).max(initial=0.0)
        if peak > 1e-4:
            mono *= LOUD / peak
        count = 1 + max(0, -(-(len(mono) - WINDOW) // STEP))
        mono = np.pad(mono, (0, max(0, (count - 1) * STEP + WINDOW - len(mono))))
        scores, embeddings = [], []
        for k in range(count):
            self._net.set_tensor(self._input, mono[None, k * STEP : k * STEP + WINDOW])
            self._net.invoke()
            scores.append(self._net.get_tensor(self._output)[0].copy())
            embeddings.append(self._net.get_tensor(self._pooled)[0].copy())
        return np.mean(scores, axis=0), np.mean(embeddings, axis=0)

    def rank(self, probabilities: NDArray[np.float32], labels: tuple[str, ...]) -> tuple[int, str]:
        """Best rank (1 is first) of any of `labels`, and which it was.

        Raises:
            ValueError: AudioSet has no class of such a name.
        """
        unknown = sorted(set(labels) - set(self.labels))
        if unknown:
            raise ValueError(f"no AudioSet class is named {unknown}")
        order = np.argsort(-probabilities).tolist()
        return min((order.index(self.labels.index(label)) + 1, label) for label in labels)

    def top(self, probabilities: NDArray[np.float32], count: int = 3) -> str:
        """The most likely classes, in words."""
        best = np.argsort(-probabilities)[:count]
        return ", ".join(f"{self.labels[i]} {probabilities[i]:.2f}" for i in best)
