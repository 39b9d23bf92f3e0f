"""What to make next: a pure function of what was declared, what holds, and what is there.

    first takes for the present switch values       every event can be heard
    the other takes for the present values          no take twice in a row
    first takes for neighbours                      one switch turned: heard at once
    the other takes for neighbours
    then fresh takes for worn ones                  footsteps stay alive

The list ends where memory is full, so nothing that is made ever drives out something on the list.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from diegetic.bank.declaration import EventSpec, Variant

WORN = 8  # plays after which a take makes room for a fresh one


@dataclass(frozen=True)
class Slot:
    """A place for one take: number `index` of `variant`; `present` is heard if posted now."""

    spec: EventSpec
    variant: Variant
    index: int
    present: bool


@dataclass(frozen=True)
class Take:
    """A take that is there: its `clip` id grows with time, `plays` counts its use."""

    clip: int
    plays: int


@dataclass(frozen=True)
class Want:
    """The take to make next, and the clip that goes for it."""

    spec: EventSpec
    variant: Variant
    replaces: int | None = None


def slots(
    specs: Sequence[EventSpec],
    present: Mapping[str, str],
    allowed: Mapping[str, Sequence[str]],
    memory_bytes: int,
) -> tuple[Slot, ...]:
    """Return the takes that are wanted, most wanted first, as many as `memory_bytes` surely hold.

    Neighbours differ from `present` in one switch that the event depends on; `allowed` has the
    values of each switch. A take too long for what is left is passed over for shorter ones.
    """
    smallest = min((spec.max_bytes for spec in specs), default=0)
    left = memory_bytes
    chosen: list[Slot] = []
    for slot in _in_order(specs, present, allowed):
        if left < smallest:
            break
        if slot.spec.max_bytes <= left:
            left -= slot.spec.max_bytes
            chosen.append(slot)
    return tuple(chosen)


def next_want(
    wanted: Sequence[Slot],
    held: Mapping[Variant, Sequence[Take]],
    hurried: Iterable[Variant] = (),
) -> Want | None:
    """Return the first of `wanted` that is not `held`, else a fresh take for the most worn one.

    `hurried` are variants that were posted in vain: those without any take come first. None when
    all is there and nothing is worn.
    """
    missing = [slot for slot in wanted if len(held.get(slot.variant, ())) <= slot.index]
    if missing:
        unheard = {slot.variant: slot for slot in missing if slot.index == 0}
        first = next((unheard[variant] for variant in hurried if variant in unheard), missing[0])
        return Want(first.spec, first.variant)
    firsts = [slot for slot in wanted if slot.index == 0]
    worn = [
        (take.plays, -take.clip, slot)
        for slot in firsts
        for take in held[slot.variant]
        if take.plays >= WORN
    ]
    if not worn:
        return None
    _, clip, slot = max(worn, key=lambda entry: entry[:2])
    return Want(slot.spec, slot.variant, replaces=-clip)


def _in_order(
    specs: Sequence[EventSpec], present: Mapping[str, str], allowed: Mapping[str, Sequence[str]]
) -> Iterator[Slot]:
    """Every take that could be wanted, most wanted first."""
    most = max((spec.variations for spec in specs), default=0)
    for index in range(most):
        for spec in specs:
            if index < spec.variations:
                yield Slot(spec, spec.variant(present), index, present=True)
    for index in range(most):
        for spec in specs:
            if index < spec.variations:
                for variant in _neighbours(spec, present, allowed):
                    yield Slot(spec, variant, index, present=False)


def _neighbours(
    spec: EventSpec, present: Mapping[str, str], allowed: Mapping[str, Sequence[str]]
) -> Iterator[Variant]:
    for switch in spec.switches:
        for value in dict.fromkeys(allowed.get(switch, ())):
            if value != present.get(switch, ""):
                yield spec.variant({**present, switch: value})
