"""The game of the demo, a process of its own: ViZDoom plays itself and says what it sees and does.

    every tic, 1/35 s   bot acts → game → reading → scene → prompts, switches, parameters, events
    every 1/15 s        frame, 128 x 72

It knows the sound side only as an address: `python -m diegetic.demo.game --endpoint tcp://...`.
"""

import argparse
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diegetic.demo import scene
from diegetic.demo.bot import BUTTONS, Bot
from diegetic.demo.terrain import Terrain
from diegetic.errors import DiegeticError
from diegetic_bridge.client import Client
from diegetic_bridge.messages import DEFAULT_ENDPOINT, EventSpec, ParameterSpec, SwitchSpec

if TYPE_CHECKING:
    import vizdoom

TIC = 1 / 35  # s: Doom's clock
FRAME = 1 / 15
FALLEN_BEHIND = 0.5  # s: after a stall the game goes on from here instead of racing after
RAMP = 0.2  # s in which a parameter arrives
DEFAULT_MAP = "MAP07"
WAD = "freedoom2.wad"

log = logging.getLogger(__name__)


class Player(Protocol):
    """Who presses the buttons."""

    def act(self, game: "vizdoom.DoomGame", state: "vizdoom.GameState") -> list[float]: ...


class Ears(Protocol):
    """The part of a bridge client that the game uses."""

    def set_prompt(self, text: str) -> None: ...

    def set_switch(self, name: str, value: str) -> None: ...

    def set_parameter(self, name: str, value: float, ramp: float = 0.0) -> None: ...

    def post_event(self, name: str) -> int: ...

    def push_frame(self, pixels: NDArray[np.uint8]) -> None: ...


@dataclass(frozen=True)
class Pacer:
    """Real time in steps of `step` seconds; `clock` and `sleep` can be those of a test."""

    step: float = TIC
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def ticks(self, seconds: float) -> Iterator[float]:
        """Yield the time since the start at every step, in real time, for `seconds`."""
        due = start = self.clock()
        while due - start < seconds:
            now = self.clock()
            if now < due:
                self.sleep(due - now)
                now = self.clock()
            elif now - due > FALLEN_BEHIND:
                due = now
            if now - start >= seconds:
                return
            due += self.step
            yield now - start


def declarations() -> tuple[list[ParameterSpec], list[SwitchSpec], list[EventSpec]]:
    """What the game is going to say: parameters, switches, events in words."""
    parameters = [ParameterSpec("health", default=1.0), ParameterSpec("threat")]
    switches = [
        SwitchSpec("area", list(scene.AREAS)),
        SwitchSpec("underfoot", list(scene.SURFACES)),
    ]
    return parameters, switches, [EventSpec(name, text) for name, text in scene.EVENTS.items()]


def open_game(map_name: str, seed: int) -> "vizdoom.DoomGame":
    """Start ViZDoom on a map of Freedoom, silent and without a window.

    Raises:
        DiegeticError: ViZDoom is not installed, or does not start.
    """
    library = _vizdoom()
    variable = library.GameVariable
    game: vizdoom.DoomGame = library.DoomGame()
    game.set_doom_game_path(str(wad_path()))
    game.set_doom_map(map_name)
    game.set_screen_resolution(library.ScreenResolution.RES_256X144)
    game.set_screen_format(library.ScreenFormat.RGB24)
    game.set_render_hud(False)
    game.set_render_weapon(True)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_labels_buffer_enabled(True)
    game.set_depth_buffer_enabled(True)
    game.set_mode(library.Mode.PLAYER)
    game.set_doom_skill(2)
    game.set_episode_timeout(0)
    game.set_seed(seed)
    game.set_available_buttons([getattr(library.Button, name) for name in BUTTONS])
    game.set_available_game_variables([variable.HEALTH, variable.SELECTED_WEAPON_AMMO])
    try:
        game.init()
    except Exception as error:  # ViZDoom's exceptions have no common base
        raise DiegeticError(f"ViZDoom does not start: {error}") from error
    return game


def wad_path() -> Path:
    """Return the Freedoom file that ships with ViZDoom."""
    return Path(_vizdoom().__file__).parent / WAD


def small_picture(screen: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve a (height, width, 3) picture, each pixel the mean of four."""
    height, width, _ = screen.shape
    blocks = screen.reshape(height // 2, 2, width // 2, 2, 3).astype(np.uint16)
    small: NDArray[np.uint8] = (blocks.sum(axis=(1, 3)) >> 2).astype(np.uint8)
    return small


def look(
    game: "vizdoom.DoomGame",
    state: "vizdoom.GameState",
    terrain: Terrain,
    now: float,
    *,
    using: bool,
) -> scene.Reading:
    """Read what matters for the ear; `using`: the player presses the button that opens doors."""
    variable, get = _vizdoom().GameVariable, game.get_game_variable
    x, y = get(variable.POSITION_X), get(variable.POSITION_Y)
    return scene.Reading(
        time=now,
        health=get(variable.HEALTH),
        weapon=int(get(variable.SELECTED_WEAPON)),
        ammo=get(variable.SELECTED_WEAPON_AMMO),
        items=get(variable.ITEMCOUNT),
        enemies=tuple(
            float(np.hypot(label.object_position_x - x, label.object_position_y - y))
            for label in state.labels or ()
            if label.object_category == "Monster"
        ),
        spot=terrain.at(x, y),
        door=terrain.door_ahead(x, y, get(variable.ANGLE)) if using else None,
    )


def say(ears: Ears, message: scene.Message) -> None:
    """Send what is new."""
    if message.prompt is not None:
        log.info("prompt: %s", message.prompt)
        ears.set_prompt(message.prompt)
    for switch, value in (("area", message.area), ("underfoot", message.underfoot)):
        if value is not None:
            ears.set_switch(switch, value)
    for parameter, level in (("health", message.health), ("threat", message.threat)):
        if level is not None:
            ears.set_parameter(parameter, level, ramp=RAMP)
    for event in message.events:
        ears.post_event(event)


def play(
    game: "vizdoom.DoomGame",
    player: Player,
    ears: Ears,
    terrain: Terrain,
    seconds: float,
    pacer: Pacer = Pacer(),
) -> None:
    """Play for `seconds` of real time and tell `ears`."""
    use = BUTTONS.index("USE")
    story = scene.Scene()
    next_frame = 0.0
    for now in pacer.ticks(seconds):
        if game.is_episode_finished() or game.is_player_dead():
            game.new_episode()
            story.restart()
        state = game.get_state()
        buttons = player.act(game, state)
        say(ears, story.read(look(game, state, terrain, now, using=bool(buttons[use]))))
        if now >= next_frame:
            next_frame = max(next_frame + FRAME, now)
            ears.push_frame(small_picture(state.screen_buffer))
        game.make_action(buttons, 1)


def main(argv: list[str] | None = None) -> int:
    """Play; exit code 0 when the time is over, 2 when the game cannot be played."""
    parser = argparse.ArgumentParser(prog="python -m diegetic.demo.game", description=__doc__)
    parser.add_argument("--endpoint", default=DEFAULT_ENDPOINT)
    parser.add_argument("--map", default=DEFAULT_MAP)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    # Ctrl-C in the terminal is for the show; it ends the game by a word of its own.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="diegetic-game-") as folder:
        os.chdir(folder)  # ViZDoom leaves its settings in the working folder
        try:
            _run(arguments)
        except DiegeticError as error:
            sys.stderr.write(f"game: {error}\n")
            return 2
        finally:
            os.chdir(tempfile.gettempdir())
    return 0


def _run(arguments: argparse.Namespace) -> None:
    terrain = Terrain(wad_path(), arguments.map)
    parameters, switches, events = declarations()
    game = open_game(arguments.map, arguments.seed)
    try:
        with Client(
            arguments.endpoint,
            engine="ViZDoom",
            parameters=parameters,
            switches=switches,
            events=events,
        ) as client:
            play(game, Bot(arguments.seed), client, terrain, arguments.seconds)
    finally:
        game.close()


def _leave(number: int, frame: object) -> None:
    raise SystemExit(0)


def _vizdoom() -> Any:
    try:
        import vizdoom
    except ImportError as error:
        raise DiegeticError("the demo game is ViZDoom: pip install 'diegetic[demo]'") from error
    return vizdoom


if __name__ == "__main__":
    sys.exit(main())
