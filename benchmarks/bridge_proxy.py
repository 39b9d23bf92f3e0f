"""A wire that can be cut: stands between a client and a server, in a thread of its own."""

import asyncio
import threading
from types import TracebackType
from typing import Self


class Cutter:
    """Passes on what goes between clients and the server at `endpoint`, tcp://127.0.0.1:PORT."""

    def __init__(self, endpoint: str) -> None:
        self._host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self._port = int(port)
        self._ends: set[_End] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutter", daemon=True)
        self.endpoint = ""

    def cut(self) -> int:
        """Break every connection; what is on its way is lost. Return how many there were.

        New ones may come at once.
        """

        async def abort() -> int:
            return self._abort() // 2

        return asyncio.run_coroutine_threadsafe(abort(), self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        start = self._loop.create_server(self._answer, "127.0.0.1", 0)
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

    def _abort(self) -> int:
        ends = list(self._ends)
        for end in ends:
            end.transport.abort()
        return len(ends)

    async def _end(self) -> None:
        self._listener.close()
        while self._ends or self._calls:
            self._abort()
            await asyncio.sleep(0.001)

    def _answer(self) -> "_End":
        """Take in a client: whatever it says waits until there is a server to hear it."""
        client = _End(self._ends)
        call = self._loop.create_task(self._call(client))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return client

    async def _call(self, client: "_End") -> None:
        try:
            _, server = await self._loop.create_connection(
                lambda: _End(self._ends), self._host, self._port
            )
        except OSError:  # no server: the client tries again
            client.transport.abort()
            return
        client.other, server.other = server, client
        for end in (client, server):
            end.pass_on()
            if end.transport.is_closing():
                end.connection_lost(None)
        for end in (client, server):
            end.transport.resume_reading()


class _End(asyncio.Protocol):
    """One end of a connection; while there is no other one, nothing is read."""

    transport: asyncio.Transport

    def __init__(self, ends: "set[_End]") -> None:
        self.other: _End | None = None
        self._ends = ends
        self._early = bytearray()  # some Pythons read once more after they were told to pause

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ends.add(self)
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._early += data
        self.pass_on()

    def pass_on(self) -> None:
        """Give what was read to the other end, once there is one."""
        if self.other is not None and self._early:
            self.other.transport.write(bytes(self._early))
            self._early.clear()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._ends.discard(self)
        if self.other is not None:
            self.other.transport.close()
