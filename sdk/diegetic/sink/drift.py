"""Does a device keep the rate it promised? Its samples against our clock.

Blocks are taken in lumps, so single readings are off by a period (5 to 40 ms): a line is fitted to
a minute of readings, twenty a second, which leaves about 10 ppm.
"""

from collections import deque

import numpy as np

from diegetic.config import RATE

SETTLE = 2.0  # s in which the device fills its queues
ENOUGH = 10.0  # s of readings before anything is said
WINDOW = 60.0  # s
GAP = 0.5  # s without a reading: suspended, or another device
TOLERANCE_PPM = 1000.0  # crystals are within 200; a wrong rate is 80,000 off


class DriftMeter:
    """Feed it with `add`; `ppm` is None until there is enough."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()
        self._since = 0.0

    def add(self, time: float, handed: int) -> None:
        """Note that the device had `handed` samples at monotonic `time` (s)."""
        if self._readings:
            last_time, last_handed = self._readings[-1]
            if time == last_time:
                return
            if time - last_time > GAP or handed < last_handed:
                self._readings.clear()
        if not self._readings:
            self._since = time
        if len(self._readings) > 1 and time - self._since < SETTLE:
            self._readings.popleft()
        self._readings.append((time, handed))
        while time - self._readings[0][0] > WINDOW:
            self._readings.popleft()

    @property
    def ppm(self) -> float | None:
        """How much faster than 48 kHz, in millionths (least squares)."""
        if not self._readings or self._readings[-1][0] - self._readings[0][0] < ENOUGH:
            return None
        times, handed = np.array(self._readings).T
        times, handed = times - times.mean(), handed - handed.mean()
        return float((times @ handed) / (times @ times) / RATE - 1) * 1e6
