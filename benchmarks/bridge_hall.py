"""A server that lets everyone in: the real wire, and nothing behind it that makes sound.

    python benchmarks/bridge_hall.py

`diegetic serve` plays for one engine at a time; behind this one, many are told apart by nothing but
the wire. Says where it is, and in answer to a line how things are, both as JSON; ends with stdin.
"""

import json
import logging
import sys
from collections import Counter

from diegetic_bridge import BridgeServer, Event, Frame, WelcomeInfo, to_rgb

GOOD = "good "  # begins the name of an event that is kept in mind


class Hall:
    """A handler that opens every session, and keeps in mind which events of good clients came."""

    def __init__(self) -> None:
        self.heard: Counter[tuple[str, int]] = Counter()  # by name and id

    def on_open(self, hello: object, peer: str) -> WelcomeInfo:
        """Open a session."""
        return WelcomeInfo()

    def on_close(self, peer: str) -> None:
        """Let it go."""

    def _pass(self, message: object, at: float) -> None:
        pass

    on_prompt = on_layers = on_parameter = on_switch = on_bus = _pass
    on_push_snapshot = on_pop_snapshot = on_loudness = on_listener = _pass

    def on_event(self, message: Event, at: float) -> None:
        """Count it, if a good client said it."""
        if message.name.startswith(GOOD):
            self.heard[message.name, message.id] += 1

    def on_frame(self, message: Frame, at: float) -> None:
        """Read it, as one who looks at it would."""
        to_rgb(message)


def main() -> None:
    """Serve until stdin ends."""
    logging.basicConfig(level=logging.ERROR)
    hall = Hall()
    with BridgeServer("tcp://127.0.0.1:0", hall) as server:
        print(json.dumps(server.endpoint), flush=True)
        for _ in sys.stdin:
            status = server.status
            answer = {
                "heard": len(hall.heard),
                "doubled": sum(count > 1 for count in hall.heard.values()),
                "dropped": status.dropped,
                "events": status.events,
                "frames": status.frames,
                "unsent": status.unsent,
            }
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
