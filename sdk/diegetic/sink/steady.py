"""When a device took its samples, without the lateness of whoever notes it.

    noted - handed / rate = a constant + lateness,  lateness >= 0

A player that has to wait for the processor, and a device that takes several blocks at a time, note
late, never early. The least difference of the last seconds is the constant.
"""

import math
import threading

from diegetic.config import RATE

_HALF = 1.0  # s; the window slides in halves, so it covers one to two seconds
_GAP = 0.5  # s without a reading: suspended, or another device
_JUMP = 0.1  # s by which all is later than it was: the device has stood still


class SteadyTime:
    """Any thread may ask; the oftener, the better it knows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handed, self._time = 0, -math.inf
        self._since = -math.inf
        self._older = self._newer = math.inf

    def __call__(self, handed: int, time: float) -> float:
        """Return when (monotonic s) the device had `handed` samples, noted at `time`."""
        apart = time - handed / RATE
        with self._lock:
            known = min(self._older, self._newer)
            moved_on = handed < self._handed or time - self._time > _GAP
            if moved_on or (known < math.inf and apart - known > _JUMP):
                self._older = self._newer = math.inf
                self._since = time
            elif time - self._since >= _HALF:
                self._older, self._newer = self._newer, math.inf
                self._since = time
            self._handed, self._time = handed, time
            self._newer = min(self._newer, apart)
            return handed / RATE + min(self._older, self._newer)
