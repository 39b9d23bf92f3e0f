"""Fetch the catalogue's packages by name, through the machine's apt and npm; unpack their sounds.

    root/apt/<suite>/          an apt state per Debian suite; the machine's own is not touched
    root/debs/<suite>/*.deb    downloads; kept, so that a second run asks the network for nothing
    root/packages/<package>/   the clips at their catalogue paths, the licence file, `fetched.json`

A package is finished once its `fetched.json` is written; a second run skips it. Of one that could
not be had, `problem.txt` says why; a second run tries it again.
"""

import gzip
import hashlib
import json
import logging
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from diegetic.errors import DiegeticError, MediaError
from diegetic.training import archives, catalog
from diegetic.training.apt import Apt
from diegetic.training.atomic import replace_text

_log = logging.getLogger(__name__)

_CONTAINERS = {"blanket": "blanket.gresource", "edgar-data": "edgar.pak"}
_INNER = "_x/"


@dataclass(frozen=True)
class Fetched:
    """What came of one package. Paths are the catalogue's.

    Attributes:
        version: what the registry gave; `catalogued` is what the catalogue was made from.
        missing: paths that the package no longer holds.
        mismatched: paths whose md5 differs from the catalogue's; they are kept out of training.
        problem: why the package could not be had at all; empty if it could.
    """

    package: str
    version: str
    catalogued: str
    found: int
    missing: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    problem: str = ""


def fetch(
    root: Path,
    packages: Iterable[str] | None = None,
    *,
    workers: int = 3,
    progress: Callable[[Fetched], None] | None = None,
) -> list[Fetched]:
    """Download and unpack `packages` (default: the whole catalogue, best first) below `root`.

    A package that cannot be had is reported in its `Fetched.problem`; the others go on. A damaged
    download is deleted, so that a second run asks for it again.

    Raises:
        DiegeticError: a name is not in the catalogue, or the disk is full.
    """
    known = catalog.packages()
    chosen = list(known if packages is None else packages)
    for name in chosen:
        if name not in known:
            raise DiegeticError(
                f"package must be one of the catalogue's {len(known)}, got {name!r}"
            )
    root.mkdir(parents=True, exist_ok=True)
    apt = Apt(root)

    def one(name: str) -> Fetched:
        result = _fetch_package(root, name, apt)
        if progress is not None:
            progress(result)
        return result

    with ThreadPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(one, chosen))


def package_folder(root: Path, package: str) -> Path:
    """Return where the clips of `package` lie, at their catalogue paths."""
    return root / "packages" / package


def read_fetched(root: Path, package: str) -> Fetched | None:
    """Return what an earlier `fetch` wrote about `package`, or None."""
    marker = package_folder(root, package) / "fetched.json"
    if not marker.is_file():
        return None
    raw = json.loads(marker.read_text(encoding="utf-8"))
    raw["missing"] = tuple(raw["missing"])
    raw["mismatched"] = tuple(raw["mismatched"])
    return Fetched(**raw)


def read_problem(root: Path, package: str) -> str:
    """Return why the last `fetch` of `package` failed; empty if it did not, or never was."""
    file = package_folder(root, package) / "problem.txt"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _fetch_package(root: Path, package: str, apt: Apt) -> Fetched:
    wanted = catalog.wanted(package)
    done = read_fetched(root, package)
    if done is not None and done.found + len(done.missing) == len(wanted):
        return done  # else the catalogue has grown since
    catalogued, suite = catalog.origin(package)
    pictures = {row.path: "" for row in catalog.textures() if row.package == package}
    folder = package_folder(root, package)
    try:
        if package.startswith("npm-"):
            archive, version = _npm_pack(root, package.removeprefix("npm-"))
            with _deleted_if_damaged(archive):
                unpack_npm(archive, wanted, folder)
        else:
            archive, version = apt.download(package, suite)
            with _deleted_if_damaged(archive):
                unpack_deb(archive, wanted | pictures, folder, container=_CONTAINERS.get(package))
    except DiegeticError as error:
        _log.warning("%s: %s", package, error)
        replace_text(folder / "problem.txt", str(error))
        return Fetched(package, "", catalogued, 0, tuple(wanted), problem=str(error))
    except OSError as error:
        raise DiegeticError(
            f"{package} cannot be written below {root}: {error.strerror or error}; "
            "finished packages are kept: run again to go on"
        ) from error
    result = check(package, version, catalogued, wanted, folder)
    replace_text(folder / "fetched.json", json.dumps(asdict(result), indent=1))
    (folder / "problem.txt").unlink(missing_ok=True)
    return result


@contextmanager
def _deleted_if_damaged(archive: Path) -> Iterator[None]:
    try:
        yield
    except MediaError as error:
        archive.unlink(missing_ok=True)
        raise MediaError(f"{error}; it was deleted: fetch again to download it anew") from error


def check(
    package: str, version: str, catalogued: str, wanted: dict[str, str], folder: Path
) -> Fetched:
    """Compare the files below `folder` with `wanted`, a map of path to md5."""
    missing, mismatched = [], []
    for path, md5 in wanted.items():
        file = folder / path
        if not file.is_file():
            missing.append(path)
        elif hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() != md5:
            mismatched.append(path)
    found = len(wanted) - len(missing)
    return Fetched(package, version, catalogued, found, tuple(missing), tuple(mismatched))


def unpack_deb(
    deb: Path, wanted: Iterable[str], folder: Path, container: str | None = None
) -> None:
    """Write the `wanted` catalogue paths of `deb`, and its copyright file, below `folder`.

    Paths below `_x/` lie in an archive inside the package: `container`, or else the archive
    that the path names (`_x/sounds.zip/door.ogg`). Wanted paths that are not there are left out.

    Raises:
        DiegeticError: dpkg-deb is not installed.
        MediaError: the package or an archive inside it is damaged.
    """
    dpkg = shutil.which("dpkg-deb")
    if dpkg is None:
        raise DiegeticError("Debian packages need the program dpkg-deb, which is not installed")
    paths = set(wanted)
    inner = _by_container(paths, container)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [dpkg, "--fsys-tarfile", str(deb)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            try:
                with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                    _unpack_tar(tar, paths, inner, folder, Path(scratch))
            except (tarfile.TarError, EOFError) as error:
                raise MediaError(f"{deb.name} is damaged: {error}") from error
        if process.returncode != 0:
            raise MediaError(f"{deb.name} is damaged: dpkg-deb ended with {process.returncode}")


def unpack_npm(tgz: Path, wanted: Iterable[str], folder: Path) -> None:
    """Write the `wanted` catalogue paths of an npm tarball, and its licence files, below `folder`.

    Raises:
        MediaError: the tarball is damaged.
    """
    paths = set(wanted)
    licences: list[str] = []
    try:
        with tarfile.open(tgz) as tar:
            for member in tar:
                name = member.name.removeprefix("package/")
                stream = tar.extractfile(member) if member.isfile() else None
                if stream is None:
                    continue
                if name in paths:
                    _write(folder / name, stream)
                elif name.upper().startswith(("LICENSE", "LICENCE")):
                    licences.append(stream.read().decode("utf-8", "replace"))
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise MediaError(f"{tgz.name} is damaged: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "copyright").write_text("\n\n".join(licences), encoding="utf-8")


def _by_container(paths: set[str], container: str | None) -> dict[str, dict[str, str]]:
    """Return {archive file name: {member name: catalogue path}} for the paths below `_x/`."""
    grouped: dict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        if path.startswith(_INNER):
            rest = path.removeprefix(_INNER)
            name, member = (container, rest) if container else rest.split("/", 1)
            grouped[name][member] = path
    return grouped


def _unpack_tar(
    tar: tarfile.TarFile,
    paths: set[str],
    inner: dict[str, dict[str, str]],
    folder: Path,
    scratch: Path,
) -> None:
    for member in tar:
        name = member.name.removeprefix("./")
        stream = tar.extractfile(member) if member.isfile() else None
        if stream is None:
            continue
        base = PurePosixPath(name).name
        if name in paths:
            _write(folder / name, stream)
        elif name.startswith("usr/share/doc/") and base == "copyright":
            _write(folder / "copyright", stream)
        elif base in inner:
            _write(scratch / base, stream)
            _unpack_archive(scratch / base, inner[base], folder)
            (scratch / base).unlink()


def _unpack_archive(archive: Path, members: dict[str, str], folder: Path) -> None:
    """Write the wanted members; a gresource has a prefix of its own before the wanted name."""

    def target(name: str) -> str | None:
        if name in members:
            return members[name]
        tail = "/".join(name.split("/")[-2:])
        return members.get(tail) if archive.suffix == ".gresource" else None

    for name, data in archives.read_members(archive, lambda name: target(name) is not None):
        path = folder / cast(str, target(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _write(path: Path, stream: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)


def _npm_pack(root: Path, name: str) -> tuple[Path, str]:
    """Download the npm package `name` (or find it downloaded); return its tarball and version."""
    folder = root / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    have = sorted(folder.glob(f"{name}-*.tgz"))
    if not have:
        npm = shutil.which("npm")
        if npm is None:
            raise DiegeticError(f"npm-{name} needs the program npm, which is not installed")
        run = subprocess.run(
            [npm, "pack", name], cwd=folder, capture_output=True, text=True, check=False
        )
        have = sorted(folder.glob(f"{name}-*.tgz"))
        if run.returncode != 0 or not have:
            raise DiegeticError(f"npm could not fetch {name!r}: exit code {run.returncode}")
    return have[-1], have[-1].stem.removeprefix(f"{name}-")
