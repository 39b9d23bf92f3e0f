import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diegetic.errors import DeviceError, MediaError
from diegetic.player import FADE
from diegetic.ring import Ring
from diegetic.sink import ClockSink, DeviceSink, ThreadSink, WavSink, ring_sink
from diegetic.snapshot import FloatArray
from diegetic.wav import WavWriter

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def counter(start: int, count: int) -> FloatArray:
    """Every sample is another number, exact in float32: what is lost or doubled is seen."""
    ramp = (np.arange(start, start + count) / 2**24 - 0.5).astype(np.float32)
    return np.stack([ramp, -ramp], 1)


def read_wav(path: Path) -> FloatArray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == 48_000
    return np.asarray(samples, np.float32)


def wait_until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_the_clock_sink_records_every_sample_that_was_written(tmp_path: Path) -> None:
    sink = ClockSink(record=tmp_path / "take.wav")
    sink.start(prime=48_000)
    for start in range(0, 48_000, 7680):
        sink.write(counter(start, min(7680, 48_000 - start)))
    assert 0 <= sink.buffered() <= 48_000
    sink.stop()
    take = read_wav(tmp_path / "take.wav")
    assert np.array_equal(take[:48_000], counter(0, 48_000))
    assert len(take) == 48_000 + FADE  # it ended in the middle of a sound
    assert (sink.underruns, sink.concealed, sink.buffered()) == (0, 0, 0)
    assert sink.played() == 48_000


def test_played_never_runs_ahead_of_what_was_written() -> None:
    sink = ClockSink()
    sink.start()
    sink.write(counter(0, 4800))
    played = [sink.played()]
    wait_until(lambda: played.append(sink.played()) or played[-1] == 4800)
    assert played == sorted(played)
    assert sink.clock().time <= time.monotonic()
    sink.stop(drain=False)


def test_a_stalled_producer_is_concealed_and_the_gap_is_logged(tmp_path: Path) -> None:
    sink = ClockSink(record=tmp_path / "take.wav")
    sink.start()
    sink.write(counter(0, 5000))
    wait_until(lambda: sink.concealed > 2000)
    sink.write(counter(5000, 5000))
    wait_until(lambda: sink.buffered() == 0)
    sink.stop()
    take = read_wav(tmp_path / "take.wav")
    assert sink.underruns in (1, 2)  # the second: dry again before it was told to drain
    position, length = sink.underrun_log()[0]
    assert position == 5000
    back = position + length
    assert np.array_equal(take[:5000], counter(0, 5000))
    assert np.array_equal(take[back + FADE : back + 5000], counter(5000 + FADE, 5000 - FADE))
    assert np.abs(take[5000:5200]).max() > 0.3  # a decay, not a hard zero
    assert not take[5000 + FADE : back].any()


def test_stopping_at_once_drops_what_is_buffered(tmp_path: Path) -> None:
    sink = ClockSink(record=tmp_path / "take.wav")
    sink.start()
    sink.write(counter(0, 150_000))
    wait_until(lambda: sink.played() > 0)
    sink.stop(drain=False)
    take = read_wav(tmp_path / "take.wav")
    assert len(take) < 150_000
    assert abs(take[-1, 0]) < 1e-4
    sink.stop()  # twice is harmless


def test_a_writer_waits_for_room_and_wakes_when_stopped() -> None:
    sink = ClockSink()
    sink.start(prime=10**9)  # never begins
    failures: list[Exception] = []

    def write() -> None:
        try:
            sink.write(np.zeros((48_000 * 5, 2), np.float32))
        except DeviceError as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: sink.buffered() == 48_000 * 4 or sink.played() > 0)
    sink.stop(drain=False)
    writer.join(10)
    assert len(failures) == 1


PARENT = """
import sys, time
from pathlib import Path
import numpy as np
from diegetic.sink import ClockSink
sink = ClockSink(record=Path(sys.argv[1]))
sink.start()
ramp = (np.arange(96_000) / 2**24 - 0.5).astype(np.float32)
sink.write(np.stack([ramp, -ramp], 1))
print(sink.player_pid, flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    sink.stop(drain=False)
"""


@posix
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_a_recording_is_playable_after_its_parent_was_ended(how: str, tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the resource tracker reports the memory that SIGKILL left
        start_new_session=True,
    )
    assert parent.stdout
    player = int(parent.stdout.readline())
    wait_until(lambda: path.stat().st_size > 50_000)
    os.killpg(parent.pid, getattr(signal, how))  # as the terminal does: to the whole group
    parent.wait(20)
    parent.stdout.close()
    wait_until(lambda: not _alive(player))
    take = read_wav(path)
    heard = len(take) - FADE
    assert heard > 5000
    assert np.array_equal(take[:heard], counter(0, heard))
    if how == "SIGKILL":
        assert heard == 96_000  # all that it had made is played


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


@posix
def test_a_killed_player_is_replaced_and_the_recording_goes_on(tmp_path: Path) -> None:
    sink = ClockSink(record=tmp_path / "take.wav")
    sink.start()
    first = sink.player_pid
    assert first
    sink.write(counter(0, 72_000))
    wait_until(lambda: sink.played() > 12_000)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: sink.player_pid != first)
    assert sink.respawns == 1
    wait_until(lambda: sink.buffered() == 0)
    sink.stop()
    take = read_wav(tmp_path / "take.wav")
    assert np.array_equal(take[:4096], counter(0, 4096))
    end = int(np.argmax(take[:, 0] == counter(71_999, 1)[0, 0]))
    assert np.array_equal(take[end - 8000 : end], counter(63_999, 8000))


@posix
def test_a_player_that_hangs_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ring_sink, "HANG_PATIENCE", 0.5)
    sink = ClockSink()
    sink.start()
    first = sink.player_pid
    assert first
    sink.write(counter(0, 150_000))
    wait_until(lambda: sink.played() > 5000)
    os.kill(first, signal.SIGSTOP)
    wait_until(lambda: sink.player_pid != first)
    before = sink.played()
    wait_until(lambda: sink.played() > before + 5000)
    assert not _alive(first)
    sink.stop(drain=False)
    assert "player: hangs; starting another" in caplog.text


def test_a_recording_that_ends_early_is_told_once_and_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def write(self: WavWriter, samples: FloatArray) -> None:
        raise MediaError("cannot write take.wav: No space left on device")

    monkeypatch.setattr(WavWriter, "write", write)
    sink = ThreadSink(use_device=False, record=tmp_path / "take.wav")
    sink.start()
    sink.write(counter(0, 20_000))
    wait_until(lambda: "No space left" in caplog.text)
    wait_until(lambda: sink.played() == 20_000)
    sink.stop()
    assert caplog.text.count("No space left") == 1


@pytest.mark.parametrize("sink", [ClockSink, WavSink])
def test_a_folder_that_does_not_exist_is_one_clear_line(
    sink: Callable[..., ClockSink | WavSink], tmp_path: Path
) -> None:
    path = tmp_path / "nowhere" / "take.wav"
    made = sink(record=path) if sink is ClockSink else sink(path)
    with pytest.raises(MediaError, match=r"cannot write .*nowhere"):
        made.start()


def test_nothing_is_left_behind_when_the_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    rings: list[Ring] = []
    create = Ring.create

    def remember(capacity: int) -> Ring:
        rings.append(create(capacity))
        return rings[-1]

    monkeypatch.setattr("diegetic.ring.Ring.create", remember)
    sink = DeviceSink("no such device, surely")
    with pytest.raises(DeviceError, match=r"no such device, surely|PortAudio"):
        sink.start()
    with pytest.raises(FileNotFoundError):
        Ring.attach(rings[0].name)
    assert sink.player_pid is None
    with pytest.raises(DeviceError, match="not started"):
        sink.write(counter(0, 10))


def test_the_wav_sink_writes_as_fast_as_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    sink = WavSink(path)
    sink.start()
    for start in range(0, 480_000, 7680):
        sink.write(counter(start, min(7680, 480_000 - start)))
        assert sink.buffered() == 0
        if start > 48_000:
            assert len(read_wav(path)) > start - 48_000  # playable while it grows
    assert sink.played() == 480_000
    sink.stop()
    assert np.array_equal(read_wav(path), counter(0, 480_000))
    with pytest.raises(MediaError, match="not open"):
        sink.write(counter(0, 1))
