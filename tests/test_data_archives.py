"""Every archive format that the catalogue's packages use, made here byte by byte and read back."""

import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from diegetic.errors import MediaError
from diegetic.training.archives import read_members


def everything(name: str) -> bool:
    return True


def test_only_wanted_members_of_a_zip_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sounds.pk3"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.ogg", b"a")
        archive.writestr("b.ogg", b"b")
    assert dict(read_members(path, lambda name: name == "b.ogg")) == {"b.ogg": b"b"}


def test_sound_lump_of_a_wad_becomes_a_wav_without_padding(tmp_path: Path) -> None:
    samples = bytes(range(100, 150))
    lump = struct.pack("<HHI", 3, 11025, len(samples) + 32) + b"\x80" * 16 + samples + b"\x80" * 16
    header = struct.pack("<4sII", b"IWAD", 2, 12 + len(lump))
    rows = struct.pack("<II8s", 12, len(lump), b"DSPISTOL") + struct.pack("<II8s", 12, 4, b"THINGS")
    path = tmp_path / "game.wad"
    path.write_bytes(header + lump + rows)
    members = dict(read_members(path, everything))
    assert list(members) == ["DSPISTOL.wav"]
    assert members["DSPISTOL.wav"].endswith(samples)
    assert struct.unpack_from("<I", members["DSPISTOL.wav"], 24)[0] == 11025


def test_music_lump_of_a_wad_is_taken_if_it_is_midi(tmp_path: Path) -> None:
    midi, other = b"MThd" + bytes(10), b"MUS\x1a" + bytes(10)
    header = struct.pack("<4sII", b"IWAD", 2, 12 + len(midi + other))
    rows = struct.pack("<II8s", 12, len(midi), b"D_E1M1")
    rows += struct.pack("<II8s", 12 + len(midi), len(other), b"D_E1M2")
    path = tmp_path / "game.wad"
    path.write_bytes(header + midi + other + rows)
    assert dict(read_members(path, everything)) == {"D_E1M1.mid": midi}


def test_title_of_a_cat_sample_becomes_its_name(tmp_path: Path) -> None:
    title = b'"Good Year". By someone.\0'
    body = b"RIFFdata"
    entry = bytes([len(title)]) + title + body
    path = tmp_path / "sounds.cat"
    path.write_bytes(struct.pack("<II", 8 | 0x80000000, len(body)) + entry)
    assert dict(read_members(path, everything)) == {"00__Good_Year_.wav": body}


def group(members: dict[str, bytes | dict[str, bytes]]) -> bytes:
    """A Clonk group, not gzipped; a nested dict is a group in the group."""
    header = bytearray(b"RedWolf Design GrpFolder".ljust(28, b"\0"))
    header += struct.pack("<III", 1, 2, len(members))
    header = header.ljust(204, b"\0")
    for at in range(0, 202, 3):
        header[at], header[at + 2] = header[at + 2], header[at]
    scrambled = bytes(byte ^ 237 for byte in header)
    rows, body = b"", b""
    for name, content in members.items():
        data = group(dict(content)) if isinstance(content, dict) else content
        row = struct.pack(
            "<260s5I", name.encode(), 0, int(isinstance(content, dict)), len(data), 0, len(body)
        )
        rows += row.ljust(316, b"\0")
        body += data
    return scrambled + rows + body


def test_groups_inside_a_clonk_group_are_opened(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(group({"Top.wav": b"top", "Fire.ocg": {"Fire.ogg": b"fire"}}))
    packed += packer.flush()
    path = tmp_path / "Sound.ocg"
    path.write_bytes(b"\x1e\x8c" + packed[2:])
    assert dict(read_members(path, everything)) == {"Top.wav": b"top", "Fire.ocg/Fire.ogg": b"fire"}


def test_members_of_a_pak_are_unpacked(tmp_path: Path) -> None:
    packed = zlib.compress(b"a tune")
    row = struct.pack("<256s3I", b"music/tune.ogg", 6, len(packed), 0)
    path = tmp_path / "game.pak"
    path.write_bytes(packed + row + struct.pack("<II", len(packed), 1))
    assert dict(read_members(path, everything)) == {"music/tune.ogg": b"a tune"}


def test_members_of_a_gresource_are_found_by_full_name(tmp_path: Path) -> None:
    data = b"rain"
    value = struct.pack("<II", len(data), 0) + data + b"\0" + b"\0(uuay)"
    key = b"/app/rain.ogg"
    table = 24
    item = table + 8 + 4  # no bloom words, one bucket
    key_at = item + 24
    value_at = key_at + len(key)
    head = b"GVariant" + struct.pack("<IIII", 0, 0, table, key_at)
    body = struct.pack("<III", 0, 1, 0)
    row = struct.pack("<IIIHBxII", 1, 0xFFFFFFFF, key_at, len(key), ord("v"), value_at,
                      value_at + len(value))  # fmt: skip
    path = tmp_path / "app.gresource"
    path.write_bytes(head + body + row + key + value)
    assert dict(read_members(path, everything)) == {"/app/rain.ogg": data}


@pytest.mark.parametrize("suffix", ["zip", "wad", "cat", "gresource", "ocg", "pak"])
def test_damage_is_named_and_never_a_crash(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(b"\x1e\x8cIWAD" + bytes(range(7, 200)))
    with pytest.raises(MediaError, match=r"broken\.\w+ is damaged"):
        list(read_members(path, everything))


def test_a_locked_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.ogg", b"a")
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # the flag of a password, in the member's head and in the directory
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(MediaError, match=r"locked\.zip is damaged: .*password"):
        list(read_members(path, everything))


def test_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"x\.rar must be one of \.zip"):
        list(read_members(tmp_path / "x.rar", everything))
