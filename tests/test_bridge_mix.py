"""What is told of the mix, of space and of times ahead, without a socket and without waiting."""

import math
import tracemalloc

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegetic_bridge import (
    Ack,
    Bus,
    BusSpec,
    Connection,
    DuckSpec,
    Error,
    Event,
    EventSpec,
    Hello,
    Listener,
    Loudness,
    Parameter,
    Ping,
    PopSnapshot,
    PushSnapshot,
    SnapshotSpec,
    Status,
    Welcome,
)
from diegetic_bridge.link import BankProgress, Link
from diegetic_bridge.messages import MAX_AHEAD, ClientMessage, Said, decode, encode
from diegetic_bridge.protocol import Deliver, Effect, Reply

HELLO = Hello(
    1,
    10.0,
    instance="first",
    events=["shot", EventSpec("footstep", "footstep on {surface}", 8, 0.4, -3.0, "feet")],
    buses=[BusSpec("feet", "events"), BusSpec("music", ducks=[DuckSpec("events", -6.0)])],
    snapshots=[SnapshotSpec("indoors", {"beds": -12.0}), SnapshotSpec("pause", {"master": -20.0})],
)
WELCOME = Welcome(1, "session", 48_000, 80.0)
OFFSET = 90.0  # the server's clock minus the engine's
PUSH, POP = PushSnapshot("indoors", 11.0, 0.5), PopSnapshot("indoors", 12.0)


def feed(connection: Connection, message: ClientMessage, now: float) -> list[Effect]:
    """Let the server receive `message` at `now`, on the engine's clock."""
    return connection.receive(encode(message), now + OFFSET)


def opened() -> Connection:
    connection = Connection()
    feed(connection, HELLO, 10.0)
    connection.accept("session", 48_000, 80.0)
    return connection


def error_of(effects: list[Effect]) -> Error:
    [effect] = effects
    assert isinstance(effect, Reply)
    assert isinstance(effect.message, Error)
    return effect.message


def open_link(now: float = 20.0) -> Link:
    link = Link(HELLO, 10.0)
    link.connected(now)
    open_again(link, now)
    return link


def open_again(link: Link, now: float) -> None:
    say_all(link, now)
    link.receive(WELCOME, now)


def say_all(link: Link, now: float) -> list[ClientMessage]:
    said: list[ClientMessage] = []
    while (message := link.outgoing(now)) is not None:
        link.sent(message, now)
        said.append(message)
    return said


# --- the wire


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (HELLO, "hello"),
        (Event(1, "shot", 11.0, -3.0, (1.0, 2.0, 3.0), 0.5, "feet"), "event"),
        (Bus("music", 11.0, -6.0, None, 0.5), "bus"),
        (PUSH, "push_snapshot"),
        (POP, "pop_snapshot"),
        (Loudness(11.0, -18.0), "loudness"),
        (Loudness(11.0), "loudness"),
        (Listener((1.0, 2.0, 3.0), 11.0), "listener"),
    ],
)
def test_messages_of_the_mix_are_plain_maps_both_ways(message: ClientMessage, kind: str) -> None:
    plain = msgpack.unpackb(encode(message))
    assert plain["type"] == kind
    assert set(plain) == {"type", *message.__struct_fields__}
    assert decode(msgpack.packb(plain)) == message


def test_a_peer_of_the_first_days_is_understood() -> None:
    hello = decode(msgpack.packb({"type": "hello", "version": 1, "time": 1, "events": ["a", "a"]}))
    assert isinstance(hello, Hello)
    assert hello.event_specs == [EventSpec("a")]
    event = decode(msgpack.packb({"type": "event", "id": 1, "name": "a", "time": 1}))
    assert event == Event(1, "a", 1.0, 0.0, None, 0.0, "")


def test_plain_names_are_events_with_the_defaults_and_both_kinds_keep_their_order() -> None:
    assert [spec.name for spec in HELLO.event_specs] == ["shot", "footstep"]
    assert HELLO.event_specs[0] == EventSpec("shot", "", 5, 1.0, 0.0, "events")


def test_every_bus_that_is_declared_or_built_in_may_be_used() -> None:
    assert HELLO.bus_names == {"master", "beds", "events", "feet", "music"}
    BusSpec("beds", ducks=[DuckSpec("events")])
    assert Hello(1, 1.0, buses=[BusSpec("music"), BusSpec("beds", "music")]).bus_names


NAMES = st.sampled_from(["master", "beds", "events", "a", "b", "c"])


@settings(deadline=None)
@given(st.lists(st.builds(BusSpec, name=NAMES, parent=NAMES), max_size=5))
def test_whatever_buses_are_taken_lead_to_the_master_in_the_order_of_declaring(
    buses: list[BusSpec],
) -> None:
    try:
        Hello(1, 1.0, buses=buses)
    except ValueError:
        return
    parents = {"beds": "master", "events": "master"} | {bus.name: bus.parent for bus in buses}
    assert len(parents) == len({"beds", "events", *(bus.name for bus in buses)})
    order = [bus.name for bus in buses]
    for name in parents:
        way = [name]
        while way[-1] != "master":
            assert len(way) <= len(parents), "a circle"
            way.append(parents[way[-1]])
    for index, bus in enumerate(buses):
        assert bus.parent not in order[index:]


AXIS = st.floats(-1e6, 1e6)
VECTOR = st.tuples(AXIS, AXIS, AXIS)


@settings(deadline=None)
@given(forward=VECTOR, up=VECTOR)
def test_a_listener_that_is_taken_has_a_right_hand(
    forward: tuple[float, float, float], up: tuple[float, float, float]
) -> None:
    try:
        Listener((0.0, 0.0, 0.0), 1.0, forward, up)
    except ValueError:
        return
    unit = [[part / math.hypot(*vector) for part in vector] for vector in (forward, up)]
    cosine = sum(a * b for a, b in zip(*unit, strict=True))
    assert math.isfinite(cosine)
    assert abs(cosine) < 1 - 1e-7


# --- the server's half


def test_what_the_mix_is_told_is_handed_on_and_counted() -> None:
    connection = opened()
    ears = Listener((0.0, 0.0, 0.0), 11.0)
    for message in (Bus("music", 11.0, -6.0), PUSH, Loudness(11.0, -18.0), ears, POP):
        [effect] = feed(connection, message, 12.0)
        assert effect == Deliver(message, message.time + OFFSET)
    counts = connection.counts
    assert (counts.buses, counts.snapshots, counts.listeners, counts.errors) == (2, 2, 1, 0)


def test_a_snapshot_comes_in_once_and_goes_once() -> None:
    connection = opened()
    assert feed(connection, POP, 11.0) == []
    assert len(feed(connection, PUSH, 11.0)) == 1
    assert feed(connection, PUSH, 11.0) == []
    assert len(feed(connection, PushSnapshot("pause", 11.0), 11.0)) == 1
    assert len(feed(connection, POP, 12.0)) == 1
    assert feed(connection, POP, 12.0) == []
    assert len(feed(connection, PUSH, 13.0)) == 1
    assert connection.counts.snapshots == 4


def test_a_resumed_session_knows_its_snapshots_and_another_run_has_none() -> None:
    connection = opened()
    feed(connection, PUSH, 11.0)
    feed(connection, HELLO, 12.0)
    assert feed(connection, PUSH, 12.0) == []
    feed(connection, msgspec.structs.replace(HELLO, instance="second"), 13.0)
    connection.accept("another", 48_000, 80.0)
    assert len(feed(connection, PUSH, 13.0)) == 1


def test_an_event_up_to_a_minute_ahead_is_handed_on_with_its_time() -> None:
    connection = opened()
    event = Event(1, "shot", 11.0 + MAX_AHEAD)
    assert feed(connection, event, 11.0) == [Deliver(event, 11.0 + MAX_AHEAD + OFFSET)]


@pytest.mark.parametrize("time", [0.0, 10.999])
def test_an_event_of_the_past_is_handed_on_with_its_time(time: float) -> None:
    connection = opened()
    connection.clock.observe(0.0, OFFSET)
    event = Event(1, "shot", time)
    [effect] = feed(connection, event, 7200.0)
    assert effect == Deliver(event, time + OFFSET)


def test_an_event_further_ahead_is_refused_and_acknowledged_so_that_it_is_not_sent_again() -> None:
    connection = opened()
    error = error_of(feed(connection, Event(7, "shot", 12.0 + MAX_AHEAD), 11.0))
    assert (error.code, error.field) == ("invalid", "time")
    assert "at most 60 s ahead, got 61" in error.message
    assert connection.acks() == Ack([7])
    counts = connection.counts
    assert (counts.events, counts.errors, counts.dropped) == (0, 1, 1)


def test_an_event_on_no_bus_is_refused_and_acknowledged() -> None:
    connection = opened()
    error = error_of(feed(connection, Event(7, "shot", 11.0, bus="tram"), 11.0))
    assert (error.code, error.field) == ("undeclared", "bus")
    assert "beds, events, feet, master, music" in error.message
    assert connection.acks() == Ack([7])


def test_times_ahead_do_not_move_the_clock() -> None:
    connection = opened()
    for number in range(10):
        feed(connection, Event(number, "shot", 11.0 + 5 * number), 11.0)
    [effect] = feed(connection, Parameter("none", 1.0, 11.0), 11.0)
    assert isinstance(effect, Reply)  # not declared, but it has told the time
    assert connection.clock.offset == OFFSET


# --- the engine's half


def test_a_gain_and_a_mute_both_count_and_the_newest_of_each() -> None:
    link = Link(HELLO, 10.0)
    quiet, quieter = Bus("music", 1.0, -6.0), Bus("music", 2.0, -12.0, fade=5.0)
    mute = Bus("music", 2.0, mute=True)
    for message in (quiet, mute, quieter, Bus("beds", 2.0, -3.0)):
        link.say(message)
    link.connected(3.0)
    open_again(link, 3.0)
    assert say_all(link, 3.0) == [mute, quieter, Bus("beds", 2.0, -3.0)]


def test_of_a_snapshot_and_of_the_listener_the_newest_counts_for_every_new_session() -> None:
    link = open_link()
    messages: list[Said] = [PUSH, PushSnapshot("pause", 11.0), Listener((0.0, 0.0, 0.0), 11.0), POP]
    for message in messages:
        link.say(message)
    moved = Listener((1.0, 0.0, 0.0), 12.0)
    link.say(moved)
    assert say_all(link, 20.0) == [PushSnapshot("pause", 11.0), POP, moved]
    link.disconnected()
    link.connected(20.5)
    open_again(link, 20.5)
    assert say_all(link, 20.5) == [PushSnapshot("pause", 11.0), POP, moved]


def test_an_event_waits_for_a_server_from_its_time_on_and_holds_up_no_other() -> None:
    link = Link(HELLO, 10.0)
    ahead, old, new = Event(1, "a", 50.0), Event(2, "b", 1.0), Event(3, "c", 15.0)
    for event in (ahead, old, new):
        link.say(event)
    assert link.outgoing(10.0) is None
    assert link.stats.events_expired == 0
    link.connected(16.0)
    open_again(link, 16.0)
    assert say_all(link, 16.0) == [ahead, new]
    link.disconnected()
    assert link.outgoing(60.5) is None
    stats = link.stats
    assert (stats.events_expired, stats.events_unacked) == (3, 0)


def test_too_many_events_are_told_once_until_there_is_room_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("diegetic_bridge.link.MAX_EVENTS", 64)
    link = open_link()
    told = [link.say(Event(number, "shot", 20.0)) for number in range(69)]
    assert [error for error in told if error] == [told[64]]
    error = told[64]
    assert error is not None
    assert (error.code, error.field) == ("full", "events")
    assert "at most 64" in error.message
    assert (link.stats.events_unacked, link.stats.events_expired) == (64, 5)
    assert [message.id for message in say_all(link, 20.0) if isinstance(message, Event)] == list(
        range(5, 69)
    )
    link.receive(Ack(list(range(69))), 20.0)
    assert link.stats.events_unacked == 0
    again = [link.say(Event(number, "shot", 21.0)) for number in range(69)]
    assert sum(error is not None for error in again) == 1


def test_an_event_that_nobody_acknowledges_costs_no_memory_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("diegetic_bridge.link.MAX_EVENTS", 16)
    link = open_link()
    link.say(Event(0, "shot", 1.0))

    def exchange(first: int, last: int) -> int:
        for number in range(first, last):
            link.say(Event(number, "shot", 20.0))
            link.receive(Ack([number]), 20.0)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = exchange(1, 100)
        after = exchange(100, 1100)
    finally:
        tracemalloc.stop()
    assert after - before < 10_000  # one entry of the thousand takes about a hundred
    assert link.stats.events_unacked == 1


def test_a_flood_of_events_does_not_keep_the_clocks_apart() -> None:
    link = open_link(20.0)
    link.say(Event(1, "shot", 21.5))
    assert say_all(link, 21.5) == [Ping(21.5), Event(1, "shot", 21.5)]


def test_progress_of_the_bank_is_that_of_this_session() -> None:
    link = open_link()
    progress = [link.bank]
    link.receive(Status(bank_ready=7, bank_wanted=12), 20.0)
    progress.append(link.bank)
    link.disconnected()
    progress.append(link.bank)
    link.connected(21.0)
    open_again(link, 21.0)
    progress.append(link.bank)
    assert progress == [None, BankProgress(7, 12), None, None]
