"""A peer that speaks plain MessagePack and knows none of our code but how to read an error."""

from typing import Any

import msgpack  # type: ignore[import-untyped]
import zmq

from bridge_messages import pack
from bridge_recorder import WAIT
from diegetic_bridge import Error
from diegetic_bridge.messages import decode_reply


class RawClient:
    """A DEALER that says what it is given."""

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
            assert self.socket.poll(round(WAIT * 1000)), f"no {kind} came"
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
