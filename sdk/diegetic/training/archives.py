"""Read the archives that games keep their sounds in: zip, WAD, cat, gresource, c4group, pak.

Each reader yields (member name, bytes) for the members that are `wanted`. Damage of any kind is a
`MediaError` that names the file: these formats were written by many hands.
"""

import io
import lzma
import re
import struct
import wave
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from diegetic.errors import MediaError

Wanted = Callable[[str], bool]
Members = Iterator[tuple[str, bytes]]


def read_members(path: Path, wanted: Wanted) -> Members:
    """Yield (name, bytes) of each member of the archive `path` for which `wanted(name)`.

    Raises:
        MediaError: the archive is of no known kind, or damaged.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise MediaError(f"{path.name} must be one of {', '.join(_READERS)}, got {path.suffix!r}")
    try:
        yield from reader(path, wanted)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        IndexError,
        ValueError,
        EOFError,
        OverflowError,
        RuntimeError,  # a password, an unknown compression, groups nested without end
    ) as error:
        raise MediaError(f"{path.name} is damaged: {error}") from error


def _zip(path: Path, wanted: Wanted) -> Members:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if wanted(name):
                yield name, archive.read(name)


def _wad(path: Path, wanted: Wanted) -> Members:
    """Doom's WAD: sounds ("DS...", 8-bit mono with 16 padding bytes at either end) and MIDI."""
    data = path.read_bytes()
    magic, count, directory = struct.unpack_from("<4sII", data)
    if magic not in (b"IWAD", b"PWAD"):
        raise ValueError(f"expected IWAD or PWAD, got {magic!r}")
    for index in range(count):
        offset, size, raw = struct.unpack_from("<II8s", data, directory + 16 * index)
        lump = raw.rstrip(b"\0").decode("ascii", "replace")
        if data[offset : offset + 4] == b"MThd" and wanted(f"{lump}.mid"):
            yield f"{lump}.mid", data[offset : offset + size]
        name = f"{lump}.wav"
        if not (name.startswith("DS") and size > 40 and wanted(name)):
            continue
        kind, rate, samples = struct.unpack_from("<HHI", data, offset)
        if kind != 3:
            raise ValueError(f"lump {name} must be sound format 3, got {kind}")
        yield name, _wav(data[offset + 24 : offset + 8 + samples - 16], rate)


def _wav(pcm: bytes, rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(rate)
        out.writeframes(pcm)
    return buffer.getvalue()


def _cat(path: Path, wanted: Wanted) -> Members:
    """OpenTTD's sample catalogue: (offset, size) pairs, then each sample's title and RIFF bytes."""
    data = path.read_bytes()
    count = (struct.unpack_from("<I", data)[0] & 0x7FFFFFFF) // 8
    for index in range(count):
        offset, size = struct.unpack_from("<II", data, 8 * index)
        start = offset & 0x7FFFFFFF
        body = start + 1 + data[start]
        quoted = re.match(rb'"[^"]*"', data[start + 1 : body])
        title = quoted.group() if quoted else b""
        name = f"{index:02d}_" + re.sub(r"[^A-Za-z0-9-]", "_", title.decode("latin-1")) + ".wav"
        if wanted(name):
            yield name, data[body : body + size]


def _gresource(path: Path, wanted: Wanted) -> Members:
    """GLib's resource bundle: a GVDB hash table whose values are variants of type (uuay)."""
    data = path.read_bytes()
    if data[:8] != b"GVariant":
        raise ValueError(f"expected GVariant, got {data[:8]!r}")
    root = struct.unpack_from("<I", data, 16)[0]
    blooms, buckets = struct.unpack_from("<II", data, root)
    first = root + 8 + 4 * (blooms & 0x07FFFFFF) + 4 * buckets
    end = struct.unpack_from("<I", data, 20)[0]
    items = [struct.unpack_from("<IIIHBxII", data, at) for at in range(first, end - 23, 24)]
    keys = [data[item[2] : item[2] + item[3]].decode("utf-8", "replace") for item in items]

    def full(index: int, depth: int = 0) -> str:
        parent = items[index][1]
        if parent == 0xFFFFFFFF or depth > 32:
            return keys[index]
        return full(parent, depth + 1) + keys[index]

    for index, (_, _, _, _, kind, start, stop) in enumerate(items):
        name = full(index)
        if kind != ord("v") or not wanted(name):
            continue
        size, flags = struct.unpack_from("<II", data, start)
        packed = data[start + 8 : stop - len(b"\0(uuay)")]
        yield name, zlib.decompress(packed) if flags & 1 else packed[:size]


def _c4group(path: Path, wanted: Wanted) -> Members:
    """Clonk's group: gzip with another magic number, a scrambled header, groups inside groups."""
    raw = path.read_bytes()
    if raw[:2] not in (b"\x1e\x8c", b"\x1f\x8b"):
        raise ValueError(f"expected a group, got {raw[:2]!r}")
    data = zlib.decompressobj(31).decompress(b"\x1f\x8b" + raw[2:])
    yield from _group(data, "", wanted)


def _group(data: bytes, prefix: str, wanted: Wanted) -> Members:
    header = bytearray(byte ^ 237 for byte in data[:204])
    for at in range(0, 202, 3):
        header[at], header[at + 2] = header[at + 2], header[at]
    count = struct.unpack_from("<I", header, 36)[0]
    base = 204 + 316 * count
    for index in range(count):
        raw, _, nested, size, _, offset = struct.unpack_from("<260s5I", data, 204 + 316 * index)
        name = prefix + raw.split(b"\0")[0].decode("latin-1")
        body = data[base + offset : base + offset + size]
        if nested:
            yield from _group(body, name + "/", wanted)
        elif wanted(name):
            yield name, body


def _pak(path: Path, wanted: Wanted) -> Members:
    """The Legend of Edgar's pak: zlib members, then rows (name[256], size, packed, offset)."""
    data = path.read_bytes()
    directory, count = struct.unpack("<II", data[-8:])
    for index in range(count):
        raw, _, packed, offset = struct.unpack_from("<256s3I", data, directory + 268 * index)
        name = raw.split(b"\0")[0].decode("utf-8", "replace")
        if wanted(name):
            yield name, zlib.decompress(data[offset : offset + packed])


_READERS: dict[str, Callable[[Path, Wanted], Members]] = {
    ".zip": _zip,
    ".pk3": _zip,
    ".wad": _wad,
    ".cat": _cat,
    ".gresource": _gresource,
    ".ocd": _c4group,
    ".ocf": _c4group,
    ".ocg": _c4group,
    ".pak": _pak,
}
