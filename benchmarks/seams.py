"""Seams, measured: can where chunks join be told from where they do not?

    python benchmarks/seams.py [--seams 1000] [--seed 0] [--nfe 4] [--weights DIR] [--hop 0.16]
                               [--overlap 0.06]

Beds of one prompt (steady), beds whose prompt changes every few hops (judged where it changes),
beds under a parameter that never rests, and controls: tones to which nothing was done, tones cut at
every seam, and the beds' own sound as equal power on identical sides would leave it. Seams are
compared with random places between the seams of the same recording (`evaluation/seam_metrics.py`):

    level added     what the fade itself adds in its middle (dB), from the two sides that it joined
    level           how much further the level in the middle of the fade leaves that around (dB)
    2nd difference  its peak against that around: median at seams less that elsewhere (dB)
    flux            log-spectral flux by ranks: z, and p of a permutation test
    classifier      AUC of all features at once, on recordings that it never heard
    of the join     the same without how the sound after the seam differs from that before it
    told most by    the features that tell most, each alone; 0.5 tells nothing

Both levels are 95th percentiles of their size.

Exit status: 0; 1 where a seam misses what it must reach; 2 where a control is not judged rightly.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from diegetic import Session, StreamConfig, crossfade
from diegetic.config import RATE
from diegetic.evaluation.seam_features import FEATURES
from diegetic.evaluation.seam_metrics import (
    Places,
    Recording,
    Told,
    classify,
    excess,
    fade_steps,
    find_places,
    permutation_test,
    room,
    shift,
    told_by,
)
from diegetic.generator import Generator, GeneratorState, load_generator
from diegetic.mixer.limiter import DELAY
from diegetic.snapshot import Conditioning, FloatArray, Snapshot
from diegetic.stream import ChunkRecord
from seam_live import record_revoked

BEDS = (
    "rain falling",
    "thunderstorm",
    "birds in a forest",
    "crickets at night",
    "a stream",
    "ocean waves",
    "strong wind",
    "a crackling fire",
    "a train passing",
    "heavy machinery",
    "humming machinery in a dark base corridor",
    "calm ambient music",
)
SWITCH_HOPS = 5  # hops that a prompt stays
PARAMETER = "threat"
RAMP = 1.0  # s
TELLING = 3  # features named for each kind
CHANGED = ("change", "rise")  # what lies before differs from what comes after: maybe as asked for
JOIN = tuple(feature for feature in FEATURES if feature not in CHANGED)


@dataclass(frozen=True)
class Limits:
    """What seams must keep below: level at the 95th percentile (dB), classifier's AUC."""

    level_db: float = 1.0
    auc: float = 0.65


@dataclass(frozen=True)
class Kind:
    """Recordings of one kind of seam; a control is `convicted` or acquitted, None is no control."""

    name: str
    recordings: Sequence[Recording]
    limits: Limits = Limits()
    convicted: bool | None = None


@dataclass(frozen=True)
class Result:
    """Figures of a kind.

    Attributes:
        seams: judged.
        added: level that the fades add, 95th percentile of its size (dB); None where not known.
        level: how much further the level steps than elsewhere, at the 95th percentile (dB).
        bend: second difference against its surroundings, less that elsewhere (dB).
        flux: z and p of the log-spectral flux against other places.
        told: by all features.
        join_told: by those of the fade alone, whatever lies before and after.
        telling: the features that tell most, each alone.
    """

    seams: int
    added: float | None
    level: float
    bend: float
    flux: tuple[float, float]
    told: Told
    join_told: Told
    telling: tuple[tuple[str, Told], ...]

    def misses(self, limits: Limits) -> list[str]:
        """Say which limits are not kept."""
        found = {"level added": self.added or 0.0, "level": self.level}
        over = [name for name, value in found.items() if value > limits.level_db]
        return over + ["classifier"] * (self.told.auc > limits.auc)


class Tap:
    """A generator that keeps both ends of every chunk of another one."""

    def __init__(self, generator: Generator) -> None:
        self.config = generator.config
        self.ends: list[tuple[FloatArray, FloatArray]] = []
        self._generator = generator

    def start(self, seed: int) -> GeneratorState:
        return self._generator.start(seed)

    def generate(
        self, state: GeneratorState, conditioning: Conditioning
    ) -> tuple[FloatArray, GeneratorState]:
        chunk, after = self._generator.generate(state, conditioning)
        overlap = self.config.overlap_samples
        self.ends.append((chunk[:overlap].copy(), chunk[-overlap:].copy()))
        return chunk, after


@dataclass(frozen=True)
class Studio:
    """What makes recordings; the prefix is filled before a seam is judged."""

    generator: Generator
    conditioner: Callable[[Snapshot], Conditioning]
    seed: int = 0

    @property
    def warm(self) -> float:
        """Seconds before the first judged seam, a whole number of hops."""
        config = self.generator.config
        return -(-config.prefix_latents // config.hop_latents) * config.hop

    def record(
        self,
        index: int,
        play: Callable[[Session], Iterator[FloatArray]],
        judged: Callable[[ChunkRecord, ChunkRecord], bool],
    ) -> Recording:
        """Run `play` with a seed of its own; `judged` sees the records before and after a seam."""
        tap = Tap(self.generator)
        config = tap.config
        seed = self.seed * len(BEDS) + index
        with Session(config, seed=seed, generator=tap, conditioner=self.conditioner) as session:
            samples = np.concatenate(list(play(session)))
            records = session.records()
        overlap, warm = config.overlap_samples, round(self.warm * RATE)
        seams = [
            number
            for number in range(1, len(records) - 1)  # the last one may end the samples
            if records[number].start_sample >= warm and judged(records[number - 1], records[number])
        ]
        return Recording(
            samples=samples,
            fades=tuple(record.start_sample + DELAY for record in records[1:]),
            judged=tuple(records[number].start_sample + DELAY for number in seams),
            overlap=overlap,
            sides=tuple((tap.ends[number - 1][1], tap.ends[number][0]) for number in seams),
        )


def steady(studio: Studio, seams: int) -> list[Recording]:
    """One prompt for each recording; every seam after the first prefix is judged."""
    each = -(-seams // len(BEDS))

    def record(index: int) -> Recording:
        def play(session: Session) -> Iterator[FloatArray]:
            session.set_prompt(BEDS[index])
            yield session.read(studio.warm + (each + 1) * session.config.hop)

        return studio.record(index, play, lambda before, after: True)

    return [record(index) for index in range(len(BEDS))]


def switches(studio: Studio, seams: int) -> list[Recording]:
    """A new prompt every few hops; the seams where it takes effect are judged."""
    each = -(-seams // len(BEDS))

    def record(index: int) -> Recording:
        rng = np.random.default_rng((studio.seed, index))

        def play(session: Session) -> Iterator[FloatArray]:
            prompt = index
            session.set_prompt(BEDS[prompt])
            yield session.read(studio.warm)
            for _ in range(each):
                prompt = (prompt + int(rng.integers(1, len(BEDS)))) % len(BEDS)
                session.set_prompt(BEDS[prompt])
                yield session.read(SWITCH_HOPS * session.config.hop)

        return studio.record(index, play, lambda before, after: before.prompt != after.prompt)

    return [record(index) for index in range(len(BEDS))]


def ramps(studio: Studio, seams: int) -> list[Recording]:
    """A parameter on its way to and fro; the seams across which it moved are judged."""
    each = -(-seams // len(BEDS))

    def record(index: int) -> Recording:
        def play(session: Session) -> Iterator[FloatArray]:
            session.declare_parameter(PARAMETER)
            session.set_prompt(BEDS[index])
            yield session.read(studio.warm)
            end = session.time + (each + 2) * session.config.hop
            target = 1.0
            while (left := end - session.time) > 1e-6:
                session.set_parameter(PARAMETER, target, ramp=RAMP)
                yield session.read(min(RAMP, left))
                target = 1.0 - target

        return studio.record(
            index, play, lambda before, after: before.parameters != after.parameters
        )

    return [record(index) for index in range(len(BEDS))]


def revoked(studio: Studio, seams: int) -> list[Recording]:
    """Prompts come while a future lies ahead; where it is taken back in mid-chunk is judged."""
    each = -(-seams // len(BEDS))
    config = studio.generator.config
    space = room(config.overlap_samples, config.hop_samples)
    networks = studio.generator, studio.conditioner
    return [
        record_revoked(networks, BEDS, studio.seed * len(BEDS) + index, studio.warm, each, space)
        for index in range(len(BEDS))
    ]


def tones(config: StreamConfig, seams: int, *, cut: bool) -> list[Recording]:
    """Chords under a little noise, in one piece or with a new phase at the middle of each fade."""
    each = -(-seams // len(BEDS))
    hop, overlap = config.hop_samples, config.overlap_samples

    def record(index: int) -> Recording:
        rng = np.random.default_rng(index)
        count = (each + 2) * hop
        frequencies = 110.0 * 2 ** rng.uniform(0, 5, 6)
        piece = np.maximum(np.arange(count) - overlap // 2, 0) // hop
        phases = rng.uniform(0, 2 * np.pi, (each + 3, 6))
        angle = 2 * np.pi * frequencies * np.arange(count)[:, None] / RATE
        mono = 0.05 * np.sin(angle + phases[piece * cut]).sum(1)
        samples = mono[:, None] + 0.001 * rng.standard_normal((count, 2))
        fades = tuple(range(hop, count, hop))
        return Recording(samples.astype(np.float32), fades, fades[:-1], overlap)

    return [record(index) for index in range(len(BEDS))]


def equal_power(recordings: Sequence[Recording]) -> list[Recording]:
    """The same sound had its fades been cosine and sine between identical sides."""

    def lifted(recording: Recording) -> Recording:
        samples = recording.samples.copy()
        fall, rise = crossfade.ramps(recording.overlap, 0.0)
        sides = []
        for fade in recording.judged:
            part = samples[fade : fade + recording.overlap].copy()
            samples[fade : fade + recording.overlap] = (fall + rise) * part
            sides.append((part, part))
        return replace(recording, samples=samples, sides=tuple(sides))

    return [lifted(recording) for recording in recordings]


def measure(recordings: Sequence[Recording], seed: int) -> Result:
    """Take all figures of one kind of seam."""
    rng = np.random.default_rng(seed)
    found: list[Places] = [find_places(recording, rng) for recording in recordings]
    added = fade_steps(recordings)
    alone = {feature: told_by(found, feature) for feature in FEATURES}
    order = sorted(alone, key=lambda feature: -abs(alone[feature].auc - 0.5))
    return Result(
        seams=sum(len(places.seams) for places in found),
        added=float(np.percentile(np.abs(added), 95)) if len(added) else None,
        level=excess(found, "level", 95),
        bend=shift(found, "2nd difference"),
        flux=permutation_test(found, "flux", rng),
        told=classify(found),
        join_told=classify(found, JOIN),
        telling=tuple((feature, alone[feature]) for feature in order[:TELLING]),
    )


def row(kind: Kind, result: Result) -> tuple[str, ...]:
    """The figures of a kind as text."""
    verdict = ", ".join(result.misses(kind.limits)) or "-"
    z, p = result.flux
    return (
        kind.name,
        str(result.seams),
        "-" if result.added is None else f"{result.added:.2f}",
        f"{result.level:+.2f}",
        f"{result.bend:+.2f}",
        f"{z:+.1f} ({p:.4f})",
        f"{result.told.auc:.3f} ± {result.told.error:.3f}",
        f"{result.join_told.auc:.3f} ± {result.join_told.error:.3f}",
        verdict,
        "\n".join(f"{name} {told.auc:.2f}" for name, told in result.telling),
    )


def main() -> int:
    """Record, measure, print."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seams", type=int, default=1000, help="of each kind, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nfe", type=int, default=4)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--hop", type=float, default=StreamConfig.hop)
    parser.add_argument("--overlap", type=float, default=StreamConfig.overlap)
    arguments = parser.parse_args()
    console = Console(highlight=False, width=160)
    begin = time.perf_counter()
    config = StreamConfig(hop=arguments.hop, overlap=arguments.overlap)
    studio = open_studio(config, arguments.nfe, arguments.weights, arguments.seed)
    table = Table(
        *("seams", "n", "level added", "level", "2nd difference", "flux, z (p)"),
        *("classifier", "of the join", "misses", "told most by"),
    )
    broken = misjudged = False
    for kind in kinds(studio, arguments.seams):
        if not kind.recordings:
            continue
        result = measure(kind.recordings, arguments.seed)
        missed = bool(result.misses(kind.limits))
        if kind.convicted is None:
            broken |= missed
        else:
            misjudged |= missed is not kind.convicted
        table.add_row(*row(kind, result))
        console.print(f"{kind.name}: {time.perf_counter() - begin:.0f} s")
    console.print(table)
    return 2 if misjudged else int(broken)


def open_studio(config: StreamConfig, nfe: int, weights: Path | None, seed: int) -> Studio:
    """Load the networks once for all recordings."""
    from diegetic.conditioning import Conditioner
    from diegetic.encoders import ImageEncoder, TextEncoder

    generator = load_generator(weights, nfe=nfe, config=config)
    return Studio(generator, Conditioner(TextEncoder(), ImageEncoder()), seed)


def kinds(studio: Studio, seams: int) -> Iterator[Kind]:
    """Record one kind after another, controls last."""
    config = studio.generator.config
    beds = steady(studio, seams)
    yield Kind("steady", beds)
    yield Kind("prompt switch", switches(studio, seams), Limits(auc=0.75))
    yield Kind("parameter ramp", ramps(studio, seams))
    yield Kind("revoked", revoked(studio, seams), Limits(auc=0.75))
    yield Kind("control: unbroken tones", tones(config, seams, cut=False), convicted=False)
    yield Kind("control: hard cut on tones", tones(config, seams, cut=True), convicted=True)
    yield Kind("control: equal power, identical sides", equal_power(beds), convicted=True)


if __name__ == "__main__":
    sys.exit(main())
