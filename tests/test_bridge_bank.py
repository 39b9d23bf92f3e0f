"""A full bank is awaited, and no status counts that knew less of what is wanted than was said."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from bridge_recorder import ANYWHERE, WAIT, Recorder, hear, until
from diegetic_bridge import (
    AsyncClient,
    BankProgress,
    BridgeServer,
    Client,
    Connection,
    Event,
    EventSpec,
    Frame,
    Hello,
    Ping,
    Prompt,
    Status,
    Switch,
    Welcome,
)
from diegetic_bridge.link import Link
from diegetic_bridge.messages import ClientMessage, encode

HELLO = Hello(1, 10.0, instance="one", events=["shot", EventSpec("step", "step on {surface}")])
WELCOME = Welcome(1, "session", 48_000, 80.0)
NOBODY = "tcp://127.0.0.1:1"
FULL = BankProgress(12, 12)


def say_all(link: Link, now: float) -> list[ClientMessage]:
    said: list[ClientMessage] = []
    while (message := link.outgoing(now)) is not None:
        link.sent(message, now)
        said.append(message)
    return said


def open_link(now: float) -> Link:
    link = Link(HELLO, 10.0)
    link.connected(now)
    say_all(link, now)
    link.receive(WELCOME, now)
    return link


def tell(link: Link, heard: float, ready: int = 12) -> BankProgress | None:
    """The bank as it looks after a status of `ready` takes of 12."""
    link.receive(Status(bank_ready=ready, bank_wanted=12, heard=heard), 100.0)
    return link.ready_bank


# --- the client's half


def test_a_full_bank_is_one_of_which_a_server_has_told_since_hello() -> None:
    link = open_link(20.0)
    assert link.ready_bank is None
    assert "said" in link.bank_trouble
    assert tell(link, 0.0) is None  # a server that does not say what it had heard
    assert tell(link, 19.9) is None
    assert tell(link, 20.0, ready=7) is None
    assert "12 sounds, 7" in link.bank_trouble
    assert tell(link, 20.0) == FULL
    link.disconnected()
    assert link.ready_bank is None
    assert "none has answered" in link.bank_trouble


def test_after_a_switch_only_a_status_that_has_heard_of_it_tells() -> None:
    link = open_link(20.0)
    assert tell(link, 20.0) == FULL
    link.say(Switch("surface", "grass", 20.1))
    assert link.ready_bank is None
    assert tell(link, 20.0) is None
    assert say_all(link, 20.2) == [Switch("surface", "grass", 20.1), Ping(20.2)]
    assert tell(link, 20.1) is None
    assert tell(link, 20.2) == FULL
    link.say(Switch("surface", "grass", 20.3))  # as a game does that says it in every frame
    link.say(Event(1, "shot", 20.3))
    assert link.ready_bank == FULL
    assert say_all(link, 20.3) == [Switch("surface", "grass", 20.3), Event(1, "shot", 20.3)]


def test_a_value_that_is_said_again_while_it_waits_is_still_waited_for() -> None:
    link = open_link(20.0)
    link.say(Switch("surface", "grass", 20.1))
    link.say(Prompt("rain", 20.1))
    link.say(Switch("surface", "grass", 20.2))
    said = say_all(link, 20.3)
    assert said == [Prompt("rain", 20.1), Switch("surface", "grass", 20.2), Ping(20.3)]
    link.say(Switch("surface", "mud", 20.4))
    link.say(Switch("light", "dim", 20.4))
    link.say(Switch("surface", "mud", 20.5))  # the last to go now
    said = say_all(link, 20.6)
    assert said == [Switch("light", "dim", 20.4), Switch("surface", "mud", 20.5), Ping(20.6)]


def test_a_name_that_was_not_declared_is_waited_for_once() -> None:
    link = open_link(20.0)
    link.say(Event(1, "crow", 20.1))
    assert tell(link, 20.0) is None
    assert say_all(link, 20.2) == [Event(1, "crow", 20.1), Ping(20.2)]
    assert tell(link, 20.2) == FULL
    link.say(Event(2, "crow", 20.3))
    assert link.ready_bank == FULL


def test_of_endless_names_only_as_many_are_remembered_as_a_server_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("diegetic_bridge.link.MAX_NAMES", 3)
    link = open_link(20.0)
    for number in range(5):
        assert tell(link, 30.0) == FULL
        link.say(Event(number, f"event {number}", 20.0))
        assert (link.ready_bank == FULL) is (number >= 3)
        say_all(link, 20.1 + number / 10)


def test_a_ping_that_overtakes_a_switch_says_nothing_of_it() -> None:
    link = open_link(20.0)
    link.say(Switch("surface", "grass", 20.1))
    assert link.outgoing(21.0) == Ping(21.0)  # it is due, and goes first
    link.sent(Ping(21.0), 21.0)
    assert tell(link, 21.0) is None
    assert say_all(link, 21.5) == [Switch("surface", "grass", 20.1), Ping(21.5)]
    assert tell(link, 21.5) == FULL


def test_a_clock_that_stands_still_makes_no_two_pings_alike() -> None:
    link = open_link(20.0)
    link.say(Switch("surface", "grass", 20.0))
    assert say_all(link, 20.0) == [Switch("surface", "grass", 20.0)]
    assert tell(link, 20.0) is None  # had heard hello
    assert say_all(link, 20.1) == [Ping(20.1)]


def test_a_server_that_was_restarted_is_told_all_before_it_is_believed() -> None:
    link = open_link(20.0)
    link.say(Switch("surface", "grass", 20.1))
    say_all(link, 20.2)
    assert tell(link, 20.2) == FULL
    link.disconnected()
    link.connected(21.0)
    say_all(link, 21.0)
    link.receive(WELCOME, 21.0)
    assert tell(link, 21.0) is None
    assert say_all(link, 21.1) == [Switch("surface", "grass", 20.1), Ping(21.1)]
    assert tell(link, 21.1) == FULL


# --- the server's half


def test_what_was_heard_last_is_a_hello_or_a_ping() -> None:
    connection = Connection()
    connection.receive(encode(HELLO), 100.0)
    connection.accept("session", 48_000, 80.0)
    assert connection.heard == 10.0
    for message in (Switch("surface", "grass", 11.0), Event(1, "shot", 11.0), Prompt("", 11.0)):
        connection.receive(encode(message), 101.0)
    connection.receive(encode(Frame(1, 1, 11.0, bytes(3))), 101.0)
    assert connection.heard == 10.0
    connection.receive(encode(Ping(12.0)), 102.0)
    assert connection.heard == 12.0
    connection.receive(encode(Hello(1, 3.0, instance="another run")), 103.0)
    assert connection.heard == 3.0


# --- over real sockets


class Told:
    """A server whose bank is what a test says."""

    def __init__(self, server: BridgeServer, recorder: Recorder) -> None:
        self._server = server
        self._recorder = recorder

    def __call__(self, ready: int) -> None:
        """Tell the engine that came last."""
        peer = self._recorder.opened[-1][1]
        heard = self._server.heard(peer)
        self._server.send_status(peer=peer, bank_ready=ready, bank_wanted=12, heard=heard)


def in_a_thread(wait: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Begin to wait; what comes of it is in the list by the thread's end."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(wait())
        except (TimeoutError, RuntimeError) as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


def test_a_loading_screen_waits_for_the_bank_and_again_after_a_switch() -> None:
    recorder = Recorder()
    with (
        BridgeServer(ANYWHERE, recorder) as server,
        Client(server.endpoint, events=["shot"]) as client,
    ):
        told = Told(server, recorder)
        thread, found = in_a_thread(lambda: client.wait_for_bank(WAIT))
        recorder.until(lambda: bool(recorder.opened))
        hear(client, Welcome)
        told(7)
        until(lambda: client.bank_progress == (7, 12))
        assert found == []
        told(12)
        thread.join(WAIT)
        assert found == [FULL]
        assert client.wait_for_bank(0) == FULL
        client.set_switch("surface", "grass")
        with pytest.raises(TimeoutError, match="said"):
            client.wait_for_bank(0)
        thread, found = in_a_thread(lambda: client.wait_for_bank(WAIT))
        heard = server.heard(recorder.opened[0][1])
        until(lambda: server.heard(recorder.opened[0][1]) > heard)
        told(11)
        until(lambda: client.bank_progress == (11, 12))
        assert found == []
        told(12)
        thread.join(WAIT)
        assert found == [FULL]


def test_who_waits_in_vain_is_told_why() -> None:
    with Client(NOBODY, events=["shot"]) as client:
        with pytest.raises(TimeoutError, match="expected a server, none has answered"):
            client.wait_for_bank(0.01)
        for wrong in (-1.0, float("nan"), "soon"):
            with pytest.raises(ValueError, match="timeout: expected seconds"):
                client.wait_for_bank(wrong)  # type: ignore[arg-type]
        thread, found = in_a_thread(lambda: client.wait_for_bank(float("inf")))
    thread.join(WAIT)
    [error] = found
    assert isinstance(error, RuntimeError)
    recorder = Recorder()
    with BridgeServer(ANYWHERE, recorder) as server, Client(server.endpoint) as client:
        hear(client, Welcome)
        Told(server, recorder)(7)
        until(lambda: client.bank_progress == (7, 12))
        with pytest.raises(TimeoutError, match="expected 12 sounds, 7 are ready"):
            client.wait_for_bank(0.01)


def test_the_event_loop_goes_on_while_the_bank_is_awaited() -> None:
    recorder = Recorder()

    async def scene(server: BridgeServer) -> None:
        told = Told(server, recorder)
        async with AsyncClient(server.endpoint) as client:
            await client.welcomed()
            told(7)
            with pytest.raises(TimeoutError, match=r"7 are ready|any yet"):
                await client.wait_for_bank(0.01)
            waiting = asyncio.create_task(client.wait_for_bank(WAIT))
            await asyncio.sleep(0)
            assert not waiting.done()
            told(12)
            assert await waiting == FULL
            last = asyncio.create_task(client.wait_for_bank(WAIT))
        assert await last == FULL
        with pytest.raises(RuntimeError, match="closed"):
            await client.wait_for_bank(WAIT)

    with BridgeServer(ANYWHERE, recorder) as server:
        asyncio.run(asyncio.wait_for(scene(server), 2 * WAIT))
