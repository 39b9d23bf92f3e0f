"""Let a session see a recorded game or a picture, in the order in which a live one would."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from diegetic.evaluation.corpus import Game
from diegetic.mixer.commands import BEDS
from diegetic.session import Session
from diegetic.snapshot import FloatArray


def watch_game(
    game: Game, seconds: float, *, told: bool = False, prompt: str = ""
) -> Callable[[Session], FloatArray]:
    """Play `game` from its start: its frames alone, or its events too where they are `told`."""

    def play(session: Session) -> FloatArray:
        session.set_prompt(prompt)
        frame, event, parts = 0, 0, []
        hop = session.config.hop
        for _ in range(int(seconds / hop + 1e-6)):  # whole hops, so that no game ends before
            end = session.time + hop
            while frame < len(game.frame_times) and game.frame_times[frame] < end:
                session.push_frame(game.frames[frame], age=float(end - game.frame_times[frame]))
                frame += 1
            while event < len(game.event_times) and game.event_times[event] < end:
                if told:
                    at = float(game.event_times[event])
                    session.post_event(game.event_names[event], at=at, bus=BEDS)
                event += 1
            parts.append(session.read(hop))
        return np.concatenate(parts)

    return play


def watch_picture(
    pixels: NDArray[np.uint8], seconds: float, *, prompt: str = ""
) -> Callable[[Session], FloatArray]:
    """Play a scene in which nothing but `pixels` (height, width, 3) is seen."""

    def play(session: Session) -> FloatArray:
        session.set_prompt(prompt)
        hop, parts = session.config.hop, []
        for _ in range(round(seconds / hop)):
            session.push_frame(pixels)
            parts.append(session.read(hop))
        return np.concatenate(parts)

    return play
