"""How long things took and how often they happened: plain arrays, no histograms.

Any thread may add; memory is bounded: a series keeps its newest 65,536 values (three hours of
chunks). What is looked at while a stream plays can ask for the newest few alone.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

KEEP = 65_536
PERCENTILES = (50, 95, 99)

Summary = dict[str, float]


class _Series:
    """The newest `KEEP` values, in memory that is taken once."""

    def __init__(self) -> None:
        self._values = np.full(KEEP, np.nan, np.float32)  # zeros would be taken page by page
        self._count = 0

    def append(self, value: float) -> None:
        self._values[self._count % len(self._values)] = value
        self._count += 1

    def newest(self, count: int) -> NDArray[np.float32]:
        """Return up to `count` values, oldest first."""
        size = len(self._values)
        places = np.arange(max(0, self._count - min(count, size)), self._count) % size
        newest: NDArray[np.float32] = self._values[places]
        return newest


class Metrics:
    """Timings by stage, real-time factors, knob-to-ear delays, and counters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: defaultdict[str, _Series] = defaultdict(_Series)
        self._rtf = _Series()
        self._chunk_ms = _Series()
        self._knob_to_ear_ms = _Series()
        self._event_to_ear_ms = _Series()
        self._counts: Counter[str] = Counter()

    def add_chunk(self, stages_ms: dict[str, float], hop: float) -> None:
        """Note one chunk: milliseconds per stage, and the `hop` (s) of sound that they made."""
        total = sum(stages_ms.values())
        self.add_stages(stages_ms)
        with self._lock:
            self._chunk_ms.append(total)
            self._rtf.append(total / 1000 / hop)
            self._counts["chunks"] += 1

    def add_stages(self, stages_ms: Mapping[str, float]) -> None:
        """Note milliseconds per stage of something that is no chunk of one stream."""
        with self._lock:
            for stage, milliseconds in stages_ms.items():
                self._stages[stage].append(milliseconds)

    def add_knob_to_ear(self, seconds: float) -> None:
        """Note the delay between an engine's send and the first changed sample at the device."""
        with self._lock:
            self._knob_to_ear_ms.append(seconds * 1000)

    def add_event_to_ear(self, seconds: float) -> None:
        """Note the delay between an event and the first sample of its voice at the ear."""
        with self._lock:
            self._event_to_ear_ms.append(seconds * 1000)

    def count(self, name: str, by: int = 1) -> None:
        """Add `by` to the counter `name`."""
        with self._lock:
            self._counts[name] += by

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def rtf(self, newest: int = KEEP) -> Summary:
        """Return p50, p95, p99 of compute time / audio time per chunk."""
        return self._percentiles(self._rtf, newest)

    def chunk_ms(self, newest: int = KEEP) -> Summary:
        """Return p50, p95, p99 of the compute time of a chunk."""
        return self._percentiles(self._chunk_ms, newest)

    def knob_to_ear_ms(self, newest: int = KEEP) -> Summary:
        """Return p50, p95, p99; see `add_knob_to_ear`."""
        return self._percentiles(self._knob_to_ear_ms, newest)

    def event_to_ear_ms(self, newest: int = KEEP) -> Summary:
        """Return p50, p95, p99; see `add_event_to_ear`."""
        return self._percentiles(self._event_to_ear_ms, newest)

    def stages_ms(self, newest: int = KEEP) -> dict[str, Summary]:
        """Return p50, p95, p99 of each stage."""
        with self._lock:
            stages = dict(self._stages)
        return {stage: self._percentiles(values, newest) for stage, values in stages.items()}

    def rtf_values(self) -> list[float]:
        """Return the factor of each chunk, oldest first."""
        with self._lock:
            return [float(value) for value in self._rtf.newest(KEEP)]

    def knob_to_ear_values_ms(self) -> list[float]:
        with self._lock:
            return [float(value) for value in self._knob_to_ear_ms.newest(KEEP)]

    def summary(self) -> dict[str, object]:
        """Return everything, ready for JSON; percentiles of nothing are left out."""
        flat: dict[str, object] = {}
        for name, percentiles in (
            ("rtf", self.rtf()),
            ("chunk_ms", self.chunk_ms()),
            ("knob_to_ear_ms", self.knob_to_ear_ms()),
            ("event_to_ear_ms", self.event_to_ear_ms()),
        ):
            flat |= {f"{name}_{key}": value for key, value in percentiles.items()}
        return flat | {"stages": self.stages_ms(), "counts": self.counts()}

    def _percentiles(self, series: _Series, newest: int) -> Summary:
        with self._lock:
            values = series.newest(newest)
        if not values.size:
            return {}
        found = np.percentile(values.astype(np.float64), PERCENTILES)
        return {f"p{p}": round(float(v), 6) for p, v in zip(PERCENTILES, found, strict=True)}
