"""One scenario that every client plays against the real server: `run_conformance(command)`.

    client process <--> Cutter <--> server process: diegetic.server, a tone for a generator
                          cuts every connection when the 500th event has been heard

The client's program gets the endpoint as its last argument, does what `conformance_python.py` does,
prints a line of JSON and ends with 0. What the server heard is returned; it must be `EXPECTED`.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from msgspec import Struct

from diegetic_bridge import (
    Bus,
    BusSpec,
    Error,
    Event,
    EventSpec,
    Frame,
    Hello,
    Layers,
    Listener,
    Loudness,
    Parameter,
    ParameterSpec,
    PcmSpec,
    Prompt,
    SnapshotSpec,
    Switch,
    SwitchSpec,
)
from diegetic_bridge.messages import Said

SERVER = Path(__file__).with_name("conformance_server.py")
EVENTS = 1001
PATIENCE = 180.0  # s, of a busy machine; each wait of a client's program is 20 s at most


class Log(Struct, frozen=True):
    """What the server heard, without times, and without who said it.

    Attributes:
        hellos: what was declared; each way of declaring it once.
        events: in the order in which they came, each id once, numbered from 0.
        states: the last of each.
        snapshots: those that are in at the end.
        frame: the last one.
        errors: replies that said that something was wrong; not that a session was not open, as
            after a client that the machine let wait for too long.
        bye: the session closed because the engine said so.
    """

    hellos: list[Hello]
    events: list[Event]
    states: dict[str, Said]
    snapshots: list[str]
    frame: Frame | None
    errors: list[Error]
    bye: bool


class Report(Struct, frozen=True, forbid_unknown_fields=True):
    """What the client's program prints."""

    acked: int
    given_up: int
    reconnects: int
    pcm_nonzero: bool


EXPECTED = Log(
    hellos=[
        Hello(
            1,
            0.0,
            parameters=[ParameterSpec("threat")],
            switches=[SwitchSpec("surface", ["grass", "stone"])],
            events=[EventSpec("shot"), EventSpec("footstep", "footstep on {surface}", 2)],
            buses=[BusSpec("voices", "events")],
            snapshots=[SnapshotSpec("pause", {"beds": -12.0})],
            pcm=PcmSpec(48_000, 512),
        )
    ],
    events=[
        Event(
            10 * k + j - 10,
            "shot",
            0.0,
            gain_db=-(k % 20),
            position=None if j % 2 else (k, 0.0, -j),
            occlusion=0.0 if j % 2 else 0.25,
        )
        for k in range(1, 101)
        for j in range(10)
    ]
    + [Event(1000, "footstep", 0.0)],
    states={
        "bus voices": Bus("voices", 0.0, gain_db=-6.0, fade=0.5),
        "layers": Layers(["ambience"], 0.0),
        "loudness": Loudness(0.0, -18.0),
        "listener": Listener((1.0, 2.0, 3.0), 0.0),
        "parameter threat": Parameter("threat", 1.0, 0.0),
        "prompt": Prompt("rain", 0.0, weight=3.0, blend={"wind": 1.0}, ramp=2.0),
        "switch surface": Switch("surface", "stone", 0.0),
    },
    snapshots=[],
    frame=Frame(8, 8, 0.0, bytes([100]) * 192),
    errors=[],
    bye=True,
)


def run_conformance(command: list[str]) -> Log:
    """Run `command` and an endpoint; return what the server heard of it.

    Raises:
        AssertionError: the client failed, or says that it did not get through.
        TimeoutError: nothing has come of it for three minutes.
    """
    return asyncio.run(asyncio.wait_for(_run(command), PATIENCE))


async def _run(command: list[str]) -> Log:
    async with _process(sys.executable, str(SERVER)) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(await server.stdout.readline())
        async with Cutter(port) as cutter, _process(*command, cutter.endpoint) as client:
            talk = asyncio.create_task(client.communicate())
            if await server.stdout.readline() != b"500 events\n":
                raise AssertionError(f"the server ended too early; {await _end(talk)}")
            cutter.cut()
            said = await _end(talk)
            assert client.returncode == 0, said
        server.stdin.write_eof()
        log = msgspec.json.decode(await server.stdout.read(), type=Log)
    report = msgspec.json.decode(said.splitlines()[-1], type=Report)
    assert report.reconnects >= 1, report
    assert report == Report(EVENTS, 0, report.reconnects, True)
    return log


async def _end(talk: "asyncio.Task[tuple[bytes, bytes]]") -> str:
    """Return what a program said, errors first."""
    out, err = await talk
    return f"{err.decode()}\n{out.decode()}"


@contextlib.asynccontextmanager
async def _process(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program; it is gone when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


class Cutter:
    """Stands between a client and the server at `port`; `cut` breaks what goes through it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @property
    def endpoint(self) -> str:
        """The server's address, as the client sees it."""
        host, port = self._listener.sockets[0].getsockname()
        return f"tcp://{host}:{port}"

    def cut(self) -> None:
        """Break every connection; what is on its way is lost. New ones may come at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def __aenter__(self) -> "Cutter":
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._listener.close()
        while self._pumps:
            await asyncio.wait(self._pumps)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._port)
        for source, target in ((reader, upstream), (upstream_reader, writer)):
            pump = asyncio.create_task(self._pump(source, target))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        self._writers.add(target)
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        self._writers.discard(target)
        target.close()
        with contextlib.suppress(ConnectionError):
            await target.wait_closed()
