"""Pictures, sound and world state in step, from ViZDoom: the only true video with sound here.

    tic       0    1    2    3    4      35 a second
    frame     x         x         x      17.5 a second, 72 x 128 RGB, no HUD
    sound     |----|----|----|----|      1260 samples at 44.1 kHz a tic, 48 kHz in the end
    events    at the start of the tic whose sound holds them

What counts as threat, area, surface, shot, hurt and pickup is decided by the demo's own `scene`, so
that a model is trained on the words that the demo's game will say.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import soxr
from numpy.typing import NDArray

from diegetic.config import RATE
from diegetic.demo.bot import BUTTONS, Bot
from diegetic.demo.scene import Message, Reading, Scene
from diegetic.demo.terrain import Terrain
from diegetic.errors import DiegeticError, MediaError
from diegetic.training import catalog
from diegetic.training.atomic import replacing

if TYPE_CHECKING:
    import vizdoom

_log = logging.getLogger(__name__)

TICS = 35  # a second: Doom's clock
GAME_RATE = 44_100
SAMPLES_PER_TIC = GAME_RATE // TICS
FRAME_EVERY = 2  # tics
HEIGHT, WIDTH = 72, 128
_ARMS_EVERY = 18 * TICS  # tics after which another weapon is taken in hand
_FOE_EVERY = 9 * TICS  # tics after which a monster comes, so that empty places are not all there is
_FOES = ("Zombieman", "ShotgunGuy", "DoomImp", "Demon", "ChaingunGuy", "LostSoul", "Cacodemon")
_EARSHOT = 800.0  # map units: a door that moves within is an event
_QUIETEST = 1e-4  # rms: below it OpenAL gave silence


@dataclass(frozen=True)
class Take:
    """One episode to record: a map of freedoom1 or freedoom2, `seconds` long."""

    wad: str
    map: str
    seconds: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.wad}_{self.map}_{self.seed}"

    @property
    def split(self) -> str:
        """Return "heldout" if catalog/heldout.txt lists the map, else "train"."""
        return "heldout" if f"{self.wad}/{self.map}" in catalog.heldout_maps() else "train"


TAKES = (
    Take("freedoom2", "MAP01", 150.0, 1),
    Take("freedoom2", "MAP02", 150.0, 2),
    Take("freedoom2", "MAP08", 150.0, 3),
    Take("freedoom2", "MAP10", 150.0, 4),
    Take("freedoom2", "MAP14", 150.0, 5),
    Take("freedoom1", "E1M1", 150.0, 6),
    Take("freedoom1", "E2M2", 150.0, 7),
    Take("freedoom1", "E3M1", 150.0, 8),
    Take("freedoom2", "MAP07", 90.0, 9),
    Take("freedoom1", "E2M1", 90.0, 10),
    Take("freedoom2", "MAP03", 150.0, 11),
    Take("freedoom2", "MAP04", 150.0, 12),
    Take("freedoom2", "MAP05", 150.0, 13),
    Take("freedoom2", "MAP06", 150.0, 14),
    Take("freedoom2", "MAP09", 150.0, 15),
    Take("freedoom2", "MAP11", 150.0, 16),
    Take("freedoom2", "MAP12", 150.0, 17),
    Take("freedoom2", "MAP13", 150.0, 18),
    Take("freedoom2", "MAP15", 150.0, 19),
    Take("freedoom2", "MAP16", 150.0, 20),
    Take("freedoom2", "MAP17", 150.0, 21),
    Take("freedoom2", "MAP18", 150.0, 22),
    Take("freedoom1", "E1M2", 150.0, 23),
    Take("freedoom1", "E1M3", 150.0, 24),
    Take("freedoom1", "E1M4", 150.0, 25),
    Take("freedoom1", "E1M5", 150.0, 26),
    Take("freedoom1", "E2M3", 150.0, 27),
    Take("freedoom1", "E2M4", 150.0, 28),
    Take("freedoom1", "E2M5", 150.0, 29),
    Take("freedoom1", "E3M2", 150.0, 30),
    Take("freedoom1", "E3M3", 150.0, 31),
    Take("freedoom1", "E3M4", 150.0, 32),
    Take("freedoom1", "E4M1", 150.0, 33),
    Take("freedoom1", "E4M2", 150.0, 34),
)


def capture(
    root: Path,
    takes: Sequence[Take] = TAKES,
    progress: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Record `takes` below root/build/vizdoom/; those that are there are not recorded again.

    Raises:
        DiegeticError: ViZDoom is missing or does not start, or the disk is full.
        MediaError: the game gave no sound: OpenAL is missing or found no device.
    """
    folder = root / "build" / "vizdoom"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for take in takes:
        path = folder / f"{take.name}.npz"
        if not path.exists():
            arrays = record(take)
            with replacing(path) as out:
                np.savez(out, **cast(Any, arrays))
        written.append(path)
        if progress is not None:
            progress(path)
    return written


def record(take: Take) -> dict[str, NDArray[Any]]:
    """Play one take; return its arrays.

    frames (n, 72, 128, 3) uint8, frame_times (n,) s, audio (m, 2) int16 at 48 kHz, event_names and
    event_times (e,) s, tic_times (t,) s, health and threat (t,) in 0..1, area and underfoot (t,)
    the switches' values, position (t, 3), ammo, weapon, armor, kills, items (t,), split ().
    """
    library = _vizdoom()
    wad = Path(library.__file__).parent / f"{take.wad}.wad"
    terrain = Terrain(wad, take.map)
    game = _open(library, wad, take)
    try:
        tape = _Tape(game, terrain, take)
        tape.run()
        return tape.arrays()
    finally:
        game.close()


class _Tape:
    """The recording of one take: grows tic by tic."""

    def __init__(self, game: "vizdoom.DoomGame", terrain: Terrain, take: Take) -> None:
        self._game, self._terrain, self._take = game, terrain, take
        self._bot, self._scene = Bot(take.seed), Scene()
        self._said = Message(area="indoors", underfoot="stone", health=1.0, threat=0.0)
        self._moving: dict[int, bool] = {}
        self._heights: dict[int, tuple[float, float]] = {}
        self.frames: list[NDArray[np.uint8]] = []
        self.sound: list[NDArray[np.int16]] = []
        self.events: list[tuple[str, float]] = []
        self.rows: list[tuple[float, ...]] = []
        self.switches: list[tuple[str, str]] = []

    def run(self) -> None:
        """Play for the take's length; a dead player starts the map anew."""
        total = round(self._take.seconds * TICS)
        self._arm(0)
        tic = 0
        while tic < total:
            if self._game.is_episode_finished() or self._game.is_player_dead():
                self._game.new_episode()
                self._scene.restart()
                self._heights.clear()
                self._arm(tic)
            if tic % _ARMS_EVERY == _ARMS_EVERY - 1:
                self._arm(tic // _ARMS_EVERY + 1)
            if tic % _FOE_EVERY == _FOE_EVERY - 1:
                foe = _FOES[(tic // _FOE_EVERY + self._take.seed) % len(_FOES)]
                self._game.send_game_command(f"summon {foe}")
            buttons = self._bot.act(self._game, self._game.get_state())
            self._game.make_action(buttons, 1)
            state = self._game.get_state()
            if state is not None:  # None: the player died or left the map in this tic
                self._keep(state, tic)
                tic += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything recorded.

        Raises:
            MediaError: the sound is silence.
        """
        sound = np.concatenate([np.zeros((0, 2), np.int16), *self.sound])
        loudness = float(np.sqrt(np.sum((sound / 32768.0) ** 2) / max(1, sound.size)))
        if not loudness > _QUIETEST:
            raise MediaError(
                f"{self._take.name} has no sound (rms {loudness:.1e}): install OpenAL (libopenal1)"
            )
        audio = soxr.resample(sound.astype(np.float32) / 32768.0, GAME_RATE, RATE, quality="HQ")
        columns = np.array(self.rows, np.float32)
        names = ("health", "threat", "armor", "ammo", "weapon", "kills", "items")
        tics = len(self.rows)
        return {
            "frames": np.stack(self.frames),
            "frame_times": np.arange(len(self.frames)) * (FRAME_EVERY / TICS),
            "audio": np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16),
            "event_names": np.array([name for name, _ in self.events], dtype="U16"),
            "event_times": np.array([time for _, time in self.events], dtype=np.float64),
            "tic_times": np.arange(tics) / TICS,
            "position": columns[:, len(names) :],
            "area": np.array([area for area, _ in self.switches], dtype="U16"),
            "underfoot": np.array([ground for _, ground in self.switches], dtype="U16"),
            "split": np.array(self._take.split),
            **{name: columns[:, index] for index, name in enumerate(names)},
        }

    def _keep(self, state: "vizdoom.GameState", tic: int) -> None:
        time = tic / TICS
        variable, get = _vizdoom().GameVariable, self._game.get_game_variable
        x, y = get(variable.POSITION_X), get(variable.POSITION_Y)
        reading = Reading(
            time=time,
            health=get(variable.HEALTH),
            weapon=int(get(variable.SELECTED_WEAPON)),
            ammo=get(variable.SELECTED_WEAPON_AMMO),
            items=get(variable.ITEMCOUNT),
            enemies=tuple(
                float(np.hypot(label.object_position_x - x, label.object_position_y - y))
                for label in state.labels or ()
                if label.object_category == "Monster"
            ),
            spot=self._terrain.at(x, y),
        )
        message = self._scene.read(reading)
        self._said = _newest(self._said, message)
        self.events.extend((name, time) for name in message.events)
        if self._door_starts(state, x, y):
            self.events.append(("door", time))
        if tic % FRAME_EVERY == 0:
            self.frames.append(shrink(state.screen_buffer))
        if state.audio_buffer is not None:
            self.sound.append(np.array(state.audio_buffer[:SAMPLES_PER_TIC], np.int16))
        self.switches.append((self._said.area or "", self._said.underfoot or ""))
        self.rows.append(
            (
                self._said.health or 0.0,
                self._said.threat or 0.0,
                get(variable.ARMOR),
                reading.ammo,
                float(reading.weapon),
                get(variable.KILLCOUNT),
                reading.items,
                x,
                y,
                get(variable.POSITION_Z),
            )
        )

    def _door_starts(self, state: "vizdoom.GameState", x: float, y: float) -> bool:
        """Tell whether a door or lift in earshot begins to move in this tic."""
        starts = False
        for sector in state.sectors or ():
            now = (float(sector.floor_height), float(sector.ceiling_height))
            before = self._heights.get(sector.id, now)
            self._heights[sector.id] = now
            moves = now != before
            if moves and not self._moving.get(sector.id, False):
                near = any(np.hypot(line.x1 - x, line.y1 - y) < _EARSHOT for line in sector.lines)
                starts = starts or near
            self._moving[sector.id] = moves
        return starts

    def _arm(self, turn: int) -> None:
        """Take another weapon in hand, with rounds; what changes by it is no event."""
        for command in ("give weapons", "give ammo", f"slot {2 + turn % 5}"):
            self._game.send_game_command(command)
        self._scene.restart()


def shrink(screen: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a (H, W, 3) picture as (72, 128, 3), each pixel the mean of its area."""
    from PIL import Image

    image = Image.fromarray(screen).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return np.asarray(image, np.uint8)


def _newest(said: Message, message: Message) -> Message:
    """Return the values in force: those of `message`, and of `said` where it is silent."""
    return Message(
        area=said.area if message.area is None else message.area,
        underfoot=said.underfoot if message.underfoot is None else message.underfoot,
        health=said.health if message.health is None else message.health,
        threat=said.threat if message.threat is None else message.threat,
    )


def _open(library: Any, wad: Path, take: Take) -> "vizdoom.DoomGame":
    os.environ.setdefault("ALSOFT_DRIVERS", "null")  # sound goes into the buffer, not to a device
    game: vizdoom.DoomGame = library.DoomGame()
    game.set_doom_game_path(str(wad))
    game.set_doom_map(take.map)
    game.set_screen_resolution(library.ScreenResolution.RES_320X180)
    game.set_screen_format(library.ScreenFormat.RGB24)
    game.set_render_hud(False)
    game.set_window_visible(False)
    game.set_mode(library.Mode.PLAYER)
    game.set_doom_skill(3)
    game.set_seed(take.seed)
    game.set_episode_timeout(0)
    game.set_audio_buffer_enabled(True)
    game.set_audio_sampling_rate(library.SamplingRate.SR_44100)
    game.set_audio_buffer_size(1)
    game.set_labels_buffer_enabled(True)
    game.set_depth_buffer_enabled(True)
    game.set_sectors_info_enabled(True)
    game.add_game_args("+snd_efx 0")  # without it OpenAL aborts
    game.set_available_buttons([getattr(library.Button, name) for name in BUTTONS])
    game.set_available_game_variables([library.GameVariable.HEALTH])
    try:
        game.init()
    except Exception as error:  # ViZDoom's exceptions have no common base
        raise DiegeticError(f"ViZDoom does not start: {error}") from error
    return game


def _vizdoom() -> Any:
    try:
        import vizdoom
    except ImportError as error:
        raise DiegeticError("recording needs ViZDoom: pip install 'diegetic[demo]'") from error
    return vizdoom
