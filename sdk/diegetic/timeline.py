"""Draw what was said above what was heard: one picture of a whole session.

    prompts     |-- rain --------|-- machinery -----|-- wind ---|
    events          * *      *         * *  *            *
    spectrogram |##############################################|
    waveform    |~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~|
    parameters  |__------__________--------_________________---|
    computing   time per chunk, knob to ear

All times are seconds of audio since the stream began.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diegetic.config import RATE
from diegetic.errors import DiegeticError, MediaError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from diegetic.foley import VoiceRecord
    from diegetic.stream import ChunkRecord

FloatArray = NDArray[np.float32]
Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT, DPI = 18.0, 10.0, 100
BACKGROUND, PANEL, EDGE = "#0a0c11", "#10131a", "#252a36"
INK, MUTED, RED = "#eceef4", "#868da0", "#ff4d5e"
BANDS = ("#3b5b92", "#7a4b8c", "#2f7d78", "#94603a", "#5a6d35", "#8c4560", "#45568f", "#3f7f58")
CURVES = ("#7ee0a1", "#ffb454", "#73b7ff", "#d9a0ff", "#f4e285")

FFT, COLUMNS, MELS = 2048, 1500, 192
LOW_HZ, HIGH_HZ = 40.0, 20_000.0
RANGE_DB = 78.0


@dataclass(frozen=True)
class Glyph:
    """How one kind of event is drawn."""

    symbol: str
    colour: str


_GLYPHS = {
    "shot": Glyph("✸", "#ffd166"),
    "hurt": Glyph("♥", "#ff5d73"),
    "pickup": Glyph("✚", "#7ee0a1"),
    "door": Glyph("⌂", "#73b7ff"),
    "footstep": Glyph("•", "#c9b79c"),
    "explosion": Glyph("✹", "#ff8c42"),
}
_OTHER_SYMBOLS = ("◆", "▲", "■", "★", "⬟", "▼")


@dataclass(frozen=True)
class Timeline:
    """What happened, in audio time; every sequence is ordered by time.

    Attributes:
        prompts: (time, text) of each new prompt; "" where nothing is asked for.
        events: (time, name) of each event.
        parameters: for each name (time, value in 0..1).
        seams: where chunks join.
        underruns: where the device ran dry.
        compute: (time, time to compute a chunk / length of its audio).
        knob_to_ear_ms: (time, milliseconds from the engine's send to the device).
        title: shown on top.
        figures: (value, label) pairs shown beside the title.
    """

    prompts: Sequence[tuple[float, str]] = ()
    events: Sequence[tuple[float, str]] = ()
    parameters: Mapping[str, Points] = field(default_factory=dict)
    seams: Sequence[float] = ()
    underruns: Sequence[float] = ()
    compute: Points = ()
    knob_to_ear_ms: Points = ()
    title: str = "diegetic"
    figures: Sequence[tuple[str, str]] = ()


def of_stream(
    records: "Sequence[ChunkRecord]",
    *,
    hop: float,
    voices: "Sequence[VoiceRecord]" = (),
    underruns: Sequence[tuple[int, int]] = (),
    knob_to_ear_ms: Sequence[float] = (),
    title: str = "diegetic",
    figures: Sequence[tuple[str, str]] = (),
) -> Timeline:
    """Lay out a recording whose chunks are `records`, each of `hop` seconds of new audio.

    `voices` are the events that the mixer played, in samples of the recording; others are in the
    bed. `underruns` are (position, length) in samples of the recording; what comes after a gap was
    recorded that much later than the generator thought. `knob_to_ear_ms` are in order of the
    changes that they were measured on.
    """
    first = records[0].start_sample if records else 0
    gaps = sorted(underruns)

    def heard(sample: float) -> float:
        place = sample - first
        for position, length in gaps:
            if position > place:
                break
            place += length
        return place / RATE

    starts = [heard(record.heard_from) for record in records]
    chunks = list(zip(starts, records, strict=True))
    prompts = [
        (time, record.prompt)
        for time, record, before in zip(starts, records, [None, *records], strict=False)
        if before is None or before.prompt != record.prompt
    ]
    names = dict.fromkeys(name for record in records for name in record.parameters)
    changed = [time for time, record in chunks for _ in record.changes]
    return Timeline(
        prompts=prompts,
        events=sorted(
            [(heard(event.time * RATE), event.name) for r in records for event in r.events]
            + [(voice.sample / RATE, voice.name) for voice in voices]
        ),
        parameters={
            name: [(time, r.parameters[name]) for time, r in chunks if name in r.parameters]
            for name in names
        },
        seams=starts[1:],
        underruns=[position / RATE for position, _ in gaps],
        compute=[(time, sum(r.stages_ms.values()) / 1000 / hop) for time, r in chunks],
        knob_to_ear_ms=list(zip(changed, knob_to_ear_ms, strict=False)),
        title=title,
        figures=figures,
    )


def glyphs(names: Sequence[str]) -> dict[str, Glyph]:
    """Give every event name a symbol and a colour, always the same ones for the same names."""
    chosen: dict[str, Glyph] = {}
    for index, name in enumerate(sorted(set(names))):
        other = Glyph(_OTHER_SYMBOLS[index % len(_OTHER_SYMBOLS)], CURVES[index % len(CURVES)])
        chosen[name] = _GLYPHS.get(name, other)
    return chosen


def mel_spectrogram(samples: FloatArray, rate: int, columns: int = COLUMNS) -> FloatArray:
    """Return the power of `samples` (N,) in dBFS, (MELS, at most `columns`), low frequencies first.

    A full-scale sine reads 0 dB. Each column is the loudest of the windows that fall into it, so
    that a click stays visible in an hour of sound.
    """
    windows = max(1, -(-len(samples) // (FFT // 4)))
    columns = min(columns, windows)
    window = np.hanning(FFT).astype(np.float32)
    padded = np.pad(samples.astype(np.float32), (FFT // 2, FFT))
    weights = _mel_filters(rate)
    picture = np.full((MELS, columns), -200.0, np.float32)
    edges = np.linspace(0, windows, columns + 1).round().astype(int)
    for column in range(columns):
        starts = np.arange(edges[column], edges[column + 1]) * (FFT // 4)
        block = padded[starts[:, None] + np.arange(FFT)] * window
        power = np.abs(np.fft.rfft(block)) ** 2 / (window.sum() / 2) ** 2
        picture[:, column] = 10 * np.log10((power @ weights.T).max(axis=0) + 1e-20)
    return picture


def draw(samples: FloatArray, rate: int, timeline: Timeline, path: Path) -> Path:
    """Write the picture of `samples` (N, channels) and `timeline` to `path`, 1800 x 1000 pixels.

    Raises:
        DiegeticError: matplotlib is not installed.
        MediaError: there is no sample to draw, or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DiegeticError("drawing needs matplotlib: pip install 'diegetic[demo]'") from error
    if len(samples) == 0:
        raise MediaError(f"nothing to draw in {path.name}: expected at least one sample, got none")
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    _compose(figure, samples, rate, timeline)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, facecolor=BACKGROUND)
    except OSError as error:
        raise MediaError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def _compose(figure: "Figure", samples: FloatArray, rate: int, timeline: Timeline) -> None:
    seconds = len(samples) / rate
    kinds = len({name for _, name in timeline.events})
    grid = figure.add_gridspec(
        7,
        2,
        height_ratios=[0.55, 0.2 * max(kinds, 2), 4.0, 0.85, 0.95, 0.62, 0.62],
        width_ratios=[1, 0.008],
        left=0.062,
        right=0.955,
        top=0.885,
        bottom=0.055,
        hspace=0.13,
        wspace=0.012,
    )
    rows = [figure.add_subplot(grid[row, 0]) for row in range(7)]
    for row in rows:
        _style(row, seconds, last=row is rows[-1])
    mid = samples.mean(axis=1)
    _draw_prompts(rows[0], timeline.prompts, seconds)
    _draw_events(rows[1], rows[2], timeline.events)
    image = _draw_spectrogram(rows[2], mid, rate, seconds)
    _draw_waveform(rows[3], samples, rate, timeline)
    _draw_parameters(rows[4], timeline.parameters, seconds)
    _draw_compute(rows[5], timeline.compute)
    _draw_knob_to_ear(rows[6], timeline.knob_to_ear_ms)
    for time in timeline.underruns:
        for row in rows[2:6]:
            row.axvspan(
                time, time + max(seconds / 600, 0.01), color=RED, alpha=0.85, lw=0, zorder=5
            )
    rows[-1].set_xlabel("seconds of audio", color=MUTED, fontsize=9)
    bar = figure.colorbar(image, cax=figure.add_subplot(grid[2, 1]))
    bar.set_label("dBFS", color=MUTED, fontsize=9, labelpad=4)
    bar.ax.tick_params(colors=MUTED, labelsize=8, length=0)
    bar.outline.set_edgecolor(EDGE)
    _draw_header(figure, timeline, seconds)


def _style(axes: "Axes", seconds: float, *, last: bool) -> None:
    axes.set_facecolor(PANEL)
    axes.set_xlim(0, seconds)
    axes.tick_params(colors=MUTED, labelsize=8, length=0, labelbottom=last)
    for spine in axes.spines.values():
        spine.set_edgecolor(EDGE)


def _label(axes: "Axes", text: str) -> None:
    where: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "center"}
    axes.text(-0.026, 0.5, text, color=MUTED, fontsize=9, linespacing=1.3, **where)


def _draw_header(figure: "Figure", timeline: Timeline, seconds: float) -> None:
    figure.text(0.062, 0.945, timeline.title, color=INK, fontsize=23, weight="bold", va="center")
    subtitle = (
        f"{seconds:.1f} s of sound · {sum(bool(text) for _, text in timeline.prompts)} prompts · "
        f"{len(timeline.events)} events · {len(timeline.seams)} seams"
    )
    figure.text(0.062, 0.911, subtitle, color=MUTED, fontsize=11, va="center")
    for index, (value, label) in enumerate(reversed(timeline.figures)):
        x = 0.955 - index * 0.098
        colour = RED if label.startswith("underrun") and value != "0" else INK
        figure.text(
            x, 0.948, value, color=colour, fontsize=17, weight="bold", ha="right", va="center"
        )
        figure.text(x, 0.912, label, color=MUTED, fontsize=9.5, ha="right", va="center")


def _draw_prompts(axes: "Axes", prompts: Sequence[tuple[float, str]], seconds: float) -> None:
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    _label(axes, "prompt")
    colours: dict[str, str] = {}
    ends = [*(time for time, _ in prompts[1:]), seconds]
    for (start, text), end in zip(prompts, ends, strict=False):
        if not text:
            continue
        colour = colours.setdefault(text, BANDS[len(colours) % len(BANDS)])
        axes.axvspan(start, end, 0.06, 0.94, color=colour, lw=0)
        axes.axvline(start, color=BACKGROUND, lw=1.5)
        letters = int((end - start) / seconds * 195) - 1  # of this size, in this band
        if letters >= 6:
            lines = textwrap.wrap(text, letters, max_lines=2, placeholder=" …")
            place = start + seconds * 0.003
            axes.text(place, 0.48, "\n".join(lines), color=INK, fontsize=9, va="center")


def _draw_events(lanes: "Axes", picture: "Axes", events: Sequence[tuple[float, str]]) -> None:
    looks = glyphs([name for _, name in events])
    lanes.set_ylim(max(len(looks), 1) - 0.4, -0.6)
    lanes.set_facecolor(BACKGROUND)
    lanes.set_yticks(range(len(looks)), list(looks))
    for tick, look in zip(lanes.get_yticklabels(), looks.values(), strict=True):
        tick.set_color(look.colour)
    for row, look in enumerate(looks.values()):
        lanes.axhline(row, color=EDGE, lw=0.6, zorder=0)
        for time in (time for time, name in events if looks[name] is look):
            lanes.text(
                time, row, look.symbol, color=look.colour, fontsize=12,
                ha="center", va="center_baseline", clip_on=True,
            )  # fmt: skip
            picture.axvline(time, ymin=0.965, color=look.colour, lw=1.1, alpha=0.9)


def _draw_spectrogram(axes: "Axes", mid: FloatArray, rate: int, seconds: float) -> Any:
    picture = mel_spectrogram(mid, rate)
    top = max(float(np.percentile(picture, 99.8)), -60.0)
    image = axes.imshow(
        picture,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, MELS),
        cmap="magma",
        vmin=top - RANGE_DB,
        vmax=top,
        interpolation="bilinear",
    )
    ticks = [100, 200, 500, 1000, 2000, 5000, 10_000, 16_000]
    low, high = _mel(LOW_HZ), _mel(HIGH_HZ)
    names = [f"{hz // 1000} k" if hz >= 1000 else str(hz) for hz in ticks]
    axes.set_yticks([(_mel(hz) - low) / (high - low) * MELS for hz in ticks], names)
    axes.set_ylim(0, MELS)
    axes.set_ylabel("Hz", color=MUTED, fontsize=9, labelpad=2)
    return image


def _draw_waveform(axes: "Axes", samples: FloatArray, rate: int, timeline: Timeline) -> None:
    count = min(len(samples), COLUMNS)
    starts = np.linspace(0, len(samples), count, endpoint=False).astype(int)
    peaks = np.maximum.reduceat(np.abs(samples), starts, axis=0)
    for peak, side, colour in zip(peaks.T, (1, -1), ("#59c3c3", "#8f7ae5"), strict=False):
        axes.fill_between(starts / rate, 0, side * peak, color=colour, alpha=0.85, lw=0)
    top = max(float(peaks.max()), 1e-3) * 1.12
    axes.set_ylim(-top, top)
    axes.set_yticks([])
    _label(axes, "left\nright")
    axes.vlines(timeline.seams, -top, -top * 0.9, color=INK, lw=0.5, alpha=0.45)


def _draw_parameters(axes: "Axes", parameters: Mapping[str, Points], seconds: float) -> None:
    axes.set_ylim(-0.06, 1.06)
    axes.set_yticks([0, 1])
    for index, (name, points) in enumerate(parameters.items()):
        if not points:
            continue
        colour = CURVES[index % len(CURVES)]
        times = [*(time for time, _ in points), seconds]
        values = [*(value for _, value in points), points[-1][1]]
        axes.step(times, values, where="post", color=colour, lw=1.4)
        axes.fill_between(times, values, step="post", color=colour, alpha=0.10, lw=0)
        axes.text(
            1.006,
            0.86 - 0.2 * index,
            name,
            transform=axes.transAxes,
            color=colour,
            fontsize=9,
            va="center",
        )


def _draw_compute(axes: "Axes", compute: Points) -> None:
    values = [value for _, value in compute]
    top = max([1.15, *(value * 1.1 for value in values)])
    axes.set_ylim(0, top)
    axes.set_yticks([0, 1])
    _label(axes, "RTF")
    axes.axhline(1.0, color=RED, lw=0.8, alpha=0.7)
    if compute:
        times = [time for time, _ in compute]
        axes.vlines(times, 0, values, lw=1.1, colors=[RED if v > 1 else "#73b7ff" for v in values])


def _draw_knob_to_ear(axes: "Axes", points: Points) -> None:
    values = [value for _, value in points]
    axes.set_ylim(0, max([100.0, *(value * 1.2 for value in values)]))
    axes.locator_params(axis="y", nbins=2)
    _label(axes, "knob to\near, ms")
    if points:
        axes.scatter([time for time, _ in points], values, s=9, color="#ffb454", lw=0, zorder=3)


def _mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def _mel_filters(rate: int) -> FloatArray:
    """(MELS, FFT // 2 + 1) triangles; a narrow one still catches its nearest bin."""
    mels = np.linspace(_mel(LOW_HZ), _mel(min(HIGH_HZ, rate / 2)), MELS + 2)
    bins = 700.0 * (10.0 ** (mels / 2595.0) - 1.0) * FFT / rate
    k = np.arange(FFT // 2 + 1)
    half = np.maximum(np.diff(bins), 1.0)
    rise = (k - bins[1:-1, None]) / half[:-1, None] + 1.0
    fall = 1.0 - (k - bins[1:-1, None]) / half[1:, None]
    return np.clip(np.minimum(rise, fall), 0.0, 1.0).astype(np.float32)
