import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge_recorder import hear, until
from diegetic import cli
from diegetic.cli import shared
from diegetic.errors import DiegeticError
from diegetic.server import Server
from diegetic.session import Session
from diegetic_bridge import Client, ClientKeys, ServerKeys, Welcome
from tone_generator import FakeSink, ToneGenerator, plain_conditioner


@pytest.fixture
def thaw() -> Iterator[None]:
    """A server freezes what is alive; the tests after it want their garbage collected."""
    yield
    gc.unfreeze()


def make_session() -> Session:
    return Session(generator=ToneGenerator(), conditioner=plain_conditioner)


@pytest.mark.usefixtures("thaw")
def test_keys_that_were_made_open_the_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "keys"
    assert cli.main(["keys", "new", str(folder)]) == 0
    assert cli.main(["keys", "new", str(folder), "--client", "alice"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"{folder / 'server.key'}: it stays here")
    assert shown[1].startswith(f"{folder / 'alice.key'}: move it to that game's machine")
    keys = ClientKeys.load(folder / "alice.key")
    assert keys.secret not in "".join(shown)
    server = Server(
        "tcp://0.0.0.0:0",
        make_session=make_session,
        make_sink=FakeSink,
        keys=ServerKeys.load(folder),
    )
    with server:
        endpoint = f"tcp://127.0.0.1:{server.endpoint.rpartition(':')[2]}"
        with Client(endpoint, engine="stranger"):
            until(lambda: server.status()["strangers"] >= 1)
            with Client(endpoint, engine="alice", keys=keys) as client:
                hear(client, Welcome)
                assert server.status()["engine"] == "alice"


def test_what_cannot_be_made_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "keys")
    assert cli.main(["keys", "new", folder, "--client", "alice"]) == cli.USAGE_ERROR
    assert capsys.readouterr().err.startswith("diegetic: keys: cannot read")
    assert cli.main(["keys", "new", folder]) == 0
    assert cli.main(["keys", "new", folder]) == cli.USAGE_ERROR
    assert "keys are not overwritten" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        cli.main(["keys"])
    assert left.value.code == cli.USAGE_ERROR


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--endpoint", "tcp://0.0.0.0:0"], "endpoint: expected keys for tcp://0.0.0.0:0"),
        (["--keys", "no-such-folder"], "keys: cannot read no-such-folder"),
    ],
)
def test_serve_refuses_before_it_loads_anything(
    words: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shared, "session_factory", None)
    assert cli.main(["serve", "--no-device", *words]) == cli.USAGE_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"diegetic: {complaint}")


def test_serve_hands_its_keys_to_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[ServerKeys] = []

    class Refusing(Server):
        def __init__(self, endpoint: str, *, keys: ServerKeys, **others: object) -> None:
            given.append(keys)
            raise KeyboardInterrupt

    monkeypatch.setattr("diegetic.server.Server", Refusing)
    monkeypatch.setattr(shared, "session_factory", lambda arguments: make_session)
    folder = str(tmp_path / "keys")
    assert cli.main(["keys", "new", folder]) == 0
    assert cli.main(["serve", "--no-device", "--keys", folder]) == cli.INTERRUPTED
    assert given == [ServerKeys.load(folder)]


def test_a_server_of_other_machines_needs_keys() -> None:
    with pytest.raises(DiegeticError, match="expected keys"):
        Server("tcp://0.0.0.0:0", make_session=make_session, make_sink=FakeSink)
