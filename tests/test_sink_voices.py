"""Voices through whole sinks: files, threads, processes that die, and what the engine gets."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from diegetic.errors import DiegeticError
from diegetic.mixer.commands import LoadClip, SetBus, StartVoice
from diegetic.player import FADE
from diegetic.ring import VoiceStart
from diegetic.sink import ClockSink, PcmBlock, PcmSink, ThreadSink, WavSink
from diegetic.sink.pcm import PcmOutput
from diegetic.sink.ring_sink import RingSink
from diegetic.snapshot import FloatArray

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

CLIP = np.linspace(0.1, 0.2, 600, dtype=np.float32)
LOAD = LoadClip(1, np.stack([CLIP, CLIP], 1).astype("<f4").tobytes())


def bed(count: int) -> FloatArray:
    return np.full((count, 2), 0.125, np.float32)


def with_voices(count: int, *starts: int) -> FloatArray:
    """Return the left channel of a bed with CLIP at each of `starts`."""
    sound = bed(count)[:, 0]
    for start in starts:
        sound[start : start + 600] += CLIP
    return sound


def left(path: Path) -> FloatArray:
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(samples[:, 0], np.float32)


def wait_until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_wav_has_its_voices_on_their_samples(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "take.wav")
    sink.send(LOAD)
    sink.send(StartVoice(1, 1, at=0))
    sink.start()
    for start in range(0, 10_000, 1000):
        if start == 4000:
            sink.send(StartVoice(2, 1))
            sink.send(StartVoice(3, 1, at=7001))
        sink.write(bed(1000))
    assert [start[:3] for start in sink.started()] == [(1, 0, 0), (2, -1, 4000), (3, 7001, 7001)]
    sink.stop()
    assert np.array_equal(left(tmp_path / "take.wav"), with_voices(10_000, 0, 4000, 7001))
    assert sink.mix_counts[:3] == (0, 0, 0)


def test_a_wav_can_be_revised_only_at_its_end(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "take.wav")
    sink.start()
    sink.write(bed(1000))
    assert not sink.revise(999, bed(10))
    assert sink.revise(1000, bed(10))
    assert sink.taken() == sink.played() == 1010
    with pytest.raises(ValueError, match=r"within 0\.\.1010, got 1011"):
        sink.revise(1011, bed(1))
    sink.stop()


@pytest.fixture(params=[ClockSink, lambda record: ThreadSink(use_device=False, record=record)])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RingSink]:
    """A process and a thread, recording to take.wav."""
    sink: RingSink = request.param(record=tmp_path / "take.wav")
    yield sink
    sink.stop(drain=False)


def test_voices_sent_before_and_after_the_start_are_on_their_samples(
    sink: RingSink, tmp_path: Path
) -> None:
    sink.send(LOAD)
    sink.start(prime=30_000)
    sink.send(StartVoice(1, 1, at=20_001))  # time begins with it, before there is a bed
    sink.write(bed(30_000))
    wait_until(lambda: sink.output_clock().sample > 20_001)
    sink.stop()
    take = left(tmp_path / "take.wav")
    (start,) = sink.started()
    assert start[:3] == (1, 20_001, 20_001)
    quiet = sink.concealed
    assert np.array_equal(
        take[quiet : quiet + 20_000], with_voices(30_000, 20_001 - quiet)[:20_000]
    )
    assert sink.started() == []


def test_a_revised_bed_is_heard_and_a_taken_one_cannot_be_revised(
    sink: RingSink, tmp_path: Path
) -> None:
    sink.start(prime=30_000)
    sink.write(bed(20_000))
    assert sink.revise(10_001, -bed(200_000 - 10_001))  # longer than the ring: it waits for room
    wait_until(lambda: sink.taken() > 12_000)
    assert not sink.revise(12_000, bed(5))
    with pytest.raises(ValueError, match="must be within"):
        sink.revise(300_000, bed(5))
    sink.stop(drain=False)
    take = left(tmp_path / "take.wav")
    assert np.array_equal(take[:12_000], np.r_[bed(10_001), -bed(1_999)][:, 0])


def test_what_breaks_a_limit_is_refused_at_once(sink: RingSink) -> None:
    with pytest.raises(DiegeticError, match="mixer command"):
        sink.send(StartVoice(1, 1, gain_db=float("nan")))


def test_an_unknown_clip_is_counted_and_the_sound_goes_on(sink: RingSink) -> None:
    sink.start()
    sink.write(bed(4800))
    sink.send(StartVoice(1, clip=77))
    sink.send(SetBus("nowhere", gain_db=-6))
    wait_until(lambda: sink.mix_counts.refused == 2)
    wait_until(lambda: sink.played() == 4800)


@posix
def test_a_player_that_died_leaves_its_clips_and_its_voices_to_the_next(tmp_path: Path) -> None:
    sink = ClockSink(record=tmp_path / "take.wav")
    sink.start(prime=48_000)
    sink.send(LOAD)
    sink.send(SetBus("beds", mute=True))
    sink.send(StartVoice(1, 1))
    starts: list[VoiceStart] = []
    wait_until(lambda: bool(starts.extend(sink.started()) or starts))
    later = sink.output_clock().sample + 24_000
    sink.send(StartVoice(2, 1, at=later))
    first = sink.player_pid
    assert first
    os.kill(first, signal.SIGKILL)
    sink.send(StartVoice(3, 1))  # to a player that is no more
    sink.write(bed(96_000))
    wait_until(lambda: len(starts.extend(sink.started()) or starts) == 3)
    last = max(start.sample for start in starts)
    wait_until(lambda: sink.output_clock().sample > last + 2 * len(CLIP))
    sink.stop(drain=False)
    assert sink.respawns == 1
    assert sorted(start.voice for start in starts) == [1, 2, 3]
    assert {start.voice: start[1:3] for start in starts}[2] == (later, later)
    # What the first one had mixed and not written to disk is missing before it
    (begin,) = np.flatnonzero(np.diff((left(tmp_path / "take.wav") > 0.05).astype(int)) == 1)[-1:]
    take = left(tmp_path / "take.wav")[begin + 1 :]
    assert np.array_equal(take[:600], CLIP)  # and no bed: it is still mute


def test_a_thread_that_loses_its_device_plays_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the process does, and it keeps its clips."""
    from diegetic.player import ClockOutput

    lost = threading.Event()

    def write(self: ClockOutput, block: FloatArray) -> None:
        if lost.is_set():
            lost.clear()
            raise RuntimeError("cable pulled")
        write_before(self, block)

    write_before = ClockOutput.write
    monkeypatch.setattr(ClockOutput, "write", write)
    sink = ThreadSink(use_device=False)
    sink.start()
    sink.send(LOAD)
    sink.write(bed(48_000))
    wait_until(lambda: sink.played() > 2000)
    lost.set()
    wait_until(lambda: sink.respawns == 1)
    sink.send(StartVoice(5, 1))
    starts: list[VoiceStart] = []
    wait_until(lambda: bool(starts.extend(sink.started()) or starts))
    assert starts[0].voice == 5
    sink.stop()
    assert sink.mix_counts.refused == 0


def heard(blocks: list[PcmBlock], frames: int) -> FloatArray:
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert {block.samples.shape for block in blocks} == {(frames, 2)}
    return np.concatenate([block.samples for block in blocks])


def test_the_engine_gets_every_sample_in_numbered_blocks() -> None:
    blocks: list[PcmBlock] = []
    sink = PcmSink(blocks.append, frames=100)
    sink.start(prime=20_000)
    sink.send(LOAD)
    sink.write(bed(20_000))
    wait_until(lambda: sink.taken() > 5_000)
    sink.stop()
    sound = heard(blocks, 100)[:, 0]
    first = int(np.flatnonzero(sound)[0])
    assert np.array_equal(sound[first : first + 20_000], bed(20_000)[:, 0])
    assert 0 < sink._final.latency < 0.01


class Unpaced:
    latency = 0.0

    def wait(self, samples: int) -> None:
        pass

    def write(self, block: FloatArray) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("rate", [44_100, 24_000, 96_000])
def test_another_rate_is_the_same_sound_without_a_seam(rate: int) -> None:
    time = np.arange(48_000) / 48_000
    wave = np.stack([np.sin(2 * np.pi * 440 * time), np.cos(2 * np.pi * 440 * time)], 1)
    wave = 0.5 * wave.astype(np.float32)
    pieces: list[FloatArray] = []
    output = PcmOutput(pieces.append, rate, 256, pace=Unpaced())
    for start in range(0, 48_000, 256):
        output.write(wave[start : start + 256])
    got = np.concatenate(pieces)
    whole = soxr.resample(wave, 48_000, rate)
    assert np.allclose(got, whole[: len(got)], atol=1e-6)
    assert 0.9 * rate < len(got) <= rate
    assert rate - len(got) <= output.latency * rate + 1


def test_an_engine_that_fails_gets_the_next_block_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    numbers: list[int] = []

    def on_block(block: PcmBlock) -> None:
        numbers.append(block.number)
        raise RuntimeError("no room")

    sink = PcmSink(on_block)
    sink.start()
    wait_until(lambda: len(numbers) > 3)
    sink.stop(drain=False)
    assert numbers == list(range(len(numbers)))
    assert caplog.text.count("on_block failed") == 1


@pytest.mark.parametrize(("rate", "frames"), [(7999, 256), (192_001, 256), (48_000, 0)])
def test_a_rate_or_a_length_that_cannot_be_is_named(rate: int, frames: int) -> None:
    with pytest.raises(DiegeticError, match="must be"):
        PcmSink(lambda block: None, rate, frames=frames)


def test_a_process_plays_a_fade_at_its_end(sink: RingSink, tmp_path: Path) -> None:
    sink.start(prime=48_000)  # nothing is played before it is told to end
    sink.write(bed(4800))
    sink.stop()
    assert len(left(tmp_path / "take.wav")) == 4800 + FADE
