"""The front door: one stream of sound, and everything that a game can tell it.

    with Session(seed=0) as session:
        session.set_prompt("rain on a tin roof")
        samples = session.read(seconds=2.0)   # pull: as fast as it can be made, the same every time
        session.play()                        # live: through a device, until stop()

Any thread may call the setters, at any time. `read`, `play` and `stop` belong to one thread.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from diegetic.bank import EventBank, EventSpec, VariationMaker
from diegetic.bed import Bed
from diegetic.config import CHANNELS, RATE, StreamConfig
from diegetic.console import Console
from diegetic.cues import Cues, Fates
from diegetic.errors import DiegeticError
from diegetic.flow import USUAL_NFE
from diegetic.foley import Foley, VoiceRecord
from diegetic.generator import WEIGHTS, usual_nfe
from diegetic.journal import FORMAT, Header, Journal
from diegetic.lazy import Backend, LazyNetworks
from diegetic.limits import checked_number
from diegetic.metrics import Metrics
from diegetic.mixer.commands import BEDS, Command, Vector
from diegetic.prompts import Prompt
from diegetic.snapshot import Conditioning, FloatArray, Snapshot, null_conditioning
from diegetic.stream import ChunkRecord
from diegetic.weights import fingerprint

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
        nfe: network evaluations per chunk, as for `load_generator`: more is better and slower.
        backend: what computes; "auto" takes the best that is installed. With "bank" nothing does:
            takes that `bank.load` brings are heard, over silence.
        weights: folder of weights; None are those that ship.
        generator: instead of loading one.
        conditioner: instead of loading the encoders.
        isolated: load both in a process of their own, which no Python of this one delays.
        warm: generator and conditioner have run already: there is nothing to warm up.
        record: a journal of all that is said, for `diegetic.replay` to make the same samples.

    Raises:
        DiegeticError: `generator` is for other lengths than `config`, or `isolated` has no use.
        MediaError: `record` cannot be written.
    """

    def __init__(
        self,
        config: StreamConfig = DEFAULT_CONFIG,
        *,
        seed: int = 0,
        nfe: int | None = None,
        backend: Backend = "auto",
        weights: Path | None = None,
        generator: "Generator | None" = None,
        conditioner: Callable[[Snapshot], Conditioning] | None = None,
        isolated: bool = False,
        warm: bool = False,
        record: Path | None = None,
    ) -> None:
        self.config = config
        self.metrics = Metrics()
        self._seed = seed
        self._networks = LazyNetworks(
            config, nfe, backend, weights, generator, conditioner, isolated
        )
        self._journal: Journal | None = None
        if record is not None:
            own = generator is not None or backend == "bank"
            known = "" if own else fingerprint(weights or WEIGHTS)
            if nfe is None:
                nfe = usual_nfe(weights) if known else USUAL_NFE
            self._journal = Journal(record, Header(FORMAT, config, seed, nfe, known))
        self._bed = Bed(config, seed, self._networks.load, self.metrics, self._journal)
        self._console = Console()
        self.bank = EventBank(
            None if backend == "bank" else VariationMaker(self._networks.load, seed),
            seed=seed,
            embed=self._networks.embed,
        )
        self._foley = Foley(self.bank, self._console, self.metrics)
        self._cues = Cues(self._bed, self.bank, self._foley)
        self._switches: dict[str, str] = {}
        self._left = np.zeros((0, CHANNELS), np.float32)  # generated, not yet read
        self._live: LiveStream | None = None
        self._warm = warm

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(drain=kind is None)
        self._networks.close()
        if self._journal is not None:
            self._journal.close()

    # What the game says

    def declare_parameter(
        self, name: str, minimum: float = 0.0, maximum: float = 1.0, default: float = 0.0
    ) -> None:
        """Make `name` known; only declared parameters can be set."""
        self._bed.declare_parameter(name, minimum, maximum, default)

    def declare_switch(self, name: str, values: Sequence[str]) -> None:
        """Limit the switch `name` to `values`; events are made for all of them."""
        self._bed.declare_switch(name, values)
        self.bank.declare_switch(name, values)

    def declare_event(self, spec: EventSpec) -> None:
        """Have takes of an event made ahead, for the present switch values first.

        From then on foley is the bank's (what frames show must not be heard twice), and the bed
        makes ambience and music only, unless `set_layers` says otherwise. An event on the bus
        "beds" has no takes: the generator makes it sound there.

        Raises:
            DiegeticError: there are 1,024 others.
        """
        if spec.bus == BEDS:
            self._cues.leave_to_bed(spec.name)
        else:
            self.bank.declare(spec)
            self._bed.leave_foley()

    def set_prompt(
        self,
        prompt: Prompt,
        at: float | None = None,
        *,
        ramp: float = 0.0,
        guidance: float | None = None,
        sent: float | None = None,
    ) -> None:
        """Say in words what is heard from audio time `at` on (None: as soon as possible).

        Args:
            prompt: words, or up to three texts and their weights: {"rain": 3, "wind": 1}.
            at: audio time (s).
            ramp: seconds in which what is heard now becomes that.
            guidance: as of `set_guidance`; None leaves it.
            sent: here and below: when the game said so, on the monotonic clock; None is now.

        Raises:
            DiegeticError: a text is too long, there are more, or a number is out of its limits.
        """
        if guidance is not None:
            self._bed.set_guidance(guidance, sent)
        self._bed.set_prompt(prompt, at, sent, ramp)

    def set_layers(
        self, layers: Iterable[str], at: float | None = None, *, sent: float | None = None
    ) -> None:
        """Have the bed make some of "ambience", "music" and "foley" only, none said is all.

        Raises:
            DiegeticError: it knows no such layer.
        """
        self._bed.set_layers(layers, at, sent)

    def set_guidance(self, guidance: float, *, sent: float | None = None) -> None:
        """Follow the prompt more (up to about 4) or less (1) closely."""
        self._bed.set_guidance(guidance, sent)

    def set_parameter(
        self, name: str, value: float, ramp: float = 0.0, *, sent: float | None = None
    ) -> None:
        """Take the declared parameter `name` to `value` within `ramp` seconds.

        Raises:
            DiegeticError: it was not declared, or `value` or `ramp` is no such number.
        """
        self._bed.set_parameter(name, value, ramp, sent)

    def set_switch(self, name: str, value: str, *, sent: float | None = None) -> None:
        """Put the switch `name` to `value`.

        Raises:
            DiegeticError: `value` is not one that was declared.
        """
        self._bed.set_switch(name, value, sent)
        self._switches = {**self._switches, name: value}
        self.bank.set_switches(self._switches)

    def post_event(
        self,
        name: str,
        at: float | None = None,
        gain_db: float = 0.0,
        *,
        bus: str | None = None,
        position: Vector | None = None,
        occlusion: float = 0.0,
        sent: float | None = None,
    ) -> None:
        """Let `name` be heard once, from the very sample of audio time `at` on (None: at once).

        A take of the event bank is played; as long as there is none, the bed sounds of it, unless
        it has its fill. A name that was not declared is from now on, in its own words.

        Args:
            name: of the event.
            at: audio time (s).
            gain_db: -96 to 24.
            bus: None is that of the event's declaration; "beds" leaves it to the bed.
            position: (x, y, z) in metres, right-handed, -z ahead; None is in the head.
            occlusion: 0 is in the open, 1 behind a wall.
            sent: when it happened, on the monotonic clock. Live, and without `at`, events sound as
                far apart as they happened.

        Raises:
            DiegeticError: a value is out of its limits, or there is no such bus.
        """
        self._cues.post(
            name,
            at,
            gain_db,
            live=self._live,
            bus=bus,
            position=position,
            occlusion=occlusion,
            sent=sent,
        )

    def mix(self, command: Command) -> None:
        """Tell the mixer: `session.mix(SetBus("beds", gain_db=-6.0, fade=0.5))`.

        Raises:
            DiegeticError: a value is out of its limits, or there is no such bus or snapshot.
        """
        self._console.send(command)

    def push_frame(self, pixels: NDArray[np.uint8], age: float = 0.0) -> None:
        """Show what the player sees, or saw `age` seconds ago: (height, width, 3) uint8, top first.

        Raises:
            DiegeticError: the array is something else, or `age` is negative.
        """
        self._bed.push_frame(pixels, checked_number("age", age, 0.0, math.inf))

    # What is heard

    @property
    def time(self) -> float:
        """Audio time (s) of the first sample that can still change."""
        return self._bed.now()

    @property
    def playing(self) -> bool:
        return self._live is not None

    @property
    def live(self) -> "LiveStream | None":
        """The running live stream, from `play` to `stop`."""
        return self._live

    def records(self) -> list[ChunkRecord]:
        """Return how each chunk came to be, oldest first; the newest 2,048 are kept."""
        return list(self._bed.records)

    @property
    def fates(self) -> Fates:
        """What became of the events that were posted: each counts once."""
        return self._cues.fates

    def voices(self) -> list[VoiceRecord]:
        """Return the events that the mixer has played, oldest first; the newest 65,536 are kept."""
        return list(self._foley.records)

    @property
    def latest_record(self) -> ChunkRecord | None:
        """How the newest chunk came to be."""
        return self._bed.records[-1] if self._bed.records else None

    def warm_up(self) -> None:
        """Load the networks and run them once: the first chunk takes no longer than others."""
        if self._warm:
            return
        self._warm = True
        generator, conditioner = self._networks.load()
        conditioner(Snapshot(0.0, self.config.hop, prompt="silence"))
        generator.generate(generator.start(self._seed), null_conditioning())

    def read(self, seconds: float) -> FloatArray:
        """Return the next `seconds` of sound, (samples, 2) in ±1, as fast as they can be made.

        The mix is `mixer.limiter.DELAY` samples behind the bed: the limiter looks ahead.

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
            samples, _ = self._bed.next_hop()
            parts.append(self._console.mix(samples))
            self._foley.listen(latency=0.0)
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
        sink = sink if sink is not None else DeviceSink()
        live = LiveStream(
            self._bed,
            sink,
            self.config,
            self.metrics,
            first_sample=self._bed.position,
            foley=self._foley,
        )
        self._console.attach(sink)
        self._foley.load()
        try:
            live.start()
        except BaseException:
            self._read_on()
            raise
        self._live = live

    def stop(self, drain: bool = True) -> None:
        """Fade out and stop playing; without `drain`, drop what is buffered.

        Raises:
            Exception: what ended the generator before its time.
        """
        if self._live is not None:
            live, self._live = self._live, None
            try:
                live.stop(drain)
            finally:
                self._read_on()

    def _read_on(self) -> None:
        """Mix here again, after a sink did."""
        self._console.detach(self._bed.position)
        self._foley.load()
