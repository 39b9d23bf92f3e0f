"""Messages that are nearly good: golden ones, broken in every way; the same seed, the same ones."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from diegetic_bridge.golden import vectors
from diegetic_bridge.messages import MAX_MESSAGE_BYTES

HUGE = 1 / 2_000  # of all messages
HELLOS = 1 / 10
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    -(2**63),
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x" * 65,
    "x" * 100_000,
    "\u202e\U0001f600",
    b"",
    bytes(1000),
    [],
    [0] * 1000,
    {},
    {"type": "hello"},
    [[[[[[[[]]]]]]]],
)


class Mutants(Iterator[list[bytes]]):
    """Goes on for ever; an item is the parts of one message, normally one part."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        golden = [vector for vector in vectors() if vector.to == "server"]
        self._good = [vector.data for vector in golden]
        self._hellos = [data for data in self._good if b"\xa5hello" in data[:20]]
        self._fields: list[dict[str, Any]] = [msgspec.msgpack.decode(d) for d in self._good]
        self._names = sorted({name for fields in self._fields for name in fields})
        self._ways: tuple[Callable[[], bytes], ...] = (
            self._as_it_is,
            self._flipped,
            self._flipped,
            self._cut,
            self._grown,
            self._spliced,
            self._noise,
            self._odd_field,
            self._misshapen_frame,
        )

    def __next__(self) -> list[bytes]:
        chance = self._rng.random()
        if chance < HUGE:
            return [self._huge()]
        if chance < HELLOS:
            return [self._rng.choice(self._hellos)]
        if chance > 0.99:
            return self._parts()
        return [self._ways[int(self._rng.random() * len(self._ways))]()]

    def _pick(self) -> bytes:
        return self._good[int(self._rng.random() * len(self._good))]

    def _as_it_is(self) -> bytes:
        return self._pick()

    def _flipped(self) -> bytes:
        data = bytearray(self._pick())
        for _ in range(int(self._rng.random() * 4) + 1):
            data[int(self._rng.random() * len(data))] = self._rng.getrandbits(8)
        return bytes(data)

    def _cut(self) -> bytes:
        data = self._pick()
        return data[: int(self._rng.random() * len(data))]

    def _grown(self) -> bytes:
        data = self._pick()
        at = int(self._rng.random() * len(data))
        return data[:at] + self._rng.randbytes(int(self._rng.random() * 16)) + data[at:]

    def _spliced(self) -> bytes:
        head, tail = self._pick(), self._pick()
        cut, start = int(self._rng.random() * len(head)), int(self._rng.random() * len(tail))
        return head[:cut] + tail[start:]

    def _noise(self) -> bytes:
        return self._rng.randbytes(int(self._rng.random() * 64))

    def _odd_field(self) -> bytes:
        fields = dict(self._rng.choice(self._fields))
        for _ in range(int(self._rng.random() * 2) + 1):
            fields[self._rng.choice(self._names)] = self._rng.choice(ODD)
        if self._rng.random() < 0.1:
            del fields[self._rng.choice(list(fields))]
        # msgspec writes no integer beyond 64 bits, and all of ODD are within
        return msgspec.msgpack.encode(fields)

    def _misshapen_frame(self) -> bytes:
        rng = self._rng
        frame = {
            "type": "frame",
            "width": rng.choice((0, 1, 7, 128, 4096, 4097, 2**31)),
            "height": rng.choice((0, 1, 7, 72, 4096, 4097, -5)),
            "time": rng.random() * 1e4,
            "format": rng.choice(("rgb24", "rgba8", "bgra8", "gray8", "yuv")),
            "stride": rng.choice((0, 0, 3, 400, 2**22, -1)),
            "pixels": bytes(rng.choice((0, 3, 49, 147, 196, 9216, 27648))),
        }
        return msgspec.msgpack.encode(frame)

    def _huge(self) -> bytes:
        size = self._rng.randrange(1 << 20, MAX_MESSAGE_BYTES + 2)
        text = {"type": "prompt", "text": "x" * size, "time": 1.0}
        frame = {"type": "frame", "width": 1024, "height": 1024, "time": 1.0, "pixels": bytes(size)}
        return self._rng.choice(
            (bytes(size), msgspec.msgpack.encode(self._rng.choice((text, frame))))
        )

    def _parts(self) -> list[bytes]:
        count = self._rng.choice((2, 2, 3, 50))
        return [self._pick() if self._rng.random() < 0.5 else b"" for _ in range(count)]
