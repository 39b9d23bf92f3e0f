"""When to take back what was made but not yet heard: one pure function.

                 reach                             made
    |-- played --|-- guard --|== future, a guess ==|
          B0          B1   ^ splice    B2
                      |----- new chunk, from the state kept at B1 ----|

A chunk made again takes `cost` of audio time to make, so the new future can begin at reach + cost
at the earliest: in the middle of the chunk that starts at B1, whose state is kept. What is heard
before the splice, and what follows until more is made, is the old future: never a gap.
"""

from dataclasses import dataclass

JUMP = 0.15
"""What moves less than this share of its range within a hop waits for the coming chunk."""


@dataclass(frozen=True)
class Outlook:
    """What the generator sees ahead, in samples of audio time.

    Attributes:
        changed: from where on the world is materially different from what the future shows.
        reach: the first sample that the device has not taken, plus guard.
        boundaries: starts of the chunks whose state is kept, ascending.
        made: the first sample that is not made yet.
        hop: new audio per chunk.
        fade: length of the crossfade into the new future.
        cost: audio time that passes while one chunk is made.
        last: where the last new future began.
        allowance: how much may be made again now.
    """

    changed: int
    reach: int
    boundaries: tuple[int, ...]
    made: int
    hop: int
    fade: int
    cost: int
    last: int
    allowance: int


@dataclass(frozen=True)
class Revision:
    """Make again from `boundary`; the new future is heard from `splice` on."""

    boundary: int
    splice: int


def material(moved: float, ramp: float, hop: float) -> bool:
    """Return whether a value that moves by `moved` (a share of its range) is worth a new future.

    `ramp` is how long that takes, `hop` the new audio per chunk, both in seconds.
    """
    return moved * min(1.0, hop / ramp if ramp > 0 else 1.0) >= JUMP


def plan(outlook: Outlook) -> Revision | None:
    """Return what to take back; None is to leave the future as it is, for now.

    - A chunk that has less to give than it costs to make is not worth it: begin with the next.
    - Where that is no sooner than the coming chunk, nothing is taken back.
    - A hop lies between two new futures: what changes meanwhile goes into one.
    - Making again is paid from an allowance, so a world that never rests cannot starve the buffer.
    """
    splice = max(outlook.changed, outlook.reach + outlook.cost, outlook.last + outlook.hop)
    started = [boundary for boundary in outlook.boundaries if boundary <= splice]
    if not started:
        return None
    boundary = started[-1]
    if boundary + outlook.hop - splice < max(outlook.cost, outlook.fade):
        boundary += outlook.hop
        splice = max(splice, boundary)
    if boundary not in outlook.boundaries or outlook.made - splice < outlook.fade:
        return None
    if outlook.made - boundary > outlook.allowance:
        return None
    return Revision(boundary, splice)
