"""The scripted player, its map, and what a recording of ViZDoom holds."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from diegetic.demo.bot import BUTTONS, Bot, Foe, Pose
from diegetic.demo.walkways import Cell, Walkways

vizdoom = pytest.importorskip("vizdoom")
WAD = Path(vizdoom.__file__).parent / "freedoom2.wad"
START = Pose(-192.0, -192.0, 0.0)  # where MAP01 begins


@pytest.fixture(scope="module")
def first_map() -> Walkways:
    return Walkways(WAD, "MAP01")


def test_ways_lead_step_by_step_away_from_the_start(first_map: Walkways) -> None:
    visits: Counter[Cell] = Counter()
    way = first_map.way(START.x, START.y, visits, set())
    assert len(way) > 3
    last = (START.x, START.y)
    for step in way:
        assert math.dist(last, (step.x, step.y)) < 72  # neighbours of a 32-unit grid
        last = (step.x, step.y)


def test_barred_cells_are_walked_around(first_map: Walkways) -> None:
    visits: Counter[Cell] = Counter()
    way = first_map.way(START.x, START.y, visits, set())
    barred = {way[2].cell}
    other = first_map.way(START.x, START.y, visits, barred)
    assert barred.isdisjoint(step.cell for step in other)


def test_bot_turns_to_the_nearest_foe_and_shoots_only_when_it_aims(first_map: Walkways) -> None:
    press = dict(zip(BUTTONS, Bot().decide(START, [Foe(40, 900), Foe(30, 300)], first_map),
                     strict=True))  # fmt: skip
    assert press["TURN_LEFT_RIGHT_DELTA"] > 0
    assert not press["ATTACK"]
    press = dict(zip(BUTTONS, Bot().decide(START, [Foe(-2, 300)], first_map), strict=True))
    assert press["TURN_LEFT_RIGHT_DELTA"] < 0
    assert press["ATTACK"]


def test_bot_frees_itself_when_it_does_not_move(first_map: Walkways) -> None:
    bot = Bot(seed=1)
    presses = [bot.decide(START, [], first_map) for _ in range(60)]
    assert any(press[BUTTONS.index("MOVE_BACKWARD")] for press in presses)
    assert any(press[BUTTONS.index("USE")] for press in presses)


def test_same_seed_presses_the_same_buttons(first_map: Walkways) -> None:
    plays = [[Bot(seed=7).decide(START, [], first_map) for _ in range(5)] for _ in range(2)]
    assert plays[0] == plays[1]


def test_takes_keep_training_and_heldout_maps_apart() -> None:
    from diegetic.training.vizdoom_capture import TAKES

    train = {(take.wad, take.map) for take in TAKES if take.split == "train"}
    held = {(take.wad, take.map) for take in TAKES if take.split == "heldout"}
    assert len(train) >= 6
    assert len(held) >= 2
    assert train.isdisjoint(held)
    assert len({take.name for take in TAKES}) == len(TAKES)


def test_recording_holds_picture_sound_and_state_in_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diegetic.errors import MediaError
    from diegetic.training.vizdoom_capture import Take, capture

    monkeypatch.chdir(tmp_path)  # ViZDoom leaves its settings in the working folder
    take = Take("freedoom1", "E3M1", 8.0, 7)
    try:
        (path,) = capture(tmp_path, [take])
    except MediaError as error:
        assert "OpenAL" in str(error)
        pytest.skip("no OpenAL on this machine")
    tape = np.load(path)
    tics = 8 * 35
    assert tape["frames"].shape == (tics // 2, 72, 128, 3)
    assert tape["audio"].dtype == np.int16
    assert len(tape["audio"]) == pytest.approx(8 * 48_000, abs=48)
    for name in ("health", "threat", "area", "underfoot", "tic_times"):
        assert len(tape[name]) == tics
    assert 0 <= tape["threat"].min() <= tape["threat"].max() <= 1
    assert np.all(np.diff(tape["event_times"]) >= 0)
    before = path.stat().st_mtime_ns
    capture(tmp_path, [take])
    assert path.stat().st_mtime_ns == before  # what is there is not recorded again
    shots = tape["event_times"][tape["event_names"] == "shot"]
    sound = np.abs(tape["audio"].astype(float)).max(axis=1)
    for time in shots:
        start = round(time * 48_000)
        assert sound[start : start + 3 * 1372].max() > 1000  # a shot is heard within three tics
