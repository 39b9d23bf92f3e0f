"""The endless sound under everything: what is said about it, and the chunks that it is made of.

    bridge's thread     set_prompt, set_layers, …  -> World, Pending
    generator's thread  next_hop, go_back, skip, end

One lock: a change and what is noted about it belong together.

Positions are samples since the session began.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diegetic import crossfade, journal
from diegetic.config import CHANNELS, RATE, StreamConfig
from diegetic.journal import Journal
from diegetic.layers import some_layers
from diegetic.lazy import Onlooker
from diegetic.metrics import Metrics
from diegetic.pending import Pending
from diegetic.prompts import LEAST_SHARE, Prompt, in_words, mix_of, prompt_and_blend
from diegetic.revision import Revision, material
from diegetic.snapshot import EVENT_SLOTS, Conditioning, FloatArray, Snapshot
from diegetic.stream import RECORDS, Change, ChangeKind, ChunkRecord, StreamState, advance
from diegetic.world import World

if TYPE_CHECKING:
    from diegetic.generator import Generator

Networks = Callable[[], "tuple[Generator, Callable[[Snapshot], Conditioning]]"]


@dataclass(frozen=True)
class _Kept:
    """The state from which the chunk at sample `start` was made."""

    start: int
    state: StreamState


class Bed:
    """One stream of chunks.

    Args:
        config: its lengths.
        seed: the same seed and the same inputs make the same samples.
        networks: gives generator and conditioner when the first chunk is made.
        metrics: where timings go.
        record: is told everything that another session needs to make the same samples.
    """

    def __init__(
        self,
        config: StreamConfig,
        seed: int,
        networks: Networks,
        metrics: Metrics,
        record: Journal | None,
    ) -> None:
        self.world = World(clock=self.now)
        self.reach: Callable[[], int] | None = None  # the first sample that can change, when live
        self.ahead = config.lookahead  # s that are made ahead, when live
        self.records: deque[ChunkRecord] = deque(maxlen=RECORDS)
        self.position = 0  # first sample of the next chunk
        self._config = config
        self._seed = seed
        self._networks = networks
        self._metrics = metrics
        self._journal = record
        self._lock = threading.Lock()
        self._pending = Pending()
        self._again: tuple[Change, ...] = ()  # took effect with a chunk that is made again
        self._looked = -math.inf  # time (s) of the newest frame that was encoded ahead
        self._ahead_ms = 0.0  # what that cost since the newest chunk
        self._heard_from = 0  # what comes before was made before, and is heard as it was
        self._state: StreamState | None = None
        self._kept: deque[_Kept] = deque(maxlen=config.chunks_kept)

    def now(self) -> float:
        """Audio time (s) of the first sample that can still change."""
        reach = self.reach
        return (self.position if reach is None else reach()) / RATE

    # What the game says. `sent` is when, on the monotonic clock; None is now

    def declare_parameter(self, name: str, minimum: float, maximum: float, default: float) -> None:
        with self._lock:
            self.world.declare_parameter(name, minimum, maximum, default)
            self._write(journal.ParameterDeclared(name, minimum, maximum, default))

    def declare_switch(self, name: str, values: Sequence[str]) -> None:
        with self._lock:
            self.world.declare_switch(name, values)
            self._write(journal.SwitchDeclared(name, list(values)))

    def leave_foley(self) -> None:
        """Leave foley to something else, as far as nobody asks for it here."""
        with self._lock:
            if self.world.leave_foley():
                self._write(journal.FoleyLeft())

    def set_prompt(
        self, prompt: Prompt, at: float | None, sent: float | None, ramp: float = 0.0
    ) -> None:
        with self._lock:
            begin = self.now() if at is None else at
            moved = self.world.set_prompt(prompt, begin, ramp=ramp)
            self._write(journal.Prompted(_plain(prompt), begin, ramp))
            worth = material(moved, ramp, self._config.hop) if ramp > 0 else moved >= LEAST_SHARE
            name = in_words(*prompt_and_blend(mix_of(prompt)))
            self._note("prompt", name, sent, at, worth)

    def set_layers(self, layers: Iterable[str], at: float | None, sent: float | None) -> None:
        wanted = some_layers(layers)
        with self._lock:
            begin = self.now() if at is None else at
            new = self.world.set_layers(wanted, at=begin)
            self._write(journal.Layered(sorted(wanted), begin))
            self._note("layers", ", ".join(sorted(wanted)), sent, at, new)

    def set_guidance(self, guidance: float, sent: float | None) -> None:
        with self._lock:
            begin = self.now()
            new = self.world.set_guidance(guidance, begin)
            self._write(journal.Guided(guidance, begin))
            self._note("guidance", "", sent, None, new)

    def set_parameter(self, name: str, value: float, ramp: float, sent: float | None) -> None:
        with self._lock:
            begin = self.now()
            moved = self.world.set_parameter(name, value, ramp, begin)
            self._write(journal.Moved(name, value, ramp, begin))
            self._note("parameter", name, sent, None, material(moved, ramp, self._config.hop))

    def set_switch(self, name: str, value: str, sent: float | None) -> None:
        with self._lock:
            begin = self.now()
            new = self.world.set_switch(name, value, begin)
            self._write(journal.Turned(name, value, begin))
            self._note("switch", name, sent, None, new)

    def has_room(self, at: float | None) -> bool:
        """Tell whether one more event can be heard around `at` (None: now)."""
        with self._lock:
            return self.world.has_room(self.now() if at is None else at)

    def post_event(self, name: str, at: float | None, gain_db: float, sent: float | None) -> None:
        with self._lock:
            begin = self.now() if at is None else at
            self.world.post_event(name, begin, gain_db)
            self._write(journal.Posted(name, gain_db, begin))
            self._note("event", name, sent, at, True)

    def push_frame(self, pixels: NDArray[np.uint8], age: float) -> None:
        with self._lock:
            # A frame tells of what is made next: live, that is behind what can still change
            seen = self.now() + (0.0 if self.reach is None else self.ahead) - age
            self.world.push_frame(pixels, seen)
            if self._journal is not None:
                self._journal.add_frame(pixels, seen)

    # What the generator makes of it

    def next_hop(self) -> tuple[FloatArray, ChunkRecord]:
        """Make the next chunk's (hop, 2) samples."""
        generator, conditioner = self._networks()
        if self._state is None:
            self._state = StreamState(generator.start(self._seed))
        with self._lock:
            start, end = self.position, self.position + self._config.hop_samples
            heard_from = max(start, self._heard_from)
            snapshot = self.world.snapshot(start / RATE, end / RATE, heard_from / RATE)
            repeated, self._again = self._again, ()
            changes = repeated + self._pending.take(end, heard_from)
            self.position = end  # from here on, "now" is the next chunk
            self._write(journal.Made())
        begun = [event for event in snapshot.events if event.time >= snapshot.t0]
        step = advance(
            self._state,
            snapshot,
            generator=generator,
            conditioner=conditioner,
            config=self._config,
        )
        record = ChunkRecord(
            index=self._state.index,
            start_sample=start,
            heard_from=heard_from,
            stages_ms=step.stages_ms,
            rho=step.rho,
            prompt=snapshot.prompt,
            events=tuple(begun[-EVENT_SLOTS:]),
            changes=changes,
            repeated=len(repeated),
            parameters=dict(snapshot.parameters),
            blend=snapshot.blend,
            layers=snapshot.layers,
        )
        self._kept.append(_Kept(start, self._state))
        self._state = step.state
        self.records.append(record)
        self._metrics.add_chunk(step.stages_ms | {"ahead": self._ahead_ms}, self._config.hop)
        self._ahead_ms = 0.0
        return step.samples, record

    def look(self) -> bool:
        """Encode a picture that the coming chunk will show, ahead of it; False if there is none."""
        frames = self.world.settled_frames(self._looked)
        if self._state is None or not frames:
            return False
        conditioner: object = self._networks()[1]
        if not isinstance(conditioner, Onlooker):
            return False
        begin = time.perf_counter()
        self._looked = frames[0].time
        conditioner.look(frames[0].pixels)
        self._ahead_ms += (time.perf_counter() - begin) * 1000
        return True

    @property
    def tail(self) -> FloatArray:
        """How the newest chunk would go on, (overlap, 2)."""
        if self._state is None or self._state.tail is None:
            return np.zeros((0, CHANNELS), np.float32)
        return self._state.tail

    def changed_from(self) -> int | None:
        """Return from where on what was made is materially wrong; None if it is not."""
        with self._lock:
            return self._pending.material_from()

    def boundaries(self) -> tuple[int, ...]:
        """Return the starts of the chunks that can be made again."""
        return tuple(kept.start for kept in self._kept)

    def go_back(self, revision: Revision) -> None:
        """Let the next chunk be the one at `revision.boundary`, heard from `revision.splice` on."""
        with self._lock:
            while self._kept and self._kept[-1].start >= revision.boundary:
                kept, record = self._kept.pop(), self.records.pop()
                self._state = kept.state
                self.position = kept.start
                if kept.start < revision.splice:
                    self._again = record.changes
                else:
                    self._pending.put_back(record.changes)
                self._metrics.count("chunks made again")
            self._heard_from = revision.splice
            self._write(journal.WentBack(revision.boundary, revision.splice))

    def skip(self, hops: int) -> None:
        """Let the next chunk be `hops` later: what is heard until then was made before."""
        with self._lock:
            self.position += hops * self._config.hop_samples
            self._write(journal.Skipped(hops))
        self._metrics.count("chunks skipped", hops)

    def placed(self, first: int) -> None:
        """Take note that the newest chunk is heard from `first` on."""
        self._write(journal.Placed(first))

    def end(self) -> FloatArray:
        """Return the fade-out after the last hop; the next chunk fades in."""
        tail = self.tail
        if self._state is None or not len(tail):
            return tail
        self._write(journal.Ended())
        self._state = StreamState(self._state.generator, None, self._state.index)
        return crossfade.fade_out(tail)

    def _note(
        self, kind: ChangeKind, name: str, sent: float | None, at: float | None, material: bool
    ) -> None:
        moment = time.monotonic() if sent is None else sent
        self._pending.note(Change(kind, name, moment, at, material))

    def _write(self, entry: journal.Entry) -> None:
        if self._journal is not None:
            self._journal.add(entry)


def _plain(prompt: Prompt) -> str | dict[str, float]:
    """Return a valid prompt in types that a file can hold."""
    if not isinstance(prompt, Mapping):
        return str(prompt)
    return {str(text): float(weight) for text, weight in prompt.items()}
