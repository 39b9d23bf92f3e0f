"""What a hostile peer costs the others, over real sockets."""

import socket
import subprocess
import sys
from contextlib import ExitStack, closing
from unittest.mock import Mock

import pytest
import zmq

from bridge_messages import HELLO, PROMPT, pack
from bridge_raw_client import RawClient
from bridge_recorder import ANYWHERE, WAIT, Recorder, hear, until
from diegetic_bridge import BridgeServer, Client, Event, Handler, Hello, Welcome, WelcomeInfo
from diegetic_bridge.messages import encode
from diegetic_bridge.protocol import Counts
from diegetic_bridge.receiver import Receiver


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


HOSTILE = """
import os, random, socket, sys, threading
import zmq
host, port = "127.0.0.1", int(sys.argv[1].rpartition(":")[2])
silent = [socket.create_connection((host, port)) for _ in range(60)]
context = zmq.Context()
dealers = [context.socket(zmq.DEALER) for _ in range(30)]
for dealer in dealers:
    dealer.setsockopt(zmq.RCVHWM, 1)
    dealer.connect(sys.argv[1])  # most of them say nothing, none of them reads
shouts = [bytes.fromhex(line) for line in sys.argv[2:]]
shouts += [random.Random(7).randbytes(1 << 20), b"", bytes(100)]
print("ready", flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    for dealer in dealers[:3]:
        for shout in shouts:
            dealer.send(shout)
        dealer.send_multipart([b""] * 50)
"""


def test_a_flood_does_not_keep_a_good_client_from_being_answered(recorder: Recorder) -> None:
    shouts = [pack(HELLO | {"instance": "evil"}), pack(PROMPT), pack(PROMPT | {"time": "late"})]
    with BridgeServer(ANYWHERE, recorder) as server, Client(server.endpoint) as good:
        hear(good, Welcome)
        command = [sys.executable, "-c", HOSTILE, server.endpoint]
        with subprocess.Popen(
            [*command, *(shout.hex() for shout in shouts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as hostile:
            try:
                assert hostile.stdout is not None
                assert hostile.stdout.readline() == "ready\n"
                until(lambda: server.status.errors > 200)
                for number in range(20):
                    good.post_event(f"event {number}")
                    until(lambda: good.stats.events_unacked == 0)
                good.push_frame(bytes(3 * 512 * 512), 512, 512)
                recorder.until(lambda: server.status.frames == 1)
                before = server.status.errors
                until(lambda: server.status.errors > before)  # it has been at it all the time
            finally:
                hostile.kill()
        assert recorder.events() == [f"event {number}" for number in range(20)]
        assert len(recorder.opened) == 1
        assert good.stats.connected


def test_one_drain_of_a_flood_gives_way(recorder: Recorder) -> None:
    ticks = iter(range(1_000_000))
    with (
        zmq.Context() as context,
        context.socket(zmq.ROUTER) as router,
        context.socket(zmq.DEALER) as dealer,
    ):
        router.bind("inproc://flood")
        dealer.connect("inproc://flood")
        dealer.send(encode(Hello(1, 1.0)))
        for number in range(500):
            dealer.send(encode(Event(number, "shot", 1.0)))
        receiver = Receiver(router, recorder, lambda: next(ticks) / 1000, 5.0, Counts())
        receiver.drain()
        assert 0 < len(recorder.events()) < 20  # 10 ms of a clock that ticks when it is looked at
        assert dealer.poll(0)  # and they are acknowledged
        for _ in range(500):
            receiver.drain()
        assert len(recorder.events()) == 500


def test_there_are_so_many_sessions_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegetic_bridge.receiver._MAX_SESSIONS", 2)
    handler = Mock(spec=Handler, on_open=Mock(return_value=WelcomeInfo()))
    with BridgeServer(ANYWHERE, handler) as server, ExitStack() as stack:
        first, second, third = (
            stack.enter_context(closing(RawClient(server.endpoint))) for _ in range(3)
        )
        for client in (first, second):
            client.say(pack(HELLO))
            client.hear("welcome")
        third.say(pack(HELLO))
        error = third.hear_error()
        assert (error.code, error.field) == ("refused", "session")
        assert error.message == "expected at most 2, got one more"
        first.say(pack({"type": "bye", "time": 2.0}))
        until(lambda: handler.on_close.called)
        third.say(pack(HELLO))
        third.hear("welcome")


def test_a_connection_that_says_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegetic_bridge.server._HANDSHAKE_MS", 50)
    with BridgeServer(ANYWHERE, Recorder()) as server:
        port = int(server.endpoint.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT / 3) as silent:
            while silent.recv(100):
                pass
