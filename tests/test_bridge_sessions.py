"""When a session opens and closes, and that nothing a handler does ends it early; real sockets."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import zmq

from bridge_recorder import ANYWHERE, WAIT, Recorder, hear, until
from diegetic_bridge import BridgeServer, Client, Error, Event, Hello, Status, Welcome
from diegetic_bridge.messages import encode
from diegetic_bridge.protocol import Counts
from diegetic_bridge.receiver import Receiver


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def server(recorder: Recorder) -> Iterator[BridgeServer]:
    with BridgeServer(ANYWHERE, recorder) as server:
        yield server


@pytest.fixture
def client(server: BridgeServer) -> Iterator[Client]:
    with Client(server.endpoint, engine="first") as client:
        yield client


def test_a_second_game_is_refused_until_the_first_has_left(
    client: Client, server: BridgeServer, recorder: Recorder
) -> None:
    hear(client, Welcome)
    with Client(server.endpoint, engine="second") as second:
        second.post_event("patience")
        error = hear(second, Error)
        assert (error.code, error.field) == ("refused", "session")
        assert error.message == "expected one at a time, got a second"
        assert recorder.closed == []
        client.close()
        recorder.until(lambda: recorder.events() == ["patience"])
        assert [hello.engine for hello, _ in recorder.opened] == ["first", "second"]
    recorder.until(lambda: len(recorder.closed) == 2)


def test_bye_closes_the_session_once(
    client: Client, server: BridgeServer, recorder: Recorder
) -> None:
    client.set_prompt("rain")
    hear(client, Welcome)
    client.post_event("last words")
    client.close()
    client.close()
    client.post_event("nobody hears this")
    recorder.until(lambda: len(recorder.closed) == 1)
    assert recorder.events() == ["last words"]
    server.close()
    server.close()
    assert recorder.closed == [recorder.opened[0][1]]


def test_closing_the_server_closes_the_session_once(
    client: Client, server: BridgeServer, recorder: Recorder
) -> None:
    hear(client, Welcome)
    server.close()
    server.close()
    assert len(recorder.closed) == 1


def test_a_killed_game_loses_its_session_after_the_timeout(recorder: Recorder) -> None:
    game = """
import sys
import time
from diegetic_bridge import Client
client = Client(sys.argv[1])
client.post_event("alive")
sys.stdin.read()
"""
    with BridgeServer(ANYWHERE, recorder, timeout=2.0) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", game, server.endpoint], stdin=subprocess.PIPE
        )
        with process:
            recorder.until(lambda: recorder.events() == ["alive"])
            process.kill()
        recorder.until(lambda: len(recorder.closed) == 1)
    assert len(recorder.closed) == 1


def test_an_idle_but_living_game_keeps_its_session(recorder: Recorder) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        router.bind("inproc://idle")
        receiver = Receiver(router, recorder, time.monotonic, 5.0, Counts())
        with context.socket(zmq.DEALER) as dealer:
            dealer.connect("inproc://idle")
            dealer.send(encode(Hello(1, 1.0)))
            receiver.drain()
            for hour in range(10):
                receiver.probe(Status(), time.monotonic() + 3600 * hour)
            assert len(recorder.opened) == 1
            assert recorder.closed == []

        def closed() -> bool:
            receiver.probe(Status(), time.monotonic() + 3600)
            return recorder.closed != []

        until(closed)


def test_a_new_connection_under_the_same_id_is_heard(
    server: BridgeServer, recorder: Recorder
) -> None:
    with (
        zmq.Context() as context,
        context.socket(zmq.DEALER) as first,
        context.socket(zmq.DEALER) as second,
    ):
        for dealer, run in ((first, "first"), (second, "second")):
            dealer.setsockopt(zmq.ROUTING_ID, b"editor")
            dealer.connect(server.endpoint)
            dealer.send(encode(Hello(1, 1.0, instance=run)))
            dealer.send(encode(Event(1, run, 1.0)))
            recorder.until(lambda run=run: recorder.events()[-1:] == [run])  # type: ignore[misc]
        assert recorder.events() == ["first", "second"]
        assert len(recorder.closed) == 1


@pytest.mark.parametrize(
    ("fault", "code", "field"),
    [
        (ValueError("text: expected something nicer"), "rejected", "text"),
        (ValueError("no"), "rejected", "message"),
        (RuntimeError("a bug"), "internal", "message"),
    ],
)
def test_a_failing_handler_is_answered_and_the_next_message_heard(
    client: Client,
    server: BridgeServer,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
    code: str,
    field: str,
) -> None:
    hear(client, Welcome)
    recorder.fault = fault
    event = client.post_event("shot")
    error = hear(client, Error)
    assert (error.code, error.field) == (code, field)
    assert server.status.errors == 1
    until(lambda: client.stats.events_unacked == 0)  # it was taken, if not liked
    recorder.fault = None
    assert client.post_event("next") > event
    recorder.until(lambda: recorder.events() == ["next"])
    assert ("a bug" in caplog.text) == (code == "internal")


def test_server_tells_its_status(client: Client, server: BridgeServer) -> None:
    hear(client, Welcome)
    server.send_status(rtf=0.25, underruns=3)
    until(lambda: any(isinstance(r, Status) and r.underruns == 3 for r in client.poll()))
    assert server.status.rtf == 0.25


def test_two_servers_cannot_share_an_endpoint(server: BridgeServer) -> None:
    with pytest.raises(OSError, match="cannot listen on"):
        BridgeServer(server.endpoint, Recorder()).start()


def test_a_server_may_be_closed_from_its_handler_and_before_it_starts(recorder: Recorder) -> None:
    BridgeServer(ANYWHERE, recorder).close()
    server = BridgeServer(ANYWHERE, recorder)
    server.start()
    with pytest.raises(RuntimeError, match="once"):
        server.start()
    recorder.on_prompt = lambda message, at: server.close()  # type: ignore[method-assign]
    with Client(server.endpoint) as client:
        client.set_prompt("quiet, please")
        recorder.until(lambda: len(recorder.closed) == 1)


def test_the_package_stands_alone() -> None:
    code = (
        "import sys, diegetic_bridge; "
        "names = {name.split('.')[0] for name in sys.modules}; "
        "sys.exit((names & {'diegetic', 'diegetic_kernels', 'torch'} or 0))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=2 * WAIT)
