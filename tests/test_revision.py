from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegetic.revision import JUMP, Outlook, Revision, material, plan

HOP, FADE = 7680, 1920
CALM = Outlook(
    changed=0,
    reach=10_000,
    boundaries=(0, HOP, 2 * HOP, 3 * HOP, 4 * HOP),
    made=5 * HOP,
    hop=HOP,
    fade=FADE,
    cost=2000,
    last=-HOP,
    allowance=10 * HOP,
)


def test_the_new_future_begins_as_soon_as_it_can_be_made() -> None:
    assert plan(CALM) == Revision(HOP, 12_000)


def test_a_chunk_with_little_left_to_hear_gives_way_to_the_next() -> None:
    latest = 2 * HOP - 2 * CALM.cost  # then as much is left of its chunk as it costs to make
    assert plan(replace(CALM, reach=latest)) == Revision(HOP, 2 * HOP - CALM.cost)
    assert plan(replace(CALM, reach=latest + 1)) == Revision(2 * HOP, 2 * HOP)


def test_a_slow_chunk_must_leave_time_to_make_the_one_behind_it() -> None:
    slow = replace(CALM, cost=5000)
    assert plan(slow) == Revision(2 * HOP, 2 * HOP)


def test_what_is_for_later_begins_then() -> None:
    assert plan(replace(CALM, changed=20_000)) == Revision(2 * HOP, 20_000)
    assert plan(replace(CALM, changed=5 * HOP)) is None


def test_where_the_coming_chunk_is_soon_enough_nothing_is_taken_back() -> None:
    ending = replace(CALM, made=3 * HOP, boundaries=(0, HOP, 2 * HOP))
    latest = 3 * HOP - 2 * CALM.cost
    assert plan(replace(ending, reach=latest)) == Revision(2 * HOP, 3 * HOP - CALM.cost)
    assert plan(replace(ending, reach=latest + 1)) is None


def test_a_hop_lies_between_two_new_futures() -> None:
    assert plan(replace(CALM, last=11_000)) == Revision(2 * HOP, 11_000 + HOP)


def test_nothing_is_made_again_without_allowance() -> None:
    assert plan(replace(CALM, allowance=4 * HOP)) == Revision(HOP, 12_000)
    assert plan(replace(CALM, allowance=4 * HOP - 1)) is None


def test_a_state_that_is_not_kept_cannot_be_gone_back_to() -> None:
    assert plan(replace(CALM, boundaries=(3 * HOP, 4 * HOP))) is None
    assert plan(replace(CALM, boundaries=())) is None


def test_what_moves_little_within_a_hop_waits_for_the_coming_chunk() -> None:
    assert material(JUMP, 0.0, 0.16)
    assert not material(JUMP - 0.01, 0.0, 0.16)
    assert material(1.0, 1.0, 0.16)
    assert not material(1.0, 1.2, 0.16)
    assert material(JUMP, 0.1, 0.16)  # all of it within the hop


@given(
    changed=st.integers(0, 60_000),
    reach=st.integers(0, 40_000),
    kept=st.integers(0, 5),
    cost=st.integers(0, 20_000),
    last=st.integers(-HOP, 40_000),
    allowance=st.integers(0, 10 * HOP),
)
def test_a_revision_is_always_possible_and_paid_for(
    changed: int, reach: int, kept: int, cost: int, last: int, allowance: int
) -> None:
    outlook = replace(
        CALM,
        changed=changed,
        reach=reach,
        boundaries=CALM.boundaries[kept:],
        cost=cost,
        last=last,
        allowance=allowance,
    )
    revision = plan(outlook)
    if revision is None:
        return
    assert revision.boundary in outlook.boundaries
    assert revision.splice >= max(changed, reach + cost, last + HOP, revision.boundary)
    assert revision.splice + FADE <= revision.boundary + HOP
    assert revision.splice + FADE <= outlook.made
    assert outlook.made - revision.boundary <= allowance


@pytest.mark.parametrize("reach", range(0, 3 * HOP, 500))
def test_the_wait_is_at_most_one_cost_longer_than_the_making(reach: int) -> None:
    revision = plan(replace(CALM, reach=reach))
    assert revision is not None
    assert revision.splice - reach <= 2 * CALM.cost
