"""What trials say, as percentiles, ratios and one report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from diegetic.config import StreamConfig
from diegetic.latency.scene import Kind
from diegetic.latency.trial import Trial
from diegetic.metrics import PERCENTILES, Summary
from diegetic.report import machine


@dataclass(frozen=True)
class Row:
    """All trials of one kind.

    Attributes:
        kind: what was changed.
        measured: trials that gave a figure.
        ear_ms: percentiles from knob to ear; empty if nothing was measured.
        own_ms: what the sessions themselves measured of the same trials.
        ratio: ear / own, in the middle of the trials; None where there is nothing to compare.
        troubles: why the others gave none, and how many times.
    """

    kind: Kind
    measured: int
    ear_ms: Summary
    own_ms: Summary
    ratio: float | None
    troubles: dict[str, int]


def rows(trials: Sequence[Trial]) -> list[Row]:
    """Return one row for each kind, in the order in which they came."""
    return [_row(kind, trials) for kind in dict.fromkeys(trial.kind for trial in trials)]


def rtf(trials: Sequence[Trial]) -> Summary:
    """Return the percentiles of the real-time factors of all chunks."""
    return percentiles([value for trial in trials for value in trial.rtf])


def percentiles(values: Sequence[float]) -> Summary:
    """Return p50, p95, p99; nothing of nothing."""
    if not values:
        return {}
    found = np.percentile(values, PERCENTILES)
    return {f"p{p}": round(float(v), 3) for p, v in zip(PERCENTILES, found, strict=True)}


def build_report(
    trials: Sequence[Trial], *, config: StreamConfig, output: str, nfe: int, backend: str
) -> dict[str, object]:
    """Put everything together, ready for JSON; `output` says in words what it was played on."""
    return {
        "machine": machine(),
        "output": output,
        "stream": asdict(config),
        "nfe": nfe,
        "backend": backend,
        "declared_latency_ms": round(declared_ms(trials), 3),
        "rtf": rtf(trials),
        "underruns": sum(trial.underruns for trial in trials),
        "changes": [asdict(row) for row in rows(trials)],
        "trials": [
            {
                "kind": trial.kind,
                "ear_ms": _ms(trial.ear),
                "own_ms": _ms(trial.own),
                "trouble": trial.trouble,
            }
            for trial in trials
        ],
    }


def declared_ms(trials: Sequence[Trial]) -> float:
    """Return what the device declares as its own part, in the middle of the trials heard."""
    declared = [trial.declared * 1000 for trial in trials if trial.ear is not None]
    return median(declared) if declared else 0.0


def _row(kind: Kind, trials: Sequence[Trial]) -> Row:
    mine = [trial for trial in trials if trial.kind == kind]
    heard = [trial for trial in mine if trial.ear is not None]
    ratios = [t.ear / t.own for t in heard if t.ear is not None and t.own]
    return Row(
        kind=kind,
        measured=len(heard),
        ear_ms=percentiles([t.ear * 1000 for t in heard if t.ear is not None]),
        own_ms=percentiles([t.own * 1000 for t in heard if t.own is not None]),
        ratio=round(median(ratios), 3) if ratios else None,
        troubles=dict(Counter(trial.trouble for trial in mine if trial.trouble)),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
