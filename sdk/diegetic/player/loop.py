"""The loop that plays, and what surrounds it: files opened, failures told."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DeviceError, MediaError
from diegetic.mix_journal import MixJournal
from diegetic.mixer.commands import Command, StartVoice
from diegetic.mixer.mixer import Mixer
from diegetic.player.mixdown import BLOCK, Mixdown
from diegetic.player.outputs import Output
from diegetic.ring import Command as Wish
from diegetic.ring import MixCounts, Ring, Status
from diegetic.snapshot import FloatArray
from diegetic.wav import WavWriter

_OBEY = 0.002  # s per block for commands; a bank that is loaded at once takes a few blocks


class Player:
    """The loop over a `ring`, a `mixer` and an `output`; one thread owns it.

    Output samples are counted from the first that sounds: `ring.read_count + ring.concealed`, also
    across players. The mixer's delay is taken out of the clock and of the recording.
    """

    def __init__(
        self,
        ring: Ring,
        output: Output,
        record: WavWriter | None,
        mixer: Mixer,
        commands: "deque[Command]",
        *,
        journal: MixJournal | None = None,
        resumed: bool = False,
        parent_lives: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ring = ring
        self._output = output
        self._record = record
        self._journal = journal
        self._mixer = mixer
        self._mixdown = Mixdown(mixer, resumed=resumed)
        self._commands = commands
        self._parent_lives = parent_lives
        self._primed = resumed and ring.read_count > 0
        self._running = mixer.position > 0  # the mixer's time passes: something has sounded
        self._bed_end = mixer.position  # where in the mix the last sample of the ring was
        self._handed = 0
        self._unrecorded = mixer.delay  # samples before the first that was mixed
        self._starts: list[tuple[int, int, int]] = []  # voices that the device does not have yet
        self._counted = ring.mix_counts()  # by players before this one
        self._silence = np.zeros((BLOCK, CHANNELS), np.float32)
        self._note(lambda notes: notes.joined(mixer.position, ring.read_count, resumed=resumed))

    def run(self) -> None:
        """Play until told to end or the parent is gone; then fade, and let the device empty."""
        while self._parent_lives() and self._ring.command is Wish.PLAY:
            self._step()
        while self._ring.command is not Wish.STOP and self._ring.available >= BLOCK:
            self._output.wait(BLOCK)
            self._obey()
            self._play(self._read(BLOCK))
        self._end(self._read(BLOCK) if self._ring.command is not Wish.STOP else self._silence[:0])

    def _step(self) -> None:
        self._output.wait(BLOCK)
        self._obey()
        ready = self._ring.available
        if not self._primed:
            if ready < max(BLOCK, self._ring.prime):
                self._wait()
                return
            self._primed = self._running = True
        if self._mixdown.dry and ready < BLOCK:
            ready = 0  # come back with a whole block or not at all
        fresh = self._read(min(ready, BLOCK))
        if len(fresh) < BLOCK:
            if not self._mixdown.dry:
                position = self._ring.read_count + self._ring.concealed
                self._ring.begin_underrun(position)
            self._ring.extend_underrun(BLOCK - len(fresh))
        self._play(fresh)

    def _wait(self) -> None:
        """Pass a block before the bed begins; voices need not wait for it."""
        if self._running:
            self._ring.conceal(BLOCK)
            self._pass_on(self._mixdown.rest())
            self._note(lambda notes: notes.rested())
        else:
            self._hand(self._silence, self._mixer.position)

    def _obey(self) -> None:
        deadline = time.monotonic() + _OBEY
        while self._commands and time.monotonic() < deadline:
            command = self._commands.popleft()
            self._running |= isinstance(command, StartVoice)
            self._mixer.apply(command)
            self._note(partial(MixJournal.told, command=command))

    def _read(self, count: int) -> FloatArray:
        fresh = self._ring.read(count)
        if len(fresh):
            self._bed_end = self._mixer.position + len(fresh)
        return fresh

    def _play(self, fresh: FloatArray) -> None:
        """Play a block, of whose bed `fresh` is there."""
        self._pass_on(self._mixdown.block(fresh))
        self._note(lambda notes: notes.mixed(fresh))

    def _pass_on(self, mixed: FloatArray) -> None:
        self._starts += self._mixer.take_started()
        self._hand(mixed, self._mixer.position)
        self._keep(mixed)

    def _hand(self, block: FloatArray, position: int) -> None:
        """Give `block`, mixed up to `position`, to the device; tell what it has now."""
        self._output.write(block)
        now = time.monotonic_ns()
        self._handed += len(block)
        heard = position - self._mixer.delay
        read = self._ring.read_count
        bed = max(0, read - max(0, self._bed_end - heard))
        output = max(0, min(heard, read + self._ring.concealed))
        self._ring.set_clock(bed, output, self._handed, now)
        while self._starts and self._starts[0][2] < output:
            self._ring.log_start(*self._starts.pop(0), now)
        self._count()

    def _count(self) -> None:
        before, mixer = self._counted, self._mixer
        counts = MixCounts(
            before.late + mixer.late,
            before.stolen + mixer.stolen,
            before.refused + mixer.refused,
            max(before.reduction_db, mixer.deepest_reduction_db),
        )
        self._ring.set_mix_counts(counts)

    def _end(self, fresh: FloatArray) -> None:
        """Play `fresh`, the last of the bed, fade all that sounds, and let the device empty."""
        position = self._mixer.position
        emptied = round((self._output.latency + 0.05) * RATE)
        mixed, kept = self._mixdown.finish(fresh, emptied)
        self._starts += self._mixer.take_started()
        self._keep(mixed[:kept])
        self._note(lambda notes: notes.finished(fresh))
        for start in range(0, len(mixed), BLOCK):
            block = mixed[start : start + BLOCK]
            self._output.wait(len(block))
            self._hand(block, position + start + len(block))

    def _keep(self, block: FloatArray) -> None:
        """Add to the recording; when that fails, the sound goes on without it."""
        if not self._record:
            return
        early = min(self._unrecorded, len(block))
        self._unrecorded -= early
        try:
            self._record.write(block[early:])
        except MediaError as error:
            self._record = None
            self._ring.set_status(Status.PLAYING, str(error))

    def _note(self, write: Callable[[MixJournal], None]) -> None:
        """Add to the journal; when that fails, the sound goes on without it."""
        if not self._journal:
            return
        try:
            write(self._journal)
        except MediaError as error:
            self._journal = None
            self._ring.set_status(Status.PLAYING, str(error))


def play(
    ring: Ring,
    make_output: Callable[[], Output],
    record_path: Path | None,
    commands: "deque[Command]",
    *,
    journal_path: Path | None,
    resumed: bool,
    parent_lives: Callable[[], bool],
) -> bool:
    """Open everything, run a player to its end, close everything; return whether all went well.

    Whatever goes wrong is told through the ring.
    """
    record: WavWriter | None = None
    journal: MixJournal | None = None
    output: Output | None = None
    error = ""
    try:
        try:
            if record_path:
                record = WavWriter(record_path, append=resumed)
            if journal_path:
                journal = MixJournal(journal_path, BLOCK, append=resumed)
        except MediaError as failure:
            if not resumed:
                raise
            error = str(failure)  # no reason for silence
        mixer = Mixer(BLOCK, position=ring.read_count + ring.concealed)
        output = make_output()
        ring.set_latency(output.latency)
        last = ring.clock()
        ring.set_clock(last.bed, last.output, 0, time.monotonic_ns())
        ring.set_status(Status.PLAYING, error)
        Player(
            ring,
            output,
            record,
            mixer,
            commands,
            journal=journal,
            resumed=resumed,
            parent_lives=parent_lives,
        ).run()
        status, error = Status.ENDED, ring.error  # of a file that could not be written
    except MediaError as failure:
        status, error = Status.MEDIA_FAILED, str(failure)
    except DeviceError as failure:
        status, error = Status.DEVICE_FAILED, str(failure)
    except Exception as failure:  # nobody reads this process's output: the parent tells it
        status, error = Status.DEVICE_FAILED, f"player: {type(failure).__name__}: {failure}"
    finally:
        for file in (record, journal):
            if file:
                with suppress(MediaError):
                    file.close()
    ring.set_status(status, error)
    if output:
        output.close()  # last: a dead sound server can hang here
    return status is Status.ENDED
