"""The event bank: takes of every declared event, ready before the engine asks for one.

engine's thread      declare, set_switches, post -> Choice, to be started at once
                          |  one small lock
generator's thread        v
                     work() -> one chunk of the most wanted take, when there is time to spare
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from diegetic.bank.declaration import (
    BYTES_PER_SAMPLE,
    MAX_EVENTS,
    MAX_LENGTH,
    EventSpec,
    Variant,
    check_room,
    same_sound,
)
from diegetic.bank.maker import Variation, VariationMaker
from diegetic.bank.pace import FRESH, Pace
from diegetic.bank.plan import Slot, Want, next_want, slots
from diegetic.bank.progress import Counters, Progress, progress
from diegetic.bank.store import Choice, Clip, ClipStore
from diegetic.bank.switches import Switches
from diegetic.config import RATE
from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray

log = logging.getLogger(__name__)

MEMORY_BYTES = 64 * 2**20
MAX_BEGUN = 8  # takes half made while others are wanted more; beyond it the oldest begins anew
MIN_MEMORY_BYTES = round(MAX_LENGTH * RATE) * BYTES_PER_SAMPLE


class EventBank:
    """Events of one session; any thread may call any method but `work`, which belongs to one.

    Args:
        maker: makes the takes; without one the bank has what it loads.
        memory_bytes: for decoded takes, at least that of one take of four seconds.
        seed: of the order in which takes are played.
        embed: words to a unit vector, for the nearest event; any thread calls it.
        clock: monotonic seconds.

    Raises:
        DiegeticError: `memory_bytes` is too little.
    """

    def __init__(
        self,
        maker: VariationMaker | None = None,
        *,
        memory_bytes: int = MEMORY_BYTES,
        seed: int = 0,
        embed: Callable[[str], FloatArray | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if memory_bytes < MIN_MEMORY_BYTES:
            raise DiegeticError(
                f"memory_bytes must be at least {MIN_MEMORY_BYTES}, got {memory_bytes!r}"
            )
        self._maker = maker
        self._embed = embed
        self._fresh = Pace(FRESH, clock)
        self._store = ClipStore(memory_bytes, seed)
        self._lock = threading.Condition()
        self._specs: dict[str, EventSpec] = {}
        self._switches = Switches()
        self._slots: tuple[Slot, ...] | None = None  # None: to be planned anew
        self._hurried: dict[Variant, None] = {}  # posted in vain, the first one first
        self._begun: dict[Variant, Variation] = {}  # takes in the making, the last touched last
        self._counts: Counter[str] = Counter()
        self._on_new: Callable[[Clip], None] | None = None
        self._on_drop: Callable[[int], None] | None = None

    @property
    def counters(self) -> Counters:
        with self._lock:
            return Counters(**self._counts)

    @property
    def memory_used(self) -> int:
        """Bytes of decoded takes."""
        with self._lock:
            return self._store.bytes

    # What the engine says

    def declare(self, spec: EventSpec) -> None:
        """Have `spec` ready from now on; other words or another length make all its takes anew.

        Raises:
            DiegeticError: there are 1,024 others.
        """
        with self._lock:
            self._declare(spec)

    def declare_switch(self, name: str, values: Sequence[str]) -> None:
        """Announce all values of a switch, so that takes for them can be made ahead.

        Raises:
            DiegeticError: there are 256 other switches, or more values than that.
        """
        with self._lock:
            self._switches.declare(name, values)
            self._replan()

    def set_switches(self, values: Mapping[str, str]) -> None:
        """Say what holds now, switch by switch; those left out are unset."""
        with self._lock:
            if self._switches.set(values):
                self._replan()

    def post(
        self,
        name: str,
        switches: Mapping[str, str] | None = None,
        play: Callable[[Choice], None] | None = None,
    ) -> Choice | None:
        """Choose what is heard for `name` under `switches` (None: those that hold now).

        Never the same take twice in a row when there are two. None when there is nothing at all.
        A name that was not declared is from now on, in its own words. `play` is called with the
        choice between the `on_new` and the `on_drop` of its clip, and must not call the bank.

        Raises:
            DiegeticError: no event can have that name, or there are 1,024 others.
        """
        with self._lock:
            spec, variant = self._wished(name, switches)
            foreign = not self._store.has_event(variant)
        embedding = self._embed(spec.words(variant)) if foreign and self._embed else None
        with self._lock:
            self._counts["posted"] += 1
            clip = self._store.pick(variant, embedding)
            exact = clip is not None and clip.variant == variant
            if not exact:
                self._counts["missed"] += 1
                if len(self._hurried) < MAX_EVENTS:
                    self._hurried[variant] = None
            if clip is None:
                return None
            choice = Choice(clip.id, clip.samples, exact, spec.gain_db, spec.bus)
            if play is not None:
                play(choice)
            return choice

    # What the generator's thread does

    def make_ready(self, name: str) -> None:
        """Work until there is a take of `name` for the switch values that hold now.

        Raises:
            DiegeticError: no event can have that name, or there are 1,024 others.
        """
        with self._lock:
            _, variant = self._wished(name, None)
            missing = variant not in self._store.held()
            if missing:
                self._hurried[variant] = None
        while missing and self.work():
            with self._lock:
                missing = variant not in self._store.held()

    def work(self) -> bool:
        """Make one chunk of the most wanted take; False when there is nothing to do."""
        chosen = self._choose()
        if chosen is None:
            return False
        want, making = chosen
        samples = making.step()
        if samples is not None:
            embedding = self._embed(want.spec.words(want.variant)) if self._embed else None
            with self._lock:
                self._finish(want, making, samples, embedding)
        return True

    # What a sink wants to know

    def attach(self, on_new: Callable[[Clip], None], on_drop: Callable[[int], None]) -> None:
        """Call `on_new` for every clip there is, and from now on for every new one before it plays.

        `on_drop` is called with the id of a clip that will not be played again. Both are called by
        whichever thread caused it, must be quick, and must not call the bank.
        """
        with self._lock:
            self._on_new, self._on_drop = on_new, on_drop
            for clip in self._store.clips():
                on_new(clip)

    def detach(self) -> None:
        """Call no one any more."""
        with self._lock:
            self._on_new = self._on_drop = None

    # How far it is

    def progress(self) -> Progress:
        with self._lock:
            return progress(self._wanted(), self._store.held())

    def wait_ready(self, timeout: float, *, neighbours: bool = False) -> bool:
        """Wait until all takes for the present switch values are there, at most `timeout` s.

        `neighbours`: and those one switch away. Another thread must `work`; a bank without a maker
        answers at once. True when all is there.
        """

        def ready() -> bool:
            far = progress(self._wanted(), self._store.held())
            return (far.total if neighbours else far.present).complete

        with self._lock:
            return ready() if self._maker is None else self._lock.wait_for(ready, timeout)

    # A file

    def save(self, path: Path) -> None:
        """Write declarations and takes to one file.

        Raises:
            MediaError: the file cannot be written.
        """
        from diegetic.bank import files

        with self._lock:
            specs = list(self._specs.values())
            clips = [files.SavedClip(c.variant, c.number, c.samples) for c in self._store.clips()]
        files.save(path, specs, clips)

    def load(self, path: Path) -> None:
        """Declare what is in a bank file and not yet declared, and take its clips.

        With a maker, clips in other words or of another length than declared here are left out.

        Raises:
            MediaError: the file is damaged, cut short or of another version.
            DiegeticError: its clips need more memory than there is; nothing was changed.
        """
        from diegetic.bank import files

        specs, clips = files.load(path)
        size = sum(clip.samples.nbytes for clip in clips)
        if size > self._store.memory_bytes:
            raise DiegeticError(
                f"memory_bytes must be at least {size} for bank {path}, "
                f"got {self._store.memory_bytes}"
            )
        saved = {spec.name: spec for spec in specs}
        embeddings = {
            variant: self._embed(saved[variant.name].words(variant))
            for variant in dict.fromkeys(clip.variant for clip in clips)
            if self._embed
        }
        with self._lock:
            new = [spec for spec in specs if spec.name not in self._specs]
            check_room(len(self._specs) + len(new), new)
            for spec in new:
                self._declare(spec)
            fitting = {
                spec.name
                for spec in specs
                if self._maker is None or same_sound(spec, self._specs[spec.name])
            }
            there = {(clip.variant, clip.number) for clip in self._store.clips()}
            for clip in clips:
                if clip.variant.name in fitting and (clip.variant, clip.number) not in there:
                    there.add((clip.variant, clip.number))
                    self._add(clip.variant, clip.number, clip.samples, embeddings.get(clip.variant))
            self._lock.notify_all()
        if len(fitting) < len(specs):
            log.warning(
                "bank %s: %d of %d events are declared otherwise here, their takes are left out",
                path,
                len(specs) - len(fitting),
                len(specs),
            )

    # With the lock held

    def _wished(self, name: str, switches: Mapping[str, str] | None) -> tuple[EventSpec, Variant]:
        """Which event and variant is meant; a name that was not declared is from now on."""
        spec = self._specs.get(name)
        if spec is None:
            spec = EventSpec(name)
            self._declare(spec)
        return spec, spec.variant(self._switches.present if switches is None else switches)

    def _declare(self, spec: EventSpec) -> None:
        known = self._specs.get(spec.name)
        if known == spec:
            return
        if known is None:
            check_room(len(self._specs) + 1, [spec])
        elif self._maker is not None and not same_sound(known, spec):
            self._announce_dropped(self._store.drop(lambda clip: clip.variant.name == spec.name))
        self._specs[spec.name] = spec
        self._replan()

    def _replan(self) -> None:
        self._slots = None
        self._lock.notify_all()  # what is there may be enough now

    def _wanted(self) -> tuple[Slot, ...]:
        if self._slots is None:
            self._slots = slots(
                tuple(self._specs.values()),
                self._switches.present,
                self._switches.allowed(),
                self._store.memory_bytes,
            )
            known = {slot.variant for slot in self._slots}
            self._hurried = {variant: None for variant in self._hurried if variant in known}
            heard = sum(slot.present and slot.index == 0 for slot in self._slots)
            if heard < len(self._specs):
                log.warning(
                    "memory_bytes (%d) holds takes of %d events, %d are declared",
                    self._store.memory_bytes,
                    heard,
                    len(self._specs),
                )
        return self._slots

    def _choose(self) -> tuple[Want, Variation] | None:
        """What is wanted most, and how far it was made; what was wanted before can wait."""
        with self._lock:
            if self._maker is None:
                return None
            want = next_want(self._wanted(), self._store.held(), self._hurried)
            if want is None:
                return None
            number = self._store.next_number(want.variant)
            making = self._begun.pop(want.variant, None)
            if making is None or making.number != number or not same_sound(making.spec, want.spec):
                if want.replaces is not None and not self._fresh.take():
                    return None
                making = self._maker.begin(want.spec, want.variant, number)
            self._begun[want.variant] = making
            if len(self._begun) > MAX_BEGUN:
                del self._begun[next(iter(self._begun))]
            return want, making

    def _finish(
        self, want: Want, making: Variation, samples: FloatArray, embedding: FloatArray | None
    ) -> None:
        """Keep a take, unless it came meanwhile, or is not wanted any more and has no room."""
        variant = want.variant
        self._begun.pop(variant, None)
        known = self._specs[variant.name]
        if not same_sound(known, want.spec) or making.number != self._store.next_number(variant):
            return
        held = self._store.held().get(variant, ())
        wanted = len(held) < self._protected()[variant] or any(
            take.clip == want.replaces for take in held
        )
        if not wanted and self._store.bytes + samples.nbytes > self._store.memory_bytes:
            return
        self._counts["made"] += 1
        self._add(variant, making.number, samples, embedding, want.replaces)
        self._hurried.pop(variant, None)
        self._lock.notify_all()

    def _add(
        self,
        variant: Variant,
        number: int,
        samples: FloatArray,
        embedding: FloatArray | None,
        replaces: int | None = None,
    ) -> None:
        clip, dropped = self._store.put(
            variant,
            number,
            samples,
            embedding=embedding,
            replaces=replaces,
            keep=self._protected(),
        )
        if self._on_new is not None:
            self._on_new(clip)
        self._announce_dropped(dropped)

    def _announce_dropped(self, clips: Iterable[Clip]) -> None:
        for clip in clips:
            self._counts["dropped"] += 1
            if self._on_drop is not None:
                self._on_drop(clip.id)

    def _protected(self) -> Counter[Variant]:
        """How many takes of each variant the plan wants."""
        return Counter(slot.variant for slot in self._wanted())
