"""The front door: one stream of sound, and everything that a game can tell it.

    with Session(seed=0) as session:
        session.set_prompt("rain on a tin roof")
        samples = session.read(seconds=2.0)   # pull: as fast as it can be made, the same every time
        session.play()                        # live: through a device, until stop()

The setters may be called by any thread, at any time. `read`, `play` and `stop` belong to one
thread.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from diegetic import crossfade
from diegetic.config import CHANNELS, RATE, StreamConfig
from diegetic.errors import DiegeticError
from diegetic.metrics import KEEP, Metrics
from diegetic.snapshot import Conditioning, FloatArray, Snapshot, null_conditioning
from diegetic.stream import Change, ChunkRecord, StreamState, advance
from diegetic.world import World

if TYPE_CHECKING:
    from diegetic.generator import Generator
    from diegetic.live import LiveStream
    from diegetic.sink import Sink

DEFAULT_CONFIG = StreamConfig()


class Session:
    """An endless soundscape; the networks are loaded when the first sound is asked for.

    Args:
        config: lengths of the stream.
        seed: the same seed and the same inputs make the same samples.
        nfe: network evaluations per chunk: more is better and slower.
        backend: what computes; "auto" takes the best that is installed.
        weights: folder of weights; None are those that ship.
        generator: instead of loading one.
        conditioner: instead of loading the encoders.

    Raises:
        DiegeticError: `generator` was made for other lengths than `config`.
    """

    def __init__(
        self,
        config: StreamConfig = DEFAULT_CONFIG,
        *,
        seed: int = 0,
        nfe: int = 4,
        backend: Literal["auto", "onnx", "torch"] = "auto",
        weights: Path | None = None,
        generator: "Generator | None" = None,
        conditioner: Callable[[Snapshot], Conditioning] | None = None,
    ) -> None:
        if generator is not None:
            made, wanted = generator.config.chunk_samples, config.chunk_samples
            if made != wanted or generator.config.hop_samples != config.hop_samples:
                raise DiegeticError(f"config must be that of the generator, {generator.config}")
        self.config = config
        self.metrics = Metrics()
        self._seed = seed
        self._nfe = nfe
        self._backend = backend
        self._weights = weights
        self._generator = generator
        self._conditioner = conditioner
        self._world = World(clock=self._now)
        self._lock = threading.Lock()  # a change and its record belong together
        self._changes: list[Change] = []
        self._position = 0  # first sample of the next chunk
        self._state: StreamState | None = None
        self._left = np.zeros((0, CHANNELS), np.float32)  # generated, not yet read
        self._records: deque[ChunkRecord] = deque(maxlen=KEEP)
        self._live: LiveStream | None = None
        self._warm = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(drain=kind is None)

    # What the game says

    def declare_parameter(
        self, name: str, minimum: float = 0.0, maximum: float = 1.0, default: float = 0.0
    ) -> None:
        """Make `name` known; only declared parameters can be set."""
        self._world.declare_parameter(name, minimum, maximum, default)

    def declare_switch(self, name: str, values: Sequence[str]) -> None:
        """Limit the switch `name` to `values`."""
        self._world.declare_switch(name, values)

    def set_prompt(
        self,
        text: str,
        at: float | None = None,
        *,
        guidance: float | None = None,
        sent: float | None = None,
    ) -> None:
        """Say in words what is heard from audio time `at` on (None: as soon as possible).

        `sent`, here and below: when the game said so, on the monotonic clock; None is now.

        Raises:
            DiegeticError: the text is too long, or `guidance` is no such number.
        """
        with self._lock:
            if guidance is not None:
                self._world.set_guidance(guidance)
            self._world.set_prompt(text, at)
            self._note(Change("prompt", text, _or_now(sent), at))

    def set_guidance(self, guidance: float, *, sent: float | None = None) -> None:
        """Follow the prompt more (up to about 4) or less (1) closely."""
        with self._lock:
            self._world.set_guidance(guidance)
            self._note(Change("guidance", "", _or_now(sent)))

    def set_parameter(
        self, name: str, value: float, ramp: float = 0.0, *, sent: float | None = None
    ) -> None:
        """Take the declared parameter `name` to `value` within `ramp` seconds.

        Raises:
            DiegeticError: it was not declared, or `value` or `ramp` is no such number.
        """
        with self._lock:
            self._world.set_parameter(name, value, ramp)
            self._note(Change("parameter", name, _or_now(sent)))

    def set_switch(self, name: str, value: str, *, sent: float | None = None) -> None:
        """Put the switch `name` to `value`.

        Raises:
            DiegeticError: `value` is not one that was declared.
        """
        with self._lock:
            self._world.set_switch(name, value)
            self._note(Change("switch", name, _or_now(sent)))

    def post_event(
        self,
        name: str,
        at: float | None = None,
        gain_db: float = 0.0,
        *,
        sent: float | None = None,
    ) -> None:
        """Let `name` be heard once, at audio time `at` (None: as soon as possible)."""
        with self._lock:
            self._world.post_event(name, at, gain_db)
            self._note(Change("event", name, _or_now(sent), at))

    def push_frame(self, pixels: NDArray[np.uint8]) -> None:
        """Show what the player sees: (height, width, 3) uint8, top row first.

        Raises:
            DiegeticError: the array is something else.
        """
        self._world.push_frame(pixels)

    # What is heard

    @property
    def time(self) -> float:
        """Audio time (s) at which the next chunk begins: the soonest that can still change."""
        return self._now()

    @property
    def playing(self) -> bool:
        return self._live is not None

    @property
    def live(self) -> "LiveStream | None":
        """The running live stream, from `play` to `stop`."""
        return self._live

    def records(self) -> list[ChunkRecord]:
        """Return how each chunk came to be, oldest first; the newest 65,536 are kept."""
        return list(self._records)

    @property
    def latest_record(self) -> ChunkRecord | None:
        """How the newest chunk came to be."""
        return self._records[-1] if self._records else None

    def warm_up(self) -> None:
        """Load the networks and run them once: the first chunk takes no longer than others."""
        if self._warm:
            return
        self._warm = True
        generator, conditioner = self._networks()
        conditioner(Snapshot(0.0, self.config.hop, prompt="silence"))
        generator.generate(generator.start(self._seed), null_conditioning())

    def read(self, seconds: float) -> FloatArray:
        """Return the next `seconds` of sound, (samples, 2) in ±1, as fast as they can be made.

        Raises:
            DiegeticError: `seconds` is not positive, or the session is playing.
        """
        if not (0 < seconds < math.inf):
            raise DiegeticError(f"seconds must be positive and finite, got {seconds!r}")
        if self._live is not None:
            raise DiegeticError("a playing session cannot be read: stop() it first")
        count = round(seconds * RATE)
        parts, have = [self._left], len(self._left)
        while have < count:
            samples, _ = self.next_hop()
            parts.append(samples)
            have += len(samples)
        ready = np.concatenate(parts)
        self._left = ready[count:].copy()
        return ready[:count]

    def play(self, sink: "Sink | None" = None) -> None:
        """Play until `stop`, through `sink` (None: the default device).

        Raises:
            DeviceError, MediaError: the sink cannot be opened.
            DiegeticError: the session is already playing.
        """
        from diegetic.live import LiveStream
        from diegetic.sink import DeviceSink

        if self._live is not None:
            raise DiegeticError("the session is already playing")
        self.warm_up()
        live = LiveStream(
            self,
            sink if sink is not None else DeviceSink(),
            self.config,
            self.metrics,
            first_sample=self._position,
        )
        live.start()
        self._live = live

    def stop(self, drain: bool = True) -> None:
        """Fade out and stop playing; without `drain`, drop what is buffered.

        Raises:
            Exception: what ended the generator before its time.
        """
        if self._live is not None:
            live, self._live = self._live, None
            live.stop(drain)

    # What the live stream needs; called by whoever generates

    def next_hop(self) -> tuple[FloatArray, ChunkRecord]:
        """Make the next chunk's (hop, 2) samples."""
        generator, conditioner = self._networks()
        if self._state is None:
            self._state = StreamState(generator.start(self._seed))
        with self._lock:
            start = self._position
            snapshot = self._world.snapshot(start / RATE, start / RATE + self.config.hop)
            changes = self._take_changes(snapshot)
            self._position += self.config.hop_samples  # from here on, "now" is the next chunk
        step = advance(
            self._state,
            snapshot,
            generator=generator,
            conditioner=conditioner,
            config=self.config,
        )
        record = ChunkRecord(
            index=self._state.index,
            start_sample=start,
            stages_ms=step.stages_ms,
            rho=step.rho,
            prompt=snapshot.prompt,
            events=tuple(event for event in snapshot.events if event.time >= snapshot.t0),
            changes=changes,
            parameters=dict(snapshot.parameters),
        )
        self._state = step.state
        self._records.append(record)
        self.metrics.add_chunk(step.stages_ms, self.config.hop)
        return step.samples, record

    def end(self) -> FloatArray:
        """Return the fade-out after the last hop; the next chunk fades in."""
        if self._state is None or self._state.tail is None:
            return np.zeros((0, CHANNELS), np.float32)
        tail = self._state.tail
        self._state = StreamState(self._state.generator, None, self._state.index)
        return crossfade.fade_out(tail)

    def _now(self) -> float:
        return self._position / RATE

    def _note(self, change: Change) -> None:
        """Remember `change`; it replaces one of the same thing that no chunk has heard."""
        self._changes = [old for old in self._changes if not _supersedes(change, old)]
        self._changes.append(change)

    def _take_changes(self, snapshot: Snapshot) -> tuple[Change, ...]:
        """Return what takes effect with `snapshot`; keep what is for later."""
        middle = (snapshot.t0 + snapshot.t1) / 2
        due = {
            change: change.at is None
            or change.at < (snapshot.t1 if change.kind == "event" else middle)
            for change in self._changes
        }
        self._changes = [change for change in self._changes if not due[change]]
        return tuple(change for change in due if due[change])

    def _networks(self) -> "tuple[Generator, Callable[[Snapshot], Conditioning]]":
        if self._generator is None:
            from diegetic.generator import load_generator

            self._generator = load_generator(
                self._weights, backend=self._backend, nfe=self._nfe, config=self.config
            )
        if self._conditioner is None:
            from diegetic.conditioning import Conditioner
            from diegetic.encoders import ImageEncoder, TextEncoder

            self._conditioner = Conditioner(TextEncoder(), ImageEncoder())
        return self._generator, self._conditioner


def _supersedes(new: Change, old: Change) -> bool:
    """True when `old` will never be heard because of `new`."""
    if new.kind != old.kind or new.kind == "event" or not (new.at is old.at is None):
        return False
    return new.kind == "prompt" or new.name == old.name


def _or_now(sent: float | None) -> float:
    return time.monotonic() if sent is None else sent
