"""Messages to bytes and back; bytes that are no message become an error that says why."""

import re
from functools import lru_cache
from typing import Any, get_args

import msgspec

from diegetic_bridge.messages.fields import (
    MAX_MESSAGE_BYTES,
    VERSION,
    Layer,
    Origin,
    PixelFormat,
)
from diegetic_bridge.messages.replies import Error, ServerMessage
from diegetic_bridge.messages.said import ClientMessage

_CLIENT: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_SERVER: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(ServerMessage)
_TYPES = [str(kind.__struct_config__.tag) for kind in get_args(ClientMessage)]
_CHOICES = {
    "format": get_args(PixelFormat),
    "origin": get_args(Origin),
    "layers[]": get_args(Layer),
}
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
    return _refusal(str(error), code)


@lru_cache(maxsize=256)
def _refusal(text: str, code: str) -> Error:
    """The same thing may be refused thousands of times a second."""
    return _explain(text, b"", code)


def _from_the_future(data: bytes) -> Error | None:
    """A hello of a later version may differ in any field: its version is what is wrong with it."""
    version = _peek(data, "version")
    if _peek(data, "type") == "hello" and isinstance(version, int) and version > VERSION:
        return Error("version", "version", f"expected at most {VERSION}, got {version}")
    return None


def _explain(text: str, data: bytes, code: str = "invalid") -> Error:
    """Sort msgspec's sentence ("Expected ... - at `$.path`") into a code, a field and a reason."""
    why, _, place = text.partition(" - at `")
    path = re.search(r"\$\.?([^`]*)`$", place)  # of a map's key: "key` in `$.path`"
    field = path[1] if path else ""
    kind = re.sub(r"\[\d+\]$", "[]", field)
    item = re.match(r"Invalid enum value (.*)", why) if field != kind else None
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
    elif kind in _CHOICES:
        why = f"expected one of {', '.join(_CHOICES[kind])}"
        why += f", got {item[1]}" if item else ""
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
