"""The thread that keeps the sink fed while the game talks.

    |<- heard ->|<- device ->|<- buffered: lookahead to lookahead + hop ->|<- next chunk ->|
                             ring                                          now, for the world

It rests while enough is buffered, and makes one chunk when it is not. It also listens: when the
first sample that a change has touched leaves the device, the change's knob-to-ear delay is known.
"""

import logging
import threading
from typing import Protocol

from diegetic.config import RATE, StreamConfig
from diegetic.metrics import Metrics
from diegetic.sink import Sink
from diegetic.snapshot import FloatArray
from diegetic.stream import ChunkRecord

_REST_MIN = 0.001
_REST_MAX = 0.02  # also how often the play clock is looked at

log = logging.getLogger(__name__)


class Source(Protocol):
    """What a live stream needs of a session; both are called by the generator thread."""

    def next_hop(self) -> tuple[FloatArray, ChunkRecord]:
        """Make the next (hop, 2) samples."""

    def end(self) -> FloatArray:
        """Return the fade-out that follows the last hop."""


class LiveStream:
    """Plays `source` through `sink`, which it starts and stops.

    `start`, `step` and `stop` belong to the thread that owns the session (`step` is what the
    generator's thread does over and over, for tests that bring their own clock); `audio_time` may
    be called by any.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        config: StreamConfig,
        metrics: Metrics,
        *,
        first_sample: int = 0,
    ) -> None:
        self._source = source
        self._sink = sink
        self._config = config
        self._metrics = metrics
        self._first_sample = (
            first_sample  # the sink counts from its start, records from the session's
        )
        self._unheard: list[tuple[int, float]] = []  # (sample, send time) of changes on their way
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None

    @property
    def sink(self) -> Sink:
        return self._sink

    @property
    def latency(self) -> float:
        """Seconds after which anything said now is heard at the latest, when all is well."""
        return self._config.lookahead + self._config.hop + self._sink.latency

    def start(self) -> None:
        """Open the sink and begin to generate.

        Raises:
            DeviceError, MediaError: the sink cannot be opened.
        """
        self._sink.start(prime=self._config.lookahead_samples)
        self._thread = threading.Thread(target=self._run, name="generator", daemon=True)
        self._thread.start()

    def step(self) -> float:
        """Make one chunk if the sink wants it; return how long to rest (s) before the next call."""
        self._listen()
        surplus = self._sink.buffered() - self._config.lookahead_samples
        if surplus >= 0:
            return min(max(surplus / RATE, _REST_MIN), _REST_MAX)
        samples, record = self._source.next_hop()
        for change in record.changes:
            asked = record.start_sample if change.at is None else round(change.at * RATE)
            first_changed = max(record.start_sample, asked) - self._first_sample
            self._unheard.append((first_changed, change.sent))
        self._sink.write(samples)
        return 0.0

    def audio_time(self, moment: float) -> float:
        """Return when (audio s) to place something that happened at monotonic `moment` (s).

        That is what is heard at `moment`, plus the least delay that no chunk in the making can
        miss: things sound as far apart as they happened, whatever the generator is doing.
        """
        sample, leaves = self._sink.clock()
        heard = (self._first_sample + sample) / RATE + (moment - leaves)
        return max(0.0, heard + self.latency)

    def stop(self, drain: bool = True) -> None:
        """End: fade out, play (or drop) what is buffered, close the sink.

        Raises:
            Exception: what ended the generator, if it did not end by itself.
        """
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        try:
            self._sink.stop(drain)
        finally:
            self._listen()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                rest = self.step()
                if rest:
                    self._stopping.wait(rest)
            self._sink.write(self._source.end())
        except Exception as error:  # told by `stop` to the thread that owns the session
            log.exception("the generator stopped")
            self.error = error

    def _listen(self) -> None:
        """Note the changes whose first sample the device has been given."""
        if not self._unheard:
            return
        sample, leaves = self._sink.clock()
        for first_changed, sent in self._unheard:
            if first_changed < sample:
                self._metrics.add_knob_to_ear(leaves - (sample - first_changed) / RATE - sent)
        self._unheard = [change for change in self._unheard if change[0] >= sample]
