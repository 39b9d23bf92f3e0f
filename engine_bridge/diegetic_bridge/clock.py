"""From the engine's clock to the server's, by watching how late messages arrive.

    engine time     send |--------- one-way delay ---------> | receive     server time
                         receive - send = offset + delay,  delay >= 0

The smallest difference seen lately is the best guess of the offset: delays only ever add.
"""


class ClockOffset:
    """The distance between two monotonic clocks: the least of receive - send over a sliding window.

    The estimate is never early and late by at most the quickest one-way delay in the window: a
    time that it returns lies within [true, true + delay], which on loopback is 0.05 to 0.5 ms.
    Clocks that drift apart add up to drift x window (50 ppm over 30 s: 1.5 ms). A message is never
    mapped to later than its own arrival once it has been observed.

    The window slides in halves, so it covers `window / 2` to `window` seconds.
    """

    def __init__(self, window: float = 30.0) -> None:
        self._half = window / 2
        self._since = float("-inf")
        self._older: float | None = None
        self._newer: float | None = None
        self._offset: float | None = None

    def observe(self, send: float, receive: float) -> None:
        """Take in a message sent at engine time `send` that arrived at server time `receive`."""
        if receive - self._since >= self._half:
            # After a silence of a whole window the newer half is out of date, too.
            stale = receive - self._since >= 2 * self._half
            self._older = None if stale else self._newer
            self._newer = None
            self._since = receive
        difference = receive - send
        self._newer = difference if self._newer is None else min(self._newer, difference)
        self._offset = self._newer if self._older is None else min(self._older, self._newer)

    @property
    def offset(self) -> float:
        """Server time minus engine time, in seconds.

        Raises:
            ValueError: nothing has been observed.
        """
        if self._offset is None:
            raise ValueError("offset: expected at least one observed message, got none")
        return self._offset

    def to_server_time(self, engine_time: float) -> float:
        """Return the moment `engine_time` (seconds) on the server's clock."""
        return engine_time + self.offset
