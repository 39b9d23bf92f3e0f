"""The catalogue: which clips, tracks and textures exist, in which package, under which licence.

It ships as five CSV files and two lists beside this module. Nothing is downloaded here.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SHEETS = {"sfx": "sfx", "music": "music", "midi": "music"}  # file: what its rows are


@dataclass(frozen=True)
class Clip:
    """One sound inside one package.

    Attributes:
        package: Debian package name, or `npm-NAME` for a package of the npm registry.
        suite: Debian suite that holds it ("bookworm", "trixie", "sid"); empty for npm.
        path: inside the package; a path below `_x/` lies in an archive inside the package.
        seconds: length.
        licence_class: "A-CC0/PD", "A-permissive", "B-CC-BY" or "C-CC-BY-SA".
        tags: (sound class, score) pairs that an independent tagger heard, best first.
        md5: of the file as it lies in the package.
        sheet: "sfx" or "music".
    """

    package: str
    version: str
    suite: str
    path: str
    seconds: float
    licence: str
    licence_class: str
    category: str
    caption: str
    tags: tuple[tuple[str, float], ...]
    md5: str
    sheet: str


@dataclass(frozen=True)
class Texture:
    """One picture of a surface ("grass", "snow", ...) inside one package."""

    package: str
    path: str
    surface: str


@dataclass(frozen=True)
class Soundfont:
    """What MIDI is played with, and the package that it lies in."""

    package: str
    version: str
    suite: str
    path: str
    md5: str
    licence: str


SOUNDFONT = Soundfont(
    "musescore-general-soundfont-small",
    "0.2.1-1",
    "bookworm",
    "usr/share/sounds/sf3/MuseScore_General_Lite.sf3",
    "7b212054fff0bb224207dba1b71ca2be",
    "MIT",
)


@cache
def clips() -> tuple[Clip, ...]:
    """Return every clip and track of the catalogue, in a fixed order."""
    return tuple(
        Clip(
            package=row["package"],
            version=row["version"],
            suite=row["suite"],
            path=row["path"],
            seconds=float(row["seconds"]),
            licence=row["licence"],
            licence_class=row["licence_class"],
            category=row["category"],
            caption=row["caption"],
            tags=_tags(row["tags"]),
            md5=row["md5"],
            sheet=sheet,
        )
        for file, sheet in SHEETS.items()
        for row in _rows(f"{file}.csv")
    )


@cache
def textures() -> tuple[Texture, ...]:
    """Return every texture of the catalogue, in a fixed order."""
    return tuple(
        Texture(row["package"], row["path"], row["surface"]) for row in _rows("textures.csv")
    )


@cache
def heldout_packages() -> frozenset[str]:
    """Return the packages that training never sees."""
    return frozenset(line for line in _lines("heldout.txt") if "/" not in line)


@cache
def heldout_maps() -> frozenset[str]:
    """Return the maps of the recorded game that training never sees, as "wad/map"."""
    return frozenset(line for line in _lines("heldout.txt") if "/" in line)


@cache
def packages() -> tuple[str, ...]:
    """Return every package with a clip, the most precious ones first; the soundfont comes last."""
    first = _lines("order.txt")
    rest = sorted({clip.package for clip in clips()} - set(first))
    return (*first, *rest, SOUNDFONT.package)


def wanted(package: str) -> dict[str, str]:
    """Return the paths of `package` that are of use, and their md5 sums."""
    if package == SOUNDFONT.package:
        return {SOUNDFONT.path: SOUNDFONT.md5}
    return {clip.path: clip.md5 for clip in clips() if clip.package == package}


def origin(package: str) -> tuple[str, str]:
    """Return the version of `package` that the catalogue was made from, and its Debian suite."""
    if package == SOUNDFONT.package:
        return SOUNDFONT.version, SOUNDFONT.suite
    return next((clip.version, clip.suite) for clip in clips() if clip.package == package)


def _tags(text: str) -> tuple[tuple[str, float], ...]:
    """Parse "Rain 0.63; Water 0.61": names may hold spaces and commas."""
    pairs = (part.strip().rsplit(" ", 1) for part in text.split(";") if part.strip())
    return tuple((name, float(score)) for name, score in pairs)


def _rows(name: str) -> list[dict[str, str]]:
    text = files("diegetic.training").joinpath("catalog", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _lines(name: str) -> list[str]:
    text = files("diegetic.training").joinpath("catalog", name).read_text(encoding="utf-8")
    stripped = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in stripped if line]
