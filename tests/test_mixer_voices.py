import numpy as np
import pytest

from diegetic.mixer.commands import Command, MoveVoice, StartVoice, StopVoice
from diegetic.mixer.mixer import Mixer
from diegetic.mixer.ramp import FADE, RAMP, Curve, Stretch
from mixer_scene import LEVEL, bend, bow, clip, noise, play, steady

HALF_DB = 0.5


def test_the_quietest_voice_gives_way_softly() -> None:
    quiet, loud = steady(9000, 0.05), steady(9000, 0.2)
    mixer = Mixer(voices=2)
    commands: dict[int, list[Command]] = {
        0: [clip(1, quiet), clip(2, loud), StartVoice(1, 2), StartVoice(2, 1)],
        3000: [StartVoice(3, 2)],
    }
    out = play(mixer, steady(8000, 0.0), commands)
    np.testing.assert_allclose(out[:3000], 0.25, rtol=1e-6)
    np.testing.assert_allclose(out[3000 + FADE :], 0.4, rtol=1e-6)
    assert bend(out[3001:]) < bow(0.05, FADE)
    assert mixer.stolen == 1
    assert [started.voice for started in mixer.take_started()] == [1, 2, 3]


def test_a_newcomer_quieter_than_all_is_not_heard() -> None:
    mixer = Mixer(voices=1)
    commands: dict[int, list[Command]] = {
        0: [clip(1, steady(5000)), StartVoice(1, 1)],
        1000: [StartVoice(2, 1, gain_db=-6.0)],
    }
    out = play(mixer, steady(3000, 0.0), commands)
    np.testing.assert_allclose(out, LEVEL, rtol=1e-6)
    assert mixer.stolen == 1
    assert mixer.sounding == 1


def test_loudness_is_that_of_now_gain_and_distance_included() -> None:
    fading = steady(9000, 0.5)
    fading[3000:] = 0.01  # loud once, quiet when room is needed
    mixer = Mixer(voices=3)
    commands: dict[int, list[Command]] = {
        0: [
            clip(1, fading),
            clip(2, steady(9000, 0.1)),
            StartVoice(1, 1),
            StartVoice(2, 2),
            StartVoice(3, 2, position=(0.0, 0.0, -5.0)),  # 0.02: still louder than 0.01
        ],
        6000: [StartVoice(4, 2)],
    }
    out = play(mixer, steady(8000, 0.0), commands)
    np.testing.assert_allclose(out[-1], 0.1 + 0.02 + 0.1, rtol=1e-6)


def test_of_equals_the_oldest_goes() -> None:
    ramp = steady(4000, 0.1)
    mixer = Mixer(voices=2)
    commands: dict[int, list[Command]] = {
        0: [clip(1, ramp), StartVoice(1, 1)],
        500: [StartVoice(2, 1)],
        1000: [StartVoice(3, 1)],
    }
    out = play(mixer, steady(6000, 0.0), commands)
    assert out[4499, 0] == pytest.approx(0.2)  # voice 2 plays to its end
    assert out[4500, 0] == pytest.approx(0.1)


def test_voices_over_the_limit_never_pile_up() -> None:
    mixer = Mixer(voices=4)
    commands: dict[int, list[Command]] = {n * 16: [StartVoice(n, 1)] for n in range(1, 200)}
    commands[0] = [clip(1, steady(5000, 0.01))]
    out = play(mixer, steady(4000, 0.0), commands)
    assert mixer.sounding <= 8
    assert out.max() <= 8 * 0.01 + 1e-6
    assert mixer.stolen > 100


@pytest.mark.parametrize("fade", [0.0, 0.01, 0.05])
def test_a_voice_stops_without_a_click(fade: float) -> None:
    length = max(FADE, round(fade * 48_000))
    commands: dict[int, list[Command]] = {
        0: [clip(1, steady(9000)), StartVoice(1, 1)],
        1000: [StopVoice(1, fade)],
        1010: [StopVoice(1, fade)],  # a fade that has begun is not begun again
    }
    mixer = Mixer()
    out = play(mixer, steady(6000, 0.0), commands)
    assert bend(out) < bow(LEVEL, length)
    assert out[1000 + length - 1].all()
    assert not out[1000 + length :].any()
    assert mixer.sounding == 0


def test_a_stopped_voice_that_waits_is_never_heard() -> None:
    mixer = Mixer()
    commands: list[Command] = [clip(1, steady(100)), StartVoice(1, 1, at=600), StopVoice(1)]
    assert not play(mixer, steady(1000, 0.0), {0: commands}).any()
    assert mixer.take_started() == []


def test_moving_has_no_zipper_even_when_told_on_the_way() -> None:
    steps: dict[int, list[Command]] = {
        at: [MoveVoice(1, (np.sin(at / 900) * 3, 0.0, -np.cos(at / 900)), 0.0)]
        for at in range(1000, 6000, 256)
    }
    commands: dict[int, list[Command]] = {
        0: [clip(1, steady(9000)), StartVoice(1, 1, position=(0.0, 0.0, -1.0))],
        **steps,
    }
    out = play(Mixer(), steady(8000, 0.0), commands)
    assert np.ptp(out[:, 0]) > 0.1  # it did move
    # A turn on the way starts level: the slope lost is pi/2 of the change over the ramp, at most.
    assert bend(out) < LEVEL * np.pi / 2 / RAMP
    assert np.abs(np.diff(out, axis=0)).max() < LEVEL * np.sqrt(2) * np.pi / 2 / RAMP


def test_a_place_told_before_the_start_is_where_it_starts() -> None:
    commands: list[Command] = [
        clip(1, steady(100)),
        StartVoice(1, 1, at=300, position=(1.0, 0.0, 0.0)),
        MoveVoice(1, (-1.0, 0.0, 0.0)),
    ]
    out = play(Mixer(), steady(600, 0.0), {0: commands})
    np.testing.assert_allclose(out[300], (LEVEL * np.sqrt(2), 0.0), atol=1e-6)


def level_db(occlusion: float, hz: float) -> float:
    """What a voice of `occlusion` does to a tone, in dB."""
    tone = np.sin(np.arange(9600) * (2 * np.pi * hz / 48_000))[:, None].repeat(2, 1) * 0.1
    sound = tone.astype(np.float32)
    commands: list[Command] = [clip(1, sound), StartVoice(1, 1, occlusion=occlusion)]
    out = play(Mixer(), np.zeros_like(sound), {0: commands})
    return float(20 * np.log10(out[4800:].std() / sound[4800:].std()))


def test_occlusion_takes_the_highs_and_a_little_of_all() -> None:
    assert level_db(0.0, 4000) == pytest.approx(0.0, abs=1e-4)
    assert level_db(1.0, 50) == pytest.approx(-6.0, abs=0.2)
    assert level_db(1.0, 400) == pytest.approx(-9.0, abs=0.2)  # the corner: 3 dB more
    assert level_db(1.0, 4000) == pytest.approx(-26.0, abs=1.0)  # 6 dB per octave
    assert level_db(0.5, 4000) == pytest.approx(-9.0, abs=HALF_DB)  # halfway: a shelf of 6 dB
    falling = [level_db(share / 8, 2000) for share in range(9)]
    assert falling == sorted(falling, reverse=True)


def test_becoming_occluded_has_no_zipper() -> None:
    commands: dict[int, list[Command]] = {
        0: [clip(1, steady(9000)), StartVoice(1, 1)],
        2000: [MoveVoice(1, None, 1.0)],
        4000: [MoveVoice(1, None, 0.0)],
    }
    out = play(Mixer(), steady(8000, 0.0), commands)
    assert out[3999, 0] == pytest.approx(LEVEL * 10 ** (-6 / 20), rel=1e-4)
    assert out[-1, 0] == pytest.approx(LEVEL, rel=1e-6)
    assert bend(out) < bow(LEVEL, RAMP)


def test_a_dropped_or_replaced_clip_plays_on_in_its_voices() -> None:
    sound = noise(1000)
    commands: dict[int, list[Command]] = {
        0: [clip(1, sound), StartVoice(1, 1)],
        256: [clip(1, steady(1000))],
    }
    assert np.array_equal(play(Mixer(), np.zeros_like(sound), commands), sound)


def test_a_curve_rises_once_and_is_the_same_in_parts() -> None:
    curve = Curve(1000, 500)
    whole = Stretch(900, 800).heights(curve)
    assert not whole[:100].any()
    assert (whole[600:] == 1).all()
    assert (np.diff(whole) >= 0).all()
    parts = [Stretch(at, 100).heights(curve) for at in range(900, 1700, 100)]
    assert np.array_equal(np.concatenate(parts), whole)
    np.testing.assert_allclose(whole, [curve.at(t) for t in range(900, 1700)], atol=1e-6)


def test_a_short_curve_is_where_it_is_wherever_one_looks() -> None:
    """Those of up to 20 ms are looked up: each sample is that of a long one's formula."""
    curve = Curve(10_000, 480)
    for start in (0, 8_000, 9_743, 9_744, 9_745, 9_999, 10_000, 10_224, 10_479, 10_480, 90_000):
        heights = Stretch(start, 256).heights(curve)
        expected = [curve.at(t) for t in range(start, start + 256)]
        np.testing.assert_allclose(heights, expected, atol=1e-6)
    long = Stretch(9_900, 2_000).heights(curve)  # longer than any block
    np.testing.assert_allclose(long, [curve.at(t) for t in range(9_900, 11_900)], atol=1e-6)
