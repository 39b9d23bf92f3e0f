"""Who makes an event heard: a take of its own, the nearest one, or the bed.

    post --> the bank has a take       --> own
         |   one of another variant    --> nearest
         |   none, the bed has room    --> bed
         |   none, it has none         --> over
         `-> it is not valid           --> refused

A game that posts before its takes are ready is not wrong: it hears what there is. The bed can make
a few events a chunk, so of a flood it takes no more than `world.CROWD` a second; to know of all of
them would cost it the time in which the takes are made.
"""

import logging
import math
import threading
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from diegetic.bank import EventBank
from diegetic.bed import Bed
from diegetic.config import RATE
from diegetic.errors import DiegeticError
from diegetic.foley import Foley
from diegetic.mixer.commands import BEDS, NOW, Vector

if TYPE_CHECKING:
    from diegetic.live import LiveStream

log = logging.getLogger(__name__)

Fate = Literal["own", "nearest", "bed", "over", "refused"]


@dataclass(frozen=True)
class Fates:
    """What became of the events that were posted: each counts once.

    Attributes:
        own: played by a take of their own.
        nearest: played by the nearest take, since none of their own was ready.
        bed: left to the bed, because none was ready at all, or because they belong there.
        over: not heard: no take was ready, and the bed had its fill.
        refused: not valid, or the bed keeps no more; whoever posted them was told.
    """

    own: int = 0
    nearest: int = 0
    bed: int = 0
    over: int = 0
    refused: int = 0

    @property
    def posted(self) -> int:
        """All of them."""
        return sum(getattr(self, field.name) for field in fields(self))


class Cues:
    """Events of one session; any thread may call any method."""

    def __init__(self, bed: Bed, bank: EventBank, foley: Foley) -> None:
        self._bed = bed
        self._bank = bank
        self._foley = foley
        self._at_bed: set[str] = set()
        self._lock = threading.Lock()
        self._counts: Counter[Fate] = Counter()

    @property
    def fates(self) -> Fates:
        """What became of all events until now."""
        with self._lock:
            return Fates(**{str(fate): count for fate, count in self._counts.items()})

    def leave_to_bed(self, name: str) -> None:
        """Have the bed make all events of this name."""
        self._at_bed.add(name)

    def post(
        self,
        name: str,
        at: float | None,
        gain_db: float,
        *,
        live: "LiveStream | None",
        bus: str | None,
        position: Vector | None,
        occlusion: float,
        sent: float | None,
    ) -> None:
        """Let `name` be heard once; see `Session.post_event`. `live`: what plays, if anything does.

        Raises:
            DiegeticError: a value is out of its limits, or there is no such bus.
        """
        fate: Fate = "refused"
        try:
            start = NOW if at is None else _output_sample(at, live)
            if bus == BEDS or (bus is None and name in self._at_bed):
                self._bed.post_event(name, _bed_time(at, sent, live), gain_db, sent)
                fate = "bed"
                return
            if live is None:
                self._bank.make_ready(name)  # sound that is read waits for nobody
            elif at is None and sent is not None:
                start = live.output_sample(sent)
            choice = self._foley.post(
                name,
                at=start,
                gain_db=gain_db,
                bus=bus,
                position=position,
                occlusion=occlusion,
                sent=sent,
            )
            if choice is not None:
                fate = "own" if choice.exact else "nearest"
                return
            bed_at = _bed_time(at, sent, live)
            if not self._bed.has_room(bed_at):
                fate = "over"
                return
            self._bed.post_event(name, bed_at, gain_db, sent)
            fate = "bed"
        finally:
            self._count(fate)

    def _count(self, fate: Fate) -> None:
        with self._lock:
            is_first = fate == "over" and not self._counts[fate]
            self._counts[fate] += 1
        if is_first:
            log.warning("more events than the bed can make come before their takes are ready")


def _output_sample(at: float, live: "LiveStream | None") -> int:
    """Where the mixer is when audio time `at` is heard."""
    if not math.isfinite(at):
        raise DiegeticError(f"at must be a finite time in seconds, got {at!r}")
    sample = round(at * RATE)
    return max(0, sample if live is None else live.output_of(sample))


def _bed_time(at: float | None, sent: float | None, live: "LiveStream | None") -> float | None:
    """When the bed is to let something be heard that happened at monotonic `sent`, in audio s."""
    return live.audio_time(sent) if at is None and sent is not None and live is not None else at
