"""Pictures of an evaluation: ranks per prompt, and a sheet of spectrograms."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.fft import rfft

from diegetic.config import RATE
from diegetic.errors import MediaError
from diegetic.evaluation.rows import Detail
from diegetic.snapshot import FloatArray

CLASSES = 521  # of the listener: the lowest rank
SHEET_COLUMNS = 4
_WINDOW, _HOP = 2048, 1024
_ROWS = np.geomspace(40, 20_000, 97)  # Hz, edges
_RANGE_DB = (-90.0, -10.0)


def plot_ranks(details: Sequence[Detail], first: int, title: str, path: Path) -> None:
    """Draw a point for every rank of every prompt; those within `first` count.

    Raises:
        MediaError: the file cannot be written.
    """
    names = list(dict.fromkeys(detail.name for detail in details))
    figure = Figure(figsize=(8, 1.2 + 0.25 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    counted = [detail.value <= first for detail in details]
    axes.scatter(
        [detail.value for detail in details],
        [names.index(detail.name) for detail in details],
        c=["tab:green" if good else "tab:red" for good in counted],
        alpha=0.7,
    )
    axes.axvspan(0.9, first + 0.5, alpha=0.1, color="tab:green")
    axes.set(xscale="log", xlim=(0.9, CLASSES), xlabel="rank of a fitting class", title=title)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    _save(figure, path)


def plot_sheet(sounds: Mapping[str, FloatArray], path: Path) -> None:
    """Draw the spectrogram of every sound (n, 2), from 40 Hz to 20 kHz.

    Raises:
        MediaError: the file cannot be written.
    """
    rows = -(-len(sounds) // SHEET_COLUMNS)
    figure = Figure(figsize=(4 * SHEET_COLUMNS, 1.9 * rows), layout="constrained")
    for number, (name, samples) in enumerate(sounds.items(), 1):
        axes = figure.add_subplot(rows, SHEET_COLUMNS, number)
        axes.imshow(
            spectrogram(samples),
            origin="lower",
            aspect="auto",
            vmin=_RANGE_DB[0],
            vmax=_RANGE_DB[1],
            extent=(0.0, len(samples) / RATE, 0.0, 1.0),
            cmap="magma",
        )
        axes.set_title(name, fontsize=9)
        axes.set_yticks([])
    _save(figure, path)


def spectrogram(samples: FloatArray) -> NDArray[np.float64]:
    """Levels (dB) of (n, 2) samples in logarithmic bands, (bands, frames)."""
    mono = np.pad(samples.mean(1), (0, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(mono, _WINDOW)[::_HOP]
    power = np.square(np.abs(rfft(frames * np.hanning(_WINDOW))) * (4 / _WINDOW))
    edges = np.round(_ROWS / RATE * _WINDOW).astype(int)
    sums = np.concatenate((np.zeros((len(power), 1)), np.cumsum(power, axis=1)), axis=1)
    bands = sums[:, np.maximum(edges[1:], edges[:-1] + 1)] - sums[:, edges[:-1]]
    return np.asarray(10 * np.log10(np.maximum(bands, 0) + 1e-12)).T


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)
    except OSError as error:
        raise MediaError(f"cannot write {path}: {error}") from error
