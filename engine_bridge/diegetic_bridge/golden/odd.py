"""The same messages in other bytes than the shortest, and with fields that nobody knows."""

import struct
from typing import Any

import msgspec
from msgspec import Raw

from diegetic_bridge.golden.replies import replies
from diegetic_bridge.golden.said import said

Fields = dict[str, Any]

_pack = msgspec.msgpack.encode


def said_oddly() -> dict[str, tuple[Fields, bytes]]:
    """Return what other encoders make of an engine's messages: meaning and bytes."""
    messages = said()
    full = messages["event-full"]
    whole = full | {"time": 11.0, "gain_db": -33.0, "position": [1.0, -200.0, 70000.0]}
    ints = whole | {"time": 11, "gain_db": -33, "position": [1, -200, 70000], "occlusion": 1}
    hello = messages["hello-of-a-game"]
    spelt_out = hello | {
        "parameters": [{"name": "threat", "minimum": 0, "maximum": 1, "default": 0}],
        "events": [
            "shot",
            {
                "name": "footstep",
                "text": "footstep on {surface}",
                "variations": 5,
                "length": 1,
                "gain_db": 0,
                "bus": "events",
            },
        ],
        "snapshots": [{"name": "pause", "gains_db": {"beds": -12}}],
        "pcm": {"rate": 48000, "frames": 512},
    }
    ping: Fields = {"type": "ping", "time": 0.10000000149011612}
    single = Raw(struct.pack(">Bf", 0xCA, 0.1))
    frame = messages["frame-full"]
    least = {"type": "event", "id": 1, "name": "shot", "time": 11.0}
    nils = {"gain_db": 0.0, "position": None, "occlusion": 0.0, "bus": ""}
    return {
        "event-ints-for-floats": (whole | {"occlusion": 1.0}, _pack(ints)),
        "event-defaults-given": (least, _pack(least | nils)),
        "event-type-last": (full, _pack(dict(reversed(full.items())))),
        "event-longest-headers": (full, _longest(full)),
        "event-unknown-fields": (full, _pack(full | _UNKNOWN)),
        "ping-float32": (ping, _pack(ping | {"time": single})),
        "hello-defaults-given": (hello, _pack(spelt_out)),
        "hello-longest-headers": (hello, _longest(hello)),
        "frame-longest-headers": (frame, _longest(frame)),
    }


def replies_oddly() -> dict[str, tuple[Fields, bytes]]:
    """Return what a server in another language might say: meaning and bytes."""
    messages = replies()
    pong: Fields = {"type": "pong", "time": 8.0, "server_time": -33.0}
    single = Raw(struct.pack(">Bf", 0xCA, 1234.5))
    negative = [-1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**53) + 1]
    half = messages["pong"] | {"server_time": single}
    ints = pong | {"time": 8, "server_time": -33}
    acked = {"type": "ack", "events": negative}
    full = messages["status-full"]
    odd: dict[str, tuple[Fields, bytes]] = {
        "pong-ints-for-floats": (pong, _pack(ints)),
        "pong-float32": (messages["pong"], _pack(half)),
        "pong-type-last": (pong, _pack(dict(reversed(pong.items())))),
        "ack-of-negative-numbers": (acked, _pack(acked)),
        "status-unknown-fields": (full, _pack(_UNKNOWN | full)),
        "welcome-unknown-fields": (
            messages["welcome-full"],
            _pack(messages["welcome-full"] | _MORE),
        ),
    }
    for name in ("welcome-full", "ack-of-all-widths", "error", "status-full", "pong", "pcm"):
        odd[f"{name}-longest-headers"] = (messages[name], _longest(messages[name]))
    return odd


_MORE: Fields = {"loudness": -23.5, "maps": [{"pcm": False}, [{"rate": 1}]], "nothing": None}

_UNKNOWN: Fields = _MORE | {
    f"unknown {data[0]:02x}": Raw(data)
    for data in (
        b"\xc2",
        b"\xc3",
        b"\xc4\x02ab",
        b"\xc5\x00\x02ab",
        b"\xc6\x00\x00\x00\x02ab",
        b"\xc7\x03\x05abc",
        b"\xc8\x00\x03\x05abc",
        b"\xc9\x00\x00\x00\x03\x05abc",
        b"\xca" + bytes(4),
        b"\xcb" + bytes(8),
        b"\xcc\xff",
        b"\xcd\xff\xff",
        b"\xce" + b"\xff" * 4,
        b"\xcf" + b"\xff" * 8,
        b"\xd0\x80",
        b"\xd1\x80\x00",
        b"\xd2\x80" + bytes(3),
        b"\xd3\x80" + bytes(7),
        b"\xd4\x05a",
        b"\xd5\x05ab",
        b"\xd6\xff" + bytes(4),  # a point in time
        b"\xd7\x05" + bytes(8),
        b"\xd8\x05" + bytes(16),
        b"\xd9\x02ab",
        b"\xda\x00\x02ab",
        b"\xdb\x00\x00\x00\x02ab",
        b"\xdc\x00\x01\x91\xc0",
        b"\xdd\x00\x00\x00\x01\x80",
        b"\xde\x00\x01\xa1a\x01",
        b"\xdf\x00\x00\x00\x01\x07\xe0",  # a key that is no text
    )
}


def _longest(value: object) -> bytes:
    """Return `value` with 32 bits for every length, and 64 for every int."""
    match value:
        case bool() | float() | None:
            return _pack(value)
        case int():
            return struct.pack(">Bq", 0xD3, value)
        case str():
            data = value.encode()
            return struct.pack(">BI", 0xDB, len(data)) + data
        case bytes():
            return struct.pack(">BI", 0xC6, len(value)) + value
        case list():
            return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(_longest, value))
        case dict():
            items = (_longest(key) + _longest(item) for key, item in value.items())
            return struct.pack(">BI", 0xDF, len(value)) + b"".join(items)
    raise TypeError(f"value: expected what MessagePack knows, got {type(value).__name__}")
