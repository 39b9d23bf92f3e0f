"""Packages are unpacked, checked against the catalogue, and never taken for what they are not."""

import hashlib
import io
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from diegetic.errors import DiegeticError, MediaError
from diegetic.training import apt, catalog, fetch

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")

CLIP = catalog.Clip("tinysounds", "1.0", "bookworm", "usr/share/tiny/rain.ogg", 1.0, "CC0-1.0",
                    "A-CC0/PD", "nature", "rain", (("Rain", 0.9),), "", "sfx")  # fmt: skip


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> list[catalog.Clip]:
    """Three clips: one plain, one in a zip inside the package, one whose md5 will differ."""
    clips = [
        replace(CLIP, md5=md5(b"rain")),
        replace(CLIP, path="_x/more.zip/door.ogg", md5=md5(b"door")),
        replace(CLIP, path="usr/share/tiny/changed.ogg", md5=md5(b"as it was")),
        replace(CLIP, path="usr/share/tiny/gone.ogg", md5=md5(b"gone")),
    ]
    monkeypatch.setattr(catalog, "clips", lambda: tuple(clips))
    monkeypatch.setattr(catalog, "textures", tuple)
    monkeypatch.setattr(catalog, "packages", lambda: ("tinysounds",))
    return clips


def make_deb(root: Path) -> Path:
    """Put tinysounds_1.0_all.deb where a download would lie."""
    tree = root / "tree"
    share = tree / "usr/share/tiny"
    share.mkdir(parents=True)
    (share / "rain.ogg").write_bytes(b"rain")
    (share / "changed.ogg").write_bytes(b"as it is now")
    with zipfile.ZipFile(share / "more.zip", "w") as archive:
        archive.writestr("door.ogg", b"door")
        archive.writestr("other.ogg", b"not in the catalogue")
    doc = tree / "usr/share/doc/tinysounds"
    doc.mkdir(parents=True)
    (doc / "copyright").write_text("Files: *\nCopyright: 2020 Ann Author\nLicense: CC0-1.0\n")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        "Package: tinysounds\nVersion: 1.0\nArchitecture: all\n"
        "Maintainer: a <a@b>\nDescription: x\n"
    )
    folder = root / "data/debs/bookworm"
    folder.mkdir(parents=True)
    target = folder / "tinysounds_1.0_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(tree), str(target)], check=True, capture_output=True)
    return target


@needs_dpkg
def test_a_package_is_unpacked_again_when_the_catalogue_has_grown(
    tmp_path: Path, catalogue: list[catalog.Clip]
) -> None:
    make_deb(tmp_path)
    door = catalogue.pop(1)
    fetch.fetch(tmp_path / "data")
    file = fetch.package_folder(tmp_path / "data", "tinysounds") / door.path
    assert not file.exists()
    catalogue.insert(1, door)
    (result,) = fetch.fetch(tmp_path / "data")
    assert file.read_bytes() == b"door"
    assert result.found == 3


@needs_dpkg
def test_mismatch_and_loss_are_listed_and_the_rest_is_unpacked(
    tmp_path: Path, catalogue: list[catalog.Clip]
) -> None:
    make_deb(tmp_path)
    (result,) = fetch.fetch(tmp_path / "data")
    assert result.mismatched == ("usr/share/tiny/changed.ogg",)
    assert result.missing == ("usr/share/tiny/gone.ogg",)
    assert (result.found, result.version, result.problem) == (3, "1.0", "")
    folder = fetch.package_folder(tmp_path / "data", "tinysounds")
    assert (folder / "_x/more.zip/door.ogg").read_bytes() == b"door"
    assert not list(folder.rglob("other.ogg"))
    assert "Ann Author" in (folder / "copyright").read_text()


@needs_dpkg
def test_finished_package_is_not_unpacked_again(
    tmp_path: Path, catalogue: list[catalog.Clip]
) -> None:
    deb = make_deb(tmp_path)
    first = fetch.fetch(tmp_path / "data")
    deb.unlink()
    assert fetch.fetch(tmp_path / "data") == first


@needs_dpkg
def test_damaged_package_is_a_problem_and_can_be_fetched_again(
    tmp_path: Path, catalogue: list[catalog.Clip]
) -> None:
    deb = make_deb(tmp_path)
    whole = deb.read_bytes()
    deb.write_bytes(whole[: len(whole) // 2])
    (result,) = fetch.fetch(tmp_path / "data")
    assert "damaged" in result.problem
    assert len(result.missing) == len(catalogue)
    assert fetch.read_fetched(tmp_path / "data", "tinysounds") is None
    assert fetch.read_problem(tmp_path / "data", "tinysounds") == result.problem
    assert not deb.exists()  # so that a second run downloads it again
    deb.write_bytes(whole)
    assert fetch.fetch(tmp_path / "data")[0].problem == ""
    assert fetch.read_problem(tmp_path / "data", "tinysounds") == ""


@needs_dpkg
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_stops_the_fetch_and_is_not_taken_for_damage(
    tmp_path: Path, catalogue: list[catalog.Clip]
) -> None:
    deb = make_deb(tmp_path)
    target = fetch.package_folder(tmp_path / "data", "tinysounds") / "usr/share/tiny/rain.ogg"
    target.parent.mkdir(parents=True)
    target.symlink_to("/dev/full")
    with pytest.raises(DiegeticError, match=r"tinysounds cannot be written .*No space left"):
        fetch.fetch(tmp_path / "data")
    assert deb.exists()
    target.unlink()
    assert fetch.fetch(tmp_path / "data")[0].problem == ""


def test_npm_paths_lose_their_package_folder(tmp_path: Path) -> None:
    tgz = tmp_path / "ui-1.0.0.tgz"
    with tarfile.open(tgz, "w:gz") as tar:
        for name, data in {"package/sounds/a.ogg": b"a", "package/LICENSE-AUDIO": b"CC0"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    fetch.unpack_npm(tgz, ["sounds/a.ogg"], tmp_path / "out")
    assert (tmp_path / "out/sounds/a.ogg").read_bytes() == b"a"
    assert (tmp_path / "out/copyright").read_text() == "CC0"


def test_damaged_npm_tarball_is_a_media_error(tmp_path: Path) -> None:
    tgz = tmp_path / "ui-1.0.0.tgz"
    tgz.write_bytes(b"\x1f\x8b not a tarball")
    with pytest.raises(MediaError, match=r"ui-1\.0\.0\.tgz is damaged"):
        fetch.unpack_npm(tgz, ["a"], tmp_path / "out")


@pytest.mark.parametrize("program", ["apt-get", "npm"])
def test_absent_program_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(DiegeticError, match=f"{program}, which is not installed"):
        if program == "npm":
            fetch._npm_pack(tmp_path, "uisfx")
        else:
            apt.Apt(tmp_path).download("blanket", "trixie")


def test_unknown_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DiegeticError, match="'no-such-package'"):
        fetch.fetch(tmp_path, ["no-such-package"])


def test_catalogue_holds_only_free_licences_and_known_suites() -> None:
    for clip in catalog.clips():
        assert clip.licence_class in {"A-CC0/PD", "A-permissive", "B-CC-BY", "C-CC-BY-SA"}
        assert clip.suite in {"bookworm", "trixie", "sid"} or clip.package.startswith("npm-")
        assert len(clip.md5) == 32
        assert ".." not in Path(clip.path).parts
        assert not Path(clip.path).is_absolute()
