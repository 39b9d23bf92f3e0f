import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile

from diegetic.bank import files
from diegetic.errors import DeviceError, DiegeticError, MediaError
from diegetic.prompts import MAX_PROMPT
from diegetic.server import Server
from diegetic.session import Session
from diegetic.sink import ClockSink, Sink
from diegetic.snapshot import BLEND_SLOTS, LAYERS
from diegetic_bridge.client import Client
from diegetic_bridge.messages import (
    MAX_BLEND,
    Error,
    Layer,
    ParameterSpec,
    PcmSpec,
    Prompt,
    SwitchSpec,
    Welcome,
    decode,
    encode,
)
from tone_generator import FakeSink, ToneGenerator, plain_conditioner


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    """A server freezes what is alive; the tests after it want their garbage collected."""
    yield
    gc.unfreeze()


def make_session() -> Session:
    return Session(generator=ToneGenerator(), conditioner=plain_conditioner)


def serve(make_sink: Callable[[], Sink] = FakeSink, bank: Path | None = None) -> Server:
    return Server("tcp://127.0.0.1:0", make_session=make_session, make_sink=make_sink, bank=bank)


def connect(server: Server, engine: str = "test") -> Client:
    return Client(
        server.endpoint,
        engine=engine,
        parameters=[ParameterSpec("threat", 0.0, 10.0, 0.0)],
        switches=[SwitchSpec("surface", ["grass", "gravel"])],
        events=["shot"],
    )


def wait_until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def changes(server: Server) -> list[tuple[str, str]]:
    assert server.session is not None
    return [(c.kind, c.name) for record in server.session.records() for c in record.changes]


def test_what_an_engine_says_is_heard_and_measured(tmp_path: Path) -> None:
    take = tmp_path / "take.wav"
    with serve(lambda: ClockSink(record=take)) as server:
        assert not server.status()["playing"]
        with connect(server) as client:
            client.set_prompt("rain on a roof")
            client.set_parameter("threat", 5.0, 0.2)
            client.set_switch("surface", "gravel")
            client.post_event("shot")
            pixels = np.zeros((9, 16, 3), np.uint8)
            client.push_frame(pixels, 16, 9, "rgb24")
            wait_until(lambda: server.session is not None and len(changes(server)) == 4)
            session = server.session
            assert session is not None
            wait_until(lambda: len(session.metrics.knob_to_ear_values_ms()) == 4)
        wait_until(lambda: not server.status()["playing"])
    assert sorted(changes(server)) == [
        ("event", "shot"),
        ("parameter", "threat"),
        ("prompt", "rain on a roof"),
        ("switch", "surface"),
    ]
    status = server.status()
    assert (status["prompts"], status["events"], status["frames"]) == (1, 1, 1)
    assert (status["engine"], status["prompt"]) == ("test", "rain on a roof")
    assert status["chunks"] == len(session.records())
    # on a machine that keeps up: at least the lookahead, at most it and two hops
    assert min(session.metrics.knob_to_ear_values_ms()) > 100
    sound, _ = soundfile.read(take)
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.01)
    assert np.abs(sound[-1]).max() < 1e-3  # faded out


def test_an_engine_blends_prompts_and_chooses_layers() -> None:
    with serve(ClockSink) as server:
        with connect(server) as client:
            client.set_prompt({"wind": 1, "rain": 3})
            wait_until(lambda: server.status()["prompt"] == "rain 75%, wind 25%")
            assert latest_layers(server) == {"ambience", "music"}  # shots are the bank's
            client.set_prompt("fire", ramp=0.5)
            client.set_layers(["music", "foley"])
            wait_until(lambda: latest_layers(server) == {"music", "foley"})
            client.set_layers([])
            wait_until(lambda: latest_layers(server) == set())
            wait_until(lambda: server.status()["prompt"] == "fire")
        session = server.session
        assert session is not None
        shares = [dict(record.blend).get("wind", 0.0) for record in session.records()]
        assert any(0.0 < share < 0.25 for share in shares)  # on its way
        wait_until(lambda: not server.status()["playing"])
        with Client(server.endpoint) as client:
            client.set_prompt("footsteps")
            wait_until(lambda: server.status()["prompt"] == "footsteps")
            assert latest_layers(server) == set()  # no events: foley is the bed's


def latest_layers(server: Server) -> set[str]:
    assert server.session is not None
    latest = server.session.latest_record
    assert latest is not None
    return set(latest.layers)


def test_the_limits_of_the_bridge_are_those_of_the_world() -> None:
    assert MAX_BLEND == BLEND_SLOTS
    assert get_args(Layer) == LAYERS
    longest = Prompt("x" * MAX_PROMPT, 0.0, blend={"y" * MAX_PROMPT: 1.0, "z" * MAX_PROMPT: 1e9})
    make_session().set_prompt(longest.weights)
    assert decode(encode(longest)) == longest
    too_long = Prompt("x" * (MAX_PROMPT + 1), 0.0)
    assert isinstance(decode(encode(too_long)), Error)


def test_a_second_engine_is_refused_until_the_first_has_left() -> None:
    with serve() as server:
        first = connect(server, "first")
        wait_until(lambda: server.status()["engine"] == "first")
        second = connect(server, "second")
        replies: list[object] = []
        wait_until(lambda: replies.extend(second.poll()) or bool(replies))
        assert isinstance(replies[0], Error)
        assert replies[0].code == "refused"
        assert "first is here" in replies[0].message
        first.close()
        wait_until(lambda: server.status()["engine"] == "second")  # it knocks again by itself
        wait_until(lambda: any(isinstance(reply, Welcome) for reply in second.poll()))
        assert server.status()["playing"]
        second.close()


def test_the_sound_of_an_engine_that_leaves_fades_and_its_sink_is_drained() -> None:
    sinks: list[FakeSink] = []

    def make_sink() -> FakeSink:
        sinks.append(FakeSink())
        return sinks[-1]

    with serve(make_sink) as server:
        for turn in range(2):
            with connect(server) as client:
                client.set_prompt("rain")
                wait_until(lambda turn=turn: len(sinks) == turn + 1)
                wait_until(lambda turn=turn: sinks[turn].buffered() > 0)
            wait_until(lambda turn=turn: sinks[turn].stopped is True)
            assert np.abs(sinks[turn].sound[-1]).max() < 1e-3


def test_takes_that_were_made_for_one_engine_are_there_for_the_next(tmp_path: Path) -> None:
    kept = tmp_path / "bank.zip"
    with serve(bank=kept) as server:
        assert server.status()["bank_wanted"] == 0
        with connect(server):
            wait_until(lambda: 0 < server.status()["bank_wanted"] == server.status()["bank_ready"])
            ready = server.status()["bank_ready"]
        wait_until(kept.exists)
    assert [clip.variant.name for clip in files.load(kept)[1]] == ["shot"] * ready
    with serve(bank=kept) as server, connect(server):
        wait_until(lambda: server.status()["bank_ready"] == ready)
        assert server.session is not None
        assert server.session.bank.counters.made == 0
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(MediaError, match=r"bank\.zip"):
        serve(bank=kept).start()


def test_an_engine_is_told_of_its_own_bank_and_not_of_the_former_engines() -> None:
    with serve() as server:
        with connect(server) as client:
            wait_until(lambda: client.bank_progress is not None and client.bank_progress.wanted > 0)
        with Client(server.endpoint) as client:
            wait_until(lambda: client.bank_progress is not None)
            assert client.bank_progress == (0, 0)


def test_an_engine_that_plays_the_sound_itself_gets_all_of_it() -> None:
    def no_device() -> Sink:
        raise AssertionError("no device is to be opened")

    rate = 44_100
    with (
        serve(no_device) as server,
        Client(server.endpoint, pcm=PcmSpec(rate, frames=441), pcm_depth=0.1) as client,
    ):
        client.set_prompt("x" * 44)  # the tone generator's 440 Hz
        replies: list[object] = []
        wait_until(lambda: replies.extend(client.poll()) or bool(replies))
        welcome = replies[0]
        assert isinstance(welcome, Welcome)
        assert (welcome.rate, welcome.pcm) == (rate, True)
        wait_until(lambda: client.pcm_stats.waiting > 0.1 * rate)
        heard = []
        while sum(map(len, heard)) < rate:
            wait_until(lambda: client.pcm_stats.waiting >= 1024)
            heard.append(client.read_pcm(1024))
        stats = client.pcm_stats
    assert stats.lost == stats.underruns == stats.skipped == 0
    tone = np.concatenate(heard)[rate // 2 : rate, 0]
    assert np.abs(tone).max() == pytest.approx(0.5, abs=0.01)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    assert np.argmax(spectrum) * rate / len(tone) == pytest.approx(440, abs=2)


def test_a_second_play_at_once_waits_for_the_first_to_fade_and_is_not_refused() -> None:
    class Slow(FakeSink):
        def stop(self, drain: bool = True) -> None:
            threading.Event().wait(0.2)
            super().stop(drain)

    with serve(Slow) as server:
        first = connect(server, "first")
        wait_until(lambda: server.status()["engine"] == "first")
        first.close()
        with connect(server, "second") as client:
            replies: list[object] = []
            wait_until(lambda: replies.extend(client.poll()) or bool(replies))
            assert isinstance(replies[0], Welcome)


def test_an_engine_is_told_when_there_is_no_device_and_the_server_lives() -> None:
    class Missing(FakeSink):
        def start(self, prime: int = 0) -> None:
            raise DeviceError("no audio output: PortAudio found none")

    working: list[bool] = []
    with (
        serve(lambda: FakeSink() if working else Missing()) as server,
        connect(server) as client,
    ):
        replies: list[object] = []
        wait_until(lambda: replies.extend(client.poll()) or bool(replies))
        assert isinstance(replies[0], Error)
        assert "PortAudio found none" in replies[0].message
        working.append(True)
        wait_until(lambda: server.status()["playing"])


def test_what_the_world_refuses_is_answered_and_the_session_lives() -> None:
    with serve() as server, connect(server) as client:
        wait_until(lambda: server.status()["playing"])
        session = server.session
        assert session is not None
        session.declare_switch("surface", ["mud"])  # the engine still thinks of grass
        client.set_switch("surface", "grass")
        replies: list[object] = []
        wait_until(lambda: replies.extend(client.poll()) or _errors(replies) != [])
        [error] = _errors(replies)
        assert error.code == "rejected"
        assert "mud" in error.message
        client.set_prompt({"rain": 1, "  ": 1})
        replies.clear()
        wait_until(lambda: replies.extend(client.poll()) or _errors(replies) != [])
        assert "must not be empty" in _errors(replies)[0].message
        client.set_switch("surface", "gravel")
        client.set_prompt("rain")
        wait_until(lambda: server.status()["prompts"] == 2)
        assert server.status()["playing"]


def _errors(replies: list[object]) -> list[Error]:
    return [reply for reply in replies if isinstance(reply, Error)]


def test_an_endpoint_in_use_is_one_clear_line() -> None:
    with (
        serve() as server,
        pytest.raises(DiegeticError, match="cannot listen on tcp://127"),
    ):
        Server(server.endpoint, make_session=make_session, make_sink=FakeSink).start()


def test_closing_twice_or_unstarted_is_harmless() -> None:
    server = serve()
    server.close()
    server.close()
