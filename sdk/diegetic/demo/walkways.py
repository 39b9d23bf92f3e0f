"""Where a player can walk on a Doom map: a grid of 32-unit cells, and the way to what is new.

A step up of more than 24 units, a gap lower than 56, a wall: no way. A closed door that opens by
hand is a way. Lifts and switches are not understood: what needs them is not visited.
"""

import heapq
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diegetic.demo.terrain import LINES, NO_SIDE, POINTS, SECTORS, SIDES, map_lumps

CELL = 32.0  # map units
_STEP, _TALL = 24, 56  # map units: highest step, lowest passage
_IMPASSABLE = 1  # flag of a line
_HAND_DOORS = (1, 31, 117, 118)
_WALL, _OUTSIDE = -2, -1
_ROUND = (
    (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1),
)  # fmt: skip

Cell = tuple[int, int]


@dataclass(frozen=True)
class Step:
    """One cell of a way: its middle in map units, and whether a closed door stands there."""

    cell: Cell
    x: float
    y: float
    door: bool


class Walkways:
    """The grid of one map. `way` plans; the caller remembers where it has been."""

    def __init__(self, wad: Path, name: str) -> None:
        """Read the map `name` of `wad`.

        Raises:
            MediaError: the file is no WAD, has no such map, or is damaged.
        """
        lumps = map_lumps(wad, name)
        points = np.frombuffer(lumps["VERTEXES"], POINTS)
        lines = np.frombuffer(lumps["LINEDEFS"], LINES)
        sides = np.frombuffer(lumps["SIDEDEFS"], SIDES)
        sectors = np.frombuffer(lumps["SECTORS"], SECTORS)
        self._floor = sectors["floor"].astype(np.int64)
        self._ceiling = sectors["ceiling"].astype(np.int64)
        xy = np.stack([points["x"], points["y"]], axis=1).astype(np.float64)
        start, end = xy[lines["v1"]], xy[lines["v2"]]
        right, left = _side(lines["right"], sides), _side(lines["left"], sides)
        closed = self._ceiling - self._floor < _TALL
        doors = {
            int(sector)
            for line, sector in zip(lines, left, strict=True)
            if line["special"] in _HAND_DOORS and sector >= 0
        }
        self._doors = np.array([index in doors for index in range(len(sectors))]) & closed
        self._origin = xy.min(axis=0) - CELL
        size = np.ceil((xy.max(axis=0) + CELL - self._origin) / CELL).astype(int) + 1
        self._sector = _rasterise(self._origin, size, start, end, right, left)
        solid = (left < 0) | ((lines["flags"] & _IMPASSABLE) > 0)
        for a, b in zip(start[solid], end[solid], strict=True):
            count = max(2, int(np.hypot(*(b - a)) / 8))
            along = a + (b - a) * np.linspace(0, 1, count)[:, None]
            index = ((along - self._origin) / CELL).astype(int)
            self._sector[index[:, 0], index[:, 1]] = _WALL
        self._narrow = _beside_wall(self._sector)

    def cell(self, x: float, y: float) -> Cell:
        """Return the cell of a place in map units."""
        return (int((x - self._origin[0]) / CELL), int((y - self._origin[1]) / CELL))

    def way(self, x: float, y: float, visits: Counter[Cell], barred: set[Cell]) -> list[Step]:
        """Return the way from (x, y) to a near place with few `visits`, `barred` cells avoided.

        Empty when there is nowhere to go.
        """
        start = self._free_cell(self.cell(x, y))
        if start is None:
            return []
        costs: dict[Cell, float] = {start: 0.0}
        came: dict[Cell, Cell] = {}
        queue: list[tuple[float, Cell]] = [(0.0, start)]
        best, best_score = start, math.inf
        while queue:
            cost, cell = heapq.heappop(queue)
            if cost > best_score:
                break
            if cost > costs[cell]:
                continue
            score = cost + 400.0 * min(visits[_place(cell)], 8)
            if score < best_score and cost > 6:
                best, best_score = cell, score
            for dx, dy in _ROUND:
                near = (cell[0] + dx, cell[1] + dy)
                if near in barred or not self._passable(cell, near):
                    continue
                new = cost + math.hypot(dx, dy) * (4.0 if self._narrow[near] else 1.0)
                if new < costs.get(near, math.inf):
                    costs[near], came[near] = new, cell
                    heapq.heappush(queue, (new, near))
        way = [best]
        while way[-1] in came:
            way.append(came[way[-1]])
        return [self._step(cell) for cell in reversed(way[:-1])]

    def _passable(self, a: Cell, b: Cell) -> bool:
        if not (0 <= b[0] < self._sector.shape[0] and 0 <= b[1] < self._sector.shape[1]):
            return False
        there = int(self._sector[b])
        if there < 0:
            return False
        here = max(int(self._sector[a]), 0)
        if self._doors[there] or self._doors[here]:
            return abs(int(self._floor[there] - self._floor[here])) <= _STEP
        top = min(self._ceiling[here], self._ceiling[there])
        rise = int(self._floor[there] - self._floor[here])
        return (
            rise <= _STEP
            and int(top) - max(int(self._floor[there]), int(self._floor[here])) >= _TALL
        )

    def _free_cell(self, cell: Cell) -> Cell | None:
        """Return `cell`, or a walkable one beside it: who leans on a wall stands in its cell."""
        for dx, dy in ((0, 0), *_ROUND):
            near = (cell[0] + dx, cell[1] + dy)
            inside = 0 <= near[0] < self._sector.shape[0] and 0 <= near[1] < self._sector.shape[1]
            if inside and self._sector[near] >= 0:
                return near
        return None

    def _step(self, cell: Cell) -> Step:
        x, y = self._origin + (np.array(cell) + 0.5) * CELL
        return Step(cell, float(x), float(y), bool(self._doors[int(self._sector[cell])]))


def _place(cell: Cell) -> Cell:
    """Return the place of 8 x 8 cells that visits are counted by."""
    return (cell[0] // 8, cell[1] // 8)


def visit(visits: Counter[Cell], cell: Cell) -> None:
    """Count one visit to the place that `cell` is in."""
    visits[_place(cell)] += 1


def _side(index: NDArray[np.uint16], sides: NDArray[np.void]) -> NDArray[np.int64]:
    missing = index == NO_SIDE
    found: NDArray[np.int64] = sides["sector"][np.where(missing, 0, index)].astype(np.int64)
    return np.where(missing, -1, found)


def _rasterise(
    origin: NDArray[np.float64],
    size: NDArray[np.int64],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    right: NDArray[np.int64],
    left: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the sector at each cell's middle, (columns, rows); -1 outside of the map.

    Row by row: a line that the row meets gives the sector on its west side to what lies before it.
    """
    grid = np.full((int(size[0]), int(size[1])), _OUTSIDE, np.int64)
    middles = origin[0] + (np.arange(int(size[0])) + 0.5) * CELL
    for row in range(int(size[1])):
        y = origin[1] + (row + 0.5) * CELL + 0.137  # off the whole numbers that vertices lie on
        crossed = np.flatnonzero((start[:, 1] > y) != (end[:, 1] > y))
        a, b = start[crossed], end[crossed]
        meets = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
        order = np.argsort(meets)
        west = np.where(b[:, 1] > a[:, 1], left[crossed], right[crossed])[order]
        next_line = np.searchsorted(meets[order], middles)
        inside = next_line < len(order)
        grid[inside, row] = west[next_line[inside]]
    return grid


def _beside_wall(sector: NDArray[np.int64]) -> NDArray[np.bool_]:
    wall = np.pad(sector < 0, 1, constant_values=True)
    near = np.zeros_like(wall)
    for dx, dy in _ROUND:
        near |= np.roll(np.roll(wall, dx, axis=0), dy, axis=1)
    result: NDArray[np.bool_] = near[1:-1, 1:-1]
    return result
