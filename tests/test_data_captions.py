"""Captions: what is heard, said in many ways, the same ways every time."""

import re
from dataclasses import replace

import pytest

from diegetic.errors import DiegeticError
from diegetic.training import captions, catalog, phrasebook
from diegetic.training.compose import Part, compose

CLIP = catalog.Clip("pack", "1", "bookworm", "x.ogg", 8.0, "CC0", "A-CC0/PD", "other", "", (), "",
                    "sfx")  # fmt: skip
BEDS = ("rain", "thunderstorm", "birds", "crickets", "stream", "waves", "wind", "fire", "train",
        "machinery", "city", "boat")  # fmt: skip


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("audio/actor/singlesteps/fs_wood1.ogg", "footstep on wood"),
        ("sounds/footsteps/grass/3.ogg", "footstep on grass"),
        ("_x/sounds/summer-night.ogg", "crickets"),
        ("ambience/arcticwind.ogg", "wind"),
        ("_x/freedm.wad/DSDOROPN.wav", "door opening"),
        ("_x/freedm.wad/DSSHOTGN.wav", "shotgun shot"),
        ("weapons/laser-large.ogg", "laser shot"),
        ("misc/breakglass04.ogg", "glass breaking"),
        ("tilesets/desert/sounds/rain.wav", "rain and thunder"),
        ("units/sheep/sheep_die1.wav", "sheep"),
        ("_x/opensfx.cat/61__Engine_start_.wav", "engine"),  # the archive's name is no cat
    ],
)
def test_paths_tell_what_is_heard(path: str, subject: str) -> None:
    assert captions.subject(replace(CLIP, path=path)) == subject


def test_tags_help_where_words_do_not() -> None:
    clip = replace(CLIP, path="snd/q7.ogg", tags=(("Vehicle", 0.9), ("Rain", 0.7)))
    assert captions.subject(clip) == "rain"
    assert captions.subject(replace(clip, tags=(("Rain", 0.1),))) == "game sound"


def test_short_rain_is_no_bed() -> None:
    clip = replace(CLIP, path="sounds/rain.ogg")
    assert captions.kind(clip) == "bed"
    assert captions.kind(replace(clip, seconds=1.0)) == "oneshot"


@pytest.mark.parametrize("bed", BEDS)
def test_every_important_bed_is_said_in_twelve_ways(bed: str) -> None:
    section = next(section for section in phrasebook.sections() if section.name == bed)
    assert section.bed
    assert len(set(section.phrases)) >= 12


def test_whole_catalogue_has_varied_and_repeatable_captions() -> None:
    sample = catalog.clips()[::11]
    for clip in sample:
        said = captions.sentences(clip)
        assert len(said) >= 4
        assert len(set(said)) == len(said)
        for text in said:
            assert re.fullmatch(r"[a-z][a-z0-9 ,'\-:()?!]*", text), text
    first = [captions.sentences(clip) for clip in sample]
    captions._section.cache_clear()
    assert [captions.sentences(clip) for clip in sample] == first


def test_heldout_packages_hold_beds_steps_and_music() -> None:
    held = [clip for clip in catalog.clips() if clip.package in catalog.heldout_packages()]
    assert "blanket" not in catalog.heldout_packages()
    assert {captions.kind(clip) for clip in held} == {"bed", "oneshot", "music"}
    assert any("footstep" in captions.subject(clip) for clip in held)


def test_placeholder_takes_the_right_article() -> None:
    clip = replace(CLIP, path="fauna/elephant_idle.ogg")
    assert "an elephant" in captions.sentences(clip)
    assert "a sheep" in captions.sentences(replace(CLIP, path="fauna/sheep1.ogg"))


RAIN = Part("rain falling", bed=True)
SHOTS = Part("gunfire", "gunshot", "gunshots", count=2, start=1.0)
DOOR = Part("a door", "door", "doors", start=0.2)


def test_mixture_says_bed_count_distance_and_side() -> None:
    shots = Part("gunfire", "gunshot", "gunshots", 2, 1.0, "left", distant=True)
    for seed in range(20):
        text = compose([RAIN, shots], seed)
        assert "rain falling" in text
        assert "two" in text
        assert "gunshots" in text
        assert "distan" in text
        assert "left" in text


def test_events_are_said_in_the_order_in_which_they_are_heard() -> None:
    for seed in range(20):
        text = compose([SHOTS, DOOR], seed, ordered=True)
        assert text.index("door") < text.index("gunshots")
        assert any(word in text for word in ("then", "followed"))


def test_same_seed_same_words_and_seeds_vary() -> None:
    texts = [compose([RAIN, SHOTS, DOOR], seed) for seed in range(30)]
    assert texts == [compose([RAIN, SHOTS, DOOR], seed) for seed in range(30)]
    assert len(set(texts)) >= 5


@pytest.mark.parametrize(("count", "words"), [(1, "(an?|one) gunshot$"), (3, "^three gunshots$"),
                                              (9, "^(several|many|nine) gunshots$")])  # fmt: skip
def test_counts_are_words(count: int, words: str) -> None:
    for seed in range(10):
        assert re.search(words, compose([Part("x", "gunshot", "gunshots", count)], seed))


def test_one_alarm_is_an_alarm() -> None:
    assert {compose([Part("x", "alarm")], seed) for seed in range(20)} == {"an alarm", "one alarm"}


def test_nothing_is_silence() -> None:
    assert compose([]) == "silence"


def test_impossible_parts_are_refused() -> None:
    with pytest.raises(DiegeticError, match="count must be 1 or more, got 0"):
        Part("rain", count=0)
    with pytest.raises(DiegeticError, match="phrase must be words"):
        Part("")
