"""Back-pressure: no more events are on the way than a server has time for, and none is lost."""

import gc
import importlib
import threading
from pathlib import Path

import pytest
import zmq

from bridge_recorder import ANYWHERE, Recorder, until
from diegetic_bridge import (
    Ack,
    BridgeServer,
    Bye,
    Client,
    Event,
    EventSpec,
    Frame,
    Hello,
    ParameterSpec,
    Prompt,
    Welcome,
    WelcomeInfo,
)
from diegetic_bridge.link import MAX_EVENTS, WINDOW, Link
from diegetic_bridge.messages import ClientMessage, decode_reply, encode
from diegetic_bridge.protocol import MAX_ACKED, REMEMBERED_EVENTS, Connection
from diegetic_bridge.wake import Waker

HELLO = Hello(1, 10.0, instance="one", events=["shot"])
WELCOME = Welcome(1, "s", 48_000, 80.0)
FRAME = Frame(1, 1, 20.0, bytes(3))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegetic_bridge.link.WINDOW", 100)


def shot(number: int) -> Event:
    return Event(number, "shot", 20.0)


def say_all(link: Link) -> list[ClientMessage]:
    """What goes out now, as a socket would take it."""
    said = []
    while (message := link.outgoing(20.0)) is not None:
        link.sent(message, 20.0)
        said.append(message)
    return said


def open_link() -> Link:
    link = Link(HELLO, 10.0)
    open_again(link)
    return link


def open_again(link: Link) -> None:
    link.connected(20.0)
    link.sent(HELLO, 20.0)
    link.receive(WELCOME, 20.0)


def ids(said: list[ClientMessage]) -> list[int]:
    return [message.id for message in said if isinstance(message, Event)]


# The engine's half


def test_events_wait_until_others_are_acknowledged() -> None:
    link = open_link()
    for number in range(250):
        link.say(shot(number))
    assert ids(say_all(link)) == list(range(100))
    link.receive(Ack(list(range(30))), 20.0)
    assert ids(say_all(link)) == list(range(100, 130))
    link.receive(Ack(list(range(30))), 20.0)  # said again: makes no more room
    assert say_all(link) == []
    link.receive(Ack(list(range(30, 250))), 20.0)  # some of them were never sent
    assert say_all(link) == []
    assert link.stats.events_unacked == 0
    for number in range(250, 500):
        link.say(shot(number))
    assert len(say_all(link)) == 100


def test_a_frame_need_not_wait_behind_events_that_may_not_go() -> None:
    link = open_link()
    for number in range(101):
        link.say(shot(number))
    link.say(Prompt("rain", 20.0))  # after them: it keeps its place
    link.show(FRAME)
    said = say_all(link)
    assert said[-1] is FRAME
    assert ids(said) == list(range(100))
    assert len(said) == 101


def test_after_a_reconnect_the_window_is_open_and_all_is_said_again() -> None:
    link = open_link()
    for number in range(150):
        link.say(shot(number))
    say_all(link)
    link.receive(Ack([0, 1]), 20.0)
    link.disconnected()
    open_again(link)
    assert ids(say_all(link)) == list(range(2, 102))
    link.receive(Ack(list(range(150))), 20.0)
    for number in range(150, 300):
        link.say(shot(number))
    assert len(say_all(link)) == 100


def test_what_is_on_the_way_is_not_given_up_for_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegetic_bridge.link.MAX_EVENTS", 200)
    link = open_link()
    for number in range(200):
        link.say(shot(number))
    say_all(link)
    for number in range(200, 203):
        link.say(shot(number))
    assert link.stats.events_expired == 3
    link.receive(Ack(list(range(100))), 20.0)
    assert ids(say_all(link)) == list(range(103, 203))
    link.disconnected()  # now nothing is on the way: the oldest goes
    for number in range(203, 304):
        link.say(shot(number))
    open_again(link)
    assert ids(say_all(link))[0] == 104


# The server's half


def test_acknowledgements_come_in_pieces_and_all_of_them() -> None:
    connection = Connection()
    connection.receive(encode(HELLO), 100.0)
    connection.accept("s", 48_000, 80.0)
    for number in range(2 * MAX_ACKED + 5):
        connection.receive(encode(shot(number)), 100.0)
    seen: list[int] = []
    while (ack := connection.acks()) is not None:
        assert len(ack.events) <= MAX_ACKED
        seen += ack.events
        connection.acknowledged(ack)
    assert seen == list(range(2 * MAX_ACKED + 5))


class Slow(Recorder):
    """Does nothing with events until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def on_event(self, message: Event, at: float) -> None:
        assert self.may.wait(60.0)
        self._hear(message, at)


def test_a_server_that_stands_still_loses_nothing_over_a_cut_wire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "benchmarks")
    cutter = importlib.import_module("bridge_proxy").Cutter
    monkeypatch.setattr("diegetic_bridge.protocol.MAX_ACKED", 7)  # less than there is at a time
    slow, count = Slow(), 3000
    with BridgeServer(ANYWHERE, slow) as server, cutter(server.endpoint) as wire:
        with Client(wire.endpoint, event_ttl=1e6) as client:
            until(lambda: client.stats.connected)
            for _ in range(count // 2):
                client.post_event("shot")
            until(lambda: server.status.events == 1)  # it has begun, and waits
            wire.cut()
            until(lambda: not client.stats.connected)
            for _ in range(count // 2):
                client.post_event("shot")
            assert client.stats.events_unacked == count
            slow.may.set()
            until(lambda: client.stats.events_unacked == 0)
            assert client.stats.events_expired == 0
        events = [event.id for event in slow.messages(Event) if isinstance(event, Event)]
        assert events == list(range(1, count + 1))


class Hall(Recorder):
    """Lets everyone in."""

    def on_open(self, hello: Hello, peer: str) -> WelcomeInfo:
        self.opened.append((hello, peer))
        return WelcomeInfo()


def connections() -> int:
    """How many there are in this process."""
    gc.collect()
    # isinstance would ask things for their __class__, and some of torch's warn when asked
    return sum(type(thing) is Connection for thing in gc.get_objects())


def test_of_sessions_that_are_over_nothing_is_kept() -> None:
    hall, sessions, posts, before = Hall(), 20, 300, connections()
    with BridgeServer(ANYWHERE, hall, timeout=5.0) as server, zmq.Context() as context:
        dealers = []
        for session in range(sessions):
            dealer = context.socket(zmq.DEALER)
            dealer.connect(server.endpoint)
            dealers.append(dealer)
            hello = Hello(
                1,
                10.0,
                instance=f"run {session}",
                parameters=[ParameterSpec(f"parameter {number}") for number in range(256)],
                events=[EventSpec(f"event {number}") for number in range(1024)],
            )
            dealer.send(encode(hello))
            for number in range(posts):
                dealer.send(encode(Event(number, f"{session}, {number}", 11.0)))
            dealer.send(encode(FRAME))
        until(lambda: server.status.events == sessions * posts)
        for _, peer in hall.opened:
            server.send_status(peer=peer, rtf=0.5)
        assert connections() == before + sessions
        for dealer in dealers:
            dealer.send(encode(Bye(12.0)))
        until(lambda: len(hall.closed) == sessions)
        until(lambda: not server._healths)
        assert connections() == before
        for dealer in dealers:
            while dealer.poll(0):
                assert decode_reply(dealer.recv()) is not None
            dealer.close(linger=0)


def test_a_client_has_fewer_events_on_the_way_than_it_keeps_and_a_server_remembers() -> None:
    assert WINDOW < MAX_EVENTS < REMEMBERED_EVENTS


# The bell between the threads


def test_every_ring_after_a_hush_is_heard() -> None:
    with zmq.Context() as context:
        waker = Waker(context)
        for _ in range(5000):
            waker.ring()
            waker.ring()
            assert waker.receiver.poll(10_000)
            waker.hush()
        assert not waker.receiver.poll(0)
        waker.hush()  # nobody has rung
        waker.close()
        waker.ring()
