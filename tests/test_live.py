import numpy as np
import pytest

from diegetic.config import RATE
from diegetic.live import LiveStream
from diegetic.session import Session
from tone_generator import FakeSink, ToneGenerator, plain_conditioner

HOP = 7680


class Stage:
    """A session and its live stream without a thread: the test is the clock."""

    def __init__(self, first_sample: int = 0) -> None:
        self.session = Session(generator=ToneGenerator(), conditioner=plain_conditioner)
        if first_sample:
            self.session.read(first_sample / RATE)
        self.sink = FakeSink()
        self.live = LiveStream(
            self.session,
            self.sink,
            self.session.config,
            self.session.metrics,
            first_sample=first_sample,
        )

    def run(self, seconds: float, step: float = 0.005) -> None:
        for _ in range(round(seconds / step)):
            self.fill()
            self.sink.pass_time(step)
        self.fill()

    def fill(self) -> None:
        while self.live.step() == 0.0:
            pass


def test_the_buffer_stays_between_lookahead_and_one_hop_more() -> None:
    stage = Stage()
    stage.fill()
    levels = []
    for _ in range(200):
        stage.sink.pass_time(0.005)
        stage.fill()
        levels.append(stage.sink.buffered())
    lookahead = stage.session.config.lookahead_samples
    assert lookahead <= min(levels)
    assert lookahead + HOP - 240 <= max(levels) < lookahead + HOP
    assert stage.sink.underruns == 0


def test_it_rests_no_longer_than_the_surplus_lasts() -> None:
    stage = Stage()
    stage.fill()
    assert stage.live.step() == 0.02  # a look at the play clock is due
    surplus = stage.sink.buffered() - stage.session.config.lookahead_samples
    stage.sink.pass_time(surplus / RATE - 0.005)
    assert stage.live.step() == pytest.approx(0.005)


def test_knob_to_ear_is_from_send_to_the_first_changed_sample_at_the_device() -> None:
    stage = Stage()
    stage.run(1.0)
    sent = stage.sink.now
    stage.session.set_prompt("storm", sent=sent)
    first_changed = round(stage.session.time * RATE)
    in_ring = (first_changed - stage.sink.read) / RATE
    stage.run(1.0)
    expected = in_ring + stage.sink.latency
    # looked at every 5 ms; here the fake device also takes sound in lumps of 5 ms
    [measured] = stage.session.metrics.knob_to_ear_values_ms()
    assert measured == pytest.approx(expected * 1000, abs=1e-6)
    assert stage.sink.sound[first_changed + 1920 : first_changed + 3000].any()
    assert not stage.sink.sound[:first_changed].any()


def test_things_sound_as_far_apart_as_they_happened_and_none_is_late() -> None:
    stage = Stage()
    stage.run(1.0)
    moments = []
    for index in range(20):
        stage.run(0.035)
        happened = stage.sink.now - 0.002  # on the wire
        moments.append(happened)
        stage.session.post_event(f"shot {index}", stage.live.audio_time(happened), sent=happened)
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
    stage.session.set_prompt("storm", sent=stage.sink.now)
    assert stage.live.audio_time(stage.sink.now) > 1.6 + 0.5
    stage.run(1.0)
    [measured] = stage.session.metrics.knob_to_ear_values_ms()
    assert 300 < measured < 600


def test_the_sink_waits_for_the_lookahead_before_it_begins() -> None:
    stage = Stage()
    stage.live.start()
    assert stage.sink.prime == stage.session.config.lookahead_samples
    stage.live.stop(drain=False)
    assert stage.sink.stopped is False
