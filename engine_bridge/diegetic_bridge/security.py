"""Who may speak from other machines: CURVE keys in files, and which addresses need them.

    FOLDER/server.key    the server's keys: they stay there
    FOLDER/clients.txt   NAME KEY, one line for each client that is let in
    FOLDER/NAME.key      a client's keys, and the server's public one: they go to its machine

A key has 40 characters, Z85 of 32 bytes. A file of keys is TOML, which pyzmq's own
`zmq.auth.load_certificate` reads too; pyzmq's writer overwrites, and lets everybody read.
"""

import ipaddress
import os
import re
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import zmq
from zmq.utils import z85

_SERVER = "server.key"
_CLIENTS = "clients.txt"
_KEY_CHARACTERS = 40
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LIST_HEAD = (
    "# Who may connect: NAME KEY. A line that is taken out counts when the server starts.\n"
)


@dataclass(frozen=True)
class ServerKeys:
    """The server's secret key, and whom it lets in: the public keys of clients, and their names.

    Raises:
        ValueError: a key is none.
    """

    secret: str = field(repr=False)
    clients: Mapping[str, str]

    def __post_init__(self) -> None:
        _public(self.secret, "secret")
        for key, name in self.clients.items():
            _checked(key, f"key of client {name!r}")

    @property
    def public(self) -> str:
        """The key by which clients know this server."""
        return _public(self.secret, "secret")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `diegetic keys new` has made in `folder`.

        Raises:
            ValueError: a file is missing or damaged.
        """
        path = Path(folder) / _SERVER
        (secret,) = _read_keys(path, "secret-key")
        return cls(secret, _read_clients(Path(folder) / _CLIENTS))


@dataclass(frozen=True)
class ClientKeys:
    """A client's secret key, and the public key of the server that it speaks to.

    Raises:
        ValueError: a key is none.
    """

    secret: str = field(repr=False)
    server: str

    def __post_init__(self) -> None:
        _public(self.secret, "secret")
        _checked(self.server, "server")

    @property
    def public(self) -> str:
        """The key that the server has on its list."""
        return _public(self.secret, "secret")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `diegetic keys new --client` has made.

        Raises:
            ValueError: it is missing or damaged.
        """
        secret, server = _read_keys(Path(path), "secret-key", "server-key")
        return cls(secret, server)


def new_server(folder: str | os.PathLike[str]) -> Path:
    """Make a server's keys, and a list of clients that names none yet; return the keys' file.

    Raises:
        ValueError: there are such keys already, or the folder cannot be written.
    """
    path = Path(folder) / _SERVER
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"keys: cannot write {path.parent}: {error.strerror}") from error
    _write_new(path, _as_toml("The sound server's keys: nobody else may see them.", *_pair()))
    if not (path.parent / _CLIENTS).exists():
        _write_new(path.parent / _CLIENTS, _LIST_HEAD)
    return path


def new_client(folder: str | os.PathLike[str], name: str) -> Path:
    """Make a client's keys and put it on the list of the server of `folder`; return their file.

    Raises:
        ValueError: `name` is none or is taken, or `folder` has no server's keys.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"client: expected up to 64 letters, digits, '-' or '_', got {name!r}")
    keys = ServerKeys.load(folder)
    if name in keys.clients.values():
        raise ValueError(f"client: expected a new name, got {name!r}, which {_CLIENTS} has")
    path, clients = Path(folder) / f"{name}.key", Path(folder) / _CLIENTS
    public, secret = _pair()
    about = f"Keys of the sound server's client {name}: nobody else may see them."
    _write_new(path, _as_toml(about, public, secret) + f'server-key = "{keys.public}"\n')
    try:
        ends = clients.read_text(encoding="utf-8").endswith("\n")
        with clients.open("a", encoding="utf-8", newline="\n") as file:
            file.write(f"{'' if ends else chr(10)}{name} {public}\n")
    except OSError as error:
        path.unlink()  # who is not on the list needs no keys
        raise ValueError(f"keys: cannot write {clients}: {error.strerror}") from error
    return path


def require_keys(endpoint: str, keys: ServerKeys | None) -> None:
    """Let a server without keys be reached from its own machine alone.

    Raises:
        ValueError: `keys` is None, and `endpoint` is an address that other machines may reach.
    """
    if keys is None and not _is_local(endpoint):
        raise ValueError(
            f"endpoint: expected keys for {endpoint}, which other machines may reach "
            "(`diegetic keys new`, then --keys FOLDER), got none; 127.0.0.1 needs none"
        )


def _is_local(endpoint: str) -> bool:
    transport, _, address = endpoint.partition("://")
    if transport in ("ipc", "inproc"):
        return True
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    try:
        return transport == "tcp" and ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or an interface: who knows where it leads
        return host == "localhost" and transport == "tcp"


def _pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _checked(key: object, what: str) -> str:
    """Return `key` if it is one; no error shows it."""
    if not isinstance(key, str) or len(key) != _KEY_CHARACTERS:
        got = f"{len(key)}" if isinstance(key, str) else type(key).__name__
        raise ValueError(f"{what}: expected a key of {_KEY_CHARACTERS} characters, got {got}")
    try:
        z85.decode(key)
    except (KeyError, ValueError, struct.error) as error:
        raise ValueError(f"{what}: expected a key in Z85, got other characters") from error
    return key


def _public(secret: object, what: str) -> str:
    """Return the public key that belongs to `secret`."""
    return zmq.curve_public(_checked(secret, what).encode()).decode()


def _read_keys(path: Path, *wanted: str) -> list[str]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"keys: cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # no UTF-8, no TOML
        raise ValueError(f"keys: expected a file of `diegetic keys new`, got {path}") from error
    try:
        keys = [_checked(found.get(name), name) for name in wanted]
        if _public(found.get("secret-key"), "secret-key") != found.get("public-key"):
            raise ValueError("public-key: expected the one that belongs to secret-key, got another")
    except ValueError as error:
        raise ValueError(f"keys: {path}: {error}") from error
    return keys


def _read_clients(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"keys: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"keys: expected text, got {path}") from error
    clients: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            if len(words) != 2:
                raise ValueError(f"expected NAME KEY, got {len(words)} words")
            clients[_checked(words[1], words[0])] = words[0]
        except ValueError as error:
            raise ValueError(f"keys: {path}, line {number}: {error}") from error
    return clients


def _as_toml(about: str, public: str, secret: str) -> str:
    return f'# {about}\npublic-key = "{public}"\nsecret-key = "{secret}"\n'


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write_new(path: Path, text: str) -> None:
    """Write a file that only its owner may read, and that was not there."""
    try:
        with open(path, "x", encoding="utf-8", newline="\n", opener=_for_its_owner) as file:
            file.write(text)
    except FileExistsError as error:
        raise ValueError(f"keys: expected no file {path} yet: keys are not overwritten") from error
    except OSError as error:
        raise ValueError(f"keys: cannot write {path}: {error.strerror}") from error
