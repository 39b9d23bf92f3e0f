"""A wire that can be cut: stands between a client and a server, in a thread of its own."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self


class Cutter:
    """Passes on what goes between clients and the server at `endpoint`, tcp://127.0.0.1:PORT."""

    def __init__(self, endpoint: str) -> None:
        self._host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self._port = int(port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutter", daemon=True)
        self.endpoint = ""

    def cut(self) -> int:
        """Break every connection; what is on its way is lost. Return how many there were.

        New ones may come at once.
        """

        async def abort() -> int:
            for writer in self._writers:
                writer.transport.abort()
            return len(self._writers) // 2

        return asyncio.run_coroutine_threadsafe(abort(), self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        start = asyncio.start_server(self._connect, "127.0.0.1", 0)
        self._listener = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        host, port = self._listener.sockets[0].getsockname()
        self.endpoint = f"tcp://{host}:{port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._listener.close()
        for writer in self._writers:
            writer.transport.abort()
        while self._pumps:
            await asyncio.wait(self._pumps)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream = await asyncio.open_connection(self._host, self._port)
        except OSError:  # no server: the client tries again
            writer.transport.abort()
            return
        for source, target in ((reader, upstream), (upstream_reader, writer)):
            self._writers.add(target)
            pump = asyncio.create_task(self._pump(source, target))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        self._writers.discard(target)
        target.close()
        with contextlib.suppress(ConnectionError):
            await target.wait_closed()
