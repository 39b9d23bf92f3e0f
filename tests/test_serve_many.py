"""Many games on one server: real sockets, sound back to each, one engine for all."""

import gc
import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
import soundfile
import zmq
from rich.console import Console

from bridge_messages import pack
from bridge_recorder import ANYWHERE, hear, until
from diegetic import cli
from diegetic.bank import files
from diegetic.cli.status import sessions_table
from diegetic.desk import in_one_line
from diegetic.errors import DiegeticError
from diegetic.server import Server
from diegetic.sink import ClockSink, Sink
from diegetic.slots import opening
from diegetic.slots.service import SlotService
from diegetic.slots.sessions import SharedSessions
from diegetic_bridge import Client, Error, Welcome
from diegetic_bridge.messages import PcmSpec
from diegetic_bridge.tape import TapeWriter
from tone_engine import ToneEngine
from tone_generator import ToneState, plain_conditioner

RATE = 48_000
Names = Callable[[], Path]


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    """A server freezes what is alive; the tests after it want their garbage collected."""
    yield
    gc.unfreeze()


class Hall:
    """A server for as many games as there are costs, and the engine under it."""

    def __init__(self, stack: ExitStack, costs: list[float], places: dict[str, object]) -> None:
        self.engine = ToneEngine(costs)
        # On this clock nothing takes any time: the costs stay those that were said
        self.service = stack.enter_context(SlotService[ToneState](self.engine, clock=lambda: 0.0))
        sessions = SharedSessions(self.service, lambda: plain_conditioner)
        self.server = stack.enter_context(
            Server(
                "tcp://127.0.0.1:0",
                make_session=sessions.make,
                let_go=sessions.let_go,
                max_sessions=len(costs),
                **{"make_sink": None, **places},  # type: ignore[arg-type]
            )
        )

    def client(self, engine: str, events: tuple[str, ...] = ()) -> Client:
        pcm = PcmSpec(RATE, frames=480)
        return Client(self.server.endpoint, engine=engine, events=events, pcm=pcm, pcm_depth=0.2)

    def engines(self) -> set[str]:
        return {status["engine"] for status in self.server.sessions()}


@contextmanager
def hall(costs: list[float], **places: object) -> Iterator[Hall]:
    with ExitStack() as stack:
        yield Hall(stack, costs, places)


def pitch(client: Client) -> float:
    """The frequency (Hz) of the next half second that is not silent."""
    heard: list[np.ndarray] = []
    while len(heard) < 50:
        until(lambda: client.pcm_stats.waiting >= 480)
        piece = client.read_pcm(480)[:, 0]
        if heard or np.abs(piece).max() > 0.1:
            heard.append(piece)
    tone = np.concatenate(heard)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    return float(np.argmax(spectrum) * RATE / len(tone))


def test_each_game_hears_its_own_sound_from_one_engine() -> None:
    wanted = {"a": 30, "b": 60, "c": 90}
    with hall([0.01] * 3) as many, ExitStack() as stack:
        clients = {name: stack.enter_context(many.client(name)) for name in wanted}
        for name, client in clients.items():
            client.set_prompt("x" * wanted[name])
            assert hear(client, Welcome).pcm
        for name, client in clients.items():
            assert pitch(client) == pytest.approx(10 * wanted[name], abs=6)
        assert many.service.sessions == 3
        found = {s["engine"]: len(s["prompt"]) for s in many.server.sessions()}
        assert found == wanted
        assert all(set(s["stages_ms_p99"]) >= {"generate"} for s in many.server.sessions())
        assert set(many.service.metrics.stages_ms()) == {"chunk", "wait"}
        counts = many.service.metrics.counts()
        assert (counts["batches"], counts["chunks"]) <= (
            len(many.engine.batches),
            sum(many.engine.batches),
        )


def test_one_too_many_is_told_so_and_comes_in_when_another_has_left() -> None:
    with hall([0.01] * 2) as many:
        first, second = many.client("first"), many.client("second")
        for client in (first, second):
            hear(client, Welcome)
        with many.client("third") as third:
            third.set_prompt("x" * 50)
            error = hear(third, Error)
            assert (error.code, error.field) == ("refused", "session")
            assert error.message == "no room for another engine: all 2 places are taken"
            assert many.engines() == {"first", "second"}
            first.close()
            hear(third, Welcome)  # it knocks again by itself
            assert pitch(third) == pytest.approx(500, abs=6)
            assert many.engines() == {"second", "third"}
        second.close()
        until(lambda: many.service.sessions == 0)
        assert many.server.sessions() == []


def test_who_would_make_chunks_late_is_told_so() -> None:
    with hall([0.09, 0.18]) as many, many.client("first") as first:
        hear(first, Welcome)
        with many.client("second") as second:
            error = hear(second, Error)
        assert (error.code, error.field) == ("refused", "session")
        assert "2 chunks would take 180 ms (p99), and must take no more than 160" in error.message
        assert many.engines() == {"first"}


def test_a_game_that_wants_a_device_is_told_that_there_is_none() -> None:
    with hall([0.01] * 2) as many, Client(many.server.endpoint, engine="deaf") as client:
        error = hear(client, Error)
        assert (error.code, error.field) == ("refused", "pcm")
        assert "takes the sound itself" in error.message
        assert many.service.sessions == 0


def test_without_devices_each_game_is_paced_by_a_clock_of_its_own() -> None:
    sinks: list[Sink] = []

    def make_sink() -> Sink:
        sinks.append(ClockSink())
        return sinks[-1]

    with hall([0.01] * 2, make_sink=make_sink) as many:
        with Client(many.server.endpoint, engine="a"), Client(many.server.endpoint, engine="b"):
            until(lambda: many.engines() == {"a", "b"})
            until(lambda: all(s["chunks"] > 2 for s in many.server.sessions()))
            assert len(sinks) == 2
        until(lambda: many.service.sessions == 0)


def greet(socket: "zmq.Socket[bytes]", instance: str) -> dict[str, object]:
    """Say hello and return the welcome."""
    hello = {"version": 1, "time": 1.0, "instance": instance, "pcm": {"rate": RATE}}
    socket.send(pack({"type": "hello", **hello}))
    while True:
        assert socket.poll(20_000), "no welcome came"
        reply: dict[str, object] = msgpack.unpackb(socket.recv())
        if reply["type"] == "welcome":
            return reply


def test_a_broken_connection_keeps_its_session_and_a_dead_game_does_not() -> None:
    with hall([0.01] * 2) as many, zmq.Context() as context:
        welcomes = []
        for _ in range(2):
            with context.socket(zmq.DEALER) as socket:
                socket.setsockopt(zmq.LINGER, 0)
                socket.setsockopt(zmq.ROUTING_ID, b"game")
                socket.connect(many.server.endpoint)
                welcomes.append(greet(socket, "one run"))
                assert many.service.sessions == 1
        assert welcomes[0] == welcomes[1]
        until(lambda: many.service.sessions == 0)  # it has said no bye


def test_what_one_game_declares_is_no_matter_of_another() -> None:
    with hall([0.01] * 2) as many, many.client("a", events=("shot",)) as a, many.client("b") as b:
        for client in (a, b):
            hear(client, Welcome)
        until(lambda: a.bank_progress is not None and a.bank_progress.wanted > 0)
        until(lambda: b.bank_progress is not None)
        assert b.bank_progress == (0, 0)
        until(lambda: a.bank_progress is not None and a.bank_progress.ready > 0)
        b.set_prompt("only b")
        until(lambda: "only b" in {status["prompt"] for status in many.server.sessions()})
        prompts = {status["engine"]: status["prompt"] for status in many.server.sessions()}
        assert prompts == {"a": "", "b": "only b"}


def test_takes_of_all_games_are_kept_and_what_they_heard_is_recorded(tmp_path: Path) -> None:
    bank = tmp_path / "bank.zip"
    names = iter([tmp_path / "1.wav", tmp_path / "2.wav"])
    with hall([0.01] * 2, bank=bank, record=lambda: next(names)) as many:
        with many.client("a", ("shot",)) as a, many.client("b", ("door",)) as b:
            for client in (a, b):
                hear(client, Welcome)
                client.set_prompt("rain")
            until(lambda: all(s["bank_ready"] > 0 for s in many.server.sessions()))
            until(lambda: all(s["prompt"] == "rain" for s in many.server.sessions()))
            pitch(a)
            pitch(b)
        until(lambda: many.service.sessions == 0)
    assert {clip.variant.name for clip in files.load(bank)[1]} == {"shot", "door"}
    for name in ("1.wav", "2.wav"):
        sound, _ = soundfile.read(tmp_path / name)
        assert np.abs(sound).max() == pytest.approx(0.5, abs=0.05)
    with (
        hall([0.01] * 2, bank=bank) as many,
        many.client("a", ("shot", "door")) as a,
    ):
        hear(a, Welcome)
        until(lambda: a.bank_progress is not None and a.bank_progress.ready >= 2)


def test_the_log_tells_how_a_session_went(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="diegetic.desk")
    with hall([0.01] * 2) as many:
        with many.client("ViZDoom") as client:
            hear(client, Welcome)
            until(lambda: any(s["chunks"] > 3 for s in many.server.sessions()))
            line = in_one_line(many.server.sessions()[0])
            assert line.startswith("ViZDoom: ")
            assert "generate" in line
            assert "0 events (own 0, nearest 0, bed 0, over 0, refused 0)" in line
        until(lambda: "has left: ViZDoom: " in caplog.text)


def test_impossible_servers_are_refused(tmp_path: Path) -> None:
    def serve(most: int, tape: TapeWriter | None = None) -> None:
        Server(
            "tcp://127.0.0.1:0",
            make_session=lambda: pytest.fail("none is wanted"),
            make_sink=None,
            max_sessions=most,
            tape=tape,
        )

    with pytest.raises(DiegeticError, match="max_sessions must be at least 1, got 0"):
        serve(0)
    with (
        closing(TapeWriter(tmp_path / "a.dgt")) as tape,
        pytest.raises(DiegeticError, match="max_sessions must be 1 with a tape, got 2"),
    ):
        serve(2, tape)


# The command


def test_a_line_per_game_and_one_for_the_engine() -> None:
    with hall([0.01] * 3) as many, many.client("ViZDoom") as client:
        client.set_prompt("rain")
        until(lambda: any(status["prompt"] == "rain" for status in many.server.sessions()))
        console = Console(width=140, record=True, file=io.StringIO())
        console.print(sessions_table(many.server, many.service, elapsed=83.0))
    shown = console.export_text()
    for word in ("01:23", "1 of 3 games", "ViZDoom", "rain", "wait p99", "chunk p99", "late 0"):
        assert word in shown


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--device", "1"], "--device plays for one game, and --max-sessions is 2: leave one"),
        (["--compute", "cuda"], "no GPU to compute on: there is none here"),
        (["--compute", "cuda", "--backend", "onnx"], "backend must be 'auto' or 'torch' on a GPU"),
        (["--weights", "no-such-folder"], "no weights in no-such-folder"),
    ],
)
def test_what_does_not_go_is_one_line(
    words: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(opening, "why_no_cuda", lambda: "there is none here")
    endpoint = ["--endpoint", "tcp://127.0.0.1:0"]
    assert cli.main(["serve", "--max-sessions", "2", *endpoint, *words]) == cli.USAGE_ERROR
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"diegetic: {complaint}")


def test_a_machine_too_slow_for_one_session_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = opening.Opened(ToneEngine([0.2, 0.4]), "an abacus")
    monkeypatch.setattr(opening, "open_engine", lambda wish, progress: slow)
    assert cli.main(["serve", "--max-sessions", "2"]) == cli.USAGE_ERROR
    out, err = capsys.readouterr()
    assert "in real time: 0 of 2 sessions" in out
    assert err.startswith("diegetic: an abacus: too slow for even one session in real time")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for a child there")
def test_two_games_hear_the_shipped_weights_from_one_process() -> None:
    words = ["--max-sessions", "2", "--compute", "cpu", "--nfe", "1"]
    command = [sys.executable, "-m", "diegetic", "serve", *words, "--endpoint", ANYWHERE]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
        ExitStack() as last,
    ):
        last.callback(process.kill)  # a failure must not wait for it
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("listening on "):
                break
        computing, room = said[1:3]
        assert computing.startswith("computing on: processor, ONNX Runtime")
        assert "in real time: " in room
        endpoint = said[-1].split()[2].rstrip(";")
        pcm = PcmSpec(RATE, frames=480)
        with Client(endpoint, pcm=pcm) as one, Client(endpoint, pcm=pcm) as other:
            for client in (one, other):
                client.set_prompt("rain on a tin roof")
            for client in (one, other) if "all 2 sessions" in room else ():
                hear(client, Welcome)
                until(lambda client=client: np.abs(client.read_pcm(480)).max() > 0.001)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == cli.INTERRUPTED
