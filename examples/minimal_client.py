"""A game in thirty lines: it rains, something draws near over grass, and shots are fired.

python examples/minimal_client.py [tcp://127.0.0.1:7776 [seconds]]

Start a server first to hear it; without one nothing happens, and nothing breaks.
"""

import logging
import sys
import time

import numpy as np

from diegetic_bridge import DEFAULT_ENDPOINT, Client, Error, ParameterSpec, SwitchSpec


def play(endpoint: str, seconds: float) -> None:
    with Client(
        endpoint,
        engine="minimal client",
        parameters=[ParameterSpec("threat")],
        switches=[SwitchSpec("surface", ["grass", "concrete"])],
        events=["shot"],
    ) as client:
        client.set_prompt("rain on leaves, distant thunder")
        client.set_switch("surface", "grass")
        ticks = round(seconds * 15)
        for tick in range(ticks):
            picture = np.full((72, 128, 3), 40 + tick % 50, np.uint8)
            client.push_frame(picture)
            client.set_parameter("threat", tick / ticks, ramp=0.2)
            if tick % 15 == 10:
                client.post_event("shot")
            for reply in client.poll():
                if isinstance(reply, Error):
                    logging.error("%s: %s", reply.field, reply.message)
            time.sleep(1 / 15)
        logging.info("%s", client.stats)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    play(
        endpoint=sys.argv[1] if len(sys.argv) > 1 else DEFAULT_ENDPOINT,
        seconds=float(sys.argv[2]) if len(sys.argv) > 2 else 5.0,
    )
