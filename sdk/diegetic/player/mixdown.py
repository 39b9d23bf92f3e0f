"""Whatever there is of the bed becomes blocks of the mix: for who plays, and for who does so again.

bed (a block, a part, nothing) -> Concealer -> Mixer -> a block of the mix
"""

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.mixer.commands import MASTER, SetBus
from diegetic.mixer.mixer import Mixer
from diegetic.player.concealer import FADE, Concealer
from diegetic.snapshot import FloatArray

BLOCK = 256


class Mixdown:
    """One player's bed and mixer; what comes out is good until the next call.

    Args:
        mixer: where voices and buses are.
        resumed: another player died before this one: fade in.
    """

    def __init__(self, mixer: Mixer, *, resumed: bool) -> None:
        self.mixer = mixer
        self._concealer = Concealer(fade_first=resumed)
        self._mixed = np.zeros((BLOCK, CHANNELS), np.float32)
        self._silence = np.zeros((BLOCK, CHANNELS), np.float32)

    @property
    def dry(self) -> bool:
        """The bed has run dry, and nothing came since."""
        return self._concealer.dry

    def block(self, fresh: FloatArray) -> FloatArray:
        """Return the next block, of whose bed `fresh` (at most a block, 2) is there."""
        return self._mix(self._concealer.fill(fresh, BLOCK))

    def rest(self) -> FloatArray:
        """Return the next block, before the bed has begun."""
        return self._mix(self._silence)

    def finish(self, fresh: FloatArray, emptied: int) -> tuple[FloatArray, int]:
        """Return what ends it all, (n, 2), and how much of that is heard.

        That is `fresh`, the last of the bed, and the fade of all that sounds; at least `emptied`
        samples of silence follow.
        """
        ending = self._concealer.finish(fresh)
        mixer, delay = self.mixer, self.mixer.delay
        mixer.apply(SetBus(MASTER, mute=True, fade=FADE / RATE, at=mixer.position + len(fresh)))
        faded = len(fresh) + FADE + delay
        bed = np.zeros((max(len(ending) + delay, faded) + emptied, CHANNELS), np.float32)
        bed[: len(ending)] = ending
        blocks = [bed[start : start + BLOCK] for start in range(0, len(bed), BLOCK)]
        mixed = np.concatenate([self._mix(block).copy() for block in blocks])
        kept = len(ending) + delay
        if mixed[kept:faded].any():  # voices are heard for longer
            kept = faded
        return mixed, kept

    def _mix(self, bed: FloatArray) -> FloatArray:
        mixed = self._mixed[: len(bed)]
        self.mixer.mix(bed, mixed)
        return mixed
