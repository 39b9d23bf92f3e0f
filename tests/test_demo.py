import json
import math
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diegetic.demo import scene, terrain
from diegetic.demo.scene import Message, Reading, Scene
from diegetic.demo.terrain import Spot, Terrain
from diegetic.errors import DiegeticError, MediaError
from diegetic.output import Output
from diegetic.server import ServerStatus
from diegetic.session import Session
from tone_generator import ToneGenerator, plain_conditioner

COURT = Spot(outdoors=True, surface="stone", height=300.0, light=0.5)
CORRIDOR = Spot(outdoors=False, surface="metal", height=128.0, light=0.5)
START = Reading(time=0.0, health=100.0, weapon=2, ammo=50.0, items=0.0, spot=CORRIDOR)


# What the game says


def test_the_first_reading_says_where_we_are() -> None:
    message = Scene().read(START)
    assert message == Message(
        prompt="humming machinery in a dark base corridor",
        area="indoors",
        underfoot="metal",
        health=1.0,
        threat=0.0,
    )


def test_nothing_new_is_nothing_said() -> None:
    story = Scene()
    story.read(START)
    assert story.read(replace(START, time=0.1)) == Message()


@pytest.mark.parametrize(
    ("change", "events"),
    [
        ({"ammo": 49.0}, ("shot",)),
        ({"ammo": 40.0, "weapon": 3}, ()),  # another weapon has other rounds
        ({"ammo": 60.0}, ("pickup",)),
        ({"health": 80.0}, ("hurt",)),
        ({"health": 110.0}, ("pickup",)),
        ({"items": 1.0}, ("pickup",)),
        ({"ammo": 49.0, "health": 80.0}, ("shot", "hurt")),
        ({"door": 7}, ("door",)),
        ({}, ()),
    ],
)
def test_what_rose_and_fell_is_an_event(change: dict[str, float], events: tuple[str, ...]) -> None:
    story = Scene()
    story.read(START)
    assert story.read(replace(START, time=0.03, **change)).events == events  # type: ignore[arg-type]


def test_a_door_is_heard_once_until_it_was_left_alone() -> None:
    story = Scene()
    times = [0.0, 0.5, 1.0, 1.0 + scene.DOOR_PAUSE + 0.1]
    heard = [story.read(replace(START, time=t, door=3)).events for t in times]
    assert heard == [("door",), (), (), ("door",)]


def test_a_new_life_is_no_event() -> None:
    story = Scene()
    story.read(replace(START, health=0.0, ammo=3.0))
    story.restart()
    assert story.read(replace(START, time=1.0)).events == ()


def walk(story: Scene, spot: Spot, begin: float, seconds: float) -> list[tuple[float, str]]:
    """Stay at `spot`; return when which prompts were said."""
    said = []
    for step in range(round(seconds * 35)):
        time = begin + step / 35
        message = story.read(replace(START, time=time, spot=spot))
        if message.prompt is not None:
            said.append((time, message.prompt))
    return said


def test_a_glance_at_another_place_changes_no_prompt() -> None:
    story = Scene()
    walk(story, CORRIDOR, 0.0, 10.0)
    assert walk(story, COURT, 10.0, scene.SETTLE * 0.8) == []
    assert walk(story, CORRIDOR, 11.0, 10.0) == []


def test_a_place_that_lasts_is_said_once() -> None:
    story = Scene()
    walk(story, CORRIDOR, 0.0, 10.0)
    ((time, prompt),) = walk(story, COURT, 10.0, 10.0)
    assert prompt == "wind over an open courtyard at night"
    assert time == pytest.approx(10.0 + scene.SETTLE, abs=0.05)


def test_prompts_keep_their_distance() -> None:
    story = Scene()
    said = []
    for lap in range(12):
        said += walk(story, COURT if lap % 2 else CORRIDOR, lap * 1.5, 1.5)
    assert len(said) > 2
    assert all(b[0] - a[0] >= scene.HOLD for a, b in pairwise(said))


def test_enemies_are_a_threat_and_the_nearer_the_worse() -> None:
    def threat(*distances: float) -> float:
        return Scene().read(replace(START, enemies=distances)).threat or 0.0

    assert threat() == 0.0
    assert 0 < threat(1000.0) < threat(300.0) < threat(100.0) <= threat(100.0, 300.0) <= 1.0


def test_fear_wears_off_slowly_but_wholly() -> None:
    story = Scene()
    story.read(replace(START, enemies=(100.0,)))
    levels = [story.read(replace(START, time=t / 10)).threat for t in range(1, 200)]
    said = [level for level in levels if level is not None]
    assert said == sorted(said, reverse=True)
    assert said[0] > 0.8
    assert said[-1] == 0.0


def test_danger_has_words_of_its_own_until_it_is_over() -> None:
    story = Scene()
    walk(story, COURT, 0.0, 10.0)
    prompts = []
    for step in range(35 * 30):
        time = 10.0 + step / 35
        enemies = (150.0,) if step < 35 * 8 else ()
        message = story.read(replace(START, time=time, spot=COURT, enemies=enemies))
        prompts += [message.prompt] if message.prompt else []
    assert prompts == ["a thunderstorm with heavy rain", "wind over an open courtyard at night"]


def test_danger_lasts_until_it_is_clearly_over() -> None:
    story = Scene()
    prompts = []
    for step in range(35 * 40):
        distance = 150.0 if step < 35 * 10 else 430.0  # a threat between calm and danger
        reading = replace(START, time=step / 35, spot=COURT, enemies=(distance,))
        prompt = story.read(reading).prompt
        prompts += [prompt] if prompt else []
    assert prompts == ["a thunderstorm with heavy rain"]


def test_health_is_said_within_its_range() -> None:
    story = Scene()
    story.read(replace(START, health=200.0))
    assert story.read(replace(START, health=-20.0, time=1.0)).health == 0.0


# The map


def lump(name: str, dtype: np.dtype, rows: list[tuple]) -> tuple[str, bytes]:  # type: ignore[type-arg]
    return name, np.array(rows, dtype).tobytes()


@pytest.fixture
def wad(tmp_path: Path) -> Path:
    """Two rooms of 256 x 256: the west one under the sky on grass, the east one of metal.

    They share the line x = 256, a door. An outer border closes them.
    """
    no = terrain.NO_SIDE
    points = [(0, 0), (0, 256), (256, 256), (512, 256), (512, 0), (256, 0)]
    # clockwise around a room, its inside is on the right
    lines = [
        (0, 1, 0, 0, 0, 0, no),
        (1, 2, 0, 0, 0, 0, no),
        (5, 0, 0, 0, 0, 0, no),
        (2, 3, 0, 0, 0, 1, no),
        (3, 4, 0, 0, 0, 1, no),
        (4, 5, 0, 0, 0, 1, no),
        (2, 5, 0, 1, 0, 0, 1),  # downwards: right is west
    ]
    sides = [(0, 0, b"", 0), (0, 0, b"", 1)]
    sectors = [
        (0, 256, b"GRASS1", b"F_SKY1", 255, 0, 0),
        (8, 136, b"FLOOR5_1", b"CEIL5_1", 51, 0, 0),
    ]
    lumps = [
        ("MAP01", b""),
        ("THINGS", b""),
        lump("LINEDEFS", terrain.LINES, lines),
        lump("SIDEDEFS", terrain.SIDES, sides),
        lump("VERTEXES", terrain.POINTS, points),
        *((name, b"") for name in ("SEGS", "SSECTORS", "NODES")),
        lump("SECTORS", terrain.SECTORS, sectors),
        ("REJECT", b""),
        ("BLOCKMAP", b""),
    ]
    body, directory = b"", b""
    for name, data in lumps:
        directory += struct.pack("<ii8s", 12 + len(body), len(data), name.encode())
        body += data
    path = tmp_path / "test.wad"
    path.write_bytes(struct.pack("<4sii", b"PWAD", len(lumps), 12 + len(body)) + body + directory)
    return path


def test_a_place_knows_its_sky_and_its_floor(wad: Path) -> None:
    rooms = Terrain(wad, "MAP01")
    assert rooms.at(100.0, 100.0) == Spot(True, "grass", 256.0, 1.0)
    assert rooms.at(300.0, 100.0) == Spot(False, "metal", 128.0, 0.2)


@pytest.mark.parametrize(("x", "y"), [(600.0, 100.0), (100.0, 300.0), (100.0, -5.0)])
def test_outside_of_the_map_is_nowhere(wad: Path, x: float, y: float) -> None:
    assert Terrain(wad, "MAP01").at(x, y) is None


def test_a_player_west_of_the_map_is_not_inside(wad: Path) -> None:
    assert Terrain(wad, "MAP01").at(-50.0, 100.0) is None


def test_a_door_is_used_from_near_and_in_front(wad: Path) -> None:
    rooms = Terrain(wad, "MAP01")
    assert rooms.door_ahead(256 - 40, 100.0, 0.0) == 6
    assert rooms.door_ahead(256 + 40, 100.0, 180.0) == 6
    assert rooms.door_ahead(256 - 40, 100.0, 180.0) is None
    assert rooms.door_ahead(256 - terrain.REACH - 1, 100.0, 0.0) is None
    assert rooms.door_ahead(10, 100.0, 180.0) is None  # a wall is no door


def test_a_missing_map_is_named_with_those_that_exist(wad: Path) -> None:
    with pytest.raises(MediaError, match="no map 'MAP99'; it has MAP01"):
        Terrain(wad, "MAP99")


@pytest.mark.parametrize("data", [b"", b"IWAD", b"PNG\0" + bytes(20), b"IWAD" + b"\xff" * 8])
def test_what_is_no_wad_is_a_media_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.wad"
    path.write_bytes(data)
    with pytest.raises(MediaError):
        Terrain(path, "MAP01")


@pytest.mark.parametrize(
    ("flat", "kind"),
    [
        ("FWATER1", "water"),
        ("NUKAGE3", "slime"),
        ("SLIME09", "lava"),
        ("SLIME14", "metal"),
        ("GRASS2", "grass"),
        ("RROCK16", "dirt"),
        ("DEM1_6", "stone"),
    ],
)
def test_floors_have_a_surface(flat: str, kind: str) -> None:
    assert terrain.surface(flat) == kind
    assert kind in terrain.SURFACES


# The game itself


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 50.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


class RecordingEars:
    """Keeps what the game says."""

    def __init__(self) -> None:
        self.said: list[tuple[str, object]] = []
        self.frames: list[np.ndarray] = []

    def set_prompt(self, text: str) -> None:
        self.said.append(("prompt", text))

    def set_switch(self, name: str, value: str) -> None:
        self.said.append((name, value))

    def set_parameter(self, name: str, value: float, ramp: float = 0.0) -> None:
        self.said.append((name, value))

    def post_event(self, name: str) -> int:
        self.said.append(("event", name))
        return len(self.said)

    def push_frame(self, pixels: np.ndarray) -> None:
        self.frames.append(pixels)


def pacer_times(seconds: float, stall: float = 0.0) -> list[float]:
    game = pytest.importorskip("diegetic.demo.game")
    fake = FakeTime()
    times = []
    for now in game.Pacer(clock=fake.clock, sleep=fake.sleep).ticks(seconds):
        times.append(now)
        if len(times) == 10:
            fake.now += stall
    return times


def test_tics_come_thirty_five_times_a_second() -> None:
    times = pacer_times(1.99)
    assert len(times) == 70
    assert np.diff(times) == pytest.approx(np.full(69, 1 / 35))


def test_a_short_stall_is_caught_up() -> None:
    assert len(pacer_times(1.99, stall=0.3)) == 70


def test_after_a_long_stall_the_game_goes_on_from_there() -> None:
    times = pacer_times(5.0, stall=2.0)
    assert len(times) == pytest.approx(3 * 35, abs=2)
    assert min(np.diff(times[12:])) > 0.02


@pytest.fixture
def doom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    pytest.importorskip("vizdoom")
    monkeypatch.chdir(tmp_path)  # ViZDoom leaves its settings in the working folder
    from diegetic.demo import game

    opened = game.open_game("MAP07", seed=1)
    yield opened
    opened.close()


def test_the_game_says_what_it_sees_and_does(doom: object) -> None:
    from diegetic.demo import game
    from diegetic.demo.bot import Bot

    ears, fake = RecordingEars(), FakeTime()
    rooms = Terrain(game.wad_path(), "MAP07")
    pacer = game.Pacer(clock=fake.clock, sleep=fake.sleep)
    game.play(doom, Bot(1), ears, rooms, 20.0, pacer)  # type: ignore[arg-type]
    kinds = {kind for kind, _ in ears.said}
    assert {"prompt", "area", "underfoot", "health", "threat", "event"} <= kinds
    assert {value for kind, value in ears.said if kind == "event"} <= set(scene.EVENTS)
    assert {value for kind, value in ears.said if kind == "area"} <= set(scene.AREAS)
    assert {value for kind, value in ears.said if kind == "underfoot"} <= set(scene.SURFACES)
    assert len(ears.frames) == pytest.approx(20 * 15, abs=3)
    assert all(f.shape == (72, 128, 3) and f.dtype == np.uint8 for f in ears.frames)
    assert len({f.tobytes() for f in ears.frames}) > 200


def test_a_small_picture_is_the_mean_of_four_pixels() -> None:
    game = pytest.importorskip("diegetic.demo.game")
    screen = np.random.default_rng(0).integers(0, 256, (144, 256, 3)).astype(np.uint8)
    small = game.small_picture(screen)
    assert small.shape == (72, 128, 3)
    assert small[3, 5, 1] == int(screen[6:8, 10:12, 1].sum()) // 4


def test_everything_that_the_game_says_is_declared() -> None:
    game = pytest.importorskip("diegetic.demo.game")
    parameters, switches, events = game.declarations()
    assert [p.name for p in parameters] == ["health", "threat"]
    assert {s.name: s.values for s in switches} == {
        "area": list(scene.AREAS),
        "underfoot": list(scene.SURFACES),
    }
    assert {event.name: event.text for event in events} == scene.EVENTS


# The show

SILENT = Output(audible=False, device=None, description="the clock")


def make_session() -> Session:
    return Session(generator=ToneGenerator(), conditioner=plain_conditioner)


def scripted(*words: str) -> tuple[str, ...]:
    return (sys.executable, str(Path(__file__).parent / "scripted_game.py"), *words)


def test_a_show_leaves_the_sound_the_picture_and_the_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from diegetic.demo import show

    looks: list[ServerStatus] = []
    plan = show.Plan(scripted(), tmp_path / "new" / "out", "a test")
    made = show.run(plan, make_session, SILENT, lambda status, elapsed: looks.append(status))
    assert sorted(p.name for p in plan.folder.iterdir()) == [
        "report.json",
        "stream.wav",
        "timeline.png",
    ]
    assert made == json.loads((plan.folder / "report.json").read_text())
    assert made["messages"] == {
        "frames": 1,
        "prompts": 1,
        "parameters": 1,
        "switches": 1,
        "events": 2,
        "errors": 0,
        "dropped": 0,
    }
    assert made["device"] == "the clock"
    assert {"rtf_p50", "rtf_p95", "rtf_p99", "chunk_ms_p50", "knob_to_ear_ms_p50"} <= set(made)
    samples, rate = soundfile.read(plan.folder / "stream.wav")
    assert rate == 48_000
    assert samples.shape[1] == 2
    assert made["seconds"] == pytest.approx(len(samples) / rate, abs=0.001)
    assert math.sqrt(np.mean(samples**2)) > 0.1
    assert looks


def test_a_game_that_fails_is_an_error_in_its_own_words(tmp_path: Path) -> None:
    from diegetic.demo import show

    plan = show.Plan(scripted("--fail"), tmp_path / "out", "a test")
    with pytest.raises(DiegeticError, match="the game failed: the disk is on fire"):
        show.run(plan, make_session, SILENT)


def test_an_interrupted_show_still_leaves_its_folder(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from diegetic.demo import show

    def interrupt(status: ServerStatus, elapsed: float) -> None:
        if status["playing"] and status["chunks"] > 2:
            raise KeyboardInterrupt

    plan = show.Plan(scripted(), tmp_path / "out", "a test")
    with pytest.raises(KeyboardInterrupt):
        show.run(plan, make_session, SILENT, interrupt)
    assert soundfile.info(plan.folder / "stream.wav").frames > 0
    assert (plan.folder / "timeline.png").exists()
    assert (plan.folder / "report.json").exists()


def test_a_folder_that_is_a_file_is_a_media_error(tmp_path: Path) -> None:
    from diegetic.demo import show

    (tmp_path / "out").write_text("")
    with pytest.raises(MediaError, match="cannot write"):
        show.run(show.Plan(scripted(), tmp_path / "out", ""), make_session, SILENT)


def test_an_unknown_map_is_refused_before_anything_starts(tmp_path: Path) -> None:
    pytest.importorskip("vizdoom")
    from diegetic.demo import show

    with pytest.raises(MediaError, match="no map 'MAP77'"):
        show.doom("MAP77", 10.0, 0, tmp_path)
