from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diegetic.config import RATE
from diegetic.evaluation.bench import Bench, Renders, say
from diegetic.evaluation.corpus import Corpus
from diegetic.evaluation.entries import (
    codec,
    empty,
    gap,
    heldout,
    onsets,
    prompts,
    retrieval,
    tasks,
)
from diegetic.evaluation.rows import Row
from diegetic.evaluation.watch import watch_game, watch_picture
from diegetic.session import Session
from diegetic.snapshot import (
    LAYER_TOKENS,
    Conditioning,
    FloatArray,
    Snapshot,
    null_conditioning,
)
from evaluation_bench import (
    EVENTS,
    GAME_SECONDS,
    EnvelopeCodec,
    NoiseEditor,
    clicks,
    make_bench,
    write_data,
)
from tone_generator import ToneGenerator, ToneState


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root)
    return root


@pytest.fixture
def bench(data: Path, tmp_path: Path) -> Bench:
    return replace(make_bench(data), renders=Renders(tmp_path))


class Tape(ToneGenerator):
    """Plays given samples (n, 2), whatever is said; the same again in every stream."""

    def __init__(self, samples: FloatArray) -> None:
        super().__init__()
        self._samples = np.pad(samples, ((0, 3 * RATE), (0, 0)))

    def generate(
        self, state: ToneState, conditioning: Conditioning
    ) -> tuple[FloatArray, ToneState]:
        chunk = self._samples[state.position :][: self.config.chunk_samples]
        return chunk, replace(state, position=state.position + self.config.hop_samples)


def test_the_codec_is_judged_against_the_originals(bench: Bench) -> None:
    alike, louder, wider, silence = codec.run(bench)
    assert alike.figures["cosine"] > 0.99
    assert alike.figures["sounds"] == 4
    assert alike.verdict == "aim"
    assert louder.figures["dB"] == pytest.approx(-20 * np.log10(0.98), abs=0.01)
    assert wider.figures["dB"] == pytest.approx(0, abs=0.01)
    assert silence.figures["dBFS"] == -120
    hissing = replace(bench, codec=Hiss())
    assert codec.run(hissing)[3].verdict == "missed"
    assert codec.run(hissing)[0].figures["FAD"] > alike.figures["FAD"] + 1


class Hiss(EnvelopeCodec):
    def reconstruct(self, audio: FloatArray, seed: int) -> FloatArray:
        return np.random.default_rng(seed).normal(0, 0.05, audio.shape).astype(np.float32)


def test_a_prompt_counts_where_a_fitting_class_is_among_the_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "SECONDS", 0.4)
    ranks = iter(range(1, 1000))

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(bench.listener, name)

        def rank(self, probabilities: FloatArray, labels: tuple[str, ...]) -> tuple[int, str]:
            return next(ranks), labels[0]

    counting = replace(bench, listener=Counting())  # type: ignore[arg-type]
    (scenes,) = prompts.run_scenes(counting)
    assert scenes.figures["heard"] == pytest.approx(prompts.SCENES_FIRST / prompts.SEEDS)
    assert scenes.verdict == "missed"
    assert len(scenes.details) == 24 * prompts.SEEDS
    ranks = iter([1, 11, 1] * 12)
    (twelve,) = prompts.run_twelve(counting)
    assert [twelve.figures[f"seed {k}"] for k in range(3)] == [12, 0, 12]
    assert twelve.figures["heard"] == 8


def test_a_prompts_list_has_no_prompt_twice_and_none_of_the_other_list() -> None:
    assert len(prompts.SCENES) == 24
    assert len(prompts.TWELVE) == 12
    assert not set(prompts.SCENES) & set(prompts.TWELVE)


def test_prompts_are_answered_by_the_training_sound_whose_caption_is_nearest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def conditioner(snapshot: Snapshot) -> Conditioning:
        said = null_conditioning()
        kinds = ("bed", "music", "oneshot")
        for place, words in enumerate((("rain", "bed"), ("drums", "music"), ("shot", "oneshot"))):
            said.words[0, place] = any(word in snapshot.prompt for word in words)
        said.words[0, len(kinds)] = 0.1
        return said

    monkeypatch.setattr(retrieval, "SCENES", {"rain": ("Rain",), "drums": ("Music",)})
    monkeypatch.setattr(retrieval, "TWELVE", {"shot": ("Gunshot",)})
    scenes, twelve = retrieval.run(replace(bench, conditioner=conditioner))
    assert [detail.note.split(":")[0] for detail in scenes.details] == [
        "a bed; the bed; a music",
        "a music; the music; a bed",
    ]
    assert twelve.details[0].note.startswith("a oneshot; the oneshot")
    assert twelve.figures == {"heard": 1, "through the codec": 1}


def test_the_same_sounds_are_as_far_apart_as_the_codec_makes_them(bench: Bench) -> None:
    clips = bench.corpus.clips("heldout", 9, 0, heldout.SHORTEST, heldout.SECONDS)
    for number, clip in enumerate(clips):
        bench.renders.get(f"heldout/{number:04}", lambda clip=clip: 0.98 * clip.audio)  # type: ignore[misc]
    (row,) = heldout.run_fad(replace(bench, count=9))
    assert row.figures["times"] == pytest.approx(1, abs=0.2)
    assert row.figures["sounds"] == 9
    (far,) = heldout.run_fad(make_bench_of_tones(bench))
    assert far.figures["times"] > 100
    assert far.verdict == "missed"


def make_bench_of_tones(bench: Bench) -> Bench:
    return replace(bench, renders=Renders(bench.renders.path("x").parent / "other"), count=9)


def test_a_sound_copied_from_training_is_named(bench: Bench) -> None:
    corpus = bench.corpus
    sounds = dict(zip(corpus.training_names, corpus.training(), strict=True))
    copied = sounds["train-package: bed-1.wav"][RATE : 5 * RATE]
    bench.renders.get("heldout/0002", lambda: 0.5 * copied)
    (row,) = heldout.run_copying(bench)
    worst = row.details[0]
    assert worst.name.startswith("2: ")
    assert worst.note == "train-package: bed-1.wav"
    assert row.figures["worst"] > 0.95
    assert row.figures["held-out sounds, worst"] < row.figures["worst"]
    assert row.figures["decoded training sounds, median"] > 0.95
    assert row.verdict == "missed"


def test_onsets_that_follow_the_game_are_told_from_shuffled_ones(bench: Bench) -> None:
    follows = replace(
        bench, generator=Tape(clicks(EVENTS, GAME_SECONDS).astype(np.float32) / 32768)
    )
    (row,) = onsets.run(follows)
    assert row.figures["F1"] == 1
    assert row.figures["the game's own sound"] == 1
    assert row.verdict == "aim"
    assert row.figures["shuffled"] < 0.5


def test_a_generator_that_hears_nothing_of_the_game_fails_it(bench: Bench) -> None:
    (row,) = onsets.run(bench)
    assert row.figures["F1"] < 0.5
    assert row.verdict == "missed"


class IdleEditor(NoiseEditor):
    """Leaves gaps as they are, and goes on with the end of what was."""

    def __init__(self) -> None:
        self.given: list[tuple[FloatArray, Conditioning]] = []

    def fill(
        self, audio: FloatArray, start_s: float, end_s: float, said: Conditioning, seed: int
    ) -> FloatArray:
        assert (start_s, end_s) == (gap.BEFORE, gap.BEFORE + gap.GAP)
        self.given.append((audio, said))
        return audio

    def go_on(self, audio: FloatArray, said: Conditioning, seconds: float, seed: int) -> FloatArray:
        self.given.append((audio, said))
        return np.resize(audio, (round(seconds * RATE), 2))


def test_a_gap_filled_with_what_was_there_cannot_be_told(bench: Bench) -> None:
    editor = IdleEditor()
    bench = replace(bench, editor=editor)
    (row,) = gap.run(bench)
    assert row.figures["AUC"] == pytest.approx(0.5, abs=0.05)
    assert row.figures["the whole gap"] == pytest.approx(0.5, abs=0.05)
    assert row.figures["gaps"] == len(editor.given) == 6 * gap.GAPS_EACH
    assert row.verdict == "aim"
    assert all(said.present[0] for _, said in editor.given)  # it is told what is heard
    alike = gap.run_inpainting(bench, "tasks", "inpainting")
    assert alike.figures["cosine"] == pytest.approx(1, abs=1e-6)
    assert len(editor.given) == 6 * gap.GAPS_EACH  # both use the same sounds


def test_a_gap_filled_with_noise_is_told(bench: Bench) -> None:
    (row,) = gap.run(bench)
    assert row.figures["AUC"] > 0.9
    assert row.figures["the whole gap"] > 0.9
    assert row.verdict == "missed"
    assert gap.run_inpainting(bench, "tasks", "inpainting").figures["cosine"] < 1 - 1e-3


def test_an_empty_scene_is_as_loud_as_its_loudest_second(bench: Bench) -> None:
    (quiet,) = empty.run(bench)
    assert quiet.figures["dBFS"] == -120
    assert quiet.verdict == "aim"

    def conditioner(snapshot: Snapshot) -> Conditioning:
        said = null_conditioning()
        said.present[0], said.words[0, 0] = bool(snapshot.frames), 40
        return said

    humming = replace(
        bench, conditioner=conditioner, renders=Renders(bench.renders.path("x").parent / "2")
    )
    (loud,) = empty.run(humming)
    assert loud.figures["nothing said"] == -120
    assert loud.figures["black frames"] > -10
    assert loud.figures["dBFS"] == loud.figures["black frames"]
    assert loud.verdict == "missed"


def test_every_task_has_a_line_with_what_is_heard(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "PIECE", 1.0)
    rows = tasks.run(bench)
    assert len(rows) == 9
    assert all(row.figures for row in rows)
    assert {row.verdict for row in rows} == {""}
    started = [row.name.split(":")[0] for row in rows]
    assert started[:6] == [
        "text → audio",
        "text → music",
        "frames → audio",
        "frames → music",
        "text + frames → both",
        "image → audio",
    ]


def test_music_from_frames_is_asked_for_as_such(bench: Bench) -> None:
    asked: list[frozenset[str]] = []

    def conditioner(snapshot: Snapshot) -> Conditioning:
        asked.append(snapshot.layers)
        return null_conditioning()

    tasks._frames_to_music(replace(bench, conditioner=conditioner))
    assert set(asked) == {frozenset({"music"})}


def test_a_continuation_is_given_the_sound_that_it_goes_on_from(bench: Bench) -> None:
    editor = IdleEditor()
    bench = replace(bench, editor=editor)
    beds, music = tasks._continuation(bench), tasks._music_completion(bench)
    clips = [
        bench.corpus.clips("heldout", 6, 0, 7.0, 7.0, frozenset({kind}))
        for kind in ("bed", "music")
    ]
    assert len(editor.given) == 6
    for (audio, _), clip in zip(editor.given, [*clips[0], *clips[1]], strict=True):
        np.testing.assert_array_equal(audio, clip.audio[: 3 * RATE])
    for row in (beds, music):
        assert row.figures["median rank of its first class"] == 1
        assert row.figures["as it really goes on"] == 1
        assert row.figures["sounds"] == 3
    said = [said.present.nonzero()[0].tolist() for _, said in editor.given]
    assert said == [[]] * 3 + [[LAYER_TOKENS.start + 1]] * 3
    noise = tasks._continuation(
        replace(bench, editor=NoiseEditor(), renders=Renders(bench.renders.path("x").parent / "2"))
    )
    assert noise.figures["median rank of its first class"] > 1


def test_a_game_is_watched_in_order_and_told_only_when_asked(data: Path) -> None:
    (game,) = Corpus(data).games()
    seen: list[Snapshot] = []

    def conditioner(snapshot: Snapshot) -> Conditioning:
        seen.append(snapshot)
        return null_conditioning()

    def watched(told: bool) -> Iterator[Snapshot]:
        seen.clear()
        with Session(generator=ToneGenerator(), conditioner=conditioner) as session:
            samples = watch_game(game, 3.2, told=told)(session)
        assert len(samples) == round(3.2 * RATE)
        return iter(list(seen))

    for snapshot in watched(False):
        assert not snapshot.events
        assert all(frame.time <= snapshot.t0 + 1e-9 for frame in snapshot.frames)
        assert snapshot.frames
    times = {event.time for snapshot in watched(True) for event in snapshot.events}
    assert times == {time for time in EVENTS if time < 3.2}


def test_a_picture_is_seen_all_the_time(data: Path) -> None:
    seen: list[Snapshot] = []

    def conditioner(snapshot: Snapshot) -> Conditioning:
        seen.append(snapshot)
        return null_conditioning()

    pixels = Corpus(data).surface("water")
    with Session(generator=ToneGenerator(), conditioner=conditioner) as session:
        watch_picture(pixels, 2.0)(session)
    assert all(snapshot.frames for snapshot in seen)
    assert all((frame.pixels == pixels).all() for s in seen for frame in s.frames)
    assert seen[-1].frames[0].time < seen[-1].t0 - 0.4


def test_streams_of_other_seeds_are_others(bench: Bench) -> None:
    seeds = {bench.stream_seed(k) for k in range(5)}
    seeds |= {replace(bench, seed=1).stream_seed(k) for k in range(5)}
    assert len(seeds) == 10
    one = bench.render("one", say("tone", 0.2), seed=1)
    assert not np.array_equal(one, bench.render("two", say("tone", 0.2), seed=2))


def test_rows_with_nothing_measured_are_skipped_ones() -> None:
    assert Row("x", note="no held-out sound is stereo").verdict == "skipped"
