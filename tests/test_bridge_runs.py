"""The bridge's benchmark, short: real servers and clients in processes of their own.

What depends on how fast the machine is, is not judged here.
"""

import importlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import zmq

from bridge_recorder import ANYWHERE, WAIT, Recorder, until
from diegetic_bridge import BridgeServer, Client, Error
from diegetic_bridge.messages import MAX_MESSAGE_BYTES, decode

TROUBLES = (
    "lost",
    "given up by the client",
    "doubled",
    "out of order for their object",
    "came, and not accounted for",
)
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def found() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield


@pytest.fixture(scope="module")
def rows(found: None) -> ModuleType:
    return importlib.import_module("bridge_rows")


def values(figures: list[Any]) -> dict[str, Any]:
    """The value of each figure that has one, the percentiles of the others."""
    return {figure.what: figure.values.get("value", figure.values) for figure in figures}


# The rows


def test_fuzz_and_what_is_written_down(tmp_path: Path) -> None:
    report = tmp_path / "bridge.json"
    command = [BENCHMARKS / "bridge.py", "--only", "fuzz", "--json", report]
    counts = ["--count", "2000", "--settle", "1000"]
    done = subprocess.run(
        [sys.executable, *map(str, command), *counts],
        stdout=subprocess.PIPE,
        text=True,
        timeout=3 * WAIT,
    )
    told = json.loads(report.read_text())
    assert done.returncode == (not all(figure["holds"] for figure in told["figures"]))
    assert set(told["loads"]) == {"fuzz"}
    assert told["machine"]["cores"] >= 1
    found = {figure["what"]: figure.get("value", figure) for figure in told["figures"]}
    for server in ("diegetic serve", "all let in"):
        assert found[f"{server}: messages"] == 1000
        assert found[f"{server}: most memory of the first 1,000, MB"] > 0
        assert found[f"{server}: thrown away"] > 300
        assert found[f"{server}: crashes"] == 0
        for trouble in ("pings not answered", "events not acknowledged", "errors"):
            assert found[f"{server}: the good client: {trouble}"] == 0
        assert found[f"{server}: the good client: ping to pong, ms"]["p50"] > 0
        assert f"{server}: crashes" in done.stdout


def test_events_through_a_wire_that_is_cut(rows: ModuleType) -> None:
    found = values(rows.events(8.0, 200))
    assert found["posted"] == pytest.approx(1600, abs=100)
    assert found["reconnects"] >= 3
    for trouble in TROUBLES:
        assert found[trouble] == 0


def test_events_before_any_take_of_them_is_ready(rows: ModuleType) -> None:
    found = values(rows.cold(2.0, 4000))
    assert found["posted"] == pytest.approx(8000, abs=500)
    assert found["left to the bed"] > 0
    assert found["over what the bed can make"] > 0
    for trouble in (*TROUBLES, "errors told to the game", "refused"):
        assert found[trouble] == 0


def test_frames_and_events_at_a_generator_that_is_held_up(rows: ModuleType) -> None:
    found = values(rows.frames(3.0))
    assert found["shown"] == 180
    assert found["looks while frames were shown"] > 3
    assert found["looks before and after, left out"] > 0
    assert 0 < found["age of the frame used, ms"]["p50"] < float("inf")
    assert found["events posted"] == 30
    assert found["events not seen by the generator"] == 0


def test_sound_comes_back_after_a_kill(rows: ModuleType) -> None:
    figures = rows.kill(1)
    found = values(figures)
    assert found["times killed"] == 1
    back = found["from the kill to sound, s"]["max"]
    assert found["from the kill to a session, s"]["max"] <= back < float("inf")
    assert found["the game's calls without a server, ms"]["p50"] > 0
    assert found["as much work without a client, without a server, ms"]["p50"] > 0


def test_a_crowd_with_one_hostile_client(rows: ModuleType) -> None:
    found = values(rows.crowd(2.0, seed=3))
    assert found["good clients"] == 49
    assert found["hostile clients, to the end"] == 1
    assert found["of its messages thrown away"] > 100
    for trouble in (
        "good clients: pings not answered",
        "good clients: events not acknowledged",
        "good clients: errors",
        "their events not heard",
        "their events heard twice",
    ):
        assert found[trouble] == 0


# Their parts


def test_an_event_after_a_later_one_of_its_object_is_out_of_order() -> None:
    disorder = importlib.import_module("bridge_listener").disorder
    said = [(1, "a"), (2, "b"), (4, "a"), (3, "b"), (3, "a"), (5, "a"), (2, "a")]
    assert disorder(said) == 2


def test_a_frame_has_an_age_while_there_are_newer_ones(rows: ModuleType) -> None:
    looks = [(9.5, None), (10.01, None), (11.0, 10.9), (12.0, None), (13.0, 11.0), (14.1, 14.0)]
    ages = rows.ages_ms(looks, 10.0, 14.05)
    assert ages == pytest.approx([100.0, float("inf"), 2000.0])


def test_an_outage_lasts_from_the_kill_to_the_sound(rows: ModuleType) -> None:
    story = {
        "ticks": [(second / 10, 9.0 if 30 <= second <= 45 else 1.0, 16.0) for second in range(100)],
        "heard": [0.5, 4.5],
        "welcomes": [0.2, 4.0],
    }
    mute = [(second / 10, 5.0 if 30 <= second <= 45 else 2.0, 17.0) for second in range(100)]
    found = values(rows.tell(story, [3.0], mute))
    assert found["from the kill to a session, s"]["max"] == pytest.approx(1.0)
    assert found["from the kill to sound, s"]["max"] == pytest.approx(1.5)
    assert found["the game's calls without a server, ms"]["p50"] == 9.0
    assert found["the game's calls while all is well, ms"]["max"] == 1.0
    assert found["as much work without a client, without a server, ms"]["p50"] == 5.0
    assert found["as much work without a client, all is well, ms"]["max"] == 2.0
    assert found["the same without a client, without a server, ms"]["max"] == 17.0
    silent = rows.tell(story, [3.0, 8.0], mute)
    assert not next(figure for figure in silent if figure.what == "from the kill to sound, s").holds


def test_a_figure_holds_or_not() -> None:
    figures = importlib.import_module("bridge_figures")
    assert figures.one("row", "what", 5.0, "<= 5").holds
    assert not figures.one("row", "what", 5.1, "<= 5").holds
    assert figures.one("row", "what", 5.1).holds
    hundred = [float(number) for number in range(1, 101)]
    assert figures.spread("row", "what", hundred).values["p50"] == pytest.approx(51, abs=1)
    assert figures.spread("row", "what", [1.0] * 98 + [9.0] * 2, "p99 <= 8").holds is False
    assert not figures.spread("row", "what", [], "p99 <= 8").holds  # nothing was measured
    (line,) = figures.as_json([figures.one("row", "what", float("inf"), "<= 5")])
    assert json.loads(json.dumps(line)) == {
        "row": "row",
        "what": "what",
        "must": "<= 5",
        "holds": False,
        "value": None,
    }


def test_the_same_seed_makes_the_same_messages_and_they_are_of_all_kinds() -> None:
    mutants = importlib.import_module("bridge_mutants").Mutants
    some = list(islice(mutants(random.Random(7)), 20_000))
    assert some == list(islice(mutants(random.Random(7)), 20_000))
    assert some[:100] != list(islice(mutants(random.Random(8)), 100))
    assert {1, 2, 50} <= {len(parts) for parts in some}
    single = [parts[0] for parts in some if len(parts) == 1]
    assert max(map(len, single)) > MAX_MESSAGE_BYTES / 2
    met = [decode(data) for data in single]
    codes = {message.code for message in met if isinstance(message, Error)}
    assert codes >= {"malformed", "unknown-type", "invalid"}
    assert len({type(message) for message in met}) > 12  # and some are as good as any


def test_the_wire_can_be_cut_and_is_whole_again() -> None:
    cutter = importlib.import_module("bridge_proxy").Cutter
    recorder = Recorder()
    with BridgeServer(ANYWHERE, recorder) as server, cutter(server.endpoint) as wire:
        assert wire.endpoint != server.endpoint
        with Client(wire.endpoint) as client:
            client.post_event("before")
            until(lambda: client.stats.events_unacked == 0 and client.stats.connected)
            assert wire.cut() == 1
            until(lambda: not client.stats.connected)
            client.post_event("after")
            recorder.until(lambda: recorder.events() == ["before", "after"])


def test_a_hostile_peer_waits_until_all_is_read(rows: ModuleType) -> None:
    hostile = importlib.import_module("bridge_hostile")
    with (
        BridgeServer(ANYWHERE, Recorder()) as server,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
    ):
        dealer.setsockopt(zmq.RCVHWM, 1)
        dealer.connect(server.endpoint)
        for _ in range(500):
            dealer.send(b"\xc1")
        hostile.settle(dealer, 1000)
        assert server.status.dropped >= 501
