"""What a player process is told when it starts."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class PlayerOptions:
    """What the player is told when it starts.

    Attributes:
        ring: name of the shared memory.
        parent: process id of the one who generates.
        use_device: play on a device; otherwise only keep its pace.
        device: name (or part of it) or index; None is the default.
        record: path of a WAV to write, or "".
        journal: path of a mix journal to write, or "".
        resumed: another player died before this one: go on with its files, and fade in.
    """

    ring: str
    parent: int
    use_device: bool
    device: str | int | None
    record: str
    journal: str
    resumed: bool

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "PlayerOptions":
        return cls(**json.loads(text))
