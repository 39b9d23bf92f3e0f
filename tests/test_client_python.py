"""The Python client and its asyncio twin: what every client does, and how answers are awaited."""

import asyncio
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from bridge_recorder import ANYWHERE, WAIT, Recorder
from conformance import EXPECTED, run_conformance
from diegetic_bridge import (
    Ack,
    AsyncClient,
    BridgeServer,
    Error,
    ServerMessage,
    Welcome,
)

PROGRAM = Path(__file__).with_name("conformance_python.py")
NOBODY = "tcp://127.0.0.1:1"


def test_the_server_hears_of_the_python_client_what_it_hears_of_every_client() -> None:
    assert run_conformance([sys.executable, str(PROGRAM)]) == EXPECTED


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 2 * WAIT))


def test_a_welcome_and_acknowledgements_are_awaited() -> None:
    recorder = Recorder()

    async def scene(endpoint: str) -> None:
        async with AsyncClient(endpoint, events=["shot"]) as client:
            assert (await client.welcomed()).latency_ms == 80.0
            for _ in range(100):
                client.post_event("shot")
            await client.acknowledged()
            assert recorder.events() == ["shot"] * 100
            assert (await client.welcomed()).latency_ms == 80.0  # it is here already

    with BridgeServer(ANYWHERE, recorder) as server:
        play(scene(server.endpoint))
        recorder.until(lambda: len(recorder.closed) == 1)


def test_replies_are_iterated_until_the_client_is_closed() -> None:
    async def scene(endpoint: str) -> None:
        replies: list[ServerMessage] = []
        async with AsyncClient(endpoint) as client:
            event = client.post_event("shot")
            async for reply in client:
                replies.append(reply)
                if reply == Ack([event]):
                    client.set_prompt("x" * 3000)  # refused by the client itself
                if isinstance(reply, Error):
                    break
            rest = asyncio.create_task(exhaust(client))
            await asyncio.sleep(0)
        await rest
        assert isinstance(replies[0], Welcome)
        assert isinstance(replies[-1], Error)
        assert replies[-1].field == "text"

    with BridgeServer(ANYWHERE, Recorder()) as server:
        play(scene(server.endpoint))


async def exhaust(client: AsyncClient) -> None:
    async for _ in client:
        pass


def test_without_a_server_only_those_who_wait_for_one_wait() -> None:
    now = [0.0]

    async def scene() -> None:
        async with AsyncClient(NOBODY, clock=lambda: now[0], event_ttl=5.0) as client:
            welcomed = asyncio.create_task(client.welcomed())
            acknowledged = asyncio.create_task(client.acknowledged())
            client.post_event("shot")
            await asyncio.sleep(0)
            assert not welcomed.done()
            assert not acknowledged.done()
            now[0] = 6.0
            await acknowledged  # given up
            assert client.stats.events_expired == 1
            assert not welcomed.done()
            welcomed.cancel()

    play(scene())


def test_the_event_loop_goes_on_while_the_client_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        loop_went_on = threading.Event()
        async with AsyncClient(NOBODY) as client:
            stop = client._worker.close

            def stop_later() -> None:
                assert loop_went_on.wait(WAIT)
                stop()

            monkeypatch.setattr(client._worker, "close", stop_later)
            asyncio.get_running_loop().call_soon(loop_went_on.set)

    play(scene())
