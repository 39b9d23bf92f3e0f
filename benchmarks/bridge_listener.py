"""The real server and its networks, which tells at the end what its session heard and saw.

    python benchmarks/bridge_listener.py [--stall 0.2]

Says where it is; when stdin ends and the engine has left, says what came, as JSON. A stall holds up
the generator, in seconds, whenever it has looked at the world. A frame's first eight bytes are the
moment at which it was shown, float64 on the monotonic clock, which all processes of a machine
share.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import cast

import numpy as np

from diegetic.config import StreamConfig
from diegetic.inference import InferenceProcess
from diegetic.server import Server
from diegetic.session import Session
from diegetic.sink import ClockSink
from diegetic.snapshot import Conditioning, Snapshot
from diegetic_bridge import Event
from diegetic_bridge.tape import Left, TapeWriter

PATIENCE = 60.0  # s that an engine may take to leave


class Notes:
    """Notes the events that the session is told, where `diegetic record` has its tape."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str]] = []
        self.left = threading.Event()

    def hear(self, message: object, arrival: float, at: float) -> None:
        """Note an event, and that the engine has left."""
        if isinstance(message, Event):
            self.events.append((message.id, message.name))
        elif isinstance(message, Left):
            self.left.set()


class Looker:
    """A conditioner that notes what it is shown, and then takes `stall` seconds more."""

    def __init__(self, conditioner: Callable[[Snapshot], Conditioning], stall: float) -> None:
        self.looks: list[tuple[float, float | None]] = []  # when, and when its frame was shown
        self.events: set[str] = set()
        self._conditioner = conditioner
        self._stall = stall

    def __call__(self, snapshot: Snapshot) -> Conditioning:
        """Note the newest frame and the events, then do as others do."""
        stamp = None
        if snapshot.frames:
            shown = np.ascontiguousarray(snapshot.frames[-1].pixels).reshape(-1)[:8]
            stamp = float(shown.view(np.float64)[0])
        self.looks.append((time.monotonic(), stamp))
        self.events.update(event.name for event in snapshot.events)
        time.sleep(self._stall)
        return self._conditioner(snapshot)


def disorder(heard: Iterable[tuple[int, str]]) -> int:
    """Return how many events (id, name) came after a later one of the same name."""
    latest: Counter[str] = Counter()
    wrong = 0
    for number, name in heard:
        wrong += number < latest[name]
        latest[name] = max(latest[name], number)
    return wrong


def main() -> None:
    """Serve one engine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stall", type=float, default=0.0, metavar="S")
    networks, notes = InferenceProcess(StreamConfig()), Notes()
    looker = Looker(networks.conditioner, parser.parse_args().stall)
    with Server(
        "tcp://127.0.0.1:0",
        make_session=lambda: Session(generator=networks, conditioner=looker),
        make_sink=ClockSink,
        tape=cast(TapeWriter, notes),
    ) as server:
        print(json.dumps(server.endpoint), flush=True)
        sys.stdin.read()
        notes.left.wait(PATIENCE)
        status = server.status()
        found = {
            "heard": len(notes.events),
            "different": len(set(notes.events)),
            "disorder": disorder(notes.events),
            "seen": len(looker.events),
            "looks": looker.looks,
            "underruns": status["underruns"],
            "rtf_p95": status["rtf_p95"],
            "missed": status["events_missed"],
            "fates": status["fates"],
            "stolen": status["voices_stolen"],
            "refused": status["voices_refused"],
        }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
