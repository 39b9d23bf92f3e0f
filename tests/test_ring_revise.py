"""A revision and a read at the same time, by turns set up by hand and by two processes at war."""

import itertools
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegetic.ring import Ring
from diegetic.ring.layout import Word
from diegetic.snapshot import FloatArray


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring.create(1000)
    yield ring
    ring.close()


@pytest.fixture
def reader(ring: Ring) -> Iterator[Ring]:
    reader = Ring.attach(ring.name)
    yield reader
    reader.close()


def version(start: int, count: int, number: int) -> FloatArray:
    """Left the position, right which version of the future it belongs to: exact in float32."""
    position = np.arange(start, start + count)
    return np.stack([position, np.full(count, number)], 1).astype(np.float32)


def at_the_barrier(ring: Ring, turns: list[Callable[[], None]]) -> None:
    """Let each of `turns` happen at the next barrier: between announcing and looking."""
    barrier = ring._barrier

    def interrupted() -> None:
        barrier()
        if turns:
            turns.pop(0)()

    ring._barrier = interrupted  # type: ignore[method-assign]


@given(
    st.integers(0, 96),  # read before
    st.integers(0, 97),
    st.integers(0, 97),
)
def test_a_revision_replaces_all_from_its_position_on(read: int, position: int, count: int) -> None:
    ring = Ring.create(97)
    try:
        ring.write(version(0, 97, 0))
        ring.read(read)
        if position < read:
            assert not ring.revise(position, version(position, min(count, 50), 1))
            assert np.array_equal(ring.read(97), version(read, 97 - read, 0))
            return
        room = 97 - (position - read)
        if count > room:
            with pytest.raises(ValueError, match="must fit the ring"):
                ring.revise(position, version(position, count, 1))
            return
        assert ring.revise(position, version(position, count, 1))
        assert ring.written == position + count
        got = ring.read(200)
        assert np.array_equal(got[: position - read], version(read, position - read, 0))
        assert np.array_equal(got[position - read :], version(position, count, 1))
    finally:
        ring.close()


def test_a_position_that_was_never_written_is_refused(ring: Ring) -> None:
    ring.write(version(0, 100, 0))
    with pytest.raises(ValueError, match=r"within 0\.\.100, got 101"):
        ring.revise(101, version(101, 1, 1))
    with pytest.raises(ValueError, match="got -1"):
        ring.revise(-1, version(0, 1, 1))


def test_a_claim_made_just_before_the_look_wins(ring: Ring, reader: Ring) -> None:
    ring.write(version(0, 800, 0))
    at_the_barrier(ring, [lambda: reader._set(Word.CLAIM, 257)])
    assert not ring.revise(256, version(256, 100, 1))
    assert np.array_equal(reader.read(800), version(0, 800, 0))


def test_a_claim_up_to_the_revision_is_no_obstacle(ring: Ring, reader: Ring) -> None:
    ring.write(version(0, 800, 0))
    at_the_barrier(ring, [lambda: reader._set(Word.CLAIM, 256)])
    assert ring.revise(256, version(256, 100, 1))


def test_a_read_that_meets_a_revision_waits_for_the_new_future(ring: Ring, reader: Ring) -> None:
    ring.write(version(0, 800, 0))

    def revised() -> None:
        ring._copy(100, version(100, 300, 1))
        ring._set(Word.WRITE, 400)

    turns = [lambda: ring._set(Word.WRITE, 100), lambda: None, revised]
    at_the_barrier(reader, turns)
    got = reader.read(256)
    assert np.array_equal(got[:100], version(0, 100, 0))
    assert np.array_equal(got[100:], version(100, 156, 1))


def test_a_read_takes_no_more_than_a_revision_left(ring: Ring, reader: Ring) -> None:
    ring.write(version(0, 800, 0))
    at_the_barrier(reader, [lambda: ring._set(Word.WRITE, 100)])
    assert np.array_equal(reader.read(256), version(0, 100, 0))
    assert reader.available == 0


class Dawdler(Ring):
    """Slow where it hurts: before and after it announces what it is about to do."""

    def _set(self, word: int, value: int) -> None:
        _dawdle()
        super()._set(word, value)

    def _barrier(self) -> None:
        super()._barrier()
        _dawdle()

    def _copy(self, position: int, samples: FloatArray) -> None:
        _dawdle()
        super()._copy(position, samples)


def _dawdle() -> None:
    time.sleep(random.choice((0, 0, 1e-5, 1e-4)))


def hear(name: str, total: int, path: str) -> None:
    """Read `total` samples, in the other process."""
    ring = Dawdler.attach(name)
    heard = np.zeros((0, 2), np.float32)
    while len(heard) < total:
        heard = np.concatenate([heard, ring.read(97)])
    np.save(path, heard)
    ring.close()


def test_two_processes_at_war_never_disagree_about_what_was_heard(tmp_path: Path) -> None:
    total, capacity = 60_000, 1009
    ring = Dawdler.create(capacity)
    truth = np.zeros(total + 10 * capacity, np.float32)
    rng = np.random.default_rng(0)
    outcomes = {True: 0, False: 0}
    call = "import sys, test_ring_revise as t; t.hear(sys.argv[1], int(sys.argv[2]), sys.argv[3])"
    try:
        reader = subprocess.Popen(
            [sys.executable, "-c", call, ring.name, str(total), str(tmp_path / "heard.npy")],
            cwd=Path(__file__).parent,
            stderr=subprocess.PIPE,
        )
        for number in itertools.count(1):
            if reader.poll() is not None:
                break
            written = ring.written
            if written < total:
                ring.write(version(written, int(rng.integers(300)), number))
                truth[written : ring.written] = number
            claim = ring._get(Word.CLAIM)
            position = int(np.clip(claim + rng.integers(-20, 200), 0, ring.written))
            count = int(rng.integers(0, 200))
            done = ring.revise(position, version(position, count, number))
            outcomes[done] += 1
            if done:
                truth[position : position + count] = number
        _, complaints = reader.communicate(timeout=30)
        assert (reader.returncode, complaints) == (0, b"")
    finally:
        ring.close()
    heard = np.load(tmp_path / "heard.npy")
    assert np.array_equal(heard[:, 0], np.arange(len(heard)))
    assert np.array_equal(heard[:, 1], truth[: len(heard)])
    assert min(outcomes.values()) > 100, outcomes
