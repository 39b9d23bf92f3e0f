"""The game of the benchmark, a process of its own: it talks as a real one would.

    python benchmarks/game.py ENDPOINT SECONDS

A new prompt every 5 s, an event every 0.7 s; two parameters and a 128 x 72 frame at 15 Hz.
"""

import math
import sys
import time

import numpy as np

from diegetic_bridge.client import Client
from diegetic_bridge.messages import ParameterSpec

PROMPTS = (
    "rain on a tin roof",
    "humming machinery in a dark base corridor",
    "wind over an open courtyard at night",
    "a crackling fire",
    "birds and a stream of running water",
    "calm ambient music",
)
RATE = 15.0  # Hz
PROMPT_EVERY, SHOT_EVERY = 5.0, 0.7  # s


def main(endpoint: str, seconds: float) -> None:
    """Talk for `seconds` of real time."""
    picture = np.random.default_rng(0).integers(0, 256, (72, 128, 3)).astype(np.uint8)
    parameters = [ParameterSpec("health", default=1.0), ParameterSpec("threat")]
    with Client(endpoint, engine="benchmark", parameters=parameters, events=["shot"]) as client:
        start = due = time.monotonic()
        prompt = shot = -math.inf
        while (now := time.monotonic() - start) < seconds:
            if now - prompt >= PROMPT_EVERY:
                client.set_prompt(PROMPTS[int(now / PROMPT_EVERY) % len(PROMPTS)])
                prompt = now
            if now - shot >= SHOT_EVERY:
                client.post_event("shot")
                shot = now
            client.set_parameter("threat", 0.5 + 0.5 * math.sin(now), ramp=0.1)
            client.set_parameter("health", 1.0 - 0.9 * now / seconds, ramp=0.1)
            client.push_frame(np.roll(picture, int(now * RATE), axis=1).copy())
            due += 1 / RATE
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
