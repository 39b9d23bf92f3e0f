"""Which layers of the sound are asked for, over audio time."""

from collections.abc import Iterable

from diegetic.errors import DiegeticError
from diegetic.history import Steps
from diegetic.snapshot import LAYERS

ALL: frozenset[str] = frozenset()  # none said
UNDER_FOLEY = frozenset(LAYERS) - {"foley"}


class Layers(Steps[frozenset[str]]):
    """The layers that were set, and what holds while nobody has set any.

    Attributes:
        foley_elsewhere: something else makes foley. Then, unset, all but foley are asked for, and
            foley only while something is heard that was left to this world.
    """

    def __init__(self) -> None:
        super().__init__()
        self.foley_elsewhere = False

    def asked(self, time: float, *, foley_here: bool = False) -> frozenset[str]:
        """Return what is asked for at `time`; `foley_here`: something is heard of this world."""
        change = self.last(time)
        if change:
            return change[1]
        return UNDER_FOLEY if self.foley_elsewhere and not foley_here else ALL


def some_layers(layers: Iterable[str]) -> frozenset[str]:
    """Return `layers` as a Snapshot has them: all of LAYERS are none.

    Raises:
        DiegeticError: they are not some of LAYERS.
    """
    expected = f"layers must be a list of some of {', '.join(LAYERS)}"
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise DiegeticError(f"{expected}, got {layers!r}")
    wanted = list(layers)
    for layer in wanted:
        if layer not in LAYERS:
            raise DiegeticError(f"{expected}, got {layer!r}")
    chosen = frozenset(layer for layer in LAYERS if layer in wanted)
    return ALL if len(chosen) == len(LAYERS) else chosen
