"""Whole blocks from whatever there is, without ever cutting the sound off."""

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.crossfade import fade_in
from diegetic.snapshot import FloatArray

FADE = RATE // 100  # 10 ms
_AUDIBLE = 1e-4  # an end below this (-80 dBFS) needs no fade


class Concealer:
    r"""Make whole blocks of whatever the ring has, without ever cutting the sound off.

        ring     xxxxxxxx|  (nothing)   |xxxxxxxx
        heard    xxxxxxxx|\ _ _ _ _ _ _ |/xxxxxxx
                         10 ms decay    10 ms fade-in

    The decay is the last 10 ms backwards, which continues the wave without a jump.
    """

    def __init__(self, *, fade_first: bool = False) -> None:
        self._past = np.zeros((FADE, CHANNELS), np.float32)
        self._ghost = np.zeros((0, CHANNELS), np.float32)  # what is left of the decay
        self._risen = 0 if fade_first else FADE  # samples of the fade-in that are done
        self.dry = False

    def fill(self, fresh: FloatArray, length: int) -> FloatArray:
        """Return `length` samples: `fresh` (at most as many), then the decay and silence."""
        block = np.zeros((length, CHANNELS), np.float32)
        count = len(fresh)
        if count:
            self.dry = False
        if not self.dry and count < length:
            self._add(block[:count], fresh)
            self._dry_up()
            self._add(block[count:], fresh[:0])
        else:
            self._add(block, fresh)
        return block

    def finish(self, fresh: FloatArray) -> FloatArray:
        """Return `fresh` and, if it ends in the middle of a sound, its 10 ms decay."""
        block = np.zeros((len(fresh), CHANNELS), np.float32)
        self._add(block, fresh)
        if not self.dry and np.abs(self._past[-1:]).max() > _AUDIBLE:
            self._dry_up()
        ghost, self._ghost = self._ghost, self._ghost[:0]
        return np.concatenate([block, ghost])

    def _add(self, block: FloatArray, fresh: FloatArray) -> None:
        """Mix into `block` what is left of the decay and, rising, `fresh`."""
        count = min(len(block), len(self._ghost))
        block[:count] += self._ghost[:count]
        self._ghost = self._ghost[count:]
        if len(fresh) and self._risen < FADE:
            gain = fade_in(FADE)[self._risen : self._risen + len(fresh)]
            fresh = fresh.copy()
            fresh[: len(gain)] *= gain
            self._risen += len(gain)
        block[: len(fresh)] += fresh
        self._past = np.concatenate([self._past, block])[-FADE:]

    def _dry_up(self) -> None:
        self._ghost = self._past[::-1] * fade_in(FADE)[::-1]
        self._risen = 0
        self.dry = True
