"""The types of the messages' fields: each says what it may hold."""

from typing import Annotated, Literal

from msgspec import Meta

VERSION = 1
DEFAULT_ENDPOINT = "tcp://127.0.0.1:7776"

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""A longer message is answered with an error; 1280 x 720 RGBA fits."""

MAX_PART_BYTES = 4 * MAX_MESSAGE_BYTES
"""A part longer than this never reaches memory: the connection is cut (libzmq's MAXMSGSIZE)."""

PixelFormat = Literal["rgb24", "bgra8", "rgba8", "gray8"]
Origin = Literal["top", "bottom"]
Layer = Literal["ambience", "music", "foley"]
PCM_CHANNELS = 2
BYTES_PER_PIXEL: dict[PixelFormat, int] = {"rgb24": 3, "bgra8": 4, "rgba8": 4, "gray8": 1}

MAX_BLEND = 2
"""Texts that a prompt may have beside its first."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]
Weight = Annotated[float, Meta(gt=0, le=1e9)]
Time = Annotated[float, Meta(ge=0, le=1e10)]
Ramp = Annotated[float, Meta(ge=0, le=60)]
Value = Annotated[float, Meta(ge=-1e9, le=1e9)]
Gain = Annotated[float, Meta(ge=-96, le=24)]
Share = Annotated[float, Meta(ge=0, le=1)]
LoudnessTarget = Annotated[float, Meta(ge=-40, le=-10)]  # LUFS
Side = Annotated[int, Meta(gt=0, le=4096)]
EventId = Annotated[int, Meta(ge=0, lt=2**53)]  # 2**53: a double holds it, so every engine can
Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
Vector = tuple[Coordinate, Coordinate, Coordinate]
