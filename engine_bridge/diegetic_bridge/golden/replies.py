"""What servers say: every message, with defaults left out and with all fields."""

import struct
from typing import Any

Fields = dict[str, Any]


def replies() -> dict[str, Fields]:
    """Return messages by the names of their vectors."""
    counts = (0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1, 1, 2, 3)
    status = {
        "frames": counts[9],
        "frames_conflated": counts[8],
        "prompts": counts[1],
        "layers": counts[2],
        "parameters": counts[3],
        "switches": counts[4],
        "events": counts[7],
        "buses": counts[5],
        "snapshots": counts[6],
        "listeners": counts[0],
        "errors": counts[10],
        "dropped": counts[11],
        "unsent": counts[12],
        "rtf": 0.625,
        "underruns": 32,
        "bank_ready": 17,
        "bank_wanted": 20,
        "events_missed": 4,
        "events_late": 5,
        "heard": 8.125,
    }
    welcome = {"type": "welcome", "version": 1, "session": "5f1d", "rate": 48000}
    samples = struct.pack("<128f", *(n / 64 - 1 for n in range(128)))
    return {
        "welcome-least": welcome | {"latency_ms": 80.0},
        "welcome-full": welcome | {"latency_ms": 412.5, "pcm": True},
        "welcome-of-a-later-server": welcome | {"version": 2, "latency_ms": 0.0, "pcm": False},
        "ack-of-none": {"type": "ack", "events": []},
        "ack-of-one": {"type": "ack", "events": [1]},
        "ack-of-15": {"type": "ack", "events": list(range(15))},
        "ack-of-16": {"type": "ack", "events": list(range(16))},
        "ack-of-all-widths": {"type": "ack", "events": list(counts)},
        "ack-of-300": {"type": "ack", "events": list(range(100, 400))},
        "error": {
            "type": "error",
            "code": "undeclared",
            "field": "event.bus",
            "message": "expected one of beds, events, got 'Straßenbahn'",
        },
        "error-of-a-later-server": {
            "type": "error",
            "code": "tired",
            "field": "",
            "message": "m" * 300,
        },
        "status-least": {"type": "status"},
        "status-full": {"type": "status"} | status,
        "pong": {"type": "pong", "time": 8.125, "server_time": 1234.5},
        "pcm": {"type": "pcm", "number": 0, "samples": samples[:8]},
        "pcm-of-no-frames": {"type": "pcm", "number": 1, "samples": b""},
        "pcm-of-31-frames": {"type": "pcm", "number": 127, "samples": samples[:248]},
        "pcm-of-64-frames": {"type": "pcm", "number": 2**32, "samples": samples},
    }
