"""The world under a fake clock: values over time, events never lost, frames that may be."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from diegetic.errors import DiegeticError
from diegetic.snapshot import DEFAULT_GUIDANCE, EVENT_SLOTS, FRAME_SLOTS, Snapshot
from diegetic.world import MAX_EVENTS, MAX_NAMES, RING, World

HOP = 0.16


class Clock:
    """Audio time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> World:
    return World(clock)


def at_instant(world: World, time: float) -> Snapshot:
    """Return a snapshot whose middle is `time`."""
    return world.snapshot(time - 0.01, time + 0.01)


def picture(shade: int = 0) -> NDArray[np.uint8]:
    return np.full((4, 6, 3), shade, np.uint8)


def shades(snapshot: Snapshot) -> list[int]:
    return [int(frame.pixels[0, 0, 0]) for frame in snapshot.frames]


def test_a_world_that_was_told_nothing_is_empty(world: World) -> None:
    snapshot = world.snapshot(0.0, HOP)
    assert snapshot.empty
    assert (snapshot.t0, snapshot.t1, snapshot.guidance) == (0.0, HOP, DEFAULT_GUIDANCE)
    assert snapshot.parameters == {}


def test_a_prompt_of_spaces_says_nothing(world: World) -> None:
    world.set_prompt(" \n")
    assert world.snapshot(0.0, HOP).empty


def test_the_newest_prompt_and_guidance_hold(world: World, clock: Clock) -> None:
    world.set_prompt("rain")
    world.set_guidance(3.0)
    clock.now = 1.0
    world.set_prompt("storm")
    snapshot = world.snapshot(1.0, 1.0 + HOP)
    assert (snapshot.prompt, snapshot.guidance) == ("storm", 3.0)


def test_a_planned_change_waits_for_its_time(world: World) -> None:
    world.set_prompt("rain")
    world.set_prompt("storm", at=2.0)
    world.set_switch("surface", "grass", at=2.0)
    world.set_guidance(2.0, at=2.0)
    before, after = at_instant(world, 1.99), at_instant(world, 2.0)
    assert (before.prompt, before.switches, before.guidance) == ("rain", {}, DEFAULT_GUIDANCE)
    assert (after.prompt, after.switches, after.guidance) == ("storm", {"surface": "grass"}, 2.0)


def test_a_message_that_was_overtaken_does_not_undo_the_newer_one(world: World) -> None:
    world.set_prompt("newer", at=1.0)
    world.set_prompt("older", at=0.5)
    assert at_instant(world, 2.0).prompt == "newer"
    assert at_instant(world, 0.7).prompt == "older"


def test_the_generator_can_go_back_and_see_the_past_as_it_was(world: World) -> None:
    world.declare_parameter("threat")
    world.set_prompt("rain", at=0.0)
    world.set_prompt("storm", at=3.0)
    world.set_parameter("threat", 1.0, ramp=2.0, at=1.0)
    world.post_event("shot", at=2.5)
    first = world.snapshot(2.0, 2.0 + HOP), world.snapshot(2.5, 2.5 + HOP)
    world.snapshot(6.0, 6.0 + HOP)
    again = world.snapshot(2.0, 2.0 + HOP), world.snapshot(2.5, 2.5 + HOP)
    assert again == first
    assert [event.time for event in again[1].events] == [2.5]


def test_a_parameter_moves_in_a_straight_line_from_where_it_is(world: World) -> None:
    world.declare_parameter("threat", minimum=0.0, maximum=10.0, default=2.0)
    world.set_parameter("threat", 8.0, ramp=2.0, at=1.0)
    values = [at_instant(world, time).parameters["threat"] for time in (0.5, 1.0, 1.5, 2.0, 3.0, 4)]
    assert values == pytest.approx([0.2, 0.2, 0.35, 0.5, 0.8, 0.8])


def test_a_parameter_stays_within_its_range(world: World) -> None:
    world.declare_parameter("speed", minimum=-1.0, maximum=1.0)
    world.set_parameter("speed", 5.0)
    assert world.snapshot(0.0, HOP).parameters == {"speed": 1.0}
    world.set_parameter("speed", -5.0)
    assert world.snapshot(0.0, HOP).parameters == {"speed": 0.0}


def test_declaring_the_same_again_keeps_the_value_and_another_range_resets_it(world: World) -> None:
    world.declare_parameter("threat")
    world.declare_switch("surface", ["grass", "stone"])
    world.set_parameter("threat", 1.0)
    world.set_switch("surface", "grass")
    world.declare_parameter("threat")
    world.declare_switch("surface", ["grass", "stone"])
    kept = world.snapshot(0.0, HOP)
    assert (kept.parameters, kept.switches) == ({"threat": 1.0}, {"surface": "grass"})
    world.declare_parameter("threat", maximum=2.0)
    world.declare_switch("surface", ["grass", "snow"])
    reset = world.snapshot(0.0, HOP)
    assert (reset.parameters, reset.switches) == ({"threat": 0.0}, {})


def test_what_changed_last_comes_last(world: World, clock: Clock) -> None:
    for name in ("a", "b", "c"):
        world.declare_parameter(name)
    for name in ("b", "a"):
        clock.now += 0.1
        world.set_parameter(name, 1.0)
        world.set_switch(name, "on")
    snapshot = world.snapshot(1.0, 1.0 + HOP)
    assert list(snapshot.parameters) == ["c", "b", "a"]
    assert list(snapshot.switches) == ["b", "a"]


def test_an_event_is_heard_at_its_time_and_then_rings_for_a_second(world: World) -> None:
    world.post_event("shot", at=0.2, gain_db=-6.0)
    assert world.snapshot(0.0, HOP).events == ()
    (event,) = world.snapshot(HOP, 2 * HOP).events
    assert (event.name, event.time, event.gain_db) == ("shot", 0.2, -6.0)
    assert world.snapshot(1.19, 1.35).events == (event,)
    assert world.snapshot(0.21 + RING, 1.4).events == ()
    assert world.counters.late_events == 0


def test_a_late_event_is_heard_at_once_and_counted(world: World) -> None:
    world.snapshot(0.0, HOP)
    world.post_event("shot", at=0.1)
    (event,) = world.snapshot(HOP, 2 * HOP).events
    assert event.time == HOP
    (event,) = world.snapshot(2 * HOP, 3 * HOP).events
    assert event.time == HOP
    assert world.counters.late_events == 1


def test_a_late_event_moves_to_its_own_time_when_the_generator_goes_back(world: World) -> None:
    world.post_event("shot", at=0.1)
    world.snapshot(HOP, 2 * HOP)
    (event,) = world.snapshot(0.0, HOP).events
    assert event.time == 0.1
    assert world.counters.late_events == 1


def test_an_event_at_the_border_belongs_to_the_chunk_that_it_opens(world: World) -> None:
    world.post_event("shot", at=HOP)
    assert world.snapshot(0.0, HOP).events == ()
    assert len(world.snapshot(HOP, 2 * HOP).events) == 1


def test_crowded_events_are_counted_and_all_in_the_record(world: World) -> None:
    for index in range(EVENT_SLOTS + 3):
        world.post_event(f"shot {index}", at=0.0)
    names = [event.name for event in world.snapshot(0.0, HOP).events]
    assert names == [f"shot {index}" for index in range(EVENT_SLOTS + 3)]
    world.snapshot(HOP, 2 * HOP)
    assert world.counters.crowded_events == 3


TIMES = st.floats(0.0, 4.0)


@given(
    posts=st.lists(st.tuples(TIMES, TIMES), max_size=12),
    cuts=st.lists(TIMES, max_size=12, unique=True),
)
def test_every_event_is_new_in_exactly_one_snapshot(
    posts: list[tuple[float, float]], cuts: list[float]
) -> None:
    """Each post is (when it is sent, when it is to be heard); `cuts` split the stream."""
    world = World(lambda: 0.0)
    edges = sorted({0.0, *cuts, 5.0, 6.0})
    waiting = sorted(enumerate(posts), key=lambda post: post[1][0])
    new: list[str] = []
    late = 0
    for t0, t1 in pairwise(edges):
        while waiting and waiting[0][1][0] <= t0:
            index, (_, heard) = waiting.pop(0)
            world.post_event(str(index), at=heard)
            late += heard < t0
        fresh = [event for event in world.snapshot(t0, t1).events if event.time >= t0]
        assert all(event.time < t1 for event in fresh)
        new += [event.name for event in fresh]
    assert sorted(new) == sorted(str(index) for index in range(len(posts)))
    assert world.counters.late_events == late
    assert world.counters.events == len(posts)


def test_frames_are_the_newest_well_apart_and_not_stale(world: World, clock: Clock) -> None:
    for index in range(61):  # 30 a second, for two seconds
        clock.now = index / 30
        world.push_frame(picture(index))
    snapshot = world.snapshot(2.0, 2.0 + HOP)
    times = [frame.time for frame in snapshot.frames]
    assert len(times) == FRAME_SLOTS
    assert times[-1] == 2.0
    assert all(0.1 - 1e-6 <= b - a < 0.2 for a, b in pairwise(times))
    assert [frame.time for frame in world.snapshot(2.95, 3.0).frames] == [2.0]
    assert world.snapshot(3.01, 3.1).frames == ()
    assert world.counters.frames == 61
    assert world.counters.dropped_frames > 35
    assert len(world._frames) < 20  # pictures are large


def test_a_frame_is_settled_when_no_newer_one_can_replace_it(world: World, clock: Clock) -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    settled = []
    for number in range(31):  # 60 a second
        world.push_frame(picture, at=number / 60)
        settled.append(len(world.settled_frames(-1.0)))
    assert settled[:8] == [1, 1, 1, 1, 1, 1, 2, 2]
    times = [frame.time for frame in world.settled_frames(0.15)]
    assert times == pytest.approx([0.2, 0.3, 0.4, 0.5])
    world.push_frame(picture, at=0.51)
    assert [frame.time for frame in world.settled_frames(0.15)] == times


def test_slow_frames_are_all_kept(world: World, clock: Clock) -> None:
    for index in range(5):
        clock.now = index * 0.2
        world.push_frame(picture(index))
    assert shades(world.snapshot(0.8, 0.9)) == [1, 2, 3, 4]
    assert world.counters.dropped_frames == 0


def test_a_generator_that_went_back_sees_the_newest_frame_as_if_just_now(world: World) -> None:
    for index in range(5):
        world.push_frame(picture(index), at=1.0 + 0.2 * index)
    snapshot = world.snapshot(1.3, 1.46)
    assert shades(snapshot) == [1, 2, 3, 4]
    assert [frame.time for frame in snapshot.frames] == pytest.approx([0.7, 0.9, 1.1, 1.3])


def test_a_frame_older_than_the_newest_is_dropped(world: World) -> None:
    world.push_frame(picture(1), at=1.0)
    world.push_frame(picture(2), at=0.5)
    world.push_frame(picture(3), at=1.5)
    assert shades(world.snapshot(1.5, 1.6)) == [1, 3]
    assert world.counters.dropped_frames == 1


def test_what_is_asked_for_late_in_a_chunk_holds_where_only_its_end_is_heard(
    world: World,
) -> None:
    world.set_prompt("rain", at=0.0)
    world.set_prompt("storm", at=0.11)
    assert world.snapshot(0.0, 0.16).prompt == "rain"
    assert world.snapshot(0.0, 0.16, heard_from=0.1).prompt == "storm"


def test_setters_tell_whether_anything_is_new(world: World) -> None:
    assert not world.set_prompt("")
    assert world.set_prompt("rain", at=0.0)
    assert not world.set_prompt(" rain ", at=1.0)
    assert world.set_prompt({"rain": 3, "wind": 1}, at=2.0) == pytest.approx(0.25)
    assert world.set_prompt({"wind": 2, "rain": 6}, at=3.0) == 0.0
    assert world.set_prompt("wind", at=3.0, ramp=2.0) == pytest.approx(0.75)
    assert world.set_prompt("wind", at=4.0) == pytest.approx(0.375)  # half of the way is left
    assert world.set_switch("surface", "grass")
    assert not world.set_switch("surface", "grass")
    assert world.set_guidance(3.0)
    assert not world.set_guidance(3.0)
    world.declare_parameter("threat", 0.0, 10.0, 5.0)
    assert world.set_parameter("threat", 7.5) == pytest.approx(0.25)
    assert world.set_parameter("threat", 99.0) == pytest.approx(0.25)


def test_the_engine_may_reuse_its_picture(world: World) -> None:
    pixels = picture(7)
    world.push_frame(pixels)
    pixels[:] = 0
    assert shades(world.snapshot(0.0, HOP)) == [7]


NAN = float("nan")


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("set_prompt", ("x" * 2001,), "prompt must have at most 2000 characters, got 2001"),
        ("set_prompt", (7,), "prompt must be text, or texts and their weights, got int"),
        ("set_prompt", ({"rain": -1.0},), "weight of 'rain' must be above 0, got -1.0"),
        ("set_layers", (["drums"],), "layers must be .* ambience, music, foley, got 'drums'"),
        ("set_prompt", ("rain", NAN), "at must be a finite number, got nan"),
        ("set_guidance", (NAN,), "guidance must be a finite number from 1 to 5, got nan"),
        ("set_guidance", (-1.0,), "guidance must be .* got -1.0"),
        ("set_parameter", ("threat", NAN), "value of parameter 'threat' must be a finite"),
        ("set_parameter", ("threat", "loud"), "value of parameter 'threat' .* got 'loud'"),
        ("set_parameter", ("threat", 1.0, float("inf")), "ramp of parameter 'threat' must be"),
        ("set_parameter", ("threat", 1.0, -1.0), "ramp of parameter 'threat' must be .* got -1.0"),
        ("set_parameter", ("thread", 1.0), r"parameter must be declared \(threat\), got 'thread'"),
        ("set_switch", ("surface", "lava"), "switch 'surface' must be grass, stone, got 'lava'"),
        ("set_switch", ("", "on"), "switch name must not be empty"),
        ("post_event", ("shot", float("inf")), "at must be a finite number, got inf"),
        ("post_event", ("shot", 0.0, 99.0), "gain_db of event 'shot' must be .* from -96 to 24"),
        ("post_event", ("  ",), "event name must not be empty"),
        ("push_frame", (np.zeros((4, 4), np.uint8),), r"pixels must be .* got \(4, 4\) uint8"),
        ("push_frame", (np.zeros((4, 4, 3)),), r"pixels must be .* got \(4, 4, 3\) float64"),
        ("push_frame", (np.zeros((0, 4, 3), np.uint8),), "pixels must be"),
        ("push_frame", (b"rgb",), "pixels must be .* got bytes"),
        ("declare_parameter", ("x", 1.0, 1.0), "parameter 'x': minimum must be below maximum"),
        ("declare_parameter", ("x", 0.0, 1.0, 2.0), "default of parameter 'x' must be .* got 2.0"),
        ("declare_switch", ("x", []), "values of switch 'x' must be 1 to 256 words"),
        ("declare_switch", ("x", "on"), "values of switch 'x' must be 1 to 256 words, got 'on'"),
        ("snapshot", (1.0, 1.0), "t1 must be after t0"),
    ],
)
def test_what_is_out_of_limits_is_named_and_changes_nothing(
    world: World, method: str, arguments: tuple[object, ...], message: str
) -> None:
    world.declare_parameter("threat", default=0.5)
    world.declare_switch("surface", ["grass", "stone"])
    before = world.snapshot(0.0, HOP), world.counters
    with pytest.raises(DiegeticError, match=message):
        getattr(world, method)(*arguments)
    assert (world.snapshot(0.0, HOP), world.counters) == before


def test_a_flood_is_refused_loudly_and_never_dropped(world: World) -> None:
    for index in range(MAX_NAMES):
        world.set_switch(f"switch {index}", "on")
    with pytest.raises(DiegeticError, match="switches must be at most 256"):
        world.set_switch("one more", "on")
    for _ in range(MAX_EVENTS):
        world.post_event("shot", at=0.0)
    with pytest.raises(DiegeticError, match="events kept must be at most 10000"):
        world.post_event("shot", at=0.0)
    assert len(world.snapshot(0.0, HOP).events) == MAX_EVENTS


def test_threads_lose_no_event(world: World) -> None:
    world.declare_parameter("threat")
    posters, each = 4, 200
    done = threading.Event()

    def post(poster: int) -> None:
        for index in range(each):
            world.post_event(f"{poster} {index}")
            world.set_parameter("threat", index / each, ramp=0.1)
            world.set_prompt(f"{index}")
            world.push_frame(picture(poster))

    seen: list[str] = []

    def listen() -> None:
        t0, last = 0.0, False
        while not last:
            last = done.is_set()  # one more look after the last post
            snapshot = world.snapshot(t0, t0 + HOP)
            seen.extend(event.name for event in snapshot.events if event.time >= t0)
            t0 += HOP

    threads = [threading.Thread(target=post, args=(poster,)) for poster in range(posters)]
    listener = threading.Thread(target=listen)
    for thread in (listener, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    listener.join()
    assert sorted(seen) == sorted(f"{p} {i}" for p in range(posters) for i in range(each))
    assert world.counters.prompts == world.counters.frames == posters * each
