"""How much is made ahead: the lookahead, and more for a while where the machine was late.

    left when a chunk arrives   half and more, less (late) | half and more ...
    made ahead                  the lookahead              | twice what was used up, slowly falling

As the jitter buffer of a telephone call follows its network. What the game says is heard no later
for it: what is made ahead can be taken back.
"""

from diegetic.config import StreamConfig

RELEASE = 0.0001
"""Seconds by which a second of audio takes back what was added: delays come again after minutes."""


class Headroom:
    """How many samples to have made ahead; one thread owns it.

    Twice what was used up until the latest of chunks came, at least the lookahead and at most
    `StreamConfig.most_lookahead_samples`.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._least = config.lookahead_samples
        self._most = config.most_lookahead_samples
        self._wanted = float(self._least)
        self._fell_from: float | None = None  # what was wanted, and there, before it last grew less
        self._seen = 0

    @property
    def samples(self) -> int:
        """To have made ahead now."""
        return round(self._wanted)

    def full(self) -> None:
        """Take note that so many are made."""
        self._fell_from = self._wanted

    def arrived(self, left: int, taken: int) -> None:
        """Take note of a chunk before which `left` samples were left, the device having `taken`.

        Until it is full again, what is lacking is counted once.
        """
        released = self._wanted - RELEASE * max(0, taken - self._seen)
        self._wanted = max(float(self._least), released)
        self._seen = taken
        if self._fell_from is not None:
            needed = 2 * (self._fell_from - left)
            self._wanted = min(max(self._wanted, needed), float(self._most))
