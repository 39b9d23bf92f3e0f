"""Who is let in and who is not, over real sockets; and that a flood does not drown the others."""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import zmq
import zmq.auth

from bridge_messages import HELLO, pack
from bridge_raw_client import RawClient
from bridge_recorder import ANYWHERE, Recorder, hear, until
from diegetic_bridge import (
    BridgeServer,
    Client,
    ClientKeys,
    ServerKeys,
    Welcome,
)
from diegetic_bridge.security import new_client, new_server, require_keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Keys of a server that lets alice in."""
    new_server(tmp_path / "keys")
    new_client(tmp_path / "keys", "alice")
    return tmp_path / "keys"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def server(folder: Path, recorder: Recorder) -> Iterator[BridgeServer]:
    with BridgeServer(ANYWHERE, recorder, keys=ServerKeys.load(folder)) as server:
        yield server


def alice(folder: Path) -> ClientKeys:
    return ClientKeys.load(folder / "alice.key")


def stranger(server: str) -> ClientKeys:
    return ClientKeys(zmq.curve_keypair()[1].decode(), server)


def engines(recorder: Recorder) -> list[str]:
    return [hello.engine for hello, _ in recorder.opened]


# Who is let in


def test_a_known_client_is_heard(server: BridgeServer, recorder: Recorder, folder: Path) -> None:
    with Client(server.endpoint, keys=alice(folder)) as client:
        client.post_event("shot")
        recorder.until(lambda: recorder.events() == ["shot"])
        until(lambda: client.stats.events_unacked == 0)
    recorder.until(lambda: len(recorder.closed) == 1)
    assert server.strangers == 0


def test_who_has_no_keys_is_turned_away(
    server: BridgeServer, recorder: Recorder, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        closing(RawClient(server.endpoint)) as raw,
        Client(server.endpoint, engine="stranger") as client,
    ):
        raw.say(pack(HELLO))
        until(lambda: server.strangers >= 2)
        until(lambda: "trying on" in caplog.text)
        with Client(server.endpoint, engine="known", keys=alice(folder)) as known:
            hear(known, Welcome)
        assert not client.stats.connected
    assert engines(recorder) == ["known"]
    assert caplog.text.count("a client was turned away: it has no keys") == 1


def test_a_key_that_is_not_listed_is_turned_away_and_told_once(
    server: BridgeServer, recorder: Recorder, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = stranger(ServerKeys.load(folder).public)
    with (
        Client(server.endpoint, engine="stranger", keys=keys),
        Client(server.endpoint, engine="stranger", keys=keys),
    ):
        until(lambda: server.strangers >= 2)
        until(lambda: "does not have this client's key on its list" in caplog.text)
        with Client(server.endpoint, engine="known", keys=alice(folder)) as known:
            hear(known, Welcome)
    assert engines(recorder) == ["known"]
    assert caplog.text.count(f"127.0.0.1 was turned away: {keys.public} is not listed") == 1


def test_a_client_speaks_to_no_other_server_than_its_own(
    server: BridgeServer, recorder: Recorder, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = new_client(new_server(folder / "other").parent, "alice")
    with Client(server.endpoint, keys=ClientKeys.load(other)) as client:
        client.post_event("secret")
        until(lambda: server.strangers >= 1)
        until(lambda: "does not answer, or has another key; trying on" in caplog.text)
        assert not client.stats.connected
    assert recorder.opened == []


def test_a_client_with_keys_does_not_speak_to_a_server_without(
    recorder: Recorder, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        BridgeServer(ANYWHERE, recorder) as server,
        Client(server.endpoint, keys=alice(folder)) as client,
    ):
        client.post_event("secret")
        until(lambda: "trying on" in caplog.text)
        with Client(server.endpoint) as plain:
            hear(plain, Welcome)
        assert not client.stats.connected
    assert recorder.events() == []


def test_a_key_taken_off_the_list_is_turned_away_until_it_is_back(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = Recorder(), Recorder(), Recorder()
    clients = folder / "clients.txt"
    listed = clients.read_text()
    server = BridgeServer(ANYWHERE, first, keys=ServerKeys.load(folder)).start()
    with Client(server.endpoint, keys=alice(folder), event_ttl=1e6) as client:
        client.post_event("before")
        first.until(lambda: first.events() == ["before"])
        until(lambda: client.stats.events_unacked == 0)
        server.close()
        clients.write_text("# nobody\n")
        with BridgeServer(server.endpoint, second, keys=ServerKeys.load(folder)) as strict:
            client.post_event("after")
            until(lambda: strict.strangers >= 1)
            until(lambda: "does not have this client's key on its list" in caplog.text)
        clients.write_text(listed)
        with BridgeServer(server.endpoint, third, keys=ServerKeys.load(folder)):
            third.until(lambda: third.events() == ["after"])  # it has come back by itself
    assert second.opened == []


def test_other_machines_are_served_with_keys(recorder: Recorder, folder: Path) -> None:
    with BridgeServer("tcp://0.0.0.0:0", recorder, keys=ServerKeys.load(folder)) as server:
        port = server.endpoint.rpartition(":")[2]
        with Client(f"tcp://127.0.0.1:{port}", keys=alice(folder)) as client:
            hear(client, Welcome)


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://0.0.0.0:7776",
        "tcp://*:7776",
        "tcp://[::]:7776",
        "tcp://192.168.1.5:7776",
        "tcp://eth0:7776",
        "tcp://127.0.0.1.example.org:7776",
        "tcp://127.0.0.1:80@0.0.0.0:7776",
        "udp://127.0.0.1:7776",
        "nowhere",
    ],
)
def test_other_machines_are_not_served_without_keys(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"endpoint: expected keys for .* may reach"):
        BridgeServer(endpoint, Recorder())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.7.6", "[::1]", "localhost"])
def test_this_machine_needs_no_keys(host: str) -> None:
    require_keys(f"tcp://{host}:7776", None)
    require_keys("ipc:///tmp/diegetic", None)


def test_an_address_in_use_leaves_nothing_behind(server: BridgeServer, folder: Path) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match="cannot listen on"):
            BridgeServer(server.endpoint, Recorder(), keys=ServerKeys.load(folder)).start()


# Files


def test_new_keys_are_their_owners_alone_and_never_overwritten(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["alice.key", "clients.txt", "server.key"]
    with pytest.raises(ValueError, match=r"server\.key yet: keys are not overwritten"):
        new_server(folder)
    with pytest.raises(ValueError, match=r"expected a new name, got 'alice', which clients\.txt"):
        new_client(folder, "alice")
    (folder / "bob.key").write_text("bob's own")
    with pytest.raises(ValueError, match=r"bob\.key yet: keys are not overwritten"):
        new_client(folder, "bob")
    (folder / "bob.key").unlink()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_each_client_is_listed_by_its_name(folder: Path) -> None:
    clients = folder / "clients.txt"
    clients.write_text(clients.read_text().rstrip("\n"))  # as an editor may leave it
    path = new_client(folder, "bob")
    keys = ServerKeys.load(folder)
    assert keys.clients == {alice(folder).public: "alice", ClientKeys.load(path).public: "bob"}
    assert alice(folder).server == ClientKeys.load(path).server == keys.public


def test_other_tools_read_the_files(folder: Path) -> None:
    keys = alice(folder)
    assert zmq.auth.load_certificate(folder / "alice.key") == (
        keys.public.encode(),
        keys.secret.encode(),
    )


@pytest.mark.parametrize("name", ["", "../bob", "a b", "x" * 65, "-bob", "böb", "bob\n"])
def test_a_client_needs_a_plain_name(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="client: expected up to 64 letters"):
        new_client(folder, name)


def test_a_client_is_made_by_its_server_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*server\.key"):
        new_client(tmp_path, "alice")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot write"):
        new_server(tmp_path / "file" / "keys")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (None, "cannot read"),
        ("", r"secret-key: expected a key of 40 characters, got NoneType"),
        ("\x00\xff", "expected a file of `diegetic keys new`"),
        ('public-key = "', "expected a file of `diegetic keys new`"),
        ("cut", "server-key: expected a key of 40 characters, got NoneType"),
        ("short", "secret-key: expected a key of 40 characters, got 39"),
        ("odd", "secret-key: expected a key in Z85"),
        ("other", "public-key: expected the one that belongs to secret-key"),
    ],
)
def test_damaged_keys_are_refused_with_a_reason(
    folder: Path, damage: str | None, complaint: str
) -> None:
    path, keys = folder / "alice.key", alice(folder)
    whole = path.read_text()
    secret = keys.secret
    match damage:
        case None:
            path.unlink()
        case "cut":
            path.write_text(whole[: whole.index("server-key")])
        case "short":
            path.write_text(whole.replace(secret, secret[1:]))
        case "odd":
            path.write_text(whole.replace(secret, "~" * 40))
        case "other":
            path.write_text(whole.replace(secret, stranger(keys.server).secret))
        case text:
            path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=complaint) as refusal:
        ClientKeys.load(path)
    assert "alice.key" in str(refusal.value)
    assert secret[1:] not in str(refusal.value)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("bob", "line 4: expected NAME KEY, got 1 words"),
        ("bob the builder", "line 4: expected NAME KEY, got 3 words"),
        ("bob key", "line 4: bob: expected a key of 40 characters, got 3"),
        ("bob " + "#" * 40, "line 4: bob: expected a key in Z85"),
        ("\xff", "expected text"),
    ],
)
def test_a_damaged_list_is_refused_with_the_line(folder: Path, line: str, complaint: str) -> None:
    clients = folder / "clients.txt"
    clients.write_bytes(clients.read_bytes() + b"\n" + line.encode("latin-1"))
    with pytest.raises(ValueError, match=complaint) as refusal:
        ServerKeys.load(folder)
    assert "clients.txt" in str(refusal.value)
    clients.unlink()
    with pytest.raises(ValueError, match=r"cannot read .*clients\.txt"):
        ServerKeys.load(folder)


def test_secrets_are_not_shown_and_wrong_ones_not_taken(folder: Path) -> None:
    keys, client = ServerKeys.load(folder), alice(folder)
    assert keys.secret not in repr(keys)
    assert client.secret not in repr(client)
    for wrong in (
        lambda: ClientKeys("x", client.server),
        lambda: ServerKeys(keys.secret, {"x": ""}),
    ):
        with pytest.raises(ValueError, match="expected a key of 40 characters, got 1"):
            wrong()


def test_a_client_that_is_turned_away_does_not_hold_up_the_game(
    server: BridgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Client(server.endpoint) as client:
        until(lambda: server.strangers >= 1)
        for _ in range(100):
            client.post_event("shot")
            assert client.poll() == []
        assert client.stats.events_unacked == 100
