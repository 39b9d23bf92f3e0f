"""What the measuring process and the game's say to each other: lines of JSON.

to the game   Task                              an empty line ends the trial
from it               Answer: sent, error, unready                  Answer: left
"""

from typing import NotRequired, TypedDict

from diegetic.latency.scene import Kind

CONNECT_PATIENCE = 30.0  # longer than a player may take to start: its own error comes first
BANK_PATIENCE = 20.0


class Task(TypedDict):
    """One trial: `after` seconds of sound, then a change of this kind."""

    endpoint: str
    kind: Kind
    after: float


class Answer(TypedDict):
    """What came of a task.

    Attributes:
        sent: when it was said, in seconds of the monotonic clock.
        error: why it could not be.
        unready: the event's sound was not there in time, so it was not said.
        left: disconnected.
    """

    sent: NotRequired[float]
    error: NotRequired[str]
    unready: NotRequired[bool]
    left: NotRequired[bool]
