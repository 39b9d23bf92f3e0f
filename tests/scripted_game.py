"""A game for tests, run as a process: it says a few things over the bridge, then goes.

usage: scripted_game.py [--fail] --endpoint tcp://...
"""

import sys
import time

import numpy as np

from diegetic_bridge.client import Client
from diegetic_bridge.messages import Ack, ParameterSpec, SwitchSpec

PATIENCE = 30.0  # s; a deadline, not a measurement


def main() -> int:
    if "--fail" in sys.argv:
        sys.stderr.write("warming up\ngame: the disk is on fire\n")
        return 2
    endpoint = sys.argv[sys.argv.index("--endpoint") + 1]
    with Client(
        endpoint,
        engine="scripted",
        parameters=[ParameterSpec("threat")],
        switches=[SwitchSpec("area", ["indoors", "outdoors"])],
        events=["shot"],
    ) as client:
        client.set_prompt("rain")
        client.set_switch("area", "outdoors")
        client.set_parameter("threat", 0.75)
        client.push_frame(np.full((72, 128, 3), 90, np.uint8))
        wanted = {client.post_event("shot"), client.post_event("shot")}
        deadline = time.monotonic() + PATIENCE
        while wanted and time.monotonic() < deadline:
            for reply in client.poll():
                wanted -= set(reply.events) if isinstance(reply, Ack) else set()
            time.sleep(0.01)
        time.sleep(0.8)  # of sound after the last word
    return 1 if wanted else 0


if __name__ == "__main__":
    sys.exit(main())
