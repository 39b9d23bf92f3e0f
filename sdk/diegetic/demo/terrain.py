"""What is overhead and underfoot at a place of a Doom map, read from its WAD.

    WAD: header | lumps ... | directory (offset, size, name)
    map: MAP01, THINGS, LINEDEFS, SIDEDEFS, VERTEXES, SEGS, SSECTORS, NODES, SECTORS, ...

Layout after the Unofficial Doom Specs (Fell, 1994).
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diegetic.errors import MediaError

SKY = "F_SKY1"
LINES = np.dtype(
    [(name, "<u2") for name in ("v1", "v2", "flags", "special", "tag", "right", "left")]
)
SIDES = np.dtype([("x", "<i2"), ("y", "<i2"), ("textures", "S24"), ("sector", "<u2")])
POINTS = np.dtype([("x", "<i2"), ("y", "<i2")])
SECTORS = np.dtype(
    [
        ("floor", "<i2"),
        ("ceiling", "<i2"),
        ("floor_flat", "S8"),
        ("ceiling_flat", "S8"),
        ("light", "<i2"),
        ("special", "<i2"),
        ("tag", "<i2"),
    ]
)
NO_SIDE = 0xFFFF
_DOORS = (1, 31, 117, 118)  # specials of lines that open when used, without a key
REACH = 64.0  # map units at which a player can use something

# First match wins; flats of Doom and Freedoom by the start of their names.
_SURFACES = (
    (("FWATER", "SWATER"), "water"),
    (("LAVA", "SLIME09", "SLIME10", "SLIME11", "SLIME12"), "lava"),
    (("NUKAGE", "SLIME0", "BLOOD"), "slime"),
    (("GRASS",), "grass"),
    (("FLAT5_7", "FLAT5_8", "FLAT10", "MFLR8_2", "MFLR8_3", "RROCK"), "dirt"),
    (("FLAT5_1", "FLAT5_2", "CRATOP", "FLOOR0_2", "FLAT8"), "wood"),
    (
        ("FLOOR4", "FLOOR5", "FLAT3", "FLAT4", "FLAT9", "FLAT14", "FLAT20", "FLAT22", "FLAT23"),
        "metal",
    ),
    (("GATE", "STEP", "TLITE", "CEIL", "COMP", "CONS", "SLIME1"), "metal"),
)


@dataclass(frozen=True)
class Spot:
    """One place of a map: open to the sky or not, what the floor is, room height, light 0..1."""

    outdoors: bool
    surface: str
    height: float
    light: float


SURFACES = ("stone", *dict.fromkeys(name for _, name in _SURFACES))


class Terrain:
    """The sectors of one map; `at` tells which one a place is in."""

    def __init__(self, wad: Path, name: str) -> None:
        """Read the map `name` ("MAP07") of `wad`.

        Raises:
            MediaError: the file is no WAD, or has no such map.
        """
        lumps = map_lumps(wad, name)
        try:
            points = np.frombuffer(lumps["VERTEXES"], POINTS)
            lines = np.frombuffer(lumps["LINEDEFS"], LINES)
            sides = np.frombuffer(lumps["SIDEDEFS"], SIDES)
            self._sectors = np.frombuffer(lumps["SECTORS"], SECTORS)
            self._start = _coordinates(points[lines["v1"]])
            self._end = _coordinates(points[lines["v2"]])
            self._is_door = np.isin(lines["special"], _DOORS)
            self._right = _sector_of(lines["right"], sides)
            self._left = _sector_of(lines["left"], sides)
        except (KeyError, ValueError, IndexError) as error:
            raise MediaError(f"{wad.name}: map {name} is damaged: {error}") from error

    def at(self, x: float, y: float) -> Spot | None:
        """Return what is at (x, y) in map units, or None outside of the map.

        The nearest line that a ray to the east meets decides: the place is on one of its two sides.
        """
        (x1, y1), (x2, y2) = self._start.T, self._end.T
        crossed = (y1 > y) != (y2 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            meets = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
        distance = np.where(crossed & (meets >= x), meets - x, np.inf)
        nearest = int(distance.argmin())
        if not np.isfinite(distance[nearest]):
            return None
        # A line that goes up has its right side in the east, so the ray comes from its left.
        goes_up = y2[nearest] > y1[nearest]
        sector = int((self._left if goes_up else self._right)[nearest])
        return None if sector < 0 else self._spot(sector)

    def door_ahead(self, x: float, y: float, angle: float) -> int | None:
        """Return the door line (its number) that a player at (x, y) can use, looking along `angle`.

        `angle` is in degrees, counterclockwise from the east. None when no door is in reach.
        """
        direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        along = self._end - self._start
        offset = self._start - np.array([x, y])
        with np.errstate(divide="ignore", invalid="ignore"):
            across = _cross(direction, along)
            distance = _cross(offset, along) / across
            where = _cross(offset, direction) / across
        hit = self._is_door & (distance >= 0) & (distance <= REACH) & (where >= 0) & (where <= 1)
        if not hit.any():
            return None
        return int(np.where(hit, distance, np.inf).argmin())

    def _spot(self, sector: int) -> Spot:
        found = self._sectors[sector]
        return Spot(
            outdoors=_text(found["ceiling_flat"]) == SKY,
            surface=surface(_text(found["floor_flat"])),
            height=float(found["ceiling"]) - float(found["floor"]),
            light=min(max(float(found["light"]) / 255, 0.0), 1.0),
        )


def surface(flat: str) -> str:
    """Return what a floor texture is made of."""
    return next((kind for starts, kind in _SURFACES if flat.startswith(starts)), "stone")


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    crossed: NDArray[np.float64] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return crossed


def _coordinates(points: NDArray[np.void]) -> NDArray[np.float64]:
    return np.stack([points["x"], points["y"]], axis=1).astype(np.float64)


def _sector_of(sides: NDArray[np.uint16], table: NDArray[np.void]) -> NDArray[np.int64]:
    """The sector that each side looks at; -1 where a line has no such side."""
    missing = sides == NO_SIDE
    found: NDArray[np.int64] = table["sector"][np.where(missing, 0, sides)].astype(np.int64)
    return np.where(missing, -1, found)


def _text(name: bytes) -> str:
    return name.split(b"\0")[0].decode("ascii", "replace").upper()


def map_lumps(wad: Path, name: str) -> dict[str, bytes]:
    try:
        data = wad.read_bytes()
        kind, count, start = struct.unpack_from("<4sii", data)
        if kind not in (b"IWAD", b"PWAD"):
            raise MediaError(f"{wad} is no WAD: expected IWAD or PWAD, got {kind!r}")
        entries = [struct.unpack_from("<ii8s", data, start + 16 * index) for index in range(count)]
    except (OSError, struct.error) as error:
        raise MediaError(f"cannot read {wad}: {error}") from error
    names = [_text(entry[2]) for entry in entries]
    if name not in names:
        maps = [n for n, following in pairwise(names) if following == "THINGS"]
        raise MediaError(f"{wad.name} has no map {name!r}; it has {', '.join(maps)}")
    first = names.index(name) + 1
    return {
        label: data[offset : offset + size]
        for label, (offset, size, _) in zip(
            names[first : first + 10], entries[first : first + 10], strict=True
        )
    }
