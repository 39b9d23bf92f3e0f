"""The client and the server over real sockets, in real threads and processes."""

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import zmq

from diegetic_bridge import (
    Ack,
    BridgeServer,
    Client,
    Error,
    Event,
    Frame,
    Hello,
    Parameter,
    ParameterSpec,
    Prompt,
    Status,
    Switch,
    SwitchSpec,
    Welcome,
    WelcomeInfo,
)
from diegetic_bridge.messages import encode
from diegetic_bridge.protocol import Counts
from diegetic_bridge.receiver import Receiver

ROOT = Path(__file__).parents[1]
WAIT = 30.0  # seconds that a busy machine may take; no test depends on how long it takes
ANYWHERE = "tcp://127.0.0.1:0"
Reply = TypeVar("Reply", Ack, Error, Welcome)
PICTURE = np.zeros((72, 128, 3), np.uint8)


class Recorder:
    """A handler that writes down what it is told, and is as slow or as broken as a test wants."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.heard: list[tuple[object, float]] = []
        self.opened: list[tuple[Hello, str]] = []
        self.closed: list[str] = []
        self.frames_may_pass = threading.Event()
        self.frames_may_pass.set()
        self.frame_waits = threading.Event()
        self.fault: Exception | None = None

    def on_open(self, hello: Hello, peer: str) -> WelcomeInfo:
        if len(self.opened) > len(self.closed):
            raise ValueError("session: expected one at a time, got a second")
        with self.changed:
            self.opened.append((hello, peer))
            self.changed.notify_all()
        return WelcomeInfo(latency_ms=80.0)

    def _hear(self, message: object, at: float) -> None:
        if self.fault is not None:
            raise self.fault
        with self.changed:
            self.heard.append((message, at))
            self.changed.notify_all()

    on_prompt = on_parameter = on_switch = on_event = _hear

    def on_frame(self, message: Frame, at: float) -> None:
        self.frame_waits.set()
        assert self.frames_may_pass.wait(WAIT)
        self._hear(message, at)

    def on_close(self, peer: str) -> None:
        with self.changed:
            self.closed.append(peer)
            self.changed.notify_all()

    def messages(self, *kinds: type) -> list[object]:
        return [message for message, _ in self.heard if isinstance(message, kinds)]

    def events(self) -> list[str]:
        return [event.name for event in self.messages(Event) if isinstance(event, Event)]

    def until(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, WAIT), f"still waiting; heard {self.heard}"


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(round(WAIT * 200)):
        if condition():
            return
        pause.wait(0.005)
    pytest.fail("it never came true")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.frames_may_pass.set()


@pytest.fixture
def server(recorder: Recorder) -> Iterator[BridgeServer]:
    with BridgeServer(ANYWHERE, recorder) as server:
        yield server


@pytest.fixture
def client(server: BridgeServer) -> Iterator[Client]:
    with Client(
        server.endpoint,
        engine="test game",
        parameters=[ParameterSpec("threat")],
        switches=[SwitchSpec("surface", ["grass", "sand"])],
        events=["shot"],
    ) as client:
        yield client


def free_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def hear(client: Client, kind: type[Reply]) -> Reply:
    """Return the first reply of `kind`, passing over others."""
    heard: list[Reply] = []

    def came() -> bool:
        heard.extend(reply for reply in client.poll() if isinstance(reply, kind))
        return bool(heard)

    until(came)
    return heard[0]


def test_everything_a_game_says_arrives_in_order(
    client: Client, server: BridgeServer, recorder: Recorder
) -> None:
    client.set_prompt("rain", guidance=2.5)
    client.set_parameter("threat", 0.8, ramp=0.5)
    client.set_switch("surface", "sand")
    event = client.post_event("shot", gain_db=-6)
    client.push_frame(PICTURE)
    recorder.until(lambda: len(recorder.heard) == 5)
    prompt, parameter, switch, shot, frame = (message for message, _ in recorder.heard)
    assert isinstance(prompt, Prompt)
    assert isinstance(parameter, Parameter)
    assert isinstance(switch, Switch)
    assert isinstance(shot, Event)
    assert isinstance(frame, Frame)
    assert (prompt.text, prompt.guidance) == ("rain", 2.5)
    assert (parameter.name, parameter.value, parameter.ramp) == ("threat", 0.8, 0.5)
    assert (switch.name, switch.value) == ("surface", "sand")
    assert (shot.id, shot.name, shot.gain_db) == (event, "shot", -6.0)
    assert (frame.width, frame.height, frame.format) == (128, 72, "rgb24")
    [(hello, _)] = recorder.opened
    assert (hello.engine, hello.events) == ("test game", ["shot"])
    until(lambda: client.stats.events_unacked == 0)
    welcome, *replies = client.poll()
    assert isinstance(welcome, Welcome)
    assert welcome.latency_ms == 80.0
    assert Ack([event]) in replies
    status = server.status
    assert (status.prompts, status.parameters, status.switches) == (1, 1, 1)
    assert (status.events, status.frames, status.errors, status.dropped) == (1, 1, 0, 0)


def test_times_arrive_on_the_servers_clock(recorder: Recorder) -> None:
    engine_time, server_time = [5.0], [1000.0]
    with (
        BridgeServer(ANYWHERE, recorder, clock=lambda: server_time[0]) as server,
        Client(server.endpoint, clock=lambda: engine_time[0]) as client,
    ):
        hear(client, Welcome)
        engine_time[0] = 7.5
        server_time[0] = 1004.0  # the prompt takes a second and a half
        client.set_prompt("rain")
        recorder.until(lambda: len(recorder.heard) == 1)
        assert recorder.heard[0][1] == 1002.5


def test_one_drain_keeps_the_newest_frame_and_every_event_in_order(recorder: Recorder) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    router.bind("inproc://drain")  # without a network, what is sent has arrived
    dealer.connect("inproc://drain")
    dealer.send(encode(Hello(1, 1.0)))
    for number in range(50):
        dealer.send(encode(Frame(1, 1, 1.0, bytes([number] * 3))))
        dealer.send(encode(Event(number, f"event {number}", 1.0)))
    counts = Counts()
    Receiver(router, recorder, lambda: 7.0, 5.0, counts).drain()
    assert recorder.events() == [f"event {number}" for number in range(50)]
    assert recorder.messages(Frame) == [Frame(1, 1, 1.0, bytes([49] * 3))]
    assert (counts.frames, counts.frames_conflated) == (50, 49)
    context.destroy(linger=0)


def test_a_slow_handler_gets_the_newest_frame_and_all_events(
    client: Client, server: BridgeServer, recorder: Recorder
) -> None:
    recorder.frames_may_pass.clear()
    client.push_frame(PICTURE)
    assert recorder.frame_waits.wait(WAIT)
    for number in range(100):
        client.post_event(f"event {number}")
        client.push_frame(np.full_like(PICTURE, number))
    recorder.frames_may_pass.set()

    def last_frame_came() -> bool:
        frame = recorder.messages(Frame)[-1:]
        return bool(frame) and isinstance(frame[0], Frame) and frame[0].pixels[0] == 99

    recorder.until(lambda: len(recorder.events()) == 100 and last_frame_came())
    assert recorder.events() == [f"event {number}" for number in range(100)]
    until(lambda: client.stats.events_unacked == 0)
    status, stats = server.status, client.stats
    assert stats.frames_sent + stats.frames_dropped == 101
    assert status.frames == stats.frames_sent
    assert len(recorder.messages(Frame)) == status.frames - status.frames_conflated


def push_until_full(client: Client) -> None:
    """Push big frames until the socket takes no more."""
    big = bytes(512 * 512)
    pause = threading.Event()
    refusals = 0
    while refusals < 20:
        before = client.stats.frames_sent
        client.push_frame(big, 512, 512, "gray8")
        for _ in range(10):
            if client.stats.frames_sent > before:
                refusals = 0
                break
            pause.wait(0.005)
        else:
            refusals += 1
        assert before < 600, "150 MB are on their way to a server that reads nothing"


def test_a_stuck_server_costs_frames_but_no_memory_and_no_event(
    client: Client, recorder: Recorder
) -> None:
    recorder.frames_may_pass.clear()
    client.push_frame(PICTURE)
    assert recorder.frame_waits.wait(WAIT)
    push_until_full(client)
    client.set_parameter("threat", 0.1)
    client.set_parameter("threat", 0.9)
    client.post_event("shot")
    assert client.stats.frames_dropped > 0
    recorder.frames_may_pass.set()
    recorder.until(lambda: recorder.events() == ["shot"])
    assert [p.value for p in recorder.messages(Parameter) if isinstance(p, Parameter)][-1] == 0.9


def test_a_killed_and_stuck_server_is_replaced_without_stale_messages(recorder: Recorder) -> None:
    stuck_server = """
import sys, threading
from unittest.mock import Mock
from diegetic_bridge import BridgeServer, WelcomeInfo
handler = Mock(on_open=Mock(return_value=WelcomeInfo()))
handler.on_frame.side_effect = lambda message, at: threading.Event().wait()
print(BridgeServer("tcp://127.0.0.1:0", handler).start().endpoint, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", stuck_server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        with Client(endpoint, event_ttl=1e6) as client:
            hear(client, Welcome)
            push_until_full(client)
            for number in range(20):
                client.post_event(f"event {number}")
            process.kill()
            until(lambda: not client.stats.connected)
            with BridgeServer(endpoint, recorder) as server:
                recorder.until(lambda: len(recorder.events()) == 20)
                assert recorder.events() == [f"event {number}" for number in range(20)]
                assert server.status.errors == 0
                assert server.status.frames <= 1


def test_events_of_an_outage_arrive_exactly_once_and_in_order_at_the_next_server() -> None:
    first, second = Recorder(), Recorder()
    server = BridgeServer(ANYWHERE, first).start()
    with Client(server.endpoint, parameters=[ParameterSpec("threat")], event_ttl=1e6) as client:
        client.set_prompt("rain")
        client.post_event("before")
        first.until(lambda: first.events() == ["before"])
        until(lambda: client.stats.events_unacked == 0)
        server.close()
        until(lambda: not client.stats.connected)
        for number in range(50):
            client.post_event(f"event {number}")
            client.set_parameter("threat", number / 50)
        assert client.stats.events_unacked == 50
        with BridgeServer(server.endpoint, second):
            second.until(lambda: len(second.events()) == 50)
            client.post_event("after")
            second.until(lambda: "after" in second.events())
            until(lambda: client.stats.events_unacked == 0)
        assert first.events() == ["before"]
        assert second.events() == [*(f"event {number}" for number in range(50)), "after"]
        [prompt] = second.messages(Prompt)
        assert isinstance(prompt, Prompt)
        assert prompt.text == "rain"
        [parameter] = second.messages(Parameter)
        assert isinstance(parameter, Parameter)
        assert parameter.value == 0.98
        assert len(second.opened) == 1


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
        assert [hello.engine for hello, _ in recorder.opened] == ["test game", "second"]
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
from diegetic_bridge import Client
client = Client(sys.argv[1])
client.post_event("alive")
sys.stdin.read()
"""
    with BridgeServer(ANYWHERE, recorder, timeout=0.5) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", game, server.endpoint], stdin=subprocess.PIPE
        )
        with process:
            recorder.until(lambda: recorder.events() == ["alive"])
            process.kill()
        recorder.until(lambda: len(recorder.closed) == 1)
    assert len(recorder.closed) == 1


def test_an_idle_but_living_game_keeps_its_session(recorder: Recorder) -> None:
    with BridgeServer(ANYWHERE, recorder, timeout=0.05) as server:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        dealer = context.socket(zmq.DEALER)
        dealer.connect(server.endpoint)
        dealer.send(encode(Hello(1, 1.0)))
        for _ in range(51):  # welcome and 50 statuses, one every 0.01 s: ten times the timeout
            assert dealer.poll(round(WAIT * 1000))
            dealer.recv()
        assert recorder.closed == []
        context.destroy(linger=0)
        recorder.until(lambda: len(recorder.closed) == 1)


def test_a_new_connection_under_the_same_id_is_heard(
    server: BridgeServer, recorder: Recorder
) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealers = [context.socket(zmq.DEALER) for _ in range(2)]
    for dealer, run in zip(dealers, ("first", "second"), strict=True):
        dealer.setsockopt(zmq.ROUTING_ID, b"editor")
        dealer.connect(server.endpoint)
        dealer.send(encode(Hello(1, 1.0, instance=run)))
        dealer.send(encode(Event(1, run, 1.0)))
        recorder.until(lambda run=run: recorder.events()[-1:] == [run])  # type: ignore[misc]
    assert recorder.events() == ["first", "second"]
    assert len(recorder.closed) == 1
    context.destroy(linger=0)


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


def test_wrong_arguments_come_out_of_poll_and_raise_nothing(
    client: Client, recorder: Recorder
) -> None:
    hear(client, Welcome)
    for wrong, field in (
        (lambda: client.set_prompt("x" * 1_000_000), "text"),
        (lambda: client.set_parameter("threat", float("nan")), "value"),
        (lambda: client.set_parameter("threat", 0.5, ramp=-1), "ramp"),
        (lambda: client.post_event("shot", gain_db=float("inf")), "gain_db"),
        (lambda: client.push_frame(bytes(10), 2, 2, "rgb24"), "pixels"),
        (lambda: client.push_frame(bytes(10)), "width"),
        (lambda: client.push_frame(np.zeros((2, 2, 5), np.uint8)), "format"),
        (lambda: client.push_frame(np.zeros((2, 2, 3), np.float32)), "pixels"),
    ):
        wrong()
        assert [reply.field for reply in client.poll() if isinstance(reply, Error)] == [field]
    assert client.stats.errors == 8
    client.set_parameter("fear", 1.0)  # only the server knows that it is not declared
    assert hear(client, Error).code == "undeclared"
    client.set_prompt("rain")
    recorder.until(lambda: len(recorder.messages(Prompt)) == 1)


def test_server_tells_its_status(client: Client, server: BridgeServer) -> None:
    hear(client, Welcome)
    server.send_status(rtf=0.25, underruns=3)
    until(lambda: any(isinstance(r, Status) and r.underruns == 3 for r in client.poll()))
    assert server.status.rtf == 0.25


def test_without_a_server_nothing_blocks_and_one_line_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    done = threading.Event()

    def game() -> None:
        with Client(free_endpoint(), parameters=[ParameterSpec("threat")]) as client:
            for number in range(1000):
                client.set_prompt(f"prompt {number}")
                client.set_parameter("threat", number / 1000)
                client.post_event("shot")
                client.push_frame(PICTURE)
                assert client.poll() == []
            until(lambda: "does not answer" in caplog.text)
            assert client.stats.events_unacked == 1000
        done.set()

    thread = threading.Thread(target=game, daemon=True)
    thread.start()
    thread.join(2 * WAIT)
    assert done.is_set()
    assert len(caplog.records) == 1


def test_one_line_is_logged_however_often_it_tries(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT)
        with Client(f"tcp://127.0.0.1:{listener.getsockname()[1]}"):
            for _ in range(4):
                listener.accept()[0].close()
    assert len(caplog.records) == 1


def test_a_game_that_quits_without_goodbye_is_not_held_up(server: BridgeServer) -> None:
    game = """
import sys
from diegetic_bridge import Client
for endpoint in sys.argv[1:]:
    client = Client(endpoint)
    client.post_event("shot")
"""
    subprocess.run(
        [sys.executable, "-W", "error", "-c", game, server.endpoint, free_endpoint()],
        check=True,
        timeout=2 * WAIT,
    )


def test_the_client_needs_an_address_and_valid_declarations() -> None:
    with pytest.raises(ValueError, match="ZeroMQ address"):
        Client("nowhere")
    with pytest.raises(ValueError, match="length"):
        Client(engine="x" * 1000)


def test_two_servers_cannot_share_an_endpoint(server: BridgeServer) -> None:
    with pytest.raises(OSError, match="cannot listen on"):
        BridgeServer(server.endpoint, Recorder()).start()


def test_listening_beyond_this_machine_is_warned_about(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    with BridgeServer(ANYWHERE, recorder):
        assert caplog.text == ""
    with BridgeServer("tcp://0.0.0.0:0", recorder):
        assert "anyone who reaches it can play" in caplog.text


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


def test_the_example_plays_and_is_heard(server: BridgeServer, recorder: Recorder) -> None:
    example = ROOT / "examples" / "minimal_client.py"
    subprocess.run([sys.executable, example, server.endpoint, "2"], check=True, timeout=2 * WAIT)
    recorder.until(lambda: len(recorder.closed) == 1)
    assert recorder.events() == ["shot", "shot"]
    assert len(recorder.messages(Prompt)) == 1
    assert recorder.messages(Frame)
    assert server.status.errors == 0


def test_the_example_runs_without_a_server() -> None:
    example = ROOT / "examples" / "minimal_client.py"
    subprocess.run([sys.executable, example, free_endpoint(), "0.2"], check=True, timeout=2 * WAIT)
