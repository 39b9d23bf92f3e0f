"""An independent listener: YAMNet (Apache-2.0) names what it hears.

It knows 521 AudioSet classes and nothing of how our sounds are made. It hears 16 kHz mono, so up to
8 kHz only, and is weak on one-shots shorter than half a second. Clips are peak-normalised first,
because quiet ones otherwise read as "Silence"; but what nobody would hear is left as it is.

The embedding of silence lies ten times as far out as that of any sound, so a mean that has some of
it tells how much silence there was and little else: embeddings are those of the windows that sound.
"""

import csv
import warnings
from pathlib import Path

import numpy as np
import soxr
from ai_edge_litert.interpreter import Interpreter

from diegetic.snapshot import FloatArray

HERE = Path(__file__).resolve().parent
RATE, WINDOW, STEP = 16_000, 15_600, 7_800
LOUD = 0.7
SILENT = 1e-3  # peak of a clip that is silence: -60 dBFS
SOUNDS = 1e-2  # peak, as a share of the clip's, of a window that sounds


class Judge:
    """One loaded tagger.

    Attributes:
        labels: names of its classes.
    """

    def __init__(self) -> None:
        with (HERE / "yamnet_class_map.csv").open(encoding="utf-8") as file:
            self.labels = [row["display_name"] for row in csv.DictReader(file)]
        with warnings.catch_warnings():  # that embeddings cost memory is understood
            warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors.*")
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

    def hear(self, samples: FloatArray, rate: int) -> tuple[FloatArray, FloatArray]:
        """Samples (n, channels) -> mean class probabilities (521,) and mean embedding (1024,).

        The probabilities are means over all windows, the embedding over those that sound.
        """
        mono = soxr.resample(samples.mean(1), rate, RATE).astype(np.float32)
        peak = np.abs(mono).max(initial=0.0)
        if peak > SILENT:
            mono *= LOUD / peak
        count = 1 + max(0, -(-(len(mono) - WINDOW) // STEP))
        mono = np.pad(mono, (0, max(0, (count - 1) * STEP + WINDOW - len(mono))))
        scores, embeddings, peaks = [], [], []
        for k in range(count):
            window = mono[None, k * STEP : k * STEP + WINDOW]
            peaks.append(np.abs(window).max())
            self._net.set_tensor(self._input, window)
            self._net.invoke()
            scores.append(self._net.get_tensor(self._output)[0].copy())
            embeddings.append(self._net.get_tensor(self._pooled)[0].copy())
        sounding = np.array(peaks) >= SOUNDS * max(peaks)
        return np.mean(scores, axis=0), np.stack(embeddings)[sounding].mean(0)

    def rank(self, probabilities: FloatArray, labels: tuple[str, ...]) -> tuple[int, str]:
        """Best rank (1 is first) of any of `labels`, and which it was.

        Raises:
            ValueError: AudioSet has no class of such a name.
        """
        unknown = sorted(set(labels) - set(self.labels))
        if unknown:
            raise ValueError(f"no AudioSet class is named {unknown}")
        order = np.argsort(-probabilities).tolist()
        return min((order.index(self.labels.index(label)) + 1, label) for label in labels)

    def top(self, probabilities: FloatArray, count: int = 3) -> str:
        """The most likely classes, in words."""
        best = np.argsort(-probabilities)[:count]
        return ", ".join(f"{self.labels[i]} {probabilities[i]:.2f}" for i in best)
