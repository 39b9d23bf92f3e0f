"""Peers are untrusted: whatever they send is answered, counted and dropped, and the session lives.

Each case runs against the protocol alone and against a server over a real socket, and is packed by
`msgpack`, which knows nothing of our messages.
"""

import random
from collections.abc import Callable, Iterator
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge_messages import (
    BAD,
    BLEND,
    BUS,
    EVENT,
    FRAME,
    HELLO,
    LAYERS,
    LISTENER,
    LOUDNESS,
    PARAMETER,
    POP,
    PROMPT,
    PUSH,
    SWITCH,
    pack,
)
from bridge_raw_client import RawClient
from diegetic_bridge import BridgeServer, Error, Handler, WelcomeInfo
from diegetic_bridge.messages import MAX_PART_BYTES
from diegetic_bridge.protocol import Connection, Deliver, Open, Reply

EARLY = {"prompt": PROMPT, "event": EVENT, "frame": FRAME, "ping": {"type": "ping", "time": 1.0}}
bad = pytest.mark.parametrize(("data", "code", "field", "why"), BAD.values(), ids=BAD)


def check(error: object, code: str, field: str, why: str) -> None:
    assert isinstance(error, Error)
    assert (error.code, error.field) == (code, field)
    assert why in error.message
    assert len(error.message) <= 300


@pytest.fixture
def handler() -> Mock:
    return Mock(spec=Handler, on_open=Mock(return_value=WelcomeInfo(latency_ms=80.0)))


@pytest.fixture
def server(handler: Mock) -> Iterator[BridgeServer]:
    with BridgeServer("tcp://127.0.0.1:0", handler) as server:
        yield server


@pytest.fixture
def connect(server: BridgeServer) -> Iterator[Callable[[], RawClient]]:
    clients: list[RawClient] = []

    def one_more() -> RawClient:
        clients.append(RawClient(server.endpoint))
        return clients[-1]

    yield one_more
    for client in clients:
        client.close()


def open_connection() -> Connection:
    connection = Connection()
    assert [type(effect) for effect in connection.receive(pack(HELLO), 1.0)] == [Open]
    connection.accept("session", 48_000, 80.0)
    return connection


@bad
def test_protocol_answers_counts_and_drops_bad_input(
    data: bytes, code: str, field: str, why: str
) -> None:
    connection = open_connection()
    [effect] = connection.receive(data, 2.0)
    assert isinstance(effect, Reply)
    check(effect.message, code, field, why)
    assert (connection.counts.errors, connection.counts.dropped) == (1, 1)
    assert [type(effect) for effect in connection.receive(pack(PROMPT), 3.0)] == [Deliver]


@bad
def test_server_answers_counts_and_drops_bad_input(
    connect: Callable[[], RawClient],
    server: BridgeServer,
    handler: Mock,
    data: bytes,
    code: str,
    field: str,
    why: str,
) -> None:
    client = connect()
    client.say(pack(HELLO))
    client.hear("welcome")
    client.say(data)
    check(client.hear_error(), code, field, why)
    assert (server.status.errors, server.status.dropped) == (1, 1)
    client.say(pack(PROMPT))
    client.say(pack({"type": "ping", "time": 12.0}))
    client.hear("pong")
    handler.on_prompt.assert_called_once()
    handler.on_close.assert_not_called()


@pytest.mark.parametrize("message", EARLY.values(), ids=EARLY)
def test_nothing_is_taken_before_a_hello(
    connect: Callable[[], RawClient], handler: Mock, message: dict[str, object]
) -> None:
    [effect] = Connection().receive(pack(message), 1.0)
    assert isinstance(effect, Reply)
    check(effect.message, "no-hello", "type", f"got {message['type']}")
    client = connect()
    client.say(pack(message))
    check(client.hear_error(), "no-hello", "type", f"got {message['type']}")
    client.say(pack(HELLO))
    client.hear("welcome")
    handler.on_open.assert_called_once()


@pytest.mark.parametrize("parts", [(b"",) * 2, (b"", pack(PROMPT)), (pack(PROMPT),) * 100])
def test_messages_of_several_parts_are_answered(
    connect: Callable[[], RawClient], handler: Mock, parts: tuple[bytes, ...]
) -> None:
    client = connect()
    client.say(pack(HELLO))
    client.say(*parts)
    check(client.hear_error(), "malformed", "message", f"expected one part, got {len(parts)}")
    client.say(pack(PROMPT))
    client.say(pack({"type": "ping", "time": 12.0}))
    client.hear("pong")
    handler.on_prompt.assert_called_once()


def test_a_part_beyond_all_limits_only_costs_its_sender_the_connection(
    connect: Callable[[], RawClient], server: BridgeServer, handler: Mock
) -> None:
    good, giant = connect(), connect()
    good.say(pack(HELLO))
    good.hear("welcome")
    giant.say(bytes(MAX_PART_BYTES + 1))
    giant.say(pack(HELLO))  # it comes back by itself, as somebody new
    giant.hear("welcome")
    assert server.status.errors == 0  # it never reached us
    good.say(pack(PROMPT))
    good.say(pack({"type": "ping", "time": 12.0}))
    good.hear("pong")
    handler.on_prompt.assert_called_once()


def test_a_raw_msgpack_peer_can_play_a_whole_session(
    connect: Callable[[], RawClient], server: BridgeServer, handler: Mock
) -> None:
    client = connect()
    client.say(pack(HELLO))
    welcome = client.hear()
    assert (welcome["type"], welcome["version"], welcome["rate"]) == ("welcome", 1, 48_000)
    assert welcome["latency_ms"] == 80.0
    for message in (PROMPT, PARAMETER | {"value": 1}, SWITCH, FRAME | {"comment": "unknown key"}):
        client.say(pack(message))
    for message in (BUS, PUSH, LOUDNESS, LISTENER, POP, BLEND, LAYERS):
        client.say(pack(message))
    client.say(pack(EVENT))
    assert client.hear("ack") == {"type": "ack", "events": [1]}
    first, second = (call.args[0] for call in handler.on_prompt.call_args_list)
    assert (first.text, first.weights, first.ramp) == ("rain", {"rain": 1.0}, 0.0)
    assert (second.weights, second.ramp) == ({"rain": 3.0, "wind": 1.5}, 2.0)
    assert handler.on_layers.call_args.args[0].layers == ["ambience", "music"]
    assert handler.on_parameter.call_args.args[0].value == 1.0
    assert handler.on_switch.call_args.args[0].value == "grass"
    assert handler.on_event.call_args.args[0].name == "shot"
    assert handler.on_bus.call_args.args[0].gain_db == -6.0
    assert handler.on_push_snapshot.call_args.args[0].name == "indoors"
    assert handler.on_pop_snapshot.call_args.args[0].name == "indoors"
    handler.on_push_snapshot.assert_called_once()
    assert handler.on_loudness.call_args.args[0].lufs == -18.0
    assert handler.on_listener.call_args.args[0].position == (1.0, 2.0, 3.0)
    client.say(pack({"type": "ping", "time": 12.5}))
    assert client.hear("pong")["time"] == 12.5
    server.send_status(rtf=0.4, underruns=2, bank_ready=7, bank_wanted=12, events_late=3)
    while (status := client.hear("status"))["rtf"] == 0:
        pass  # the one that is sent every second
    assert (status["underruns"], status["bank_ready"], status["bank_wanted"]) == (2, 7, 12)
    assert (status["events_late"], status["events_missed"]) == (3, 0)
    kinds = ("layers", "parameters", "switches", "events", "listeners")
    twice = ("buses", "prompts", "snapshots")
    assert [status[kind] for kind in (*kinds, *twice)] == [1] * 5 + [2] * 3
    assert (status["frames"], status["errors"], status["dropped"]) == (1, 0, 0)
    client.say(pack({"type": "bye", "time": 13.0}))
    client.say(pack(PROMPT))
    assert client.hear("error")["code"] == "no-hello"
    handler.on_close.assert_called_once()


@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_random_bytes_never_raise_and_are_always_answered(data: bytes) -> None:
    connection = open_connection()
    effects = connection.receive(data, 2.0)
    assert [type(effect) for effect in effects] == [Reply]
    assert connection.is_open


FIELD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary()
)
MESSAGES = st.sampled_from(
    [HELLO, BLEND, LAYERS, EVENT, FRAME, PARAMETER, SWITCH, BUS, PUSH, LISTENER]
)


@settings(deadline=None)
@given(message=MESSAGES, changes=st.data())
def test_messages_with_one_field_replaced_never_raise(
    message: dict[str, object], changes: st.DataObject
) -> None:
    field = changes.draw(st.sampled_from(sorted(message)))
    value = changes.draw(st.recursive(FIELD, lambda inner: st.lists(inner, max_size=3)))
    connection = open_connection()
    effects = connection.receive(pack({**message, field: value}), 2.0)
    assert len(effects) == 1
    replies = [effect.message for effect in effects if isinstance(effect, Reply)]
    assert connection.counts.errors == sum(isinstance(reply, Error) for reply in replies)
    assert connection.is_open


@settings(deadline=None)
@given(data=st.binary(max_size=64), cut=st.integers(0, 63))
def test_damaged_messages_never_raise(data: bytes, cut: int) -> None:
    whole = pack(BLEND | {"guidance": 3.0})
    open_connection().receive(whole[:cut] + data + whole[cut + len(data) :], 2.0)


def test_server_survives_a_storm_of_random_bytes(
    connect: Callable[[], RawClient], handler: Mock
) -> None:
    source = random.Random(7)
    client = connect()
    client.say(pack(HELLO))
    client.hear("welcome")
    for _ in range(300):
        client.say(source.randbytes(source.randrange(200)))
        client.hear("error")
    client.say(pack(PROMPT))
    client.say(pack({"type": "ping", "time": 12.0}))
    client.hear("pong")
    handler.on_prompt.assert_called_once()
