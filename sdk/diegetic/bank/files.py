"""A bank as one file: a shipped game starts warm, and may run without a generator.

    bank.zip   manifest.json            format, version, events, clips with their sums
               clips/00000.flac ...     24 bits, 48 kHz, stereo

The same bank gives the same bytes. Nothing in a file is trusted.
"""

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import soundfile

from diegetic.bank.declaration import MAX_EVENTS, EventSpec, Variant
from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError, MediaError
from diegetic.snapshot import FloatArray

FORMAT = "diegetic bank"
VERSION = 1
MANIFEST = "manifest.json"
MAX_CLIPS = 65_536
_MAX_MANIFEST_BYTES = 2**25
_MAX_CLIP_BYTES = 2**22  # four seconds of noise in FLAC are a third of it
_DATE = (1980, 1, 1, 0, 0, 0)  # so that the same bank gives the same bytes


@dataclass(frozen=True)
class SavedClip:
    """One take: `samples` (n, 2) float32."""

    variant: Variant
    number: int
    samples: FloatArray


class _Event(msgspec.Struct, frozen=True):
    name: str
    text: str
    variations: int
    length: float
    gain_db: float
    bus: str


class _Entry(msgspec.Struct, frozen=True):
    file: str
    sha256: str
    event: str
    values: list[tuple[str, str]]
    number: int


class _Version(msgspec.Struct, frozen=True):
    format: str
    version: int


class _Manifest(msgspec.Struct, frozen=True):
    format: str
    version: int
    events: list[_Event]
    clips: list[_Entry]


def save(path: Path, specs: Sequence[EventSpec], clips: Sequence[SavedClip]) -> None:
    """Write a bank to `path`; a file of that name is replaced when all is written.

    Raises:
        MediaError: the file cannot be written.
    """
    entries = []
    partial = path.with_name(path.name + ".partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as file:
            for number, clip in enumerate(clips):
                name, data = f"clips/{number:05d}.flac", _flac(clip.samples)
                digest = hashlib.sha256(data).hexdigest()
                variant = clip.variant
                entries.append(
                    _Entry(name, digest, variant.name, list(variant.values), clip.number)
                )
                file.writestr(zipfile.ZipInfo(name, _DATE), data)
            events = [_Event(**asdict(spec)) for spec in specs]
            manifest = _Manifest(FORMAT, VERSION, events, entries)
            text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            file.writestr(zipfile.ZipInfo(MANIFEST, _DATE), text)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise MediaError(f"cannot write bank {path}: {error.strerror or error}") from error


def load(path: Path) -> tuple[list[EventSpec], list[SavedClip]]:
    """Read what `save` wrote; samples are those saved within 24 bits.

    Raises:
        MediaError: there is no such file, it is of another version, damaged or cut short.
    """
    try:
        with zipfile.ZipFile(path) as file:
            manifest = _manifest(path, file)
            specs = {event.name: _spec(path, event) for event in manifest.events}
            return list(specs.values()), [
                _clip(path, file, entry, specs) for entry in manifest.clips
            ]
    except OSError as error:
        raise MediaError(f"cannot read bank {path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise MediaError(f"bank {path} is damaged or cut short: {error}") from error


def _manifest(path: Path, file: zipfile.ZipFile) -> _Manifest:
    try:
        data = _member(path, file, MANIFEST, _MAX_MANIFEST_BYTES)
        head = msgspec.json.decode(data, type=_Version)
        if head.format != FORMAT or head.version != VERSION:
            raise MediaError(
                f"bank {path} must be {FORMAT!r} of version {VERSION}, "
                f"got {head.format!r} of version {head.version}"
            )
        manifest = msgspec.json.decode(data, type=_Manifest)
    except msgspec.DecodeError as error:
        raise MediaError(f"bank {path} has a damaged {MANIFEST}: {error}") from error
    for what, count, most in (
        ("events", len(manifest.events), MAX_EVENTS),
        ("clips", len(manifest.clips), MAX_CLIPS),
    ):
        if count > most:
            raise MediaError(f"bank {path} must hold at most {most} {what}, got {count}")
    return manifest


def _spec(path: Path, event: _Event) -> EventSpec:
    try:
        return EventSpec(**msgspec.structs.asdict(event))
    except DiegeticError as error:
        raise MediaError(f"bank {path} has a damaged {MANIFEST}: {error}") from error


def _clip(
    path: Path, file: zipfile.ZipFile, entry: _Entry, specs: dict[str, EventSpec]
) -> SavedClip:
    whose = f"bank {path} is damaged: {entry.file} of event {entry.event!r}"
    spec = specs.get(entry.event)
    if spec is None:
        raise MediaError(f"{whose} belongs to no event in {MANIFEST}")
    variant = Variant(entry.event, tuple(entry.values))
    if variant != spec.variant(dict(entry.values)) or not 0 <= entry.number < 2**31:
        raise MediaError(f"{whose} must have values of {spec.switches}, got {entry.values}")
    data = _member(path, file, entry.file, _MAX_CLIP_BYTES)
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise MediaError(f"{whose} has another sha256 than {MANIFEST} says")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            shape = (sound.frames, sound.channels, sound.samplerate)
            if shape[1:] != (CHANNELS, RATE) or not 0 < sound.frames <= spec.max_samples:
                raise MediaError(
                    f"{whose} must be 1 to {spec.max_samples} samples of {CHANNELS} channels at "
                    f"{RATE} Hz, got {shape}"
                )
            samples = sound.read(dtype="float32")
    except soundfile.LibsndfileError as error:
        raise MediaError(f"{whose} cannot be decoded: {error}") from error
    return SavedClip(variant, entry.number, np.ascontiguousarray(samples))


def _member(path: Path, file: zipfile.ZipFile, name: str, most: int) -> bytes:
    try:
        size = file.getinfo(name).file_size
    except KeyError as error:
        raise MediaError(f"bank {path} is damaged: {name} is missing") from error
    if size > most:
        raise MediaError(f"bank {path}: {name} must have at most {most} bytes, got {size}")
    return file.read(name)


def _flac(samples: FloatArray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC", subtype="PCM_24")
    return buffer.getvalue()
