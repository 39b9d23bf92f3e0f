"""Both halves of a connection, clocks and pixels, without a socket and without waiting."""

from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegetic_bridge import (
    Ack,
    ClockOffset,
    Error,
    Event,
    Frame,
    Hello,
    Layers,
    Parameter,
    ParameterSpec,
    Ping,
    Pong,
    Prompt,
    Status,
    Switch,
    SwitchSpec,
    Welcome,
    to_rgb,
)
from diegetic_bridge.link import HELLO_AGAIN, MAX_EVENTS, PING_INTERVAL, Link
from diegetic_bridge.messages import ClientMessage, ServerMessage, decode, decode_reply, encode
from diegetic_bridge.protocol import (
    REMEMBERED_EVENTS,
    Close,
    Connection,
    Deliver,
    Effect,
    Open,
    Reply,
)

HELLO = Hello(1, 10.0, instance="first", parameters=[ParameterSpec("threat")], events=["shot"])
WELCOME = Welcome(1, "session", 48_000, 80.0)


def feed(connection: Connection, message: ClientMessage, now: float = 100.0) -> list[Effect]:
    return connection.receive(encode(message), now)


def opened(hello: Hello = HELLO, now: float = 100.0) -> Connection:
    connection = Connection()
    assert feed(connection, hello, now) == [Open(hello)]
    reply = connection.accept("session", 48_000, 80.0)
    assert reply.message == WELCOME
    return connection


def shot(number: int, time: float = 20.0) -> Event:
    return Event(number, "shot", time)


def say_all(link: Link, now: float) -> list[ClientMessage]:
    """Return all that `link` wants to send now, to a socket that takes everything."""
    said: list[ClientMessage] = []
    while (message := link.outgoing(now)) is not None:
        link.sent(message, now)
        said.append(message)
    return said


def open_link(ttl: float = 10.0, now: float = 20.0) -> Link:
    link = Link(HELLO, ttl)
    link.connected(now)
    assert [type(message) for message in say_all(link, now)] == [Hello]
    link.receive(WELCOME, now)
    return link


# --- the wire


@pytest.mark.parametrize(
    "message",
    [
        HELLO,
        Frame(2, 1, 3.0, bytes(8), "bgra8", 8, "bottom"),
        Prompt("rain", 1.0, 3.0),
        Prompt("rain", 1.0, None, 3.0, {"wind": 1.0, "fire": 0.5}, 2.0),
        Layers(["music", "foley"], 1.0),
        Parameter("threat", 0.5, 1.0, 0.25),
        Switch("surface", "grass", 1.0),
        shot(7),
        Ping(1.0),
    ],
)
def test_client_messages_are_plain_maps_both_ways(message: ClientMessage) -> None:
    plain = msgpack.unpackb(encode(message))
    assert plain["type"] == type(message).__name__.lower()
    assert set(plain) == {"type", *message.__struct_fields__}
    assert decode(msgpack.packb(plain)) == message


@pytest.mark.parametrize(
    "message",
    [WELCOME, Ack([1, 2]), Error("invalid", "width", "why"), Status(frames=3), Pong(1.0, 2.0)],
)
def test_server_messages_are_plain_maps_both_ways(message: ServerMessage) -> None:
    plain = msgpack.unpackb(encode(message))
    assert plain["type"] == type(message).__name__.lower()
    assert decode_reply(msgpack.packb(plain)) == message


def test_replies_of_a_later_server_are_passed_over() -> None:
    assert decode_reply(msgpack.packb({"type": "sing", "volume": 11})) is None
    assert decode_reply(b"\xc1") is None


@pytest.mark.parametrize("wrong", [{"maximum": 0.0}, {"default": 2.0}, {"minimum": 0.5}])
def test_a_parameter_needs_a_range_around_its_default(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ParameterSpec("threat", **wrong)


def test_a_peer_of_the_first_days_has_one_prompt_of_no_ramp() -> None:
    prompt = decode(msgpack.packb({"type": "prompt", "text": "rain", "time": 1}))
    assert prompt == Prompt("rain", 1.0, None, 1.0, {}, 0.0)


# --- the server's half


def test_time_is_mapped_to_the_servers_clock() -> None:
    connection = opened(HELLO, now=100.2)  # sent at 10.0: 90.2 apart, delay included
    feed(connection, Ping(11.0), 101.1)  # a quicker one: 90.1
    [effect] = feed(connection, Prompt("rain", 12.0), 105.0)
    assert isinstance(effect, Deliver)
    assert effect.at == pytest.approx(102.1)


def test_every_event_is_delivered_once_and_acknowledged_each_time() -> None:
    connection = opened()
    assert len(feed(connection, shot(1))) == 1
    assert feed(connection, shot(1)) == []
    assert len(feed(connection, shot(2))) == 1
    assert connection.acks() == Ack([1, 1, 2])
    assert connection.acks() is not None  # until it is known to have gone out
    connection.acknowledged(Ack([1, 1, 2]))
    assert connection.acks() is None
    assert connection.counts.events == 2


def test_memory_of_events_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegetic_bridge.protocol.REMEMBERED_EVENTS", 100)
    connection = opened()
    for number in range(300):
        assert len(feed(connection, shot(number))) == 1
    assert feed(connection, shot(200)) == []
    assert len(feed(connection, shot(100))) == 1  # too long ago
    acks = connection.acks()
    assert acks is not None
    assert len(acks.events) == 100


def test_memory_of_events_is_longer_than_what_a_client_keeps() -> None:
    assert REMEMBERED_EVENTS > MAX_EVENTS


def test_a_repeated_hello_of_the_same_run_resumes_the_session() -> None:
    connection = opened()
    feed(connection, shot(1))
    assert feed(connection, HELLO) == [Reply(WELCOME)]
    assert feed(connection, shot(1)) == []


def test_another_run_under_the_same_id_replaces_the_session() -> None:
    connection = opened()
    feed(connection, shot(1))
    second = msgspec.structs.replace(HELLO, instance="second", time=0.5)
    effects = feed(connection, second)
    assert [type(effect) for effect in effects] == [Close, Open]
    assert not connection.is_open
    connection.accept("another", 48_000, 80.0)
    assert len(feed(connection, shot(1))) == 1


def test_a_refused_hello_may_be_repeated() -> None:
    connection = Connection()
    feed(connection, HELLO)
    connection.refuse(Error("refused", "message", "full"))
    assert not connection.is_open
    assert feed(connection, HELLO) == [Open(HELLO)]


def test_an_undeclared_switch_may_take_any_value() -> None:
    connection = opened(Hello(1, 1.0, switches=[SwitchSpec("surface", ["grass"])]))
    assert isinstance(feed(connection, Switch("weather", "fog", 2.0))[0], Deliver)


# --- clocks


@settings(deadline=None)
@given(
    offset=st.floats(-1e4, 1e4),
    delays=st.lists(st.floats(0, 2), min_size=1, max_size=200),
    least=st.floats(0, 0.1),
)
def test_offset_is_never_early_and_late_by_the_least_delay(
    offset: float, delays: list[float], least: float
) -> None:
    clock = ClockOffset(window=1e6)
    for send, delay in enumerate([least, *delays]):
        clock.observe(send, send + offset + delay)
    error = clock.to_server_time(5.0) - (5.0 + offset)
    assert -1e-9 <= error <= min([least, *delays]) + 1e-9


def test_offset_follows_a_clock_that_drifts_away() -> None:
    clock = ClockOffset(window=10.0)
    for second in range(1000):
        clock.observe(second, second * 1.0001)
    assert clock.offset == pytest.approx(999 * 0.0001, abs=10 * 0.0001 + 1e-9)


def test_offset_forgets_what_is_older_than_its_window() -> None:
    clock = ClockOffset(window=10.0)
    clock.observe(0.0, 0.0)
    clock.observe(100.0, 101.0)
    assert clock.offset == 1.0


def test_offset_needs_an_observation() -> None:
    with pytest.raises(ValueError, match="at least one"):
        _ = ClockOffset().offset


# --- the engine's half


def test_nothing_is_sent_before_the_server_says_welcome() -> None:
    link = Link(HELLO, 10.0)
    link.say(Prompt("rain", 1.0))
    assert say_all(link, 1.0) == []
    link.connected(2.0)
    assert say_all(link, 2.5) == [msgspec.structs.replace(HELLO, time=2.5)]
    link.receive(WELCOME, 3.0)
    assert say_all(link, 3.0) == [Prompt("rain", 1.0)]


def test_hello_is_repeated_when_refused_or_unanswered() -> None:
    link = Link(HELLO, 10.0)
    link.connected(2.0)
    say_all(link, 2.0)
    link.receive(Error("refused", "message", "full"), 2.1)
    assert say_all(link, 2.0 + HELLO_AGAIN / 2) == []
    assert link.due() == 2.0 + HELLO_AGAIN
    assert len(say_all(link, 2.0 + HELLO_AGAIN)) == 1


def test_a_bye_makes_sense_while_a_server_may_know_us() -> None:
    link = Link(HELLO, 10.0)
    known = [link.may_be_known]
    link.connected(20.0)
    known.append(link.may_be_known)
    say_all(link, 20.0)
    known.append(link.may_be_known)  # its welcome may be on the way
    link.receive(Error("refused", "session", "one at a time"), 20.1)
    known.append(link.may_be_known)
    say_all(link, 23.0)
    link.receive(WELCOME, 23.0)
    known.append(link.may_be_known)
    link.disconnected()
    known.append(link.may_be_known)
    assert known == [False, False, True, False, True, False]


def test_states_coalesce_and_everything_keeps_its_order() -> None:
    link = Link(HELLO, 10.0)
    for message in (
        Prompt("rain", 1.0),
        Layers(["music"], 1.0),
        Parameter("threat", 0.1, 1.0),
        shot(1, 1.0),
        Parameter("threat", 0.9, 2.0),
        Switch("threat", "high", 2.0),
        shot(2, 2.0),
        Layers([], 2.0),
    ):
        link.say(message)
    link.connected(3.0)
    say_all(link, 3.0)
    link.receive(WELCOME, 3.0)
    assert say_all(link, 3.0) == [
        Prompt("rain", 1.0),
        shot(1, 1.0),
        Parameter("threat", 0.9, 2.0),
        Switch("threat", "high", 2.0),
        shot(2, 2.0),
        Layers([], 2.0),
    ]


@pytest.mark.parametrize("notice", ["disconnect", "no-hello"])
def test_a_new_session_gets_all_states_and_unacknowledged_events(notice: str) -> None:
    link = open_link()
    link.say(Prompt("rain", 20.0))
    for number in range(3):
        link.say(shot(number))
    say_all(link, 20.0)
    link.receive(Ack([0, 1]), 20.0)
    if notice == "disconnect":
        link.disconnected()
        assert say_all(link, 20.1) == []
        link.connected(20.2)
    else:
        link.receive(Error("no-hello", "type", "expected hello first"), 20.2)
        link.receive(Error("no-hello", "type", "expected hello first"), 20.2)
    assert [type(message) for message in say_all(link, 20.2)] == [Hello]
    link.receive(WELCOME, 20.3)
    assert say_all(link, 20.3) == [Prompt("rain", 20.0), shot(2)]


def test_events_that_waited_too_long_are_given_up_and_counted() -> None:
    link = Link(HELLO, 10.0)
    for time in (1.0, 5.0, 8.0):
        link.say(shot(int(time), time))
    link.connected(16.0)
    say_all(link, 16.0)
    link.receive(WELCOME, 16.0)
    assert say_all(link, 16.0) == [shot(8, 8.0)]
    assert link.stats.events_expired == 2


def test_without_a_server_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegetic_bridge.link.MAX_EVENTS", 100)
    link = Link(HELLO, 1e9)
    for number in range(300):
        link.say(shot(number))
        link.say(Prompt(str(number), 20.0))
        link.show(Frame(1, 1, 20.0, bytes(3)))
    stats = link.stats
    assert (stats.events_unacked, stats.events_expired) == (100, 200)
    assert stats.frames_dropped == 299
    link.connected(21.0)
    say_all(link, 21.0)
    link.receive(WELCOME, 21.0)
    assert len(say_all(link, 21.0)) == 102


def test_a_frame_waits_for_events_and_only_the_newest_waits() -> None:
    link = open_link()
    link.show(Frame(1, 1, 20.0, b"old"))
    link.say(shot(1))
    link.show(Frame(1, 1, 20.1, b"new"))
    assert say_all(link, 20.1) == [shot(1), Frame(1, 1, 20.1, b"new")]
    assert (link.stats.frames_sent, link.stats.frames_dropped) == (1, 1)


def test_what_is_replaced_while_it_is_being_sent_is_not_forgotten() -> None:
    link = open_link()
    link.say(Prompt("old", 20.0))
    going = link.outgoing(20.0)
    assert going is not None
    link.say(Prompt("new", 20.1))
    link.sent(going, 20.1)
    assert say_all(link, 20.1) == [Prompt("new", 20.1)]


def test_a_frame_is_counted_either_as_sent_or_as_dropped() -> None:
    link = open_link()
    link.show(Frame(1, 1, 20.0, b"old"))
    going = link.outgoing(20.0)
    assert going is not None
    link.show(Frame(1, 1, 20.1, b"new"))
    link.sent(going, 20.1)
    assert (link.stats.frames_sent, link.stats.frames_dropped) == (1, 0)
    assert say_all(link, 20.2) == [Frame(1, 1, 20.1, b"new")]
    assert (link.stats.frames_sent, link.stats.frames_dropped) == (2, 0)


def test_pings_keep_the_clocks_together() -> None:
    link = open_link(now=20.0)
    assert say_all(link, 20.0) == []
    later = 20.0 + PING_INTERVAL
    assert link.due() == later
    assert say_all(link, later) == [Ping(later)]
    link.receive(Pong(later, 500.0), later + 0.25)
    assert link.stats.round_trip == 0.25


# --- pixels


@pytest.mark.parametrize("format", ["rgb24", "rgba8", "bgra8", "gray8"])
@pytest.mark.parametrize("origin", ["top", "bottom"])
@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("whole_last_row", [True, False])
def test_pixels_of_every_layout_become_the_same_picture(
    format: Any, origin: Any, padding: int, whole_last_row: bool
) -> None:
    height, width = 3, 7
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if format == "gray8":
        picture[:] = picture[..., :1]
    order = {"rgb24": [0, 1, 2], "rgba8": [0, 1, 2, 0], "bgra8": [2, 1, 0, 0], "gray8": [0]}[format]
    rows = picture[..., order].reshape(height, -1)
    if origin == "bottom":
        rows = rows[::-1]
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    data = rows.tobytes()
    if padding and not whole_last_row:
        data = data[:-padding]
    stride = rows.shape[1] if padding else 0
    frame = Frame(width, height, 1.0, data, format, stride, origin)
    np.testing.assert_array_equal(to_rgb(frame), picture)
