"""A hostile peer: says `count` messages that nobody should, over real connections.

    python benchmarks/bridge_hostile.py ENDPOINT COUNT [--looks 10] [--seed 0] [--connections 8]

COUNT 0 goes on until stdin ends. Says {"sent": n} LOOKS times, the last time at the end, when the
server has worked through all of it. Every other connection never reads what it is answered.
"""

import argparse
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import zmq

from bridge_mutants import Mutants
from diegetic_bridge import Error, Hello
from diegetic_bridge.messages import decode_reply, encode

PART_CUTS = 1 << 24  # B; more than that, and the connection is cut
WIRE_EVERY = 2_000  # messages: then one that is no ZMTP
OVERSIZE_EVERY = 100_000
PATIENCE = 120.0  # s that the server may need for what waits
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
_READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


def main() -> None:
    """Say it all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("endpoint")
    parser.add_argument("count", type=int)
    parser.add_argument("--looks", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--connections", type=int, default=8)
    arguments = parser.parse_args()
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    rng = random.Random(arguments.seed)
    with zmq.Context() as context:
        dealers = []
        for number in range(arguments.connections):
            dealer = context.socket(zmq.DEALER)
            dealer.setsockopt(zmq.RCVHWM, 1 if number % 2 else 0)
            dealer.setsockopt(zmq.SNDTIMEO, round(PATIENCE * 1000))
            dealer.connect(arguments.endpoint)
            dealers.append(dealer)
        every = max(1, arguments.count // arguments.looks)
        shout(dealers, arguments.endpoint, rng, arguments.count, every, stop.is_set)
        context.destroy(linger=0)


def shout(
    dealers: "list[zmq.Socket[bytes]]",
    endpoint: str,
    rng: random.Random,
    count: int,
    every: int,
    done: Callable[[], bool],
) -> None:
    """Say `count` messages (0: until `done`), and how far it is after `every` of them."""
    mutants: Iterator[list[bytes]] = Mutants(rng)
    sent = 0
    while not done() and (sent < count or not count):
        number = sent % len(dealers)
        sent += 1
        if sent % WIRE_EVERY == 0:
            babble(endpoint, rng)
        elif sent % OVERSIZE_EVERY == 0:
            dealers[number].send(bytes(PART_CUTS + 1))
        else:
            dealers[number].send_multipart(next(mutants), copy=True)
        if sent % 64 < 2 * len(dealers) and not number % 2:
            _read(dealers[number])
        if count and (sent % every == 0 or sent == count):
            if sent == count:
                for token, dealer in enumerate(dealers):
                    settle(dealer, 1000 + token)
            print(json.dumps({"sent": sent}), flush=True)


def babble(endpoint: str, rng: random.Random) -> None:
    """Open a connection, and say something that is nearly ZMTP."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    words = bytearray(_GREETING + _READY + rng.randbytes(rng.randrange(200)))
    for _ in range(rng.randrange(4)):
        words[rng.randrange(len(words))] = rng.randrange(256)
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(words[: rng.randrange(1, len(words) + 1)])


def settle(dealer: "zmq.Socket[bytes]", version: int) -> None:
    """Wait until the server has read all that was said here before.

    A hello of a version that nobody has is answered with just that number; messages of a connection
    are answered in order.

    Raises:
        SystemExit: it never has.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        dealer.send(encode(Hello(version, 0.0)))
        while dealer.poll(500):
            reply = decode_reply(dealer.recv())
            if isinstance(reply, Error) and reply.message.endswith(f"got {version}"):
                return
    raise SystemExit("the server does not answer any more")


def _read(dealer: "zmq.Socket[bytes]") -> None:
    while True:
        try:
            dealer.recv(zmq.DONTWAIT)
        except zmq.Again:
            return


if __name__ == "__main__":
    main()
