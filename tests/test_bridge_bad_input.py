"""Peers are untrusted: whatever they send is answered, counted and dropped, and the session lives.

Each case runs against the protocol alone and against a server over a real socket, and is packed by
`msgpack`, which knows nothing of our messages.
"""

import math
import random
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import msgpack  # type: ignore[import-untyped]
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from diegetic_bridge import BridgeServer, Error, Handler, WelcomeInfo
from diegetic_bridge.messages import MAX_MESSAGE_BYTES, MAX_PART_BYTES, decode_reply
from diegetic_bridge.protocol import Connection, Deliver, Open, Reply

WAIT_MS = 60_000

HELLO = {
    "type": "hello",
    "version": 1,
    "time": 10.0,
    "engine": "raw",
    "parameters": [{"name": "threat", "minimum": 0, "maximum": 1, "default": 0}],
    "switches": [{"name": "surface", "values": ["grass", "sand"]}],
    "events": ["shot"],
}
PROMPT = {"type": "prompt", "text": "rain", "time": 11.0}
EVENT = {"type": "event", "id": 1, "name": "shot", "time": 11.0}
FRAME = {"type": "frame", "width": 4, "height": 3, "time": 11.0, "pixels": bytes(36)}
PARAMETER = {"type": "parameter", "name": "threat", "value": 0.5, "time": 11.0}
SWITCH = {"type": "switch", "name": "surface", "value": "grass", "time": 11.0}
DEEP = b"\x91" * 100_000


def pack(message: object) -> bytes:
    packed = msgpack.packb(message)
    assert isinstance(packed, bytes)
    return packed


def frame(**changes: object) -> bytes:
    return pack({**FRAME, **changes})


# name: (bytes, code, field, a word of the reason)
BAD: dict[str, tuple[bytes, str, str, str]] = {
    "frame with too few bytes": (frame(pixels=bytes(35)), "invalid", "pixels", "got 35"),
    "frame with too many bytes": (frame(pixels=bytes(37)), "invalid", "pixels", "got 37"),
    "frame with rows that overlap": (frame(stride=11), "invalid", "stride", "12"),
    "frame without width": (frame(width=0), "invalid", "width", "got 0"),
    "frame wider than any": (frame(width=5000), "invalid", "width", "got 5000"),
    "frame in unknown format": (frame(format="yuv"), "invalid", "format", "rgb24"),
    "frame of text": (frame(pixels="x" * 36), "invalid", "pixels", "bytes"),
    "frame upside where": (frame(origin="left"), "invalid", "origin", "bottom"),
    "undeclared parameter": (pack(PARAMETER | {"name": "fear"}), "undeclared", "name", "threat"),
    "undeclared switch value": (pack(SWITCH | {"value": "ice"}), "undeclared", "value", "sand"),
    "prompt of 1 MB": (
        pack(PROMPT | {"text": "x" * 1_000_000}),
        "invalid",
        "text",
        "1000005 bytes",
    ),
    "prompt without text": (pack({"type": "prompt", "time": 1}), "invalid", "text", "none"),
    "prompt that is a number": (pack(PROMPT | {"text": 7}), "invalid", "text", "int"),
    "prompt that is not utf-8": (
        pack(PROMPT).replace(b"rain", b"\xff\xfe\xfd\xfc"),
        "malformed",
        "message",
        "utf-8",
    ),
    "nan": (pack(PARAMETER | {"value": math.nan}), "invalid", "value", "got nan"),
    "inf": (pack(PARAMETER | {"value": math.inf}), "invalid", "value", "got inf"),
    "-inf": (pack(PARAMETER | {"value": -math.inf}), "invalid", "value", "got -inf"),
    "nan time": (pack(PROMPT | {"time": math.nan}), "invalid", "time", "got nan"),
    "nan gain": (pack(EVENT | {"gain_db": math.nan}), "invalid", "gain_db", "got nan"),
    "nan guidance": (pack(PROMPT | {"guidance": math.nan}), "invalid", "guidance", "got nan"),
    "endless ramp": (pack(PARAMETER | {"ramp": 1e9}), "invalid", "ramp", "60"),
    "negative event id": (pack(EVENT | {"id": -1}), "invalid", "id", "got -1"),
    "empty name": (pack(SWITCH | {"name": ""}), "invalid", "name", "length"),
    "not MessagePack": (b"\xc1\xc1\xc1", "malformed", "message", "MessagePack"),
    "nothing": (b"", "malformed", "message", "truncated"),
    "half a message": (pack(PROMPT)[:-3], "malformed", "message", "truncated"),
    "a message and more": (pack(PROMPT) + b"x", "malformed", "message", "trailing"),
    "not a map": (pack([1, 2, 3]), "invalid", "message", "array"),
    "a map with numbers for keys": (pack({1: 2}), "invalid", "message", "int"),
    "no type": (pack({"text": "rain"}), "unknown-type", "type", "prompt"),
    "unknown type": (pack({"type": "dance"}), "unknown-type", "type", "dance"),
    "a server's message": (pack({"type": "ack", "events": []}), "unknown-type", "type", "ack"),
    "thousands of arrays": (DEEP, "invalid", "message", "array"),
    "thousands of arrays in a field nobody reads": (
        b"\x81\xa1x" + DEEP,
        "malformed",
        "message",
        "recursion",
    ),
    "a map that claims four billion entries": (
        b"\xdf\xff\xff\xff\xff",
        "malformed",
        "message",
        "truncated",
    ),
    "version from the future": (pack(HELLO | {"version": 2}), "version", "version", "got 2"),
    "version from the future, all else changed": (
        pack({"type": "hello", "version": 9, "time": "noon", "engine": {}}),
        "version",
        "version",
        "got 9",
    ),
    "version zero": (pack(HELLO | {"version": 0}), "invalid", "version", "got 0"),
    "second hello": (pack(HELLO), "second-hello", "type", "one hello"),
    "parameter twice": (
        pack(HELLO | {"parameters": [{"name": "a"}, {"name": "a"}]}),
        "invalid",
        "parameters",
        "'a'",
    ),
    "parameter with a range of nothing": (
        pack(HELLO | {"parameters": [{"name": "a"}, {"name": "b", "minimum": 1}]}),
        "invalid",
        "parameters[1].maximum",
        "more than minimum",
    ),
    "5 MB": (bytes(5_000_000), "too-large", "message", f"{MAX_MESSAGE_BYTES}"),
}
EARLY = {"prompt": PROMPT, "event": EVENT, "frame": FRAME, "ping": {"type": "ping", "time": 1.0}}
bad = pytest.mark.parametrize(("data", "code", "field", "why"), BAD.values(), ids=BAD)


def check(error: object, code: str, field: str, why: str) -> None:
    assert isinstance(error, Error)
    assert (error.code, error.field) == (code, field)
    assert why in error.message
    assert len(error.message) <= 300


class RawClient:
    """A DEALER that speaks msgpack and knows none of our code."""

    def __init__(self, endpoint: str) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(endpoint)

    def say(self, *parts: bytes) -> None:
        self.socket.send_multipart(parts)

    def hear(self, kind: str | None = None) -> dict[str, Any]:
        """Return the next reply (of this kind); a status may come at any time."""
        while True:
            assert self.socket.poll(WAIT_MS), f"no {kind} came"
            reply = msgpack.unpackb(self.socket.recv())
            assert isinstance(reply, dict)
            if reply["type"] == kind or (kind is None and reply["type"] != "status"):
                return reply

    def hear_error(self) -> Error:
        error = decode_reply(pack(self.hear("error")))
        assert isinstance(error, Error)
        return error

    def close(self) -> None:
        self.context.destroy(linger=0)


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
    client.say(pack(EVENT))
    assert client.hear("ack") == {"type": "ack", "events": [1]}
    assert handler.on_prompt.call_args.args[0].text == "rain"
    assert handler.on_parameter.call_args.args[0].value == 1.0
    assert handler.on_switch.call_args.args[0].value == "grass"
    assert handler.on_event.call_args.args[0].name == "shot"
    client.say(pack({"type": "ping", "time": 12.5}))
    assert client.hear("pong")["time"] == 12.5
    server.send_status(rtf=0.4, underruns=2)
    while (status := client.hear("status"))["rtf"] == 0:
        pass  # the one that is sent every second
    assert status["underruns"] == 2
    assert [status[kind] for kind in ("prompts", "parameters", "switches", "events")] == [1] * 4
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
MESSAGES = st.sampled_from([HELLO, PROMPT, EVENT, FRAME, PARAMETER, SWITCH])


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
    whole = pack(PROMPT | {"guidance": 3.0})
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
