"""Mixes of prompts, and layers, over real sockets."""

from collections.abc import Iterator

import numpy as np
import pytest

from bridge_recorder import ANYWHERE, Recorder, until
from diegetic_bridge import BridgeServer, Client, Error, Layers, Prompt


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def server(recorder: Recorder) -> Iterator[BridgeServer]:
    with BridgeServer(ANYWHERE, recorder) as server:
        yield server


@pytest.fixture
def client(server: BridgeServer) -> Iterator[Client]:
    with Client(server.endpoint) as client:
        yield client


def test_a_mix_of_prompts_and_the_layers_arrive(
    client: Client, server: BridgeServer, recorder: Recorder
) -> None:
    client.set_prompt({"rain": 3, "wind": np.float32(0.5), "fire": 1}, ramp=2)
    client.set_layers(("music", "ambience"))
    recorder.until(lambda: len(recorder.heard) == 2)
    client.set_prompt({"a stream": 7.0})
    client.set_layers([])
    recorder.until(lambda: len(recorder.heard) == 4)
    mix, layers, alone, every = (message for message, _ in recorder.heard)
    assert isinstance(mix, Prompt)
    assert isinstance(layers, Layers)
    assert isinstance(alone, Prompt)
    assert isinstance(every, Layers)
    assert mix.weights == {"rain": 3.0, "wind": 0.5, "fire": 1.0}
    assert (mix.text, mix.ramp, mix.guidance) == ("rain", 2.0, None)
    assert (alone.text, alone.blend, alone.ramp) == ("a stream", {}, 0.0)
    assert (layers.layers, every.layers) == (["music", "ambience"], [])
    assert (server.status.prompts, server.status.layers, server.status.errors) == (2, 2, 0)


def test_a_restarted_server_is_told_the_mix_and_the_layers_again() -> None:
    first, second = Recorder(), Recorder()
    server = BridgeServer(ANYWHERE, first).start()
    with Client(server.endpoint) as client:
        client.set_layers(["foley"])
        client.set_prompt("rain")
        client.set_prompt({"rain": 1, "wind": 2})
        client.set_layers(["music"])
        first.until(lambda: len(first.messages(Layers)) > 0 and len(first.messages(Prompt)) > 0)
        server.close()
        until(lambda: not client.stats.connected)
        with BridgeServer(server.endpoint, second):
            second.until(lambda: len(second.heard) == 2)
    prompt, layers = (message for message, _ in second.heard)
    assert isinstance(prompt, Prompt)
    assert isinstance(layers, Layers)
    assert (prompt.weights, layers.layers) == ({"rain": 1.0, "wind": 2.0}, ["music"])


def test_wrong_prompts_and_layers_come_out_of_poll_and_raise_nothing(
    client: Client, recorder: Recorder
) -> None:
    for wrong, field in (
        (lambda: client.set_prompt({"rain": 1, "wind": float("nan")}), "blend[...]"),
        (lambda: client.set_prompt({"rain": 0.0}), "weight"),
        (lambda: client.set_prompt({"rain": "much"}), "weight"),  # type: ignore[dict-item]
        (lambda: client.set_prompt({}), "text"),
        (lambda: client.set_prompt(["rain"]), "text"),  # type: ignore[arg-type]
        (lambda: client.set_prompt({"": 1, "rain": 1}), "text"),
        (lambda: client.set_prompt(dict.fromkeys("abcd", 1.0)), "blend"),
        (lambda: client.set_prompt("rain", ramp=61), "ramp"),
        (lambda: client.set_layers(["drums"]), "layers[0]"),
        (lambda: client.set_layers("music"), "layers"),
        (lambda: client.set_layers(7), "layers"),  # type: ignore[arg-type]
    ):
        wrong()
        assert [reply.field for reply in client.poll() if isinstance(reply, Error)] == [field]
    client.set_layers(["music"])
    recorder.until(lambda: len(recorder.heard) == 1)  # and nothing of the others
    assert recorder.messages(Prompt) == []
