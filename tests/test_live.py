from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from diegetic.config import RATE, StreamConfig
from diegetic.future import GUARD
from diegetic.live import LiveStream
from diegetic.session import Session
from diegetic.snapshot import Conditioning, FloatArray, Snapshot
from diegetic.stream import ChunkRecord
from tone_generator import FakeSink, ToneGenerator, plain_conditioner

HOP = 7680
LOOKAHEAD = StreamConfig().lookahead_samples
OVERLAP = StreamConfig().overlap_samples


class Stage:
    """A session and its live stream without a thread: the test is the clock."""

    def __init__(
        self, first_sample: int = 0, cost: float = 0.0, session: Session | None = None
    ) -> None:
        self.sink = FakeSink()
        self.session = session or Session(generator=ToneGenerator(), conditioner=plain_conditioner)
        if first_sample:
            self.session.read(first_sample / RATE)
        self.cost = 0.0  # seconds of the fake time that a chunk takes
        self.made = 0
        self.make = self.session._bed.next_hop
        self.session._bed.next_hop = self.next_hop
        self.live = LiveStream(
            self.session._bed,
            self.sink,
            self.session.config,
            self.session.metrics,
            first_sample=first_sample,
        )
        self.session._bed.reach = self.live.reach
        self.fill()
        self.cost = cost

    def post(self, name: str, at: float | None = None, sent: float | None = None) -> None:
        """Something that the bed itself is to sound of."""
        self.session._bed.post_event(name, at, 0.0, sent)

    def next_hop(self) -> tuple[FloatArray, ChunkRecord]:
        samples, record = self.make()
        self.made += 1
        self.sink.pass_time(self.cost)
        return samples, replace(record, stages_ms={"generate": self.cost * 1000})

    def run(self, seconds: float, step: float = 0.005) -> None:
        end = self.sink.now + seconds
        while self.sink.now < end - 1e-9:
            self.fill()
            self.sink.pass_time(max(0.0, min(step, end - self.sink.now)))
        self.fill()

    def fill(self) -> None:
        while self.live.step() == 0.0:
            pass

    def tone(self, prompt: str, start: int, end: int) -> FloatArray:
        """What the generator makes of `prompt` from one sample to another, on one channel."""
        time = np.arange(start, end) / RATE
        return (0.5 * np.sin(2 * np.pi * 10 * len(prompt) * time)).astype(np.float32)


class Onlooker:
    """A conditioner that notes what it encodes, and whether that was ahead of a chunk."""

    def __init__(self) -> None:
        self.ahead: list[int] = []
        self.late: list[int] = []

    def look(self, pixels: NDArray[np.uint8]) -> None:
        self.ahead.append(int(pixels[0, 0, 0]))

    def __call__(self, snapshot: Snapshot) -> Conditioning:
        shown = [int(frame.pixels[0, 0, 0]) for frame in snapshot.frames]
        self.late += [number for number in shown if number not in (*self.ahead, *self.late)]
        return plain_conditioner(snapshot)


def test_frames_that_stay_are_encoded_while_there_is_time() -> None:
    onlooker = Onlooker()
    stage = Stage(session=Session(generator=ToneGenerator(), conditioner=onlooker))
    for number in range(60):  # 15 a second
        stage.session.push_frame(np.full((2, 2, 3), number, np.uint8))
        stage.run(1 / 15)
    assert onlooker.ahead == sorted(set(onlooker.ahead))
    assert onlooker.ahead[-1] >= 57
    # of those that a snapshot showed first, each was the newest there was
    assert len(onlooker.late) <= stage.made
    assert len(onlooker.ahead) >= 27  # every second one stays


def test_the_buffer_stays_between_lookahead_and_one_hop_more() -> None:
    stage = Stage()
    levels = []
    for _ in range(200):
        stage.sink.pass_time(0.005)
        stage.fill()
        levels.append(stage.sink.buffered())
    assert min(levels) >= LOOKAHEAD
    assert LOOKAHEAD + HOP - 240 <= max(levels) < LOOKAHEAD + HOP
    assert stage.sink.underruns == 0


def test_where_the_machine_is_late_more_is_made_ahead_for_a_while() -> None:
    stage = Stage(cost=0.03)
    stage.run(1.0)
    stage.cost = 0.15
    stage.run(1.0)
    assert stage.live.lookahead == pytest.approx(0.32, abs=0.02)  # twice the cost
    stage.cost = 0.03
    stage.run(1.0)
    while stage.live.step() > 0.0:  # until a chunk takes more than there was at first
        stage.cost = 0.23
        stage.sink.pass_time(0.005)
    assert stage.sink.underruns == 0
    most = stage.live.lookahead
    stage.cost = 0.03
    stage.run(5.0)
    assert 0.2 < stage.live.lookahead < most - 0.0004


def test_frames_tell_of_what_is_made_next_however_much_is_made_ahead() -> None:
    stage = Stage(cost=0.15)
    stage.run(1.0)
    stage.cost = 0.0
    stage.run(1.0)
    bed = stage.session._bed
    bed.push_frame(np.zeros((2, 2, 3), np.uint8), age=0.0)
    [frame] = bed.world.settled_frames(after=-1.0)
    apart = frame.time - bed.position / RATE
    assert -stage.session.config.hop <= apart <= GUARD / RATE


def test_it_rests_no_longer_than_the_surplus_lasts() -> None:
    stage = Stage()
    assert stage.live.step() == 0.02  # a look at the play clock is due
    surplus = stage.sink.buffered() - LOOKAHEAD
    stage.sink.pass_time(surplus / RATE - 0.005)
    assert stage.live.step() == pytest.approx(0.005)


@pytest.mark.parametrize("moment", [0.0, 0.033, 0.1, 0.151])
def test_a_change_is_heard_as_soon_as_a_chunk_can_be_made(moment: float) -> None:
    stage = Stage(cost=0.03)
    stage.session.set_prompt("rain")
    stage.run(1.0 + moment)
    taken, sent = stage.sink.read, stage.sink.now
    stage.session.set_prompt("storm front", sent=sent)
    stage.run(1.0)
    heard = stage.session.records()
    [first] = [record for record in heard if any(c.name == "storm front" for c in record.changes)]
    wait = first.heard_from - taken
    assert GUARD + 0.03 * RATE <= wait <= GUARD + 2 * 0.04 * RATE + 1
    sound = stage.sink.sound[:, 0]
    before = slice(first.heard_from - 3000, first.heard_from)
    np.testing.assert_allclose(
        sound[before], stage.tone("rain", before.start, before.stop), atol=1e-5
    )
    after = slice(first.heard_from + OVERLAP, first.heard_from + 20_000)
    expected = stage.tone("storm front", after.start, after.stop)
    np.testing.assert_allclose(sound[after], expected, atol=1e-5)
    # looked at every 5 ms; here the fake device also takes sound in lumps of 5 ms
    measured = stage.session.metrics.knob_to_ear_values_ms()[-1]
    assert measured == pytest.approx((wait / RATE + stage.sink.latency) * 1000, abs=0.05)
    assert stage.sink.underruns == 0


def test_a_generator_that_stalls_in_the_new_future_is_covered_by_the_old_one() -> None:
    stage = Stage(cost=0.03)
    stage.session.set_prompt("rain")
    stage.run(1.0)
    stage.session.set_prompt("storm front")
    stage.live.step()  # the first new chunk only
    splice = stage.session.records()[-1].heard_from
    stage.sink.pass_time(stage.sink.buffered() / RATE - 0.06)
    sound = stage.sink.sound[:, 0]
    end = stage.session.records()[-1].start_sample + HOP
    new = stage.tone("storm front", splice + OVERLAP, end)
    np.testing.assert_allclose(sound[splice + OVERLAP : end], new, atol=1e-5)
    old = stage.tone("rain", end + OVERLAP, stage.sink.read)
    np.testing.assert_allclose(sound[end + OVERLAP : stage.sink.read], old, atol=1e-5)
    stage.run(1.0)
    skipped = stage.session.metrics.counts()["chunks skipped"]  # they were never made
    assert skipped > 0
    assert stage.sink.underruns == 0
    last = stage.sink.read
    np.testing.assert_allclose(
        stage.sink.sound[last - 5000 : last, 0],
        stage.tone("storm front", last - 5000 - skipped * HOP, last - skipped * HOP),
        atol=1e-5,
    )


def test_a_world_that_never_rests_cannot_starve_the_buffer() -> None:
    stage = Stage(cost=0.08)  # half the time there is
    for index in range(1000):
        stage.session.set_prompt("rain" * (1 + index % 2))
        stage.run(0.005)
    assert stage.sink.underruns == 0
    needed = stage.sink.read / HOP
    assert needed < stage.made < 1.6 * needed + 10
    assert min(stage.sink.buffered(), LOOKAHEAD) > 0.02 * RATE


def test_what_is_no_different_takes_nothing_back() -> None:
    stage = Stage()
    stage.session.declare_parameter("threat")
    stage.session.set_prompt("rain")
    stage.run(1.0)
    made = stage.made
    stage.session.set_prompt("rain")
    stage.session.set_parameter("threat", 0.1)
    stage.session.set_parameter("threat", 1.0, ramp=3.0)
    stage.live.step()
    assert stage.made == made
    stage.session.set_parameter("threat", 0.0)
    stage.live.step()
    assert stage.made == made
    stage.session.set_parameter("threat", 0.9)
    stage.live.step()
    assert stage.made == made + 1


def test_a_prompt_that_is_said_every_tick_is_heard_no_later() -> None:
    stage = Stage(cost=0.03)
    stage.session.set_prompt("rain")
    stage.run(1.0)
    made = stage.made
    stage.session.set_prompt("storm front")
    stage.session.set_prompt("storm front")
    stage.live.step()
    assert stage.made == made + 1


def test_layers_and_mixes_take_the_future_back_as_prompts_do() -> None:
    stage = Stage(cost=0.03)
    stage.session.set_prompt("rain")
    stage.run(1.0)
    for change in (
        lambda: stage.session.set_layers(["music"]),
        lambda: stage.session.set_prompt({"rain": 0.95, "wind": 0.05}),
        lambda: stage.session.set_prompt("wind", ramp=0.5),
    ):
        made = stage.made
        change()
        stage.live.step()
        assert stage.made == made + 1
        stage.run(1.0)
    made = stage.made
    stage.session.set_layers(["music", "music"])
    stage.session.set_prompt({"wind": 7})
    stage.session.set_prompt("rain", ramp=2.0)
    stage.live.step()
    assert stage.made == made


def test_the_same_timed_inputs_give_the_same_samples() -> None:
    def play() -> FloatArray:
        stage = Stage(cost=0.041)
        rng = np.random.default_rng(5)
        for index in range(40):
            stage.session.set_prompt("rain" * int(rng.integers(1, 5)))
            stage.post(f"shot {index}")
            stage.run(float(rng.uniform(0.0, 0.3)))
        return stage.sink.sound

    assert np.array_equal(play(), play())


def test_each_change_is_measured_once_and_nothing_is_lost() -> None:
    stage = Stage(cost=0.05)
    rng = np.random.default_rng(6)
    sent = []
    for index in range(60):
        sent.append(f"shot {index}")
        stage.post(sent[-1], sent=stage.sink.now)
        stage.run(float(rng.uniform(0.0, 0.12)))
    stage.run(1.0)
    records = stage.session.records()
    assert sorted(c.name for record in records for c in record.changes) == sorted(sent)
    assert len(stage.session.metrics.knob_to_ear_values_ms()) == len(sent)
    assert [record.start_sample for record in records] == [HOP * i for i in range(len(records))]


def test_things_sound_as_far_apart_as_they_happened_and_none_is_late() -> None:
    stage = Stage(cost=0.04)
    stage.run(1.0)
    moments = []
    for index in range(20):
        stage.run(0.035)
        happened = stage.sink.now - 0.002  # on the wire
        moments.append(happened)
        stage.post(f"shot {index}", stage.live.audio_time(happened), happened)
    stage.run(2.0)
    events = [event for record in stage.session.records() for event in record.events]
    assert [event.name for event in events] == [f"shot {index}" for index in range(20)]
    # heard when: audio time + (now - audio time being heard)
    heard_at = stage.sink.now + stage.sink.latency - stage.sink.read / RATE
    delays = [event.time + heard_at - moment for event, moment in zip(events, moments, strict=True)]
    assert max(delays) - min(delays) < 1e-6
    assert delays[0] == pytest.approx(stage.live.latency)
    knob_to_ear = stage.session.metrics.knob_to_ear_values_ms()
    np.testing.assert_allclose(knob_to_ear, stage.live.latency * 1000, atol=0.03)  # one sample


def test_a_session_that_was_read_before_it_plays_keeps_its_audio_time() -> None:
    stage = Stage(first_sample=10 * HOP)
    stage.run(0.5)
    assert stage.session.time == pytest.approx(1.6 + 0.5 + GUARD / RATE)
    stage.session.set_prompt("storm", sent=stage.sink.now)
    assert stage.live.audio_time(stage.sink.now) > 1.6 + 0.5
    stage.run(1.0)
    [measured] = stage.session.metrics.knob_to_ear_values_ms()
    assert 100 < measured < 200


def test_the_sink_waits_for_the_lookahead_before_it_begins() -> None:
    stage = Stage()
    stage.live.start()
    assert stage.sink.prime == LOOKAHEAD
    stage.live.stop(drain=False)
    assert stage.sink.stopped is False
