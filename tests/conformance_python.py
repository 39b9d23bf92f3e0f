"""The conformance scenario, played by the Python client; the argument is the endpoint."""

import json
import sys
import time
from collections.abc import Callable

from diegetic_bridge import (
    Ack,
    BusSpec,
    Client,
    EventSpec,
    ParameterSpec,
    PcmSpec,
    SnapshotSpec,
    SwitchSpec,
    Welcome,
)

TICK = 0.01
PATIENCE = 20.0
EVENTS = 1001
PCM = PcmSpec(48_000, 512)


class Game:
    """What happens in each tick, whatever the game is doing."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.acked: set[int] = set()
        self.welcomes = 0
        self.heard = 0

    def tick(self) -> None:
        for reply in self.client.poll():
            match reply:
                case Ack(events):
                    self.acked.update(events)
                case Welcome():
                    self.welcomes += 1
        sound = self.client.read_pcm(round(TICK * PCM.rate))
        self.heard += int((sound != 0).any(axis=1).sum())
        time.sleep(TICK)

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                sys.exit(f"waited in vain for {what}")
            self.tick()


def main(endpoint: str) -> None:
    with Client(
        endpoint,
        engine="python",
        parameters=[ParameterSpec("threat", 0.0, 1.0)],
        switches=[SwitchSpec("surface", ["grass", "stone"])],
        events=["shot", EventSpec("footstep", "footstep on {surface}", variations=2)],
        buses=[BusSpec("voices", parent="events")],
        snapshots=[SnapshotSpec("pause", {"beds": -12.0})],
        pcm=PCM,
    ) as client:
        game = Game(client)
        game.wait("welcome", lambda: game.welcomes > 0)
        client.set_prompt("rain on a tin roof", guidance=3)
        client.set_layers(["ambience"])
        for k in range(1, 101):
            client.set_parameter("threat", k / 100)
            client.push_frame(bytes([k]) * 192, 8, 8)
            for j in range(10):
                if j % 2:
                    client.post_event("shot", gain_db=-(k % 20))
                else:
                    client.post_event(
                        "shot", gain_db=-(k % 20), position=(k, 0, -j), occlusion=0.25
                    )
            game.tick()
        client.set_switch("surface", "stone")
        client.post_event("footstep")
        client.set_bus("voices", gain_db=-6, fade=0.5)
        client.push_snapshot("pause", fade=0.1)
        client.pop_snapshot("pause")
        client.set_loudness(-18)
        client.set_listener((1, 2, 3))
        client.set_prompt({"rain": 3, "wind": 1}, ramp=2)
        game.wait("all events to arrive", lambda: len(game.acked) == EVENTS)
        client.wait_for_bank(PATIENCE)
        game.wait("20 pieces of sound", lambda: game.heard > 20 * PCM.frames)
        report = {
            "acked": len(game.acked),
            "given_up": client.stats.events_expired,
            "reconnects": game.welcomes - 1,
            "pcm_nonzero": game.heard > 0,
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])
