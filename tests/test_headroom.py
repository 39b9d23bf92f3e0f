import pytest

from diegetic.config import RATE, StreamConfig
from diegetic.headroom import RELEASE, Headroom

CONFIG = StreamConfig(lookahead=0.2)
LOOKAHEAD = CONFIG.lookahead_samples
RESERVE = LOOKAHEAD // 2


def late(headroom: Headroom, by: int, taken: int = 0) -> None:
    """A chunk that arrives when `by` less than the reserve is left of what was there."""
    headroom.full()
    headroom.arrived(RESERVE - by, taken)


def test_chunks_in_time_change_nothing() -> None:
    headroom = Headroom(CONFIG)
    for chunk in range(100):
        headroom.full()
        headroom.arrived(RESERVE, chunk * 7680)
    assert headroom.samples == LOOKAHEAD


def test_what_a_late_chunk_lacked_is_added() -> None:
    headroom = Headroom(CONFIG)
    late(headroom, by=1000)
    assert headroom.samples == LOOKAHEAD + 1000
    late(headroom, by=0)
    assert headroom.samples == LOOKAHEAD + 1000
    late(headroom, by=500)
    assert headroom.samples == LOOKAHEAD + 1500


def test_several_late_chunks_in_a_row_count_as_their_worst() -> None:
    headroom = Headroom(CONFIG)
    headroom.full()
    for left in (RESERVE - 300, RESERVE - 2000, RESERVE - 1000):
        headroom.arrived(left, 0)
    assert headroom.samples == LOOKAHEAD + 2000


def test_the_first_chunks_of_a_stream_are_not_late() -> None:
    headroom = Headroom(CONFIG)
    headroom.arrived(0, 0)
    headroom.arrived(100, 0)
    assert headroom.samples == LOOKAHEAD


def test_there_is_a_most() -> None:
    headroom = Headroom(CONFIG)
    for _ in range(10):
        late(headroom, by=RESERVE)
    assert headroom.samples == CONFIG.most_lookahead_samples


def test_what_was_added_goes_slowly_and_not_below_the_lookahead() -> None:
    headroom = Headroom(CONFIG)
    late(headroom, by=960)
    headroom.arrived(RESERVE + LOOKAHEAD, 10 * RATE)
    assert headroom.samples == pytest.approx(LOOKAHEAD + 960 - 10 * RELEASE * RATE)
    headroom.full()
    headroom.arrived(RESERVE + LOOKAHEAD, 100 * RATE)
    assert headroom.samples == LOOKAHEAD
