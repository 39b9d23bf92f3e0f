"""How loud it is, after ITU-R BS.1770-5, and a gain that steers there without pumping.

Loudness: each channel through the K weighting (a high shelf for the head, a high-pass for the ear),
mean squares over 400 ms every 100 ms, then the gates: blocks under -70 LUFS do not count, nor those
more than 10 LU under the mean of the rest.
"""

import math
from collections import deque
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diegetic.config import CHANNELS, RATE
from diegetic.snapshot import FloatArray

Array = NDArray[np.float64]

HOP = RATE // 10  # samples: blocks begin this far apart
HOPS_PER_BLOCK = 4
ABSOLUTE_GATE = -70.0  # LUFS
RELATIVE_GATE = -10.0  # LU
WINDOW = 100  # blocks (10 s of sound) that steer the gain
MAX_RATE = 1.0  # dB/s: as fast as the gain ever moves
APPROACH = 0.5  # dB/s per dB of error: slower the nearer it is
MAX_BOOST = 12.0  # dB
MAX_CUT = 24.0  # dB
_ARRIVED_DB = 0.004  # so near a goal, the rest is taken at once, unheard
_OFFSET = -0.691
_CHUNK = 128  # samples filtered at once
_DENORMAL = 1e-30  # arithmetic on what is left below this is slow and worth nothing

# (b0, b1, b2, a1, a2) at 48 kHz, from the recommendation's tables 1 and 2.
SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585)
HIGH_PASS = (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)


def loudness(power: float) -> float:
    """Return LUFS for a K-weighted mean square, summed over channels; silence is -inf."""
    return _OFFSET + 10.0 * math.log10(power) if power > 0 else -math.inf


def gated(powers: Collection[float], room: Array) -> float:
    """Return the mean of block `powers` behind both gates, in LUFS; -inf if none passes.

    `room`: at least as many values, which are lost.
    """
    passed = _above(powers, _power(ABSOLUTE_GATE), room)
    if len(passed):
        gate = loudness(float(passed.mean())) + RELATIVE_GATE
        passed = _above(powers, _power(max(gate, ABSOLUTE_GATE)), room)
    return loudness(float(passed.mean())) if len(passed) else -math.inf


def _above(powers: Iterable[float], gate: float, room: Array) -> Array:
    """Return those of `powers` that are above `gate`, at the front of `room`."""
    count = 0
    for power in powers:
        if power > gate:
            room[count] = power
            count += 1
    return room[:count]


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET) / 10.0))


class _Block(NamedTuple):
    """A linear filter over `_CHUNK` samples at once, as matrices (x a row of samples, s its state).

    y = x @ response + s @ decay, and after n samples s = s @ powers[n] + x @ intake[-n:].
    """

    response: Array  # (chunk, chunk): upper triangle of the impulse response
    decay: Array  # (states, chunk)
    powers: Array  # (chunk + 1, states, states)
    intake: Array  # (chunk, states)


@lru_cache(maxsize=1)
def _k_weighting() -> _Block:
    """Return both K-weighting sections in a row (transposed direct form II: four states)."""
    step = np.zeros((5, 5))  # (state, x) -> (next state, y), row vectors
    for index, unit in enumerate(np.eye(5)):
        s1, s2, s3, s4, x = unit
        b0, b1, b2, a1, a2 = SHELF
        middle = b0 * x + s1
        s1, s2 = b1 * x - a1 * middle + s2, b2 * x - a2 * middle
        b0, b1, b2, a1, a2 = HIGH_PASS
        y = b0 * middle + s3
        s3, s4 = b1 * middle - a1 * y + s4, b2 * middle - a2 * y
        step[index] = s1, s2, s3, s4, y
    move, read, take, direct = step[:4, :4], step[:4, 4], step[4, :4], step[4, 4]
    powers = np.empty((_CHUNK + 1, 4, 4))
    powers[0] = np.eye(4)
    for n in range(_CHUNK):
        powers[n + 1] = powers[n] @ move
    impulse = np.concatenate([[direct], take @ powers[: _CHUNK - 1] @ read])
    lag = np.arange(_CHUNK)[None, :] - np.arange(_CHUNK)[:, None]
    response = np.where(lag >= 0, impulse[np.maximum(lag, 0)], 0.0)
    decay = (powers[:_CHUNK] @ read).T.copy()
    return _Block(response, decay, powers, take @ powers[_CHUNK - 1 :: -1])


class Weighting:
    """The K weighting, with state."""

    def __init__(self) -> None:
        self._filter = _k_weighting()
        self._state = np.zeros((CHANNELS, 4))
        self._wide, self._weighted, self._echo = np.zeros((3, CHANNELS * _CHUNK))

    def push(self, samples: FloatArray) -> Array:
        """Return the next (2, n), K-weighted."""
        whole = np.zeros(samples.shape)
        for start in range(0, samples.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            whole[:, part] = self.push_piece(samples[:, part])
        return whole

    def push_piece(self, samples: FloatArray) -> Array:
        """Return the next (2, n <= 128), K-weighted; a view that the next call overwrites."""
        count = samples.shape[1]
        wide, weighted, echo = (
            room[: CHANNELS * count].reshape(CHANNELS, count)
            for room in (self._wide, self._weighted, self._echo)
        )
        wide[:] = samples
        block = self._filter
        np.matmul(wide, block.response[:count, :count], out=weighted)
        weighted += np.matmul(self._state, block.decay[:, :count], out=echo)
        # Four numbers of each channel: smaller than any array's head
        self._state = self._state @ block.powers[count] + wide @ block.intake[_CHUNK - count :]
        self._state[np.abs(self._state) < _DENORMAL] = 0.0
        return weighted


class Meter:
    """Loudness of what is pushed, over the newest `window` blocks of 400 ms that are no silence.

    Silence passes no gate, so it need not be kept: a pause forgets nothing.

    Attributes:
        blocks: 400 ms blocks that are complete, ever.
        momentary: LUFS of the newest complete block; -inf before the first.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.blocks = 0
        self.momentary = -math.inf
        self._weighting = Weighting()
        self._energy = 0.0  # of the present hop
        self._filled = 0  # samples of it
        self._hops: deque[float] = deque(maxlen=HOPS_PER_BLOCK)
        self._powers: deque[float] = deque(maxlen=window)
        self._room = np.zeros(window)

    @property
    def integrated(self) -> float:
        """Gated LUFS of the window."""
        return gated(self._powers, self._room)

    def push(self, samples: FloatArray) -> None:
        """Hear (2, n) more."""
        start = 0
        while start < samples.shape[1]:
            count = min(samples.shape[1] - start, _CHUNK, HOP - self._filled)
            weighted = self._weighting.push_piece(samples[:, start : start + count])
            self._energy += float(np.vdot(weighted, weighted))
            self._filled += count
            start += count
            if self._filled == HOP:
                self._finish_hop()

    def _finish_hop(self) -> None:
        self._hops.append(self._energy)
        self._energy, self._filled = 0.0, 0
        if len(self._hops) == HOPS_PER_BLOCK:
            power = sum(self._hops) / (HOPS_PER_BLOCK * HOP)
            self.blocks += 1
            self.momentary = loudness(power)
            if self.momentary > ABSOLUTE_GATE:
                self._powers.append(power)


class Leveller:
    """A slow gain towards a loudness.

    It stands still in silence and in what is quiet for the scene, moves by at most 1 dB/s, slower
    the nearer it is, and goes back to 0 dB where no target is set.

    Attributes:
        gain_db: the gain now.
        target: LUFS, or None.
    """

    def __init__(self) -> None:
        self.gain_db = 0.0
        self.target: float | None = None
        self._meter = Meter()
        self._seen = 0  # blocks of the meter
        self._goal_db: float | None = None  # None: stand still

    def steer(self, target: float | None) -> None:
        """Set the loudness to reach, in LUFS; None is none."""
        if self.target is None:
            self._meter, self._seen, self._goal_db = Meter(), 0, None
        self.target = target
        self._look()

    def hear(self, samples: FloatArray) -> None:
        """Take in (2, n) as they are before the gain."""
        if self.target is not None:
            self._meter.push(samples)

    def step(self, seconds: float) -> float:
        """Move on by `seconds`; return the gain in dB."""
        if self._meter.blocks != self._seen:
            self._seen = self._meter.blocks
            self._look()
        goal = 0.0 if self.target is None else self._goal_db
        if goal is not None:
            error = goal - self.gain_db
            move = min(max(error * APPROACH, -MAX_RATE), MAX_RATE) * seconds
            self.gain_db = goal if abs(error) < _ARRIVED_DB else self.gain_db + move
        return self.gain_db

    def _look(self) -> None:
        """See what the newest block means for the gain."""
        momentary, integrated = self._meter.momentary, self._meter.integrated
        if self.target is None or momentary < max(ABSOLUTE_GATE, integrated + RELATIVE_GATE):
            self._goal_db = None
        else:
            self._goal_db = min(max(self.target - integrated, -MAX_CUT), MAX_BOOST)
