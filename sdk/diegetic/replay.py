"""Make the sound of a recorded session again, sample by sample, without a clock or a device.

the session's journal --replay-----> bed, as it was given to the device
... and a sink's journal --remix---> the mix: voices, buses, and where the bed was missing
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diegetic import journal, mix_journal
from diegetic.bed import Bed
from diegetic.config import CHANNELS, StreamConfig
from diegetic.errors import DiegeticError, MediaError
from diegetic.future import Future
from diegetic.generator import WEIGHTS
from diegetic.journal import read_journal
from diegetic.lazy import LazyNetworks
from diegetic.metrics import Metrics
from diegetic.mix_journal import checksum, read_mix_journal
from diegetic.mixer.mixer import Mixer
from diegetic.player import BLOCK, Mixdown
from diegetic.revision import Revision
from diegetic.snapshot import Conditioning, FloatArray, Snapshot
from diegetic.weights import fingerprint

if TYPE_CHECKING:
    from diegetic.generator import Generator


class Paper:
    """Keeps what a device would have been given; `cursor` is how far the device is said to be."""

    def __init__(self) -> None:
        self.cursor = 0
        self.length = 0
        self._pieces: list[FloatArray] = []

    def taken(self) -> int:
        return self.cursor

    def write(self, samples: FloatArray) -> None:
        self._pieces.append(samples)
        self.length += len(samples)

    def revise(self, position: int, samples: FloatArray) -> bool:
        while self.length > position:
            piece = self._pieces.pop()
            self.length -= len(piece)
            if self.length < position:
                self.write(piece[: position - self.length])
        self.write(samples)
        return True

    def sound(self, first: int = 0) -> FloatArray:
        """Return what was given from sample `first` on, (n, 2)."""
        end, place = self.length, len(self._pieces)
        while place and end > first:
            place -= 1
            end -= len(self._pieces[place])
        found = np.concatenate([np.zeros((0, CHANNELS), np.float32), *self._pieces[place:]])
        return found[max(0, first - end) :]


class _Stretch:
    """What was read in one go, or given to one sink, from sample `first` of the session on."""

    def __init__(self, config: StreamConfig, first: int, *, played: bool) -> None:
        self.first = first
        self.played = played
        self.ended = False  # what comes next is another's
        self.paper = Paper()
        self._future = Future(self.paper, config.overlap_samples)
        # The device was at least there: a chunk is made when less than the lookahead is
        self._ahead = config.most_lookahead_samples + 2 * config.hop_samples

    def place(self, start: int, samples: FloatArray, tail: FloatArray, heard: int) -> None:
        """Let `samples` of the session's sample `start` be heard from `heard` on."""
        heard -= self.first
        self.paper.cursor = max(self.paper.cursor, heard - self._ahead)
        self._future.place(start - self.first, samples, tail, heard)

    def finish(self, start: int, ending: FloatArray) -> None:
        self._future.finish(start - self.first, ending)
        self.ended = True


def replay(
    path: Path,
    *,
    weights: Path | None = None,
    generator: "Generator | None" = None,
    conditioner: Callable[[Snapshot], Conditioning] | None = None,
) -> FloatArray:
    """Return the bed of the session whose journal is at `path`, (samples, 2).

    ONNX Runtime on one machine gives the very samples that were buffered for the device.

    Raises:
        MediaError: the journal cannot be read, is of another version or is damaged.
        DiegeticError: it was recorded with other weights.
    """
    stretches = _stretches(path, weights, generator, conditioner)
    sounds = [stretch.paper.sound() for stretch in stretches]
    return np.concatenate([np.zeros((0, CHANNELS), np.float32), *sounds])


def remix(
    path: Path,
    mix: Path,
    *,
    weights: Path | None = None,
    generator: "Generator | None" = None,
    conditioner: Callable[[Snapshot], Conditioning] | None = None,
) -> FloatArray:
    """Return all that was heard of a session, (samples, 2): what its sink recorded, to the bit.

    The bed is made again from the session's journal at `path`; what was mixed with it, and when, is
    in the journal of the sink, `mix`. What a player that was killed had not written down, a second
    at most, is silence.

    Raises:
        MediaError: a journal cannot be read, is of another version or is damaged.
        DiegeticError: the session was recorded with other weights, or none of its beds is that of
            `mix`.
    """
    read_mix_journal(mix)  # before anything is made
    stretches = _stretches(path, weights, generator, conditioner)
    place = 0
    for stretch in stretches:
        if not stretch.played:
            continue
        done = _Remix(mix, stretch.paper.sound(), cut=not stretch.ended)
        if done.differs is None:
            return done.sound
        place = max(place, done.differs)
    raise DiegeticError(
        f"{mix} must be of a play of {path}, got another bed from about sample {place} on"
    )


def _stretches(
    path: Path,
    weights: Path | None,
    generator: "Generator | None",
    conditioner: Callable[[Snapshot], Conditioning] | None,
) -> list[_Stretch]:
    """Make the session's bed again."""
    header, entries = read_journal(path)
    found = "" if generator is not None else fingerprint(weights or WEIGHTS)
    if header.weights != found:
        raise DiegeticError(
            f"{path} must be replayed with weights {header.weights or 'of its own generator'}, "
            f"got {found or 'a generator'}"
        )

    networks = LazyNetworks(header.config, header.nfe, "auto", weights, generator, conditioner)
    bed = Bed(header.config, header.seed, networks.load, Metrics(), None)
    stretches: list[_Stretch] = []
    chunk: tuple[int, FloatArray] | None = None  # made, and not yet told where it is heard

    def place(start: int, samples: FloatArray, heard: int, *, played: bool) -> None:
        if not stretches or stretches[-1].ended or stretches[-1].played is not played:
            stretches.append(_Stretch(header.config, start, played=played))
        stretches[-1].place(start, samples, bed.tail, heard)

    for entry in entries:
        match entry:
            case journal.Made():
                if chunk is not None:  # it was read, not played
                    place(*chunk, chunk[0], played=False)
                samples, record = bed.next_hop()
                chunk = (record.start_sample, samples)
            case journal.Placed(first):
                if chunk is None:
                    raise DiegeticError(f"{path} places a chunk that was never made")
                place(*chunk, first, played=True)
                chunk = None
            case journal.Ended():
                if chunk is not None:
                    place(*chunk, chunk[0], played=False)
                    chunk = None
                if stretches:
                    stretches[-1].finish(bed.position, bed.end())
            case _:
                _tell(bed, entry)
    if chunk is not None:
        place(*chunk, chunk[0], played=False)
    return stretches


class _Remix:
    """What players did with a bed, done again; as far as there is one, if it is `cut` short.

    Attributes:
        sound: (n, 2).
        differs: where the bed is not the one that was played; None where all is well.
    """

    def __init__(self, path: Path, bed: FloatArray, *, cut: bool) -> None:
        self.sound = np.zeros((0, CHANNELS), np.float32)
        self.differs: int | None = None
        self._bed = bed
        self._cut = cut
        self._over = False
        self._place = 0  # in the bed
        header, entries = read_mix_journal(path)
        if header.block != BLOCK:
            raise MediaError(f"{path} must have blocks of {BLOCK} samples, got {header.block}")
        self._down = Mixdown(Mixer(BLOCK), resumed=False)
        self._early = self._down.mixer.delay  # samples before the first that a player mixed
        pieces = [self.sound]
        length = 0
        for entry in entries:
            for piece in self._do(entry, length):
                pieces.append(piece)
                length += len(piece)
            if self._over:
                break
        self.sound = np.concatenate(pieces)

    def _do(self, entry: mix_journal.Entry, length: int) -> Iterator[FloatArray]:
        """Yield what was heard of `entry`, after `length` samples."""
        match entry:
            case mix_journal.Joined(position, read, resumed):
                self._down = Mixdown(Mixer(BLOCK, position=position), resumed=resumed)
                self._early = self._down.mixer.delay
                self._place = read
                yield np.zeros((max(0, position - length), CHANNELS), np.float32)
            case mix_journal.Told(command):
                self._down.mixer.apply(command)
            case mix_journal.Rested():
                yield self._kept(self._down.rest())
            case mix_journal.Whole(blocks, crc):
                bed = self._take(blocks * BLOCK, crc)
                for start in range(0, len(bed), BLOCK):
                    yield self._kept(self._down.block(bed[start : start + BLOCK]))
            case mix_journal.Part(count, crc):
                bed = self._take(count, crc)
                if not self._over:
                    yield self._kept(self._down.block(bed))
            case mix_journal.Finished(count, crc):
                bed = self._take(count, crc)
                if not self._over:
                    mixed, kept = self._down.finish(bed, 0)
                    yield self._kept(mixed[:kept])

    def _kept(self, block: FloatArray) -> FloatArray:
        """Return a copy of `block` without what comes before the first sample that was mixed."""
        kept = block[self._early :].copy()
        self._early -= len(block) - len(kept)
        return kept

    def _take(self, count: int, crc: int) -> FloatArray:
        """Return the next `count` samples of the bed; none where they are not those of then."""
        bed = self._bed[self._place : self._place + count]
        if len(bed) == count and checksum(bed) == crc:
            self._place += count
            return bed
        self._over = True
        if len(bed) == count or not self._cut or not self._place:
            self.differs = self._place
        return bed[:0]


def _tell(bed: Bed, entry: journal.Entry) -> None:
    """Let `bed` hear what the session was told."""
    world = bed.world
    match entry:
        case journal.ParameterDeclared(name, minimum, maximum, default):
            world.declare_parameter(name, minimum, maximum, default)
        case journal.SwitchDeclared(name, values):
            world.declare_switch(name, values)
        case journal.FoleyLeft():
            world.leave_foley()
        case journal.Prompted(prompt, at, ramp):
            world.set_prompt(prompt, at, ramp=ramp)
        case journal.Layered(layers, at):
            world.set_layers(layers, at=at)
        case journal.Guided(guidance, at):
            world.set_guidance(guidance, at)
        case journal.Moved(name, value, ramp, at):
            world.set_parameter(name, value, ramp, at)
        case journal.Turned(name, value, at):
            world.set_switch(name, value, at)
        case journal.Posted(name, gain_db, at):
            world.post_event(name, at, gain_db)
        case journal.Shown():
            world.push_frame(entry.unpack(), entry.at)
        case journal.WentBack(boundary, splice):
            bed.go_back(Revision(boundary, splice))
        case journal.Skipped(hops):
            bed.skip(hops)
