"""What an engine asks of a real server and its mixer: sounds that are ready, and a loudness."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile

from bridge_messages import pack
from bridge_raw_client import RawClient
from bridge_recorder import ANYWHERE, WAIT
from diegetic.mix_journal import Told, read_mix_journal
from diegetic.mixer.commands import SetMaster
from diegetic.replay import remix
from diegetic.server import Server
from diegetic.session import Session
from diegetic.sink import ClockSink, Sink
from diegetic_bridge import Client, EventSpec, Loudness, Prompt, SwitchSpec
from engine_tape import rendered, write_tape
from tone_generator import FakeSink, ToneGenerator, plain_conditioner

STEP = EventSpec("step", "step on {surface}", variations=2, length=0.1)
GREETING = {"type": "hello", "version": 1}
SURFACE = SwitchSpec("surface", ["grass", "gravel", "mud"])


def serve(make_sink: Callable[[], Sink] = FakeSink, journals: Iterable[Path] = ()) -> Server:
    files = iter(journals)

    def make_session() -> Session:
        record = next(files, None)
        return Session(generator=ToneGenerator(), conditioner=plain_conditioner, record=record)

    return Server(
        ANYWHERE,
        make_session=make_session,
        make_sink=make_sink,
        let_go=lambda session: session.__exit__(None, None, None),
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_an_engine_waits_until_its_sounds_are_made_and_again_after_a_change() -> None:
    with serve() as server, Client(server.endpoint, switches=[SURFACE], events=[STEP]) as client:
        ready = client.wait_for_bank(WAIT)
        assert ready.ready == ready.wanted >= 2
        session = server.session
        assert session is not None
        client.set_switch("surface", "mud")
        client.wait_for_bank(WAIT)
        present = session.bank.progress().present
        assert (present.ready, present.wanted) == (2, 2)
        session.post_event("step")
        assert session.bank.counters.missed == 0
        client.post_event("crow")
        grown = client.wait_for_bank(WAIT)
        assert grown.wanted > ready.wanted
        assert "crow" in session.bank.progress().events


def test_an_engine_that_declares_nothing_need_not_wait() -> None:
    with serve() as server, Client(server.endpoint) as client:
        assert client.wait_for_bank(WAIT) == (0, 0)


def test_the_loudness_that_an_engine_asks_for_is_mixed_and_mixed_again(tmp_path: Path) -> None:
    said, mix, take = (tmp_path / name for name in ("said", "mix", "take.wav"))
    with (
        serve(lambda: ClockSink(record=take, journal=mix), [said]) as server,
        Client(server.endpoint) as client,
    ):
        client.set_prompt("rain on a roof")
        client.set_loudness(-40.0)
        wait_until(lambda: client.stats.connected)
        session = server.session
        assert session is not None
        wait_until(lambda: session.records() != [])
        wait_until(lambda: session.time > 2.0)
        client.set_loudness(None)
        client.wait_for_bank(WAIT)
    told = [entry.command for entry in read_mix_journal(mix)[1] if isinstance(entry, Told)]
    assert [command for command in told if isinstance(command, SetMaster)] == [
        SetMaster(-40.0),
        SetMaster(None),
    ]
    heard, _ = soundfile.read(take, dtype="float32")
    again = remix(said, mix, generator=ToneGenerator(), conditioner=plain_conditioner)
    assert np.array_equal(again, heard)


def test_the_loudness_on_a_tape_is_heard_when_it_is_rendered(tmp_path: Path) -> None:
    prompt, loudness = (0.0, Prompt("rain", 0.0)), (0.0, Loudness(0.0, -40.0))
    plain = write_tape(tmp_path / "a.dgt", prompt, length=4.0)
    softer = write_tape(tmp_path / "b.dgt", prompt, loudness, length=4.0)
    sounds = [rendered(tape, tape.with_suffix(".wav")) for tape in (plain, softer)]
    levels = [float(np.square(sound[-4800:]).mean()) for sound in sounds]
    assert 10 * np.log10(levels[0] / levels[1]) > 2.0  # 1 dB/s from half a second on


def test_an_engine_that_came_back_is_never_told_of_its_former_session() -> None:
    with serve() as server:
        peer = RawClient(server.endpoint)
        try:
            peer.say(pack(GREETING | {"time": 1000.0, "instance": "a", "events": ["shot"]}))
            peer.hear("welcome")
            [seat] = server._desk.seats
            peer.say(pack(GREETING | {"time": 5.0, "instance": "b"}))
            peer.hear("welcome")
            assert server._tell(seat, heard=1000.0)["bank_wanted"] > 0  # as a slow thread might
            for _ in range(3):
                told = peer.hear("status")
                assert (told["bank_wanted"], told["heard"]) == (0, 5.0)
        finally:
            peer.close()
