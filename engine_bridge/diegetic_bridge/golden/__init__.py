"""Golden vectors: messages and their bytes, which every client of the bridge is held against.

    python -m diegetic_bridge.golden      writes engine_bridge/golden/vectors.json

`message` says what `bytes` mean. To the server only what differs from its default is there; to the
engine every field is. Bytes inside a message are {"bytes": hex}; a number with a point or an
exponent is a float, any other an int. A client that is asked to say an `exact` one makes these very
bytes; of the others it is enough that they are understood.
"""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from diegetic_bridge.golden.odd import replies_oddly, said_oddly
from diegetic_bridge.golden.replies import replies
from diegetic_bridge.golden.said import said
from diegetic_bridge.messages import ServerMessage

VECTORS = Path(__file__).parents[2] / "golden" / "vectors.json"


class Vector(NamedTuple):
    """One message, to whom it goes, and its bytes."""

    name: str
    to: Literal["server", "engine"]
    exact: bool
    message: dict[str, Any]
    data: bytes


def vectors() -> list[Vector]:
    """Return all vectors."""
    pack = msgspec.msgpack.encode  # every header as short as it can be, every float in 64 bits
    return [
        *(Vector(name, "server", True, fields, pack(fields)) for name, fields in said().items()),
        *(Vector(name, "server", False, *rest) for name, rest in said_oddly().items()),
        *(_to_engine(name, fields, pack(fields)) for name, fields in replies().items()),
        *(_to_engine(name, *rest) for name, rest in replies_oddly().items()),
    ]


def text() -> str:
    """Return what the file holds: JSON, one vector a line."""
    lines = (
        json.dumps(
            {
                "name": vector.name,
                "to": vector.to,
                "exact": vector.exact,
                "message": vector.message,
                "bytes": vector.data.hex(),
            },
            ensure_ascii=False,
            default=lambda data: {"bytes": data.hex()},
        )
        for vector in vectors()
    )
    return '{"version": 1, "vectors": [\n' + ",\n".join(lines) + "\n]}\n"


def _to_engine(name: str, message: dict[str, Any], data: bytes) -> Vector:
    """Make a vector whose message is filled up with the defaults."""
    meaning: ServerMessage = msgspec.convert(message, ServerMessage)
    fields = {name: getattr(meaning, name) for name in type(meaning).__struct_fields__}
    return Vector(name, "engine", False, {"type": message["type"]} | fields, data)
