"""The messages of bridge v1, as they go over the wire.

One message is one ZeroMQ part: a MessagePack map whose key `type` names the message. Every field
has its limit in its annotation, so that what passes `decode` is safe to use. Unknown keys are
ignored: a minor version may add fields.

    engine -> server   hello; frame, prompt, parameter, switch, event, ping; bye
    server -> engine   welcome; ack, error, status, pong

Every message of the engine carries `time`: the engine's own monotonic clock in seconds, at which
the thing happened. Its zero may be anywhere; the server estimates the distance to its own clock.
"""

import re
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

VERSION = 1
DEFAULT_ENDPOINT = "tcp://127.0.0.1:7776"

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""A longer message is answered with an error; 1280 x 720 RGBA fits."""

MAX_PART_BYTES = 4 * MAX_MESSAGE_BYTES
"""A part longer than this never reaches memory: the connection is cut (libzmq's MAXMSGSIZE)."""

PixelFormat = Literal["rgb24", "bgra8", "rgba8", "gray8"]
Origin = Literal["top", "bottom"]
BYTES_PER_PIXEL: dict[PixelFormat, int] = {"rgb24": 3, "bgra8": 4, "rgba8": 4, "gray8": 1}

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Time = Annotated[float, Meta(ge=0, le=1e10)]
Value = Annotated[float, Meta(ge=-1e9, le=1e9)]
Side = Annotated[int, Meta(gt=0, le=4096)]
EventId = Annotated[int, Meta(ge=0, lt=2**53)]  # 2**53: a double holds it, so every engine can


class ParameterSpec(Struct, frozen=True):
    """A parameter that the engine will set: its name and range, so that tools can draw a slider."""

    name: Name
    minimum: Value = 0.0
    maximum: Value = 1.0
    default: Value = 0.0

    def __post_init__(self) -> None:
        if not self.minimum < self.maximum:
            raise ValueError(
                f"maximum: expected more than minimum ({self.minimum:g}), got {self.maximum:g}"
            )
        if not self.minimum <= self.default <= self.maximum:
            raise ValueError(
                f"default: expected {self.minimum:g} to {self.maximum:g}, got {self.default:g}"
            )


class SwitchSpec(Struct, frozen=True):
    """A switch that the engine will set, and the values that it can have."""

    name: Name
    values: Annotated[list[Name], Meta(min_length=1, max_length=256)]


class Hello(Struct, frozen=True, tag="hello"):
    """The first message: who speaks, and what it is going to say.

    `instance` tells one run of a game from the next (any unique text). With it, a hello that is
    repeated after a broken connection resumes the session, and a second run under the same routing
    id replaces the first. Without it (""), a second hello is an error.
    """

    version: Annotated[int, Meta(ge=1)]
    time: Time
    engine: Annotated[str, Meta(max_length=128)] = ""
    instance: Annotated[str, Meta(max_length=64)] = ""
    parameters: Annotated[list[ParameterSpec], Meta(max_length=256)] = []
    switches: Annotated[list[SwitchSpec], Meta(max_length=256)] = []
    events: Annotated[list[Name], Meta(max_length=1024)] = []

    def __post_init__(self) -> None:
        for field, names in (
            ("parameters", [parameter.name for parameter in self.parameters]),
            ("switches", [switch.name for switch in self.switches]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{field}: expected each name once, got {min(twice)!r} again")


class Frame(Struct, frozen=True, tag="frame"):
    """What the player sees. Only the newest matters: older ones may be dropped on the way.

    `pixels` holds `height` rows, `stride` bytes apart (0: no padding); the last row may lack its
    padding.
    """

    width: Side
    height: Side
    time: Time
    pixels: Annotated[bytes, Meta(max_length=MAX_MESSAGE_BYTES)]
    format: PixelFormat = "rgb24"
    stride: Annotated[int, Meta(ge=0, le=MAX_MESSAGE_BYTES)] = 0
    origin: Origin = "top"

    @property
    def row_bytes(self) -> int:
        """Bytes from the start of one row to the start of the next."""
        return self.stride or self.width * BYTES_PER_PIXEL[self.format]

    def __post_init__(self) -> None:
        used = self.width * BYTES_PER_PIXEL[self.format]
        if self.row_bytes < used:
            raise ValueError(
                f"stride: expected 0 or at least {used} ({self.width} pixels of {self.format}), "
                f"got {self.stride}"
            )
        most = self.row_bytes * self.height
        least = most - self.row_bytes + used
        if not least <= len(self.pixels) <= most:
            span = f"{most}" if least == most else f"{least} to {most}"
            raise ValueError(
                f"pixels: expected {span} bytes ({self.height} rows of {self.row_bytes}), "
                f"got {len(self.pixels)}"
            )


class Prompt(Struct, frozen=True, tag="prompt"):
    """What should be heard, in words; "" is silence. `guidance`: how strictly, None leaves it."""

    text: Annotated[str, Meta(max_length=2000)]
    time: Time
    guidance: Annotated[float, Meta(ge=1, le=5)] | None = None


class Parameter(Struct, frozen=True, tag="parameter"):
    """A declared parameter goes to `value` over `ramp` seconds."""

    name: Name
    value: Value
    time: Time
    ramp: Annotated[float, Meta(ge=0, le=60)] = 0.0


class Switch(Struct, frozen=True, tag="switch"):
    """A switch takes one of its named values."""

    name: Name
    value: Name
    time: Time


class Event(Struct, frozen=True, tag="event"):
    """Something that is heard once. `id` is unique within a run; a repeated one is not heard."""

    id: EventId
    name: Name
    time: Time
    gain_db: Annotated[float, Meta(ge=-96, le=24)] = 0.0


class Ping(Struct, frozen=True, tag="ping"):
    """Asks for a pong; its `time` keeps the server's view of the engine's clock fresh."""

    time: Time


class Bye(Struct, frozen=True, tag="bye"):
    """The engine is done; its session closes."""

    time: Time


class Welcome(Struct, frozen=True, tag="welcome"):
    """The session is open: sound at `rate` Hz, heard about `latency_ms` after it was asked for."""

    version: int
    session: str
    rate: int
    latency_ms: float


class Ack(Struct, frozen=True, tag="ack"):
    """These events have arrived; they need not be sent again."""

    events: list[int]


class Error(Struct, frozen=True, tag="error"):
    """A message was not used: `field` of it was wrong, and `message` says what was expected.

    `code` is one of: malformed, too-large, unknown-type, invalid, version, second-hello, no-hello,
    undeclared, refused (the session was not opened), rejected (the handler said no), internal. A
    later server may know more.
    """

    code: str
    field: str
    message: str


class Status(Struct, frozen=True, tag="status"):
    """Counts since the server started, and how it is doing; sent about once a second.

    Attributes:
        frames: good frames received, of which `frames_conflated` made way for a newer one.
        events: events received, each counted once.
        errors: error replies made.
        dropped: messages that were thrown away because they were bad or came out of order.
        unsent: replies for which the peer had no room.
        rtf: compute time per audio time of the generator; 0 when it is not known.
        underruns: times that the device ran dry.
    """

    frames: int = 0
    frames_conflated: int = 0
    prompts: int = 0
    parameters: int = 0
    switches: int = 0
    events: int = 0
    errors: int = 0
    dropped: int = 0
    unsent: int = 0
    rtf: float = 0.0
    underruns: int = 0


class Pong(Struct, frozen=True, tag="pong"):
    """Answers the ping of engine time `time`; `server_time` is the server's clock just then."""

    time: float
    server_time: float


ClientMessage = Hello | Frame | Prompt | Parameter | Switch | Event | Ping | Bye
ServerMessage = Welcome | Ack | Error | Status | Pong

_CLIENT: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_SERVER: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(ServerMessage)
_TYPES = [str(kind.__struct_config__.tag) for kind in get_args(ClientMessage)]
_CHOICES = {"format": get_args(PixelFormat), "origin": get_args(Origin)}
_SHOWN_BYTES = 64
# RecursionError: msgspec's answer to thousands of nested arrays.
_BAD_BYTES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """Return `message` as the bytes of its MessagePack map."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes) -> ClientMessage | Error:
    """Read what an engine sent; an `Error` names the field that is wrong and what was expected."""
    if len(data) > MAX_MESSAGE_BYTES:
        why = f"expected at most {MAX_MESSAGE_BYTES} bytes, got {len(data)}"
        return Error("too-large", "message", why)
    try:
        return _CLIENT.decode(data)
    except msgspec.ValidationError as error:
        return _from_the_future(data) or _explain(str(error), data)
    except _BAD_BYTES as error:
        return Error("malformed", "message", f"expected one MessagePack map, got {error}"[:200])


def decode_reply(data: bytes) -> ServerMessage | None:
    """Read what a server sent; None when it is nothing that this version knows."""
    try:
        return _SERVER.decode(data)
    except _BAD_BYTES:
        return None


def invalid(error: ValueError, code: str = "invalid") -> Error:
    """Turn a `ValueError("field: what was expected")` into the error reply that says so."""
    return _explain(str(error), b"", code)


def _from_the_future(data: bytes) -> Error | None:
    """A hello of a later version may differ in any field: its version is what is wrong with it."""
    version = _peek(data, "version")
    if _peek(data, "type") == "hello" and isinstance(version, int) and version > VERSION:
        return Error("version", "version", f"expected at most {VERSION}, got {version}")
    return None


def _explain(text: str, data: bytes, code: str = "invalid") -> Error:
    """Sort msgspec's sentence ("Expected ... - at `$.path`") into a code, a field and a reason."""
    why, _, path = text.partition(" - at `")
    field = path.rstrip("`").removeprefix("$").removeprefix(".") if path.startswith("$") else ""
    missing = re.search(r"missing required field `(\w+)`", why)
    named = re.match(r"(\w+): (.*)", why, re.DOTALL)
    if missing:
        field = f"{field}.{missing[1]}".strip(".")
        why = "expected a value, got none"
    elif named:
        field = f"{field}.{named[1]}".strip(".")
        why = named[2]
    if field == "type":
        code, why = "unknown-type", f"expected one of {', '.join(_TYPES)}"
    elif field in _CHOICES:
        why = f"expected one of {', '.join(_CHOICES[field])}"
    why = why[:1].lower() + why[1:]
    if ", got " not in why and field.isidentifier():
        why += _got(data, field)
    return Error(code, (field or "message")[:100], why[:300])


def _got(data: bytes, field: str) -> str:
    value = _peek(data, field)
    if isinstance(value, msgspec.Raw):
        return f", got {len(value)} bytes"
    return "" if value is None else f", got {value!r}"


def _peek(data: bytes, field: str) -> Any:
    """Return one top-level field of a message that did not decode; None if it has none.

    Only that field is looked at, and a long one comes back as it is: a bad message must not cost
    memory.
    """
    try:
        raw: msgspec.Raw = _peeker(field).decode(data).value
        return raw if len(raw) > _SHOWN_BYTES else msgspec.msgpack.decode(raw)
    except _BAD_BYTES:
        return None


@lru_cache(maxsize=64)
def _peeker(field: str) -> "msgspec.msgpack.Decoder[Any]":
    """Return a decoder that picks `field` out of a map, as it stands there."""
    kind = msgspec.defstruct("Peek", [("value", msgspec.Raw)], rename={"value": field})
    return msgspec.msgpack.Decoder(kind)
