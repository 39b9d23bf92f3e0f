"""Events become voices: the bank chooses a take, the mixer starts it at the exact sample.

    post --> EventBank --Choice--> StartVoice --> mixer of the sink, or of the session itself
                 `--clips--> LoadClip, DropClip --^

An event for which there is nothing yet is left to the bed, which the generator makes; from then on
the bank has takes of it.
"""

import itertools
import logging
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import NamedTuple

from diegetic.bank import Choice, Clip, EventBank
from diegetic.console import Console
from diegetic.errors import DiegeticError
from diegetic.metrics import KEEP, Metrics
from diegetic.mixer.commands import NOW, DropClip, LoadClip, StartVoice, Vector

WAITING = 4096  # voices that a mixer holds before they begin

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VoiceRecord:
    """A voice that was heard.

    Attributes:
        name: of the event.
        asked: output sample that was asked for, -1 for at once.
        sample: output sample at which it began.
        exact: it was a take of this very event under the switch values of then.
    """

    name: str
    asked: int
    sample: int
    exact: bool


class _Sent(NamedTuple):
    """A voice on its way to the mixer."""

    name: str
    exact: bool
    sent: float


class Foley:
    """Events of one session; any thread may post, one thread works and listens."""

    def __init__(self, bank: EventBank, console: Console, metrics: Metrics) -> None:
        self.bank = bank
        self.records: deque[VoiceRecord] = deque(maxlen=KEEP)
        self._console = console
        self._metrics = metrics
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._on_the_way: OrderedDict[int, _Sent] = OrderedDict()  # its first is quickly told
        self._broken = False
        self.load()

    def load(self) -> None:
        """Tell the mixer of all clips, as after it has changed."""
        self.bank.attach(self._load_clip, self._drop_clip)

    def work(self) -> bool:
        """Make one chunk of a take; False when there is nothing to do.

        Whatever fails here is logged and counted, and no more takes are made: the bed goes on.
        """
        if self._broken:
            return False
        try:
            return self.bank.work()
        except Exception:
            self._broken = True
            self._metrics.count("bank failures")
            log.exception("the event bank makes no more takes")
            return False

    def post(
        self,
        name: str,
        *,
        at: int = NOW,
        gain_db: float = 0.0,
        bus: str | None = None,
        position: Vector | None = None,
        occlusion: float = 0.0,
        sent: float | None = None,
    ) -> Choice | None:
        """Start a take of `name` at output sample `at`; None when there is nothing to play.

        Raises:
            DiegeticError: a value is out of its limits; nothing is played.
        """

        def play(choice: Choice) -> None:
            voice = next(self._numbers)
            command = StartVoice(
                voice,
                choice.clip,
                at,
                choice.gain_db + gain_db,
                bus or choice.bus,
                position,
                occlusion,
            )
            moment = time.monotonic() if sent is None else sent
            with self._lock:
                self._on_the_way[voice] = _Sent(name, choice.exact, moment)
                if len(self._on_the_way) > WAITING:  # the mixer has no more; those never began
                    self._on_the_way.popitem(last=False)
            try:
                self._console.send(command)
            except DiegeticError:
                with self._lock:
                    del self._on_the_way[voice]
                raise

        return self.bank.post(name, play=play)

    def listen(self, latency: float) -> None:
        """Take note of voices that began; `latency` (s) lies between their device and the ear."""
        for start in self._console.started():
            with self._lock:
                sent = self._on_the_way.pop(start.voice, None)
            if sent is None:
                continue
            self.records.append(VoiceRecord(sent.name, start.asked, start.sample, sent.exact))
            self._metrics.add_event_to_ear(start.time + latency - sent.sent)

    def _load_clip(self, clip: Clip) -> None:
        self._console.send(LoadClip(clip.id, clip.samples.tobytes()))

    def _drop_clip(self, number: int) -> None:
        self._console.send(DropClip(number))
