"""The client and the server over real sockets, in real threads and processes."""

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from bridge_recorder import ANYWHERE, WAIT, Recorder, hear, until
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
    Switch,
    SwitchSpec,
    Welcome,
)
from diegetic_bridge.messages import encode
from diegetic_bridge.protocol import Counts
from diegetic_bridge.receiver import Receiver

ROOT = Path(__file__).parents[1]
PICTURE = np.zeros((72, 128, 3), np.uint8)


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
    counts = Counts()
    with (
        zmq.Context() as context,
        context.socket(zmq.ROUTER) as router,
        context.socket(zmq.DEALER) as dealer,
    ):
        router.bind("inproc://drain")  # without a network, what is sent has arrived
        dealer.connect("inproc://drain")
        dealer.send(encode(Hello(1, 1.0)))
        for number in range(50):
            dealer.send(encode(Frame(1, 1, 1.0, bytes([number] * 3))))
            dealer.send(encode(Event(number, f"event {number}", 1.0)))
        Receiver(router, recorder, lambda: 7.0, 5.0, counts).drain()
    assert recorder.events() == [f"event {number}" for number in range(50)]
    assert recorder.messages(Frame) == [Frame(1, 1, 1.0, bytes([49] * 3))]
    assert (counts.frames, counts.frames_conflated) == (50, 49)


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
    until(lambda: client.stats.frames_sent + client.stats.frames_dropped == 101)
    status, stats = server.status, client.stats
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
            process.wait()
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
