"""Which take is played, and which goes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegetic.bank.declaration import Variant
from diegetic.bank.store import Clip, ClipStore
from diegetic.errors import DiegeticError
from diegetic.snapshot import FloatArray

SHOT = Variant("shot")
SIZE = 8 * 100


def sound(samples: int = 100, value: float = 0.5) -> FloatArray:
    return np.full((samples, 2), value, np.float32)


def filled(takes: int, variant: Variant = SHOT, memory: int = 100 * SIZE) -> ClipStore:
    store = ClipStore(memory, seed=1)
    for number in range(takes):
        store.put(variant, number, sound())
    return store


def picked(store: ClipStore, variant: Variant) -> Clip:
    clip = store.pick(variant)
    assert clip is not None
    return clip


def on(surface: str, gait: str = "walk") -> Variant:
    return Variant("step", (("surface", surface), ("gait", gait)))


@settings(max_examples=40, deadline=None)
@given(takes=st.integers(2, 7), seed=st.integers(0, 2**63 - 1))
def test_no_take_comes_twice_in_a_row(takes: int, seed: int) -> None:
    store = ClipStore(100 * SIZE, seed)
    for number in range(takes):
        store.put(SHOT, number, sound())
    order = [picked(store, SHOT).id for _ in range(50)]
    assert all(one != other for one, other in pairwise(order))


def test_a_replaced_take_is_not_followed_by_itself_and_all_are_heard() -> None:
    store = filled(3)
    order = []
    for number in range(3, 30):
        order.append(picked(store, SHOT).id)
        order.append(picked(store, SHOT).id)
        store.put(SHOT, number, sound(), replaces=min(clip.id for clip in store.clips()))
    assert all(one != other for one, other in pairwise(order))
    assert len(set(order)) > 20


def test_every_take_is_heard() -> None:
    store = filled(5)
    assert {picked(store, SHOT).id for _ in range(60)} == set(range(5))


def test_a_single_take_is_played_again_and_again() -> None:
    store = filled(1)
    assert [picked(store, SHOT).id for _ in range(3)] == [0, 0, 0]


def test_the_order_depends_on_the_seed_and_on_no_other_event() -> None:
    one, other = filled(5), filled(5)
    other.put(on("grass"), 0, sound())
    order = []
    for _ in range(20):
        picked(other, on("grass"))
        order.append(picked(other, SHOT).number)
    assert order == [picked(one, SHOT).number for _ in range(20)]
    third = ClipStore(100 * SIZE, seed=2)
    for number in range(5):
        third.put(SHOT, number, sound())
    assert order != [picked(third, SHOT).number for _ in range(20)]


def test_the_nearest_take_differs_in_the_fewest_switches() -> None:
    store = filled(3)
    store.put(on("metal", "run"), 0, sound())
    near, _ = store.put(on("grass", "walk"), 0, sound())
    assert picked(store, on("grass", "run")) is not near  # metal run came first, as near
    assert picked(store, on("concrete", "walk")) is near


def test_another_event_is_played_only_for_words_that_mean_alike() -> None:
    store = ClipStore(100 * SIZE)
    axes = np.eye(3, dtype=np.float32)
    store.put(Variant("door"), 0, sound(), embedding=axes[0])
    gun, _ = store.put(Variant("gun"), 0, sound(), embedding=axes[1])
    store.put(Variant("mute"), 0, sound())
    assert store.pick(SHOT) is None
    assert store.pick(SHOT, (0.6 * axes[0] + 0.8 * axes[1]).astype(np.float32)) is gun


def test_an_empty_store_has_nothing_to_play() -> None:
    assert ClipStore(SIZE).pick(SHOT, np.ones(3, np.float32)) is None


def test_the_least_recently_used_goes_first() -> None:
    store = ClipStore(3 * SIZE)
    for name in "abc":
        store.put(Variant(name), 0, sound())
    picked(store, Variant("a"))
    _, dropped = store.put(Variant("d"), 0, sound())
    assert [clip.variant.name for clip in dropped] == ["b"]


def test_what_the_plan_wants_goes_last() -> None:
    store = filled(3, memory=3 * SIZE)
    _, dropped = store.put(on("grass"), 0, sound(), keep={SHOT: 2, on("grass"): 1})
    assert [clip.id for clip in dropped] == [0]
    store.put(on("metal"), 0, sound(), keep={SHOT: 2, on("metal"): 1})
    assert {clip.variant for clip in store.clips()} == {SHOT, on("metal")}


def test_a_clip_that_memory_cannot_hold_is_refused_and_nothing_goes() -> None:
    store = filled(3, memory=3 * SIZE)
    with pytest.raises(DiegeticError, match="clip must fit memory"):
        store.put(SHOT, 3, sound(301))
    assert len(list(store.clips())) == 3


def test_no_number_is_given_twice_even_when_its_take_is_gone() -> None:
    store = filled(3)
    store.drop(lambda clip: True)
    assert (store.bytes, store.next_number(SHOT)) == (0, 3)


def test_a_clip_is_a_copy_that_no_one_can_change() -> None:
    mine = sound()
    clip, _ = ClipStore(SIZE).put(SHOT, 0, mine)
    mine[:] = 0
    assert clip.samples.all()
    with pytest.raises(ValueError, match="read-only"):
        clip.samples[:] = 0


puts = st.tuples(st.sampled_from("abcd"), st.integers(1, 400), st.booleans())


@settings(max_examples=40, deadline=None)
@given(st.lists(puts, max_size=60), st.integers(400, 1500))
def test_memory_is_never_exceeded(puts: list[tuple[str, int, bool]], capacity: int) -> None:
    store = ClipStore(capacity * 8)
    there: dict[int, Clip] = {}
    for number, (name, samples, replace) in enumerate(puts):
        victim = min(there, default=None) if replace else None
        clip, dropped = store.put(
            Variant(name), number, sound(samples), replaces=victim, keep={Variant("a"): 2}
        )
        assert victim is None or victim in {gone.id for gone in dropped}
        for gone in dropped:
            del there[gone.id]
        there[clip.id] = clip
        store.pick(Variant(name))
        assert store.bytes == sum(clip.samples.nbytes for clip in there.values())
        assert store.bytes <= store.memory_bytes
        assert {clip.id for clip in store.clips()} == set(there)
