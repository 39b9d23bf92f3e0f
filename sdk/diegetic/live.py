"""The thread that keeps the sink fed while the game talks.

    |<- heard ->|<- device ->|<- guard ->|<- future: about lookahead, can be made again ->|
                             ring        reach: "now", for the world                      made

It makes a chunk when less than `lookahead` is made (or more where the machine is late, see
`diegetic.headroom`), takes the future back when the world has materially changed (see
`diegetic.revision`), and rests otherwise. It also listens: when the first sample that a change has
touched leaves the device, the change's knob-to-ear delay is known.
"""

import logging
import math
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from diegetic.child_process import go_first
from diegetic.config import RATE, StreamConfig
from diegetic.future import GUARD, Future
from diegetic.headroom import Headroom
from diegetic.metrics import Metrics
from diegetic.revision import Outlook, Revision, plan
from diegetic.sink import Sink
from diegetic.snapshot import FloatArray
from diegetic.stream import Change, ChunkRecord

_REST_MIN = 0.001
_REST_MAX = 0.02  # also how often the play clock is looked at
VOICE_DELAY = 0.015  # s
_COSTS = 32  # chunks whose cost is remembered
_TURN = 0.0005  # s that a thread may keep the interpreter while the generator waits
_NICENESS = -5  # of the generator's thread, as of the networks that it waits for
_SPENT = 0.5  # share of the spare compute that may go into making again

log = logging.getLogger(__name__)


class Source(Protocol):
    """What a live stream needs of a bed; all is called by the generator thread.

    Positions are samples of the session's sound. `reach` is set while a live stream plays: the
    first sample that can still be changed; and `ahead`, the seconds that it makes ahead.
    """

    reach: Callable[[], int] | None
    ahead: float

    def next_hop(self) -> tuple[FloatArray, ChunkRecord]:
        """Make the next (hop, 2) samples."""

    def look(self) -> bool:
        """Encode a picture that the coming chunk will show; False if there is none."""

    @property
    def tail(self) -> FloatArray:
        """How the newest chunk would go on, (overlap, 2)."""

    def changed_from(self) -> int | None:
        """Return from where on what was made is materially wrong; None if it is not."""

    def boundaries(self) -> tuple[int, ...]:
        """Return the starts of the chunks that can be made again."""

    def go_back(self, revision: Revision) -> None:
        """Let the next chunk be the one at `revision.boundary`."""

    def placed(self, first: int) -> None:
        """Take note that the newest chunk is heard from `first` on."""

    def skip(self, hops: int) -> None:
        """Let the next chunk be that many hops later."""

    def end(self) -> FloatArray:
        """Return the fade-out that follows the last hop."""


class Foley(Protocol):
    """What a live stream needs of the events; called by the generator thread."""

    def work(self) -> bool:
        """Make a chunk of something that will be wanted; False when there is nothing to do."""

    def listen(self, latency: float) -> None:
        """Take note of voices that began; `latency` (s) lies between their device and the ear."""


class LiveStream:
    """Plays `source` through `sink`, which it starts and stops.

    `start`, `step` and `stop` belong to the thread that owns the session (`step` is what the
    generator's thread does over and over, for tests that bring their own clock); `audio_time` and
    `reach` may be called by any.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        config: StreamConfig,
        metrics: Metrics,
        *,
        first_sample: int = 0,
        foley: Foley | None = None,
    ) -> None:
        self._source = source
        self._foley = foley
        self._sink = sink
        self._config = config
        self._metrics = metrics
        self._first_sample = (
            first_sample  # the sink counts from its start, records from the session's
        )
        self._future = Future(sink, config.overlap_samples)
        self._headroom = Headroom(config)
        self._made = 0  # end of the newest chunk; an older future may go on behind it
        self._costs: deque[float] = deque(maxlen=_COSTS)
        self._last_splice = -config.hop_samples
        self._allowance = self._most_allowed
        self._paid_until = 0  # sample up to which the allowance has grown
        self._unheard: dict[Change, int] = {}  # the first sample of each change on its way
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None

    @property
    def sink(self) -> Sink:
        return self._sink

    @property
    def latency(self) -> float:
        """Seconds after which anything said now is heard at the latest, when all is well."""
        return 2 * self._config.hop + self._config.overlap + GUARD / RATE + self._sink.latency

    @property
    def lookahead(self) -> float:
        """Seconds that are made ahead at present."""
        return self._headroom.samples / RATE

    def reach(self) -> int:
        """Return the first sample of the session's sound that can still be changed."""
        return self._first_sample + self._future.reach()

    def start(self) -> None:
        """Open the sink and begin to generate; threads take turns quickly from then on.

        Raises:
            DeviceError, MediaError: the sink cannot be opened.
        """
        self._sink.start(prime=self._config.lookahead_samples)
        self._source.reach = self.reach
        sys.setswitchinterval(min(_TURN, sys.getswitchinterval()))
        self._thread = threading.Thread(target=self._run, name="generator", daemon=True)
        self._thread.start()

    def step(self) -> float:
        """Make one chunk if one is wanted; return how long to rest (s) before the next call."""
        self._listen()
        self._revise()
        surplus = self._made - self._future.taken() - self._headroom.samples
        if surplus >= 0:
            self._headroom.full()
            if self._source.look() or (self._foley is not None and self._foley.work()):
                return 0.0
            return min(max(surplus / RATE, _REST_MIN), _REST_MAX)
        self._skip()
        samples, record = self._source.next_hop()
        self._costs.append(sum(record.stages_ms.values()) / 1000 * RATE)
        start = record.start_sample - self._first_sample
        splice = record.heard_from - self._first_sample
        taken = self._future.taken()
        self._headroom.arrived(self._future.end - taken, taken)
        self._source.ahead = self.lookahead
        first = self._future.place(start, samples, self._source.tail, splice)
        self._source.placed(first + self._first_sample)
        self._made = start + len(samples)
        for change in record.changes[record.repeated :]:
            asked = 0 if change.at is None else round(change.at * RATE) - self._first_sample
            self._unheard[change] = max(first, asked)
        return 0.0

    def audio_time(self, moment: float) -> float:
        """Return when (audio s) to place something that happened at monotonic `moment` (s).

        That is what is heard at `moment`, plus the least delay that no chunk in the making can
        miss: things sound as far apart as they happened, whatever the generator is doing.
        """
        sample, leaves = self._sink.clock()
        heard = (self._first_sample + sample) / RATE + (moment - leaves)
        return max(0.0, heard + self.latency)

    def output_of(self, sample: int) -> int:
        """Return the output sample that is heard together with `sample` of the session's sound."""
        bed, output = self._sink.clock(), self._sink.output_clock()
        if bed.time < output.time:  # a block was handed over in between
            bed = self._sink.clock()
        apart = output.sample - bed.sample - round((output.time - bed.time) * RATE)
        return sample - self._first_sample + apart

    def output_sample(self, moment: float) -> int:
        """Return where to start the sound of something that happened at monotonic `moment` (s).

        That is what is given to the device at `moment`, plus `VOICE_DELAY`, within which any
        command reaches the mixer: events sound as far apart as they happened.
        """
        sample, leaves = self._sink.output_clock()
        given = leaves - self._sink.latency
        return max(0, sample + round((moment + VOICE_DELAY - given) * RATE))

    def stop(self, drain: bool = True) -> None:
        """End: fade out, play (or drop) what is buffered, close the sink.

        Raises:
            Exception: what ended the generator, if it did not end by itself.
        """
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._source.reach = None
        try:
            self._sink.stop(drain)
        finally:
            self._listen()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        if sys.platform == "linux":  # where a niceness is a thread's own
            go_first(_NICENESS)
        try:
            while not self._stopping.is_set():
                rest = self.step()
                if rest:
                    self._stopping.wait(rest)
            self._future.finish(self._made, self._source.end())
        except Exception as error:  # told by `stop` to the thread that owns the session
            log.exception("the generator stopped")
            self.error = error

    def _revise(self) -> None:
        """Take the future back, if that is worth it."""
        taken = self._future.taken()
        changed = self._source.changed_from()
        cost = self._cost()
        if cost:
            spare = max(0.0, self._config.hop_samples / cost - 1) * _SPENT
            self._allowance += spare * max(0, taken - self._paid_until)
        self._allowance = min(self._allowance, self._most_allowed)
        self._paid_until = taken
        if changed is None:
            return
        outlook = Outlook(
            changed=changed - self._first_sample,
            reach=self._future.reach(),
            boundaries=tuple(b - self._first_sample for b in self._source.boundaries()),
            made=self._made,
            hop=self._config.hop_samples,
            fade=self._config.overlap_samples,
            cost=math.ceil(cost),
            last=self._last_splice,
            allowance=int(self._allowance),
        )
        revision = plan(outlook)
        if revision is None:
            return
        self._allowance -= self._made - revision.boundary
        self._last_splice = revision.splice
        self._made = revision.boundary
        first = self._first_sample
        self._source.go_back(Revision(first + revision.boundary, first + revision.splice))

    def _skip(self) -> None:
        """Leave out what would be too late, where an older future is heard instead."""
        if self._made >= self._future.end:
            return
        latest = self._future.reach() + math.ceil(self._cost()) + self._config.overlap_samples
        hops = -(-(latest - self._made) // self._config.hop_samples) - 1
        if hops > 0:
            self._source.skip(hops)
            self._made += hops * self._config.hop_samples

    def _cost(self) -> float:
        """Return how much audio time passes while a chunk is made: nine in ten take less."""
        costs = sorted(self._costs)
        return costs[len(costs) * 9 // 10] if costs else 0.0

    @property
    def _most_allowed(self) -> float:
        return 2.0 * (self._headroom.samples + 2 * self._config.hop_samples)

    def _listen(self) -> None:
        """Note the changes and voices whose first sample the device has been given."""
        if self._foley is not None:
            self._foley.listen(self._sink.latency)
        if not self._unheard:
            return
        sample, leaves = self._sink.clock()
        for change, first in self._unheard.items():
            if first < sample:
                self._metrics.add_knob_to_ear(leaves - (sample - first) / RATE - change.sent)
        self._unheard = {c: first for c, first in self._unheard.items() if first >= sample}
