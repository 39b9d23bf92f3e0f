"""Make the sound of a recorded session again, sample by sample, without a clock or a device."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diegetic import journal
from diegetic.bed import Bed
from diegetic.config import CHANNELS
from diegetic.errors import DiegeticError
from diegetic.future import Future
from diegetic.generator import WEIGHTS
from diegetic.journal import read_journal
from diegetic.lazy import LazyNetworks
from diegetic.metrics import Metrics
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

    def sound(self) -> FloatArray:
        return np.concatenate([np.zeros((0, CHANNELS), np.float32), *self._pieces])


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
    header, entries = read_journal(path)
    found = "" if generator is not None else fingerprint(weights or WEIGHTS)
    if header.weights != found:
        raise DiegeticError(
            f"{path} must be replayed with weights {header.weights or 'of its own generator'}, "
            f"got {found or 'a generator'}"
        )

    networks = LazyNetworks(header.config, header.nfe, "auto", weights, generator, conditioner)
    paper = Paper()
    bed = Bed(header.config, header.seed, networks.load, Metrics(), None)
    future = Future(paper, header.config.overlap_samples)
    # The device was at least there: a chunk is made when less than the lookahead is
    ahead = header.config.lookahead_samples + 2 * header.config.hop_samples
    chunk: tuple[int, FloatArray] | None = None  # made, and not yet told where it is heard
    for entry in entries:
        match entry:
            case journal.Made():
                if chunk is not None:  # it was read, not played
                    future.place(*chunk, bed.tail)
                samples, record = bed.next_hop()
                chunk = (record.start_sample, samples)
            case journal.Placed(first):
                if chunk is None:
                    raise DiegeticError(f"{path} places a chunk that was never made")
                paper.cursor = max(paper.cursor, first - ahead)
                future.place(*chunk, bed.tail, first)
                chunk = None
            case journal.Ended():
                if chunk is not None:
                    future.place(*chunk, bed.tail)
                    chunk = None
                future.finish(bed.position, bed.end())
            case _:
                _tell(bed, entry)
    if chunk is not None:
        future.place(*chunk, bed.tail)
    return paper.sound()


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
