"""The golden vectors are what the command makes, and what the server says and understands."""

import json
from typing import Any, get_args

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from msgspec import NODEFAULT

from diegetic_bridge import golden
from diegetic_bridge.messages import (
    ClientMessage,
    ServerMessage,
    decode,
    decode_reply,
    encode,
)

FILE = json.loads(
    golden.VECTORS.read_text(encoding="utf-8"),
    object_hook=lambda found: bytes.fromhex(found["bytes"]) if [*found] == ["bytes"] else found,
)
VECTORS: list[dict[str, Any]] = FILE["vectors"]
TO_SERVER = [vector for vector in VECTORS if vector["to"] == "server"]
TO_ENGINE = [vector for vector in VECTORS if vector["to"] == "engine"]
EXACT = [vector for vector in VECTORS if vector["exact"]]


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def shortest(value: object) -> object:
    """What a client says of a message: what differs from its default, in the table's order."""
    if isinstance(value, list | tuple):
        return [shortest(item) for item in value]
    if not isinstance(value, msgspec.Struct):
        return value
    tag = value.__struct_config__.tag
    said: dict[str, object] = {"type": tag} if tag else {}
    for field in msgspec.structs.fields(value):
        is_needed = field.default is NODEFAULT and field.default_factory is NODEFAULT
        default = field.default if field.default_factory is NODEFAULT else field.default_factory()
        item = getattr(value, field.name)
        if is_needed or item != default:
            said[field.encode_name] = shortest(item)
    return said


def test_the_file_is_what_the_command_makes() -> None:
    assert golden.VECTORS.read_text(encoding="utf-8") == golden.text()
    assert FILE["version"] == 1
    assert len({named(vector) for vector in VECTORS}) == len(VECTORS)


@pytest.mark.parametrize("vector", TO_SERVER, ids=named)
def test_the_server_understands_what_a_client_says(vector: dict[str, Any]) -> None:
    meaning = msgspec.convert(vector["message"], ClientMessage)
    assert decode(bytes.fromhex(vector["bytes"])) == meaning


@pytest.mark.parametrize("vector", EXACT, ids=named)
def test_exact_bytes_are_the_shortest_way_to_say_it(vector: dict[str, Any]) -> None:
    assert vector["to"] == "server"
    data = bytes.fromhex(vector["bytes"])
    assert msgpack.packb(shortest(decode(data))) == data
    assert msgpack.packb(vector["message"]) == data


@pytest.mark.parametrize("vector", EXACT, ids=named)
def test_the_python_client_says_the_same_and_spells_out_the_defaults(
    vector: dict[str, Any],
) -> None:
    said = encode(msgspec.convert(vector["message"], ClientMessage))
    assert decode(said) == decode(bytes.fromhex(vector["bytes"]))
    assert vector["message"].items() <= msgpack.unpackb(said).items() or "hello" in vector["name"]


@pytest.mark.parametrize("vector", TO_ENGINE, ids=named)
def test_the_engine_understands_what_a_server_says(vector: dict[str, Any]) -> None:
    meaning: ServerMessage = msgspec.convert(vector["message"], ServerMessage)
    assert decode_reply(bytes.fromhex(vector["bytes"])) == meaning
    assert [*vector["message"]] == ["type", *type(meaning).__struct_fields__]
    assert msgpack.packb(vector["message"]) == encode(meaning)


def test_there_is_a_vector_for_every_message_and_every_field() -> None:
    for union, said in ((ClientMessage, TO_SERVER), (ServerMessage, TO_ENGINE)):
        for kind in get_args(union):
            given = [
                v["message"] for v in said if v["message"]["type"] == kind.__struct_config__.tag
            ]
            assert set().union(*given) == {"type", *kind.__struct_fields__}
