"""The game: a process of its own that connects, waits, says one thing, and tells when it did.

`python -m diegetic.latency.game`, started by `GameProcess`; what is said is in `talk`.
"""

import json
import logging
import sys
import time
from contextlib import suppress

from diegetic.latency import scene
from diegetic.latency.talk import BANK_PATIENCE, CONNECT_PATIENCE, Answer, Task
from diegetic_bridge.client import Client
from diegetic_bridge.messages import Error, Welcome

_BANK_GRACE = 3.0  # s until the server's health, told once a second, must know of the event
_POLL = 0.005


def main() -> None:
    """Do what the lines of stdin say, until it is closed."""
    logging.getLogger("diegetic_bridge").setLevel(logging.CRITICAL)  # the answers say it all
    for line in iter(sys.stdin.readline, ""):
        if line.strip():
            task: Task = json.loads(line)
            play(task)
            answer({"left": True})


def play(task: Task) -> None:
    """Connect, wait, say it; stay until the next line."""
    kind = task["kind"]
    with Client(
        task["endpoint"],
        engine="diegetic bench",
        parameters=[scene.THREAT],
        switches=[scene.SURFACE],
        events=[scene.SHOT] if kind == "event" else [],
    ) as client:
        answer(_play(client, task))
        sys.stdin.readline()


def _play(client: Client, task: Task) -> Answer:
    try:
        await_welcome(client)
    except ConnectionError as error:
        return {"error": str(error)}
    welcome = time.monotonic()
    if task["kind"] == "event" and not await_bank(client):
        return {"unready": True}
    time.sleep(max(0.0, welcome + task["after"] - time.monotonic()))
    sent = time.monotonic()
    scene.change(client, task["kind"])
    return {"sent": sent}


def await_welcome(client: Client) -> None:
    """Wait for the server.

    Raises:
        ConnectionError: it refuses, or does not answer.
    """
    deadline = time.monotonic() + CONNECT_PATIENCE
    while time.monotonic() < deadline:
        for reply in client.poll():
            if isinstance(reply, Welcome):
                return
            if isinstance(reply, Error):
                raise ConnectionRefusedError(reply.message)
        time.sleep(_POLL)
    raise ConnectionError(f"the server did not answer within {CONNECT_PATIENCE:g} s")


def await_bank(client: Client) -> bool:
    """Wait until the declared sounds are there; False if that takes too long.

    A server that keeps none is not waited for.
    """
    start = time.monotonic()
    while (waited := time.monotonic() - start) < BANK_PATIENCE:
        progress = client.bank_progress
        if progress is not None and progress.wanted:
            if progress.ready >= progress.wanted:
                return True
        elif waited > _BANK_GRACE:
            return True
        time.sleep(_POLL)
    return False


def answer(said: Answer) -> None:
    """Tell the measuring process."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # the terminal tells it to every process; one answers
        main()
