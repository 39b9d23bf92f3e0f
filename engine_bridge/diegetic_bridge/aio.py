"""The client for asyncio: the same calls, and ways to wait for what comes back.

    async with AsyncClient(engine="my game", events=["shot"]) as client:
        await client.welcomed()
        client.post_event("shot")
        await client.acknowledged()
        async for reply in client:
            ...

What a game says never waits, here as there. The client's worker thread rings a bell in the event
loop whenever there is something new; whoever waits looks again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from diegetic_bridge import arguments
from diegetic_bridge.client import Client
from diegetic_bridge.link import BankProgress
from diegetic_bridge.messages import ServerMessage, Welcome

_PATIENCE = 0.5  # s after which who waits looks again: an event that is given up rings no bell


class AsyncClient(Client):
    """A `Client` whose answers can be awaited; its arguments are those of `Client`.

    `async with` binds it to the event loop that runs then; until that there is nothing to wait for.
    Iterate or call `poll`, not both: each reply is given out once. At most 256 wait to be read.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _bell: asyncio.Event
    _welcome: Welcome | None = None

    async def welcomed(self) -> Welcome:
        """Wait until a session is open; return what the server said of it."""
        await self._until(lambda: self.stats.connected)
        assert self._welcome is not None
        return self._welcome

    async def acknowledged(self) -> None:
        """Wait until no event is on its way: each has arrived, or was given up and counted."""
        await self._until(lambda: not self.stats.events_unacked)

    async def wait_for_bank(  # type: ignore[override]  # to block a loop is never what is meant
        self, timeout: float = 60.0
    ) -> BankProgress:
        """Wait as `Client.wait_for_bank` does, while the event loop goes on."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._until(self._is_bank_settled), arguments.patience(timeout))
        with self._lock:
            return self._bank_or_why()

    async def __aiter__(self) -> AsyncIterator[ServerMessage]:
        """Give out what `poll` gives, as it comes, until the client is closed."""
        while True:
            bell = self._bell
            for reply in self.poll():
                yield reply
            if self._is_closed:
                return
            await bell.wait()

    async def aclose(self) -> None:
        """Say goodbye if there is a server, and stop; the event loop goes on meanwhile."""
        await asyncio.to_thread(self.close)
        self._ring()

    async def __aenter__(self) -> Self:
        self._bell = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while True:
            bell = self._bell
            if condition():
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), _PATIENCE)

    def _is_bank_settled(self) -> bool:
        with self._lock:
            return self._is_closed or self._link.ready_bank is not None

    def _note(self, reply: ServerMessage) -> None:
        super()._note(reply)
        if isinstance(reply, Welcome):
            self._welcome = reply
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed before the client
                self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        """Wake all who wait; who waits from now on waits for the next."""
        self._bell.set()
        self._bell = asyncio.Event()
