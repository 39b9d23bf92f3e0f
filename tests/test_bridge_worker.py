"""The client's worker leaves the game's thread alone, and misses nothing that it says."""

import itertools
import socket
import threading

import pytest
import zmq

from bridge_recorder import ANYWHERE, WAIT, Recorder, until
from diegetic_bridge import BridgeServer, Client, Event, ParameterSpec, Prompt
from diegetic_bridge.wake import Waker
from diegetic_bridge.worker import _OPTIONS

NOBODY = "tcp://127.0.0.1:1"
COUNT = 300


class Bell(Waker):
    """Counts the rings that may wake somebody."""

    woke = 0

    def ring(self) -> None:
        Bell.woke += not self._ringing
        super().ring()


@pytest.fixture(autouse=True)
def bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bell, "woke", 0)
    monkeypatch.setattr("diegetic_bridge.worker.Waker", Bell)


def test_without_a_server_the_game_wakes_nobody() -> None:
    with Client(NOBODY, parameters=[ParameterSpec("threat")], event_ttl=1e6) as client:
        for number in range(COUNT):
            client.set_parameter("threat", number / COUNT)
            client.post_event("shot")
            client.push_frame(bytes(3), 1, 1)
        assert client.stats.events_unacked == COUNT
        assert Bell.woke == 0


def test_while_the_game_talks_it_wakes_nobody_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegetic_bridge.worker._STAY", 10 * WAIT)
    recorder = Recorder()
    with BridgeServer(ANYWHERE, recorder) as server, Client(server.endpoint) as client:
        until(lambda: client.stats.connected)
        for number in range(COUNT):
            client.post_event("shot")
            if number % 30 == 0:  # the worker has time to come round
                until(lambda: client.stats.events_unacked == 0)
        until(lambda: client.stats.events_unacked == 0)
        assert 1 <= Bell.woke <= 3
        heard = recorder.messages(Event)
        assert [event.id for event in heard if isinstance(event, Event)] == [*range(1, COUNT + 1)]


def test_whatever_is_said_after_a_silence_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegetic_bridge.worker._STAY", 0.004)  # it falls asleep over and over
    recorder = Recorder()
    with BridgeServer(ANYWHERE, recorder) as server, Client(server.endpoint) as client:
        until(lambda: client.stats.connected)
        for number in range(COUNT):
            client.post_event("shot")
            until(lambda wanted=number + 1: len(recorder.messages(Event)) == wanted)
        assert Bell.woke > COUNT / 10


def test_whatever_is_said_while_a_session_opens_arrives() -> None:
    recorder = Recorder()
    with BridgeServer(ANYWHERE, recorder) as server:
        for number in range(20):
            with Client(server.endpoint) as client:
                for spoken in itertools.count():
                    last = f"{number}, {spoken}"
                    client.set_prompt(last)
                    if client.stats.connected:
                        break
                until(lambda last=last: last in [_text(said) for said in recorder.messages(Prompt)])
            until(lambda closed=number + 1: len(recorder.closed) == closed)


def test_events_are_given_up_though_nobody_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_OPTIONS, zmq.HANDSHAKE_IVL, 0)  # ZeroMQ does not give up the call
    now = [0.0]
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes calls, and says nothing
        endpoint = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        with Client(endpoint, clock=lambda: now[0], event_ttl=5.0) as client:
            caller, _ = mute.accept()
            client.post_event("shot")
            threading.Event().wait(0.1)  # the worker has gone to sleep
            now[0] = 5.1
            until(lambda: client.stats.events_expired == 1)
            caller.close()


def _text(message: object) -> str:
    assert isinstance(message, Prompt)
    return message.text
