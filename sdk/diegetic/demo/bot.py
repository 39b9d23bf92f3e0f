"""A scripted player: walks where it has not been, opens doors, fights what it sees, frees itself.

It sees what a person sees (the labels of one picture), knows where it stands, and has a map. The
same seed and the same game give the same play. Who uses it decides when a dead player starts anew.
"""

import math
import random
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diegetic.demo.walkways import Cell, Step, Walkways, visit

if TYPE_CHECKING:
    import vizdoom

# The buttons that the bot presses, in the order of the list that `act` returns.
BUTTONS = (
    "MOVE_FORWARD",
    "MOVE_BACKWARD",
    "MOVE_LEFT",
    "MOVE_RIGHT",
    "TURN_LEFT_RIGHT_DELTA",
    "ATTACK",
    "USE",
)

_VIEW = math.radians(90)  # Doom's field of view
_AIM = 5.0  # degrees off target at which it shoots
_FASTEST = 12.0  # degrees it turns in a tic
_PATIENCE = 20  # tics without progress before it frees itself
_PROGRESS = 24.0  # map units it must have moved in that time
_AHEAD = 2  # steps of the way that it looks ahead: corners are cut, doors are not
_REACHED = 40.0  # map units from a step at which it counts as reached
_PURSUIT = 6 * 35  # tics that it fights before it tries elsewhere


@dataclass(frozen=True)
class Pose:
    """Where the player stands: map units, and degrees counterclockwise from the east."""

    x: float
    y: float
    angle: float


@dataclass(frozen=True)
class Foe:
    """A monster in view: degrees to the right of the centre, map units away."""

    bearing: float
    distance: float


class Bot:
    """Plays one map; not safe to share between threads."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._map: Walkways | None = None
        self._visits: Counter[Cell] = Counter()
        self._barred: set[Cell] = set()
        self._way: deque[Step] = deque()
        self._place: Cell | None = None
        self._path: deque[tuple[float, float]] = deque(maxlen=_PATIENCE)
        self._escape = 0  # tics left of freeing itself
        self._escape_turn = 0.0
        self._strafe = 1
        self._fought = 0
        self._tic = 0

    def act(self, game: "vizdoom.DoomGame", state: "vizdoom.GameState") -> list[float]:
        """Return the buttons for the next tic, in the order of `BUTTONS`.

        `game` needs the labels buffer; the turn is in degrees, positive to the right.

        Raises:
            MediaError: the game's map cannot be read.
        """
        import vizdoom

        if self._map is None:
            self._map = Walkways(Path(game.get_doom_game_path()), game.get_doom_map().upper())
        variable = vizdoom.GameVariable
        pose = Pose(
            game.get_game_variable(variable.POSITION_X),
            game.get_game_variable(variable.POSITION_Y),
            game.get_game_variable(variable.ANGLE),
        )
        width = state.screen_buffer.shape[1]
        foes = [
            Foe(
                math.degrees(_bearing((label.x + label.width / 2) / width)),
                math.hypot(label.object_position_x - pose.x, label.object_position_y - pose.y),
            )
            for label in state.labels or ()
            if label.object_category == "Monster"
        ]
        return self.decide(pose, foes, self._map)

    def decide(self, pose: Pose, foes: list[Foe], walkways: Walkways) -> list[float]:
        """Return the buttons for `pose`, with the foes in view, on the map `walkways`."""
        self._tic += 1
        self._remember(pose, walkways)
        if self._escape > 0:
            return self._free_itself()
        if foes and self._fought < _PURSUIT:
            self._fought += 1
            return self._fight(min(foes, key=lambda foe: foe.distance))
        if not foes:
            self._fought = max(0, self._fought - 1)
        if self._is_stuck():
            self._path.clear()
            self._barred.update(step.cell for step in list(self._way)[:2])
            self._way.clear()
            self._escape = self._random.randint(8, 16)
            self._escape_turn = self._random.choice((-1, 1)) * self._random.uniform(6, _FASTEST)
            return self._free_itself()
        return self._explore(pose, walkways)

    def _remember(self, pose: Pose, walkways: Walkways) -> None:
        if self._path and math.dist(self._path[-1], (pose.x, pose.y)) > 256:
            self._way.clear()  # a new life, or a teleporter
            self._barred.clear()
        self._path.append((pose.x, pose.y))
        cell = walkways.cell(pose.x, pose.y)
        if cell != self._place:
            self._place = cell
            visit(self._visits, cell)

    def _fight(self, foe: Foe) -> list[float]:
        if self._random.random() < 0.04:
            self._strafe = -self._strafe
        turn = max(-_FASTEST, min(_FASTEST, foe.bearing * 0.6))
        shoots = abs(foe.bearing) < _AIM
        return _press(
            forward=foe.distance > 320,
            backward=foe.distance < 128,
            left=self._strafe < 0,
            right=self._strafe > 0,
            turn=turn,
            attack=shoots,
        )

    def _explore(self, pose: Pose, walkways: Walkways) -> list[float]:
        """Follow the way to what is new; use doors that stand in it."""
        while (
            self._way and math.dist((self._way[0].x, self._way[0].y), (pose.x, pose.y)) < _REACHED
        ):
            self._way.popleft()
        if not self._way:
            self._way.extend(walkways.way(pose.x, pose.y, self._visits, self._barred))
            if not self._way:
                self._barred.clear()
                self._escape, self._escape_turn = 10, _FASTEST
                return self._free_itself()
        near = list(self._way)[: _AHEAD + 1]
        door = any(step.door for step in near)
        aim = near[0] if door else near[-1]
        wanted = math.degrees(math.atan2(aim.y - pose.y, aim.x - pose.x))
        off = (pose.angle - wanted + 180) % 360 - 180  # degrees to the right
        return _press(
            forward=abs(off) < 50,
            turn=max(-_FASTEST, min(_FASTEST, off * 0.4)),
            use=door and self._tic % 8 == 0,
        )

    def _is_stuck(self) -> bool:
        if len(self._path) < _PATIENCE:
            return False
        (x0, y0), (x1, y1) = self._path[0], self._path[-1]
        return math.hypot(x1 - x0, y1 - y0) < _PROGRESS

    def _free_itself(self) -> list[float]:
        """Use what is in front once, step back while turning away, then go on."""
        self._escape -= 1
        return _press(
            forward=self._escape < 3,
            backward=self._escape >= 6,
            left=self._escape_turn > 0,
            right=self._escape_turn < 0,
            turn=self._escape_turn,
            use=self._escape % 7 == 6,
        )


def _press(
    *,
    forward: bool = False,
    backward: bool = False,
    left: bool = False,
    right: bool = False,
    turn: float = 0.0,
    attack: bool = False,
    use: bool = False,
) -> list[float]:
    return [
        float(forward),
        float(backward),
        float(left),
        float(right),
        turn,
        float(attack),
        float(use),
    ]


def _bearing(column: float) -> float:
    """Return the angle in radians to the right of the centre for a column (0..1) of the picture."""
    return math.atan((2 * column - 1) * math.tan(_VIEW / 2))
