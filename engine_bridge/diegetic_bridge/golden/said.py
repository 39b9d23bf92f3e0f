"""What engines say: every message, with defaults left out, with all fields, and at every limit."""

from typing import Any

Fields = dict[str, Any]


def said() -> dict[str, Fields]:
    """Return messages by the names of their vectors."""
    return _hellos() | _frames() | _states() | _mixes() | _events()


def _hellos() -> dict[str, Fields]:
    hello: Fields = {"type": "hello", "version": 1}
    return {
        "hello-least": hello | {"time": 0.0},
        "hello-of-a-game": hello
        | {
            "time": 12.25,
            "engine": "a game",
            "instance": "7d4c0d1e",
            "parameters": [{"name": "threat"}],
            "switches": [{"name": "surface", "values": ["grass", "stone"]}],
            "events": ["shot", {"name": "footstep", "text": "footstep on {surface}"}],
            "buses": [{"name": "voices", "parent": "events"}],
            "snapshots": [{"name": "pause", "gains_db": {"beds": -12.0}}],
            "pcm": {},
        },
        "hello-full": hello
        | {
            "time": 0.001,
            "engine": "Spiel für zwei",
            "instance": "x",
            "parameters": [
                {"name": "threat", "minimum": -1e9, "maximum": 1e9, "default": -0.5},
                {"name": "height", "maximum": 8848.86},
                {"name": "hunger", "default": 1.0},
            ],
            "switches": [{"name": "place", "values": ["hall"]}],
            "events": [
                {
                    "name": "door",
                    "text": "an oak door slams",
                    "variations": 16,
                    "length": 4.0,
                    "gain_db": -96.0,
                    "bus": "feet",
                },
                {"name": "drip", "variations": 1, "length": 0.05, "gain_db": 24.0},
                {"name": "thunder", "bus": "beds"},
                "door bell",
            ],
            "buses": [
                {"name": "feet", "parent": "events"},
                {"name": "radio"},
                {
                    "name": "beds",
                    "ducks": [
                        {"source": "feet", "gain_db": -60.0, "attack": 0.001, "release": 10.0},
                        {"source": "radio"},
                        {"source": "feet", "gain_db": 0.0},
                    ],
                },
            ],
            "snapshots": [
                {"name": "cave", "gains_db": {"beds": -12.5, "feet": 24.0}},
                {"name": "nothing", "gains_db": {}},
            ],
            "pcm": {"rate": 44100, "frames": 1024},
        },
        "hello-longest-texts": hello
        | {
            "time": 1e10,
            "engine": "ü" * 128,
            "instance": "i" * 64,
            "parameters": [{"name": "p" * 64}, {"name": "é" * 64}, {"name": "🔔" * 64}],
            "switches": [{"name": "s" * 64, "values": ["v" * 64, "値" * 64]}],
            "events": ["e" * 64, {"name": "鐘" * 64, "text": "t" * 500}],
            "pcm": {"rate": 192000, "frames": 8192},
        },
        "hello-lists-of-16": hello
        | {
            "time": 1.0,
            "parameters": [{"name": f"p{n}"} for n in range(15)],
            "switches": [{"name": "floor", "values": [str(n) for n in range(256)]}],
            "events": [f"event {n}" for n in range(16)],
            "buses": [
                {"name": f"bus {n:02}", "ducks": [{"source": "events"}] * (n % 8 + 1)}
                for n in range(64)
            ],
            "snapshots": [
                {"name": "15", "gains_db": {f"bus {n:02}": float(-n) for n in range(15)}},
                {"name": "16", "gains_db": {f"bus {n:02}": float(-n) for n in range(16)}},
            ],
            "pcm": {"rate": 8000, "frames": 64},
        },
    }


def _frames() -> dict[str, Fields]:
    def frame(width: int, height: int, pixels: bytes, **more: object) -> Fields:
        about = {"width": width, "height": height, "time": 2.5, "pixels": pixels}
        return {"type": "frame"} | about | more

    return {
        "frame-least": frame(1, 1, b"\x00\x7f\xff"),
        "frame-full": frame(2, 2, bytes(range(24)), format="bgra8", stride=12, origin="bottom"),
        "frame-last-row-without-padding": frame(2, 2, bytes(range(16)), format="rgba8", stride=8),
        "frame-of-255-bytes": frame(255, 1, bytes(range(255)), format="gray8"),
        "frame-of-256-bytes": frame(256, 1, bytes(range(256)), format="gray8"),
        "frame-of-longest-stride": frame(127, 1, bytes(127), format="gray8", stride=4194304),
        "frame-of-128-rows": frame(1, 128, bytes(384), origin="bottom"),
    }


def _states() -> dict[str, Fields]:
    prompt: Fields = {"type": "prompt"}
    said = {
        "prompt-least": {"text": "rain on a tin roof", "time": 3.0},
        "prompt-of-silence": {"text": "", "time": 0.1},
        "prompt-full": {
            "text": "rain",
            "time": 3.0,
            "guidance": 2.5,
            "weight": 3.0,
            "blend": {"fire": 0.25, "wind": 1.0},
            "ramp": 2.0,
        },
        "prompt-of-lowest-values": {
            "text": "r",
            "time": 0.0,
            "guidance": 1.0,
            "weight": 1e-9,
            "blend": {"w": 1e-300},
        },
        "prompt-of-highest-values": {
            "text": "r",
            "time": 1e10,
            "guidance": 5.0,
            "weight": 1e9,
            "blend": {"w": 1e9},
            "ramp": 60.0,
        },
        "prompt-of-signs": {"text": 'one "line"\n\tand a \\ more', "time": 1.5},
        "prompt-of-four-alphabets": {"text": "Regen, pluie d’été, 雨, 🌧", "time": 1.5},
        "prompt-of-2000-letters": {"text": "é" * 2000, "time": 1.5},
    }
    for length in (31, 32, 255, 256, 2000):
        said[f"prompt-of-{length}-bytes"] = {"text": "x" * length, "time": 1.5}
    return {name: prompt | fields for name, fields in said.items()} | {
        "layers-all": {"type": "layers", "layers": [], "time": 4.0},
        "layers-one": {"type": "layers", "layers": ["ambience"], "time": 4.0},
        "layers-three": {"type": "layers", "layers": ["ambience", "music", "foley"], "time": 4.0},
        "parameter-least": {"type": "parameter", "name": "threat", "value": 0.0, "time": 5.0},
        "parameter-full": _parameter("threat", 0.1, ramp=0.5),
        "parameter-whole": _parameter("threat", 1.0, ramp=1.0),
        "parameter-lowest": _parameter("t", -1e9),
        "parameter-highest": _parameter("é" * 64, 1e9, ramp=60.0),
        "parameter-near-nothing": _parameter("threat", -1e-7),
        "switch": {"type": "switch", "name": "surface", "value": "stone", "time": 6.0},
        "switch-of-longest-names": {
            "type": "switch",
            "name": "🔔" * 64,
            "value": "v" * 64,
            "time": 6.0,
        },
        "listener-least": {"type": "listener", "position": [1.0, 2.0, 3.0], "time": 7.0},
        "listener-full": {
            "type": "listener",
            "position": [-1e6, 0.0, 1e6],
            "time": 7.0,
            "forward": [1.0, 0.0, 0.0],
            "up": [0.0, 0.0, -1.0],
        },
        "listener-that-turned": {
            "type": "listener",
            "position": [0.0, 0.0, 0.0],
            "time": 7.0,
            "forward": [0.7071, -0.1, -0.7071],
        },
        "ping": {"type": "ping", "time": 8.125},
        "ping-at-zero": {"type": "ping", "time": 0.0},
        "bye": {"type": "bye", "time": 9.75},
    }


def _parameter(name: str, value: float, **more: float) -> Fields:
    return {"type": "parameter", "name": name, "value": value, "time": 5.0} | more


def _mixes() -> dict[str, Fields]:
    bus = {"type": "bus", "name": "voices", "time": 10.5}
    return {
        "bus-gain": bus | {"gain_db": -6.0},
        "bus-gain-of-nothing": bus | {"gain_db": 0.0},
        "bus-mute": bus | {"mute": True},
        "bus-no-mute": bus | {"mute": False},
        "bus-full": bus | {"gain_db": 24.0, "mute": False, "fade": 0.5},
        "bus-lowest": bus | {"name": "b", "gain_db": -96.0},
        "bus-longest": bus | {"name": "b" * 64, "mute": True, "fade": 60.0},
        "push_snapshot-least": {"type": "push_snapshot", "name": "pause", "time": 10.5},
        "push_snapshot-full": {"type": "push_snapshot", "name": "p", "time": 10.5, "fade": 0.1},
        "pop_snapshot-least": {"type": "pop_snapshot", "name": "pause", "time": 10.5},
        "loudness-least": {"type": "loudness", "time": 10.5},
        "loudness-full": {"type": "loudness", "time": 10.5, "lufs": -23.5},
        "loudness-lowest": {"type": "loudness", "time": 10.5, "lufs": -40.0},
        "loudness-highest": {"type": "loudness", "time": 10.5, "lufs": -10.0},
        "pop_snapshot-full": {
            "type": "pop_snapshot",
            "name": "é" * 64,
            "time": 10.5,
            "fade": 60.0,
        },
    }


def _events() -> dict[str, Fields]:
    shot = {"type": "event", "id": 1, "name": "shot", "time": 11.0}
    ids = (0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1)
    return {f"event-{number}": shot | {"id": number} for number in ids} | {
        "event-full": shot
        | {
            "id": 7,
            "time": 11.016666666666667,
            "gain_db": -3.5,
            "position": [1.5, 0.0, -2.0],
            "occlusion": 0.25,
            "bus": "voices",
        },
        "event-lowest": shot | {"gain_db": -96.0, "position": [-1e6, -1e6, -1e6]},
        "event-highest": shot
        | {"gain_db": 24.0, "position": [1e6, 1e6, 1e6], "occlusion": 1.0, "bus": "b" * 64},
        "event-at-the-origin": shot | {"position": [0.0, 0.0, 0.0]},
        "event-of-one-letter": shot | {"name": "s"},
        "event-of-64-letters": shot | {"name": "s" * 64},
        "event-of-64-letters-of-two-bytes": shot | {"name": "é" * 64},
        "event-of-64-letters-of-four-bytes": shot | {"name": "🔔" * 64},
    }
