"""What peers say, good and bad, packed by `msgpack`, which knows nothing of our messages."""

import math

import msgpack  # type: ignore[import-untyped]

from diegetic_bridge.messages import MAX_MESSAGE_BYTES

HELLO = {
    "type": "hello",
    "version": 1,
    "time": 10.0,
    "engine": "raw",
    "parameters": [{"name": "threat", "minimum": 0, "maximum": 1, "default": 0}],
    "switches": [{"name": "surface", "values": ["grass", "sand"]}],
    "events": ["shot", {"name": "footstep", "text": "footstep on {surface}", "bus": "feet"}],
    "buses": [
        {"name": "feet", "parent": "events"},
        {"name": "music", "ducks": [{"source": "feet"}]},
    ],
    "snapshots": [{"name": "indoors", "gains_db": {"beds": -12}}],
}
PROMPT = {"type": "prompt", "text": "rain", "time": 11.0}
BLEND = PROMPT | {"weight": 3, "blend": {"wind": 1.5}, "ramp": 2}
LAYERS = {"type": "layers", "layers": ["ambience", "music"], "time": 11.0}
EVENT = {"type": "event", "id": 1, "name": "shot", "time": 11.0}
FRAME = {"type": "frame", "width": 4, "height": 3, "time": 11.0, "pixels": bytes(36)}
PARAMETER = {"type": "parameter", "name": "threat", "value": 0.5, "time": 11.0}
SWITCH = {"type": "switch", "name": "surface", "value": "grass", "time": 11.0}
BUS = {"type": "bus", "name": "music", "gain_db": -6, "mute": False, "fade": 0.5, "time": 11.0}
PUSH = {"type": "push_snapshot", "name": "indoors", "fade": 0.5, "time": 11.0}
POP = PUSH | {"type": "pop_snapshot"}
LISTENER = {"type": "listener", "position": [1, 2, 3], "forward": [0, 0, -2], "time": 11.0}
LOUDNESS = {"type": "loudness", "lufs": -18, "time": 11.0}
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
    "prompt of no weight": (pack(BLEND | {"weight": 0}), "invalid", "weight", "got 0"),
    "prompt of nan weight": (pack(BLEND | {"weight": math.nan}), "invalid", "weight", "got nan"),
    "blend of four": (
        pack(BLEND | {"blend": {"wind": 1, "fire": 1, "bees": 1}}),
        "invalid",
        "blend",
        "length <= 2",
    ),
    "blend of less than nothing": (
        pack(BLEND | {"blend": {"wind": -1}}),
        "invalid",
        "blend[...]",
        "> 0.0",
    ),
    "blend of nan": (pack(BLEND | {"blend": {"wind": math.nan}}), "invalid", "blend[...]", "0.0"),
    "blend of no words": (pack(BLEND | {"blend": {"": 1}}), "invalid", "blend", "length >= 1"),
    "blend of numbers": (pack(BLEND | {"blend": {7: 1}}), "invalid", "blend", "int"),
    "blend of 1 MB": (pack(BLEND | {"blend": {"x" * 1_000_000: 1}}), "invalid", "blend", "2000"),
    "blend of the same again": (pack(BLEND | {"blend": {"rain": 1}}), "invalid", "blend", "'rain'"),
    "blend with nothing": (pack(BLEND | {"text": ""}), "invalid", "text", "got none"),
    "endless morph": (pack(BLEND | {"ramp": 1e9}), "invalid", "ramp", "60"),
    "unknown layer": (
        pack(LAYERS | {"layers": ["music", "drums"]}),
        "invalid",
        "layers[1]",
        "ambience, music, foley, got 'drums'",
    ),
    "layers that are one": (pack(LAYERS | {"layers": "music"}), "invalid", "layers", "array"),
    "more layers than there are": (
        pack(LAYERS | {"layers": ["music"] * 4}),
        "invalid",
        "layers",
        "length <= 3",
    ),
    "layers of nobody knows": (
        pack({"type": "layers", "time": 11.0}),
        "invalid",
        "layers",
        "got none",
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
    "position that is nan": (
        pack(EVENT | {"position": [0, math.nan, 0]}),
        "invalid",
        "position[1]",
        "float",
    ),
    "position in a plane": (pack(EVENT | {"position": [1, 2]}), "invalid", "position", "3"),
    "more than all occluded": (pack(EVENT | {"occlusion": 2}), "invalid", "occlusion", "got 2"),
    "event an hour ahead": (pack(EVENT | {"time": 3611}), "invalid", "time", "60 s ahead"),
    "event on no bus": (pack(EVENT | {"bus": "tram"}), "undeclared", "bus", "got 'tram'"),
    "undeclared bus": (pack(BUS | {"name": "tram"}), "undeclared", "name", "beds, events, feet"),
    "bus that is told nothing": (
        pack({"type": "bus", "name": "music", "time": 11.0}),
        "invalid",
        "gain_db",
        "neither",
    ),
    "bus of nan gain": (pack(BUS | {"gain_db": math.nan}), "invalid", "gain_db", "got nan"),
    "half muted": (pack(BUS | {"mute": 0.5}), "invalid", "mute", "bool"),
    "endless fade": (pack(BUS | {"fade": 1e9}), "invalid", "fade", "60"),
    "loudness of nan": (pack(LOUDNESS | {"lufs": math.nan}), "invalid", "lufs", "float"),
    "loudness above all": (pack(LOUDNESS | {"lufs": 5}), "invalid", "lufs", "float"),
    "loudness of nothing": (pack(LOUDNESS | {"lufs": -200}), "invalid", "lufs", "float"),
    "loudness in words": (pack(LOUDNESS | {"lufs": "loud"}), "invalid", "lufs", "float"),
    "undeclared snapshot pushed": (pack(PUSH | {"name": "sea"}), "undeclared", "name", "indoors"),
    "undeclared snapshot popped": (pack(POP | {"name": "sea"}), "undeclared", "name", "indoors"),
    "listener nowhere": (pack({"type": "listener", "time": 1.0}), "invalid", "position", "none"),
    "listener that looks nowhere": (
        pack(LISTENER | {"forward": [0, 0, 0]}),
        "invalid",
        "forward",
        "direction",
    ),
    "listener on its head and feet": (pack(LISTENER | {"up": [0, 0, 5]}), "invalid", "up", "other"),
    "event of seventeen variations": (
        pack(HELLO | {"events": [{"name": "shot", "variations": 17}]}),
        "invalid",
        "events[0].variations",
        "16",
    ),
    "event declared twice and differently": (
        pack(HELLO | {"events": ["shot", {"name": "shot", "length": 2.0}]}),
        "invalid",
        "events",
        "'shot' again",
    ),
    "event declared on no bus": (
        pack(HELLO | {"events": [{"name": "shot", "bus": "tram"}]}),
        "invalid",
        "events",
        "'tram'",
    ),
    "event that is a number": (pack(HELLO | {"events": [7]}), "invalid", "events[0]", "int"),
    "buses in a circle": (
        pack(HELLO | {"buses": [{"name": "beds", "parent": "a"}, {"name": "a", "parent": "beds"}]}),
        "invalid",
        "buses",
        "parent of 'beds'",
    ),
    "another master": (pack(HELLO | {"buses": [{"name": "master"}]}), "invalid", "buses", "master"),
    "bus twice": (
        pack(HELLO | {"buses": [{"name": "a"}, {"name": "a"}]}),
        "invalid",
        "buses",
        "'a' again",
    ),
    "bus that ducks from itself": (
        pack(HELLO | {"buses": [{"name": "a", "ducks": [{"source": "a"}]}]}),
        "invalid",
        "buses",
        "before it",
    ),
    "bus that ducks from one that comes later": (
        pack(HELLO | {"buses": [{"name": "beds", "ducks": [{"source": "a"}]}, {"name": "a"}]}),
        "invalid",
        "buses",
        "before it",
    ),
    "duck that becomes louder": (
        pack(HELLO | {"buses": [{"name": "a", "ducks": [{"source": "beds", "gain_db": 3}]}]}),
        "invalid",
        "buses[0].ducks[0].gain_db",
        "0",
    ),
    "snapshot of no bus": (
        pack(HELLO | {"snapshots": [{"name": "a", "gains_db": {"tram": -3}}]}),
        "invalid",
        "snapshots",
        "'tram'",
    ),
    "snapshot of nan": (
        pack(HELLO | {"snapshots": [{"name": "a", "gains_db": {"beds": math.nan}}]}),
        "invalid",
        "snapshots[0].gains_db[...]",
        "float",
    ),
    "5 MB": (bytes(5_000_000), "too-large", "message", f"{MAX_MESSAGE_BYTES}"),
}
