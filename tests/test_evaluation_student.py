import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from diegetic.config import RATE
from diegetic.errors import DiegeticError
from diegetic.evaluation.bench import Bench, Job, Renders, Voice, say
from diegetic.evaluation.entries import drift, heldout, student, switch
from diegetic.evaluation.evaluate import evaluate
from diegetic.evaluation.measures import centroid, loudness, spread
from diegetic.evaluation.results import Results, Subject
from diegetic.session import Session
from diegetic.snapshot import Conditioning, FloatArray, Snapshot
from evaluation_bench import EnergyListener, make_bench, write_data
from tone_generator import ToneGenerator, ToneState, plain_conditioner


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root)
    return root


@pytest.fixture
def bench(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Short sounds; the student at any number of evaluations is a `Chords`."""
    monkeypatch.setattr(heldout, "SECONDS", 1.0)
    monkeypatch.setattr(student, "SECONDS", 0.4)
    return replace(
        make_bench(data, count=24),
        renders=Renders(tmp_path / "own"),
        at=lambda nfe: Voice(Chords(), "student", Renders(tmp_path / f"student-{nfe}")),
    )


class Chords(ToneGenerator):
    """Tones that the seed draws, from a band that the prompt draws.

    Args:
        shift: of all tones, Hz.
        various: False draws the same ones for any seed.
    """

    def __init__(self, shift: float = 0.0, *, various: bool = True) -> None:
        super().__init__()
        self._shift, self._various = shift, various

    def generate(
        self, state: ToneState, conditioning: Conditioning
    ) -> tuple[FloatArray, ToneState]:
        length = int(conditioning.words[0, 0])
        rng = np.random.default_rng((length, state.seed if self._various else 0))
        time = (state.position + np.arange(self.config.chunk_samples)) / RATE
        tones = self._shift + rng.uniform(100, 100 + 100 * length, 3)
        wave = 0.1 * np.sin(2 * np.pi * tones[:, None] * time).sum(0)
        chunk = np.stack((wave, wave), 1).astype(np.float32)
        return chunk, replace(state, position=state.position + self.config.hop_samples)


def taught(bench: Bench, teacher: ToneGenerator, name: str = "teacher") -> Bench:
    folder = bench.renders.path("x").parents[1] / name
    return replace(bench, teacher=Voice(teacher, name, Renders(folder)))


def test_a_student_without_a_teacher_is_skipped_with_what_is_missing(bench: Bench) -> None:
    (row,) = student.run(bench)
    assert row.verdict == "skipped"
    assert "--teacher" in row.note


def test_a_student_that_does_what_its_teacher_does_reaches_everything(bench: Bench) -> None:
    *distances, heard, diversity = student.run(taught(bench, Chords()))
    assert [row.name.split(":")[0] for row in distances] == [f"student at {n}" for n in (4, 2, 1)]
    for row in distances:
        assert row.figures["times"] == 1
        assert row.figures["±"] == 0
        assert row.figures["between them"] == pytest.approx(0, abs=1e-6)
        assert row.figures["FAD"] == row.figures["teacher"] > 0
    assert heard.figures["more than the teacher"] == 0
    assert len(heard.details) == 24
    assert diversity.figures == {f"at {nfe}": pytest.approx(1) for nfe in (2, 4, 1)}
    assert {row.verdict for row in (distances[1], heard, diversity)} == {"must", "aim"} - {"must"}


def test_a_student_that_is_farther_from_real_sounds_is_told_by_how_much(
    bench: Bench, tmp_path: Path
) -> None:
    def at(nfe: int) -> Voice:
        generator = Chords(3000.0 if nfe == 1 else 0.0)
        return Voice(generator, "student", Renders(tmp_path / f"student-{nfe}"))

    rows = student.run(taught(replace(bench, at=at), Chords()))
    assert [row.verdict for row in rows[:3]] == ["aim", "aim", "missed"]
    far = rows[2].figures
    assert far["times"] == pytest.approx(far["FAD"] / far["teacher"])
    assert far["times"] > 1.6
    assert far["±"] > 0


def test_a_student_that_always_makes_the_same_is_not_various(bench: Bench, tmp_path: Path) -> None:
    same = replace(
        bench,
        at=lambda nfe: Voice(Chords(various=False), "student", Renders(tmp_path / f"same-{nfe}")),
    )
    row = student._diversity(
        {nfe: same.speaking(same.at(nfe)) for nfe in student.STEPS},
        bench.speaking(Voice(Chords(), "teacher", Renders(tmp_path / "teacher"))),
    )
    assert row.figures["at 2"] == pytest.approx(0, abs=1e-6)
    assert row.verdict == "missed"


def test_a_student_that_is_heard_less_often_misses_from_four_on(
    bench: Bench, tmp_path: Path
) -> None:
    def row(lost: int) -> str:
        ranks = iter([1] * (24 - lost) + [6] * lost + [5] * 24)  # the student comes first

        class Ranking(EnergyListener):
            def rank(self, probabilities: FloatArray, labels: tuple[str, ...]) -> tuple[int, str]:
                return next(ranks), labels[0]

        voice = Voice(ToneGenerator(), "both", Renders(tmp_path / "both"))
        ours = replace(bench.speaking(voice), listener=Ranking())
        found = student._heard(ours, ours)
        assert found.figures["more than the teacher"] == -lost
        return found.verdict

    assert [row(lost) for lost in (0, 3, 4)] == ["aim", "must", "missed"]


def test_another_teacher_is_compared_with_and_no_teacher_leaves_what_is_known(
    bench: Bench, tmp_path: Path
) -> None:
    results = Results(Subject("student", 0, 2))

    def again(bench: Bench) -> tuple[str, str]:
        nonlocal results
        results = evaluate(bench, results, tmp_path / "out", ["student"])
        done = results.entries["student"]
        return done.teacher, done.rows[0].verdict

    assert again(bench) == ("", "skipped")
    assert again(taught(bench, Chords())) == ("teacher", "aim")
    assert again(bench) == ("teacher", "aim")
    other = taught(bench, Chords(-50.0), "other")
    assert again(other)[0] == "other"
    generator = other.teacher.generator if other.teacher else None
    assert isinstance(generator, Chords)
    rows = results.entries["student"].rows
    again(other)
    assert results.entries["student"].rows is rows  # nothing was done again


class Hiss(ToneGenerator):
    """Noise that changes by `db` a second in level, and gets duller where it is `dull`."""

    def __init__(self, db: float = 0.0, *, dull: bool = False) -> None:
        super().__init__()
        self._db, self._dull = db, dull

    def generate(
        self, state: ToneState, conditioning: Conditioning
    ) -> tuple[FloatArray, ToneState]:
        rng = np.random.default_rng((state.seed, state.position))
        noise = rng.normal(0, 0.02, (self.config.chunk_samples, 2))
        seconds = state.position / RATE
        if self._dull and seconds > 2:
            noise = np.cumsum(noise, axis=0) * 0.1
        chunk = (10 ** (self._db * seconds / 20) * noise).astype(np.float32)
        return chunk, replace(state, position=state.position + self.config.hop_samples)


def drifted(
    bench: Bench, generator: ToneGenerator, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, float]]:
    monkeypatch.setattr(drift, "MINUTES", 3)
    monkeypatch.setattr(drift, "MINUTE", 2.0)
    monkeypatch.setattr(drift, "PIECE", 0.25)
    rows = drift.run(replace(bench, generator=generator))
    assert all(len(row.details) == 3 * 3 for row in rows)
    return [(row.verdict, next(iter(row.figures.values()))) for row in rows]


def test_a_stream_that_stays_as_it_was_does_not_drift(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, times), (louder, lu), (brighter, percent) = drifted(bench, Hiss(), monkeypatch)
    assert 0.3 < times < 3
    assert lu < 0.2
    assert percent < 1
    assert (louder, brighter) == ("aim", "aim")


def test_a_stream_that_gets_louder_drifts_by_as_much(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (far, _), (louder, lu), (brighter, percent) = drifted(bench, Hiss(1.5), monkeypatch)
    assert lu == pytest.approx(4 * 1.5, abs=0.2)  # two minutes of two seconds
    assert percent < 1
    assert (far, louder, brighter) == ("missed", "missed", "aim")


def test_a_stream_that_gets_duller_drifts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (far, _), _, (brighter, percent) = drifted(bench, Hiss(dull=True), monkeypatch)
    assert percent > 50
    assert (far, brighter) == ("missed", "missed")


@dataclass(frozen=True)
class LateState(ToneState):
    """What is played, and what was asked for last and since when (samples)."""

    played: float = 0.0
    asked: float = 0.0
    since: int = 0


class Late(ToneGenerator):
    """Changes its tone `delay` seconds after it was told to."""

    def __init__(self, delay: float) -> None:
        super().__init__()
        self._delay = delay

    def start(self, seed: int) -> LateState:
        return LateState(0, seed)

    def generate(
        self, state: ToneState, conditioning: Conditioning
    ) -> tuple[FloatArray, ToneState]:
        assert isinstance(state, LateState)
        asked = float(conditioning.words[0, 0])
        since = state.since if asked == state.asked else state.position
        first = state.position == 0
        late = state.position - since >= self._delay * RATE
        played = asked if first or late else state.played
        time = (state.position + np.arange(self.config.chunk_samples)) / RATE
        wave = 0.1 * (played > 0) * np.sin(2 * np.pi * 10 * played * time)
        return np.stack((wave, wave), 1).astype(np.float32), LateState(
            state.position + self.config.hop_samples, state.seed, played, asked, since
        )


class PitchListener(EnergyListener):
    """Knows the scenes by their tones, and silence; everything ranks `behind` that many classes."""

    def __init__(self, behind: int = 0) -> None:
        self._behind = behind

    def hear(self, samples: FloatArray, rate: int) -> tuple[FloatArray, FloatArray]:
        spectrum = np.abs(np.fft.rfft(samples.mean(1) * np.hanning(len(samples))))
        bins = [round(10 * len(scene.prompt) * len(samples) / rate) for scene in switch.COURSE[:3]]
        power = [float(spectrum[at - 2 : at + 3].max()) for at in bins]
        found = np.array([*power, 1e-3 if max(power) > 1e-3 else 1.0], np.float32)
        return found, found

    def rank(self, probabilities: FloatArray, labels: tuple[str, ...]) -> tuple[int, str]:
        place = [scene.labels for scene in switch.COURSE].index(labels)
        before = int((probabilities > probabilities[place]).sum())
        return before + 1 + self._behind, labels[0]


def switched(bench: Bench, monkeypatch: pytest.MonkeyPatch, delay: float, behind: int = 0) -> Bench:
    monkeypatch.setattr(switch, "SECONDS", 4.0)
    monkeypatch.setattr(switch, "SEEDS", 1)
    return replace(bench, generator=Late(delay), listener=PitchListener(behind))


def test_a_prompt_that_is_followed_at_once_is_heard_as_soon_as_a_cut(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = switch.run(switched(bench, monkeypatch, 0.0))
    assert row.figures["worst, s"] <= 0.2  # the crossfade, and a step
    assert 0.3 < row.figures["the judge's own"] < 1.0
    assert row.figures["switches"] == 3
    assert row.verdict == "aim"


def test_a_prompt_that_is_followed_late_is_heard_late(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = switch.run(switched(bench, monkeypatch, 1.28))
    assert row.figures["median"] == pytest.approx(1.28, abs=0.21)
    assert row.verdict == "must"
    assert [detail.name.split(",")[0] for detail in row.details] == [
        "rain → fire",
        "fire → crowd",
        "crowd → silence",
    ]


@pytest.mark.parametrize(("delay", "behind"), [(99.0, 0), (0.0, 10)])
def test_what_is_never_heard_counts_as_the_whole_scene(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, delay: float, behind: int
) -> None:
    (row,) = switch.run(switched(bench, monkeypatch, delay, behind))
    assert row.figures["worst, s"] == row.details[0].value == 4.0
    assert row.figures["never"] >= 2
    assert row.verdict == "missed"
    assert row.details[0].note == "never heard, not even after a cut"


def test_sounds_made_together_are_those_made_alone_in_their_order(
    bench: Bench, tmp_path: Path
) -> None:
    asking = threading.Lock()

    def conditioner(snapshot: Snapshot) -> Conditioning:
        assert asking.acquire(blocking=False), "two threads ask at a time"
        try:
            threading.Event().wait(0.005)  # time for others to ask too
            return plain_conditioner(snapshot)
        finally:
            asking.release()

    jobs = [Job(f"{n}", say("x" * (n + 1), 0.3), seed=n) for n in range(7)]
    told: list[int] = []
    together = replace(
        bench, conditioner=conditioner, on_progress=lambda _, done, total: told.append(done)
    )
    sounds = list(together.render_all("entry", jobs))
    assert told == list(range(8))
    for job, sound in zip(jobs, sounds, strict=True):
        other = replace(bench, renders=Renders(tmp_path / "alone"))
        np.testing.assert_array_equal(sound, other.render(job.name, job.play, job.seed))


def test_a_sound_that_cannot_be_made_ends_the_others(bench: Bench) -> None:
    begun: list[int] = []

    def play(number: int) -> Callable[[Session], FloatArray]:
        def read(session: Session) -> FloatArray:
            begun.append(number)
            if number == 0:
                raise DiegeticError("no sound")
            return session.read(1.0)

        return read

    jobs = [Job(f"{n}", play(n), seed=0) for n in range(200)]
    with pytest.raises(DiegeticError, match="no sound"):
        list(bench.render_all("entry", jobs))
    assert len(begun) < 200


def test_loudness_is_that_of_the_recommendation() -> None:
    time = np.arange(4 * RATE) / RATE
    tone = 10 ** (-23 / 20) * np.sin(2 * np.pi * 997 * time)  # EBU Tech 3341, case 1
    assert loudness(np.stack((tone, tone), 1).astype(np.float32)) == pytest.approx(-23, abs=0.1)
    assert loudness(np.zeros((RATE, 2), np.float32)) == -70


def test_the_centroid_of_a_tone_is_its_frequency_whatever_its_level() -> None:
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 3000 * time)[:, None].repeat(2, axis=1).astype(np.float32)
    assert centroid(tone) == pytest.approx(3000, rel=0.02)
    assert centroid(0.1 * tone) == pytest.approx(centroid(tone), rel=1e-4)
    assert centroid(np.zeros((100, 2), np.float32)) == 0


def test_the_spread_is_the_mean_distance_of_every_two() -> None:
    same, right = [1.0, 0.0], [0.0, 2.0]
    assert spread(np.array([same, same, same])) == pytest.approx(0)
    assert spread(np.array([same, same, right])) == pytest.approx(2 / 3)
