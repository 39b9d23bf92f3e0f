"""The mix, space and times ahead over real sockets, and floods of events."""

from collections.abc import Iterator

import numpy as np
import pytest

from bridge_recorder import ANYWHERE, Recorder, hear, until
from diegetic_bridge import (
    BridgeServer,
    Bus,
    BusSpec,
    Client,
    DuckSpec,
    Error,
    Event,
    EventSpec,
    Listener,
    Loudness,
    PopSnapshot,
    PushSnapshot,
    SnapshotSpec,
    Status,
    Welcome,
)

FOOTSTEP = EventSpec("footstep", "footstep on {surface}", variations=8, length=0.5, bus="feet")
BUSES = [BusSpec("feet", "events"), BusSpec("music", ducks=[DuckSpec("feet", attack=0.1)])]
SNAPSHOTS = [SnapshotSpec("indoors", {"beds": -12.0}), SnapshotSpec("pause", {"master": -20.0})]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def server(recorder: Recorder) -> Iterator[BridgeServer]:
    with BridgeServer(ANYWHERE, recorder) as server:
        yield server


def connect(endpoint: str) -> Client:
    return Client(endpoint, events=["shot", FOOTSTEP], buses=BUSES, snapshots=SNAPSHOTS)


@pytest.fixture
def client(server: BridgeServer) -> Iterator[Client]:
    with connect(server.endpoint) as client:
        yield client


def test_what_a_game_declares_and_says_of_the_mix_arrives_in_order(
    client: Client, server: BridgeServer, recorder: Recorder
) -> None:
    client.set_bus("music", gain_db=-6, fade=0.5)
    client.set_bus("beds", mute=True)
    client.set_loudness(np.float32(-18.5))
    client.push_snapshot("indoors", fade=0.25)
    client.set_listener(np.array([1, 2, 3], np.float32), forward=(1, 0, 0))
    client.post_event("footstep", -3, (4, 5, 6), 0.5, bus="music")
    recorder.until(lambda: len(recorder.heard) == 6)
    client.pop_snapshot("indoors")
    recorder.until(lambda: len(recorder.heard) == 7)
    [(hello, _)] = recorder.opened
    assert hello.event_specs == [EventSpec("shot"), FOOTSTEP]
    assert (hello.buses, hello.snapshots) == (BUSES, SNAPSHOTS)
    bus, beds, loudness, push, listener, event, pop = (message for message, _ in recorder.heard)
    assert isinstance(bus, Bus)
    assert (bus.name, bus.gain_db, bus.mute, bus.fade) == ("music", -6.0, None, 0.5)
    assert isinstance(beds, Bus)
    assert (beds.name, beds.gain_db, beds.mute, beds.fade) == ("beds", None, True, 0.0)
    assert isinstance(loudness, Loudness)
    assert loudness.lufs == -18.5
    assert isinstance(push, PushSnapshot)
    assert (push.name, push.fade) == ("indoors", 0.25)
    assert isinstance(listener, Listener)
    assert listener.position == (1.0, 2.0, 3.0)
    assert (listener.forward, listener.up) == ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    assert isinstance(event, Event)
    assert (event.gain_db, event.position, event.occlusion) == (-3.0, (4.0, 5.0, 6.0), 0.5)
    assert event.bus == "music"
    assert isinstance(pop, PopSnapshot)
    status = server.status
    assert (status.buses, status.snapshots, status.listeners, status.errors) == (3, 2, 1, 0)


def test_a_time_ahead_arrives_on_the_servers_clock(recorder: Recorder) -> None:
    engine_time, server_time = [5.0], [1000.0]
    with (
        BridgeServer(ANYWHERE, recorder, clock=lambda: server_time[0]) as server,
        Client(server.endpoint, clock=lambda: engine_time[0]) as client,
    ):
        hear(client, Welcome)
        client.post_event("door", at=25.0)
        recorder.until(lambda: len(recorder.heard) == 1)
        server_time[0] = 1060.0
        client.post_event("late", at=4.0)
        recorder.until(lambda: len(recorder.heard) == 2)
        assert [at for _, at in recorder.heard] == [1020.0, 999.0]


def test_a_bus_can_change_both_ways_in_one_call(client: Client, recorder: Recorder) -> None:
    client.set_bus("music", gain_db=-3, mute=False)
    recorder.until(lambda: len(recorder.heard) == 2)
    changes = [(m.gain_db, m.mute) for m in recorder.messages(Bus) if isinstance(m, Bus)]
    assert changes == [(-3.0, None), (None, False)]


def test_wrong_arguments_come_out_of_poll_and_raise_nothing(
    client: Client, recorder: Recorder
) -> None:
    hear(client, Welcome)
    nan = float("nan")
    for wrong, field in (
        (lambda: client.post_event("shot", position=(0, nan, 0)), "position[1]"),
        (lambda: client.post_event("shot", position=(0, 0)), "position"),
        (lambda: client.post_event("shot", position=7), "position"),  # type: ignore[arg-type]
        (lambda: client.post_event("shot", gain_db="loud"), "gain_db"),  # type: ignore[arg-type]
        (lambda: client.post_event("shot", occlusion=1.5), "occlusion"),
        (lambda: client.post_event("shot", at=1e9), "time"),
        (lambda: client.post_event("shot", at=-1), "time"),
        (lambda: client.post_event("shot", bus="x" * 65), "bus"),
        (lambda: client.set_bus("music"), "gain_db"),
        (lambda: client.set_bus("music", gain_db=nan), "gain_db"),
        (lambda: client.set_bus("music", mute=2), "mute"),  # type: ignore[arg-type]
        (lambda: client.set_loudness(nan), "lufs"),
        (lambda: client.set_loudness(5), "lufs"),
        (lambda: client.set_loudness(-200), "lufs"),
        (lambda: client.set_loudness("loud"), "lufs"),  # type: ignore[arg-type]
        (lambda: client.push_snapshot("indoors", fade=-1), "fade"),
        (lambda: client.pop_snapshot(""), "name"),
        (lambda: client.set_listener(None), "position"),  # type: ignore[arg-type]
        (lambda: client.set_listener((0, 0, 0), forward=(0, 0, 0)), "forward"),
        (lambda: client.set_listener((0, 0, 0), up=(0, 0, 10**400)), "up[2]"),
    ):
        wrong()
        assert [reply.field for reply in client.poll() if isinstance(reply, Error)] == [field]
    assert client.stats.errors == 20
    for undeclared, field in (
        (lambda: client.set_bus("tram", mute=True), "name"),
        (lambda: client.push_snapshot("sea"), "name"),
        (lambda: client.pop_snapshot("sea"), "name"),
        (lambda: client.post_event("shot", bus="tram"), "bus"),
    ):
        undeclared()  # only the server knows
        error = hear(client, Error)
        assert (error.code, error.field) == ("undeclared", field)
    until(lambda: client.stats.events_unacked == 0)
    client.post_event("shot")
    recorder.until(lambda: recorder.events() == ["shot"])


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"events": [EventSpec("shot", variations=17)]}, "variations"),
        ({"events": [EventSpec("shot", length=5.0)]}, "length"),
        ({"events": [EventSpec("shot", bus="tram")]}, "tram"),
        ({"events": [EventSpec("shot", variations=2), "shot"]}, "again"),
        ({"buses": [BusSpec("feet", "legs")]}, "parent of 'feet'"),
        ({"snapshots": [SnapshotSpec("sea", {"tram": -3.0})]}, "tram"),
    ],
)
def test_a_wrong_declaration_is_told_before_the_game_begins(
    declared: dict[str, list[object]], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Client(**declared)  # type: ignore[arg-type]


def loudnesses(recorder: Recorder) -> list[Loudness]:
    return [message for message, _ in recorder.heard if isinstance(message, Loudness)]


def test_a_restarted_server_hears_how_the_mix_stands() -> None:
    first, second = Recorder(), Recorder()
    server = BridgeServer(ANYWHERE, first).start()
    with connect(server.endpoint) as client:
        client.set_bus("music", gain_db=-6)
        client.set_bus("music", mute=True)
        client.push_snapshot("indoors")
        client.push_snapshot("pause")
        client.set_loudness(-20)
        client.set_loudness(None)
        first.until(lambda: any(said.lufs is None for said in loudnesses(first)))
        server.close()
        until(lambda: not client.stats.connected)
        client.pop_snapshot("indoors")
        client.set_listener((1, 0, 0))
        client.set_listener((2, 0, 0))
        with BridgeServer(server.endpoint, second):
            client.post_event("last")
            second.until(lambda: second.events() == ["last"])
    gain, mute, pause, loudness, listener, _ = (message for message, _ in second.heard)
    assert isinstance(gain, Bus)
    assert gain.gain_db == -6.0
    assert isinstance(mute, Bus)
    assert mute.mute is True
    assert isinstance(pause, PushSnapshot)
    assert pause.name == "pause"
    assert isinstance(loudness, Loudness)
    assert loudness.lufs is None
    assert isinstance(listener, Listener)
    assert listener.position == (2.0, 0.0, 0.0)


def test_a_game_can_follow_how_far_the_bank_is(client: Client, server: BridgeServer) -> None:
    hear(client, Welcome)
    server.send_status(bank_ready=7, bank_wanted=12, events_missed=2, events_late=1)
    until(lambda: client.bank_progress == (7, 12))
    progress = client.bank_progress
    assert progress is not None
    assert progress.ready < progress.wanted
    statuses = [reply for reply in client.poll() if isinstance(reply, Status)]
    assert (statuses[-1].events_missed, statuses[-1].events_late) == (2, 1)


def test_ten_thousand_events_at_once_arrive_once_and_in_order(
    client: Client, server: BridgeServer, recorder: Recorder
) -> None:
    count = 10_000
    for _ in range(count):
        client.post_event("shot", position=(1, 2, 3))
    until(lambda: len(recorder.heard) >= count)
    until(lambda: client.stats.events_unacked == 0)
    ids = [event.id for event in recorder.messages(Event) if isinstance(event, Event)]
    assert ids == list(range(1, count + 1))
    assert (client.stats.events_expired, client.stats.errors) == (0, 0)
    assert (server.status.events, server.status.errors) == (count, 0)


def test_without_a_server_more_events_than_can_wait_are_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("diegetic_bridge.link.MAX_EVENTS", 100)
    with Client("tcp://127.0.0.1:1", event_ttl=1e6) as client:
        for _ in range(300):
            client.post_event("shot")
        errors = [reply for reply in client.poll() if isinstance(reply, Error)]
        assert [(error.code, error.field) for error in errors] == [("full", "events")]
        stats = client.stats
        assert (stats.events_unacked, stats.events_expired) == (100, 200)
