"""Turn fetched packages into one long file of samples and one line of JSON a segment.

    root/build/audio.i16       raw int16, interleaved stereo, 48 kHz; segments one after another
    root/build/index.jsonl     one row a clip as it is decoded: where, or why it was dropped
    root/build/segments.jsonl  the index with kind, captions, licence and split: what training reads
    root/build/summary.json    what is missing, and why (`summary`)
    root/build/ATTRIBUTION.md  whom the sounds come from

Samples are only ever appended: a run that was stopped goes on after the last whole row. What was
dropped is tried again, and said again. Captions are applied last and take a second, so better words
need no new decoding.
"""

import json
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from diegetic.config import CHANNELS, RATE
from diegetic.errors import DiegeticError, MediaError
from diegetic.snapshot import FloatArray
from diegetic.training import captions, catalog, made
from diegetic.training.atomic import replace_text
from diegetic.training.captioner import Captions, Fields
from diegetic.training.catalog import Clip
from diegetic.training.credits import attribution
from diegetic.training.decode import Pcm, decode
from diegetic.training.fetch import package_folder, read_fetched
from diegetic.training.summary import Missing, Summary, summarise, write_summary

_log = logging.getLogger(__name__)

FRAME_BYTES = 2 * CHANNELS
MUSIC_SECONDS = 90.0
MUSIC_TOTAL_HOURS = 6.0
_AHEAD = 64  # clips decoded, or being decoded, before they are needed


@dataclass(frozen=True)
class Decoded:
    """One clip of the index: where it lies, or `dropped`: why it does not."""

    package: str
    path: str
    offset: int = 0
    samples: int = 0
    peak: float = 0.0
    rms: float = 0.0
    dropped: str = ""


Progress = Callable[[Decoded, int, int], None]  # row, rows done, rows in all
_File = tuple[Path, float | None, Path]  # file, longest in seconds, soundfont


def build(root: Path, *, workers: int = 2, progress: Progress | None = None) -> list[Decoded]:
    """Decode what has been fetched below `root` and is not in the index yet; return the new rows.

    Clips whose md5 differed, or that are missing, are never decoded. `write_segments` comes next.

    Raises:
        MediaError: nothing was fetched.
        DiegeticError: the disk is full; what was decoded is kept.
    """
    folder = root / "build"
    folder.mkdir(parents=True, exist_ok=True)
    have = recover(folder)
    known = {(row.package, row.path) for row in have}
    todo = [clip for clip in available(root) if (clip.package, clip.path) not in known]
    results = ((c.package, c.path, result) for c, result in _decode_all(root, todo, workers))
    return extend(folder, have, results, len(todo), progress)


def extend(
    folder: Path,
    have: Sequence[Decoded],
    results: Iterable[tuple[str, str, Pcm | MediaError]],
    total: int,
    progress: Progress | None,
) -> list[Decoded]:
    """Append `total` results (package, path, samples or why there are none) behind `have`.

    Raises:
        DiegeticError: the disk is full; what was appended is kept.
    """
    end = sum(row.samples for row in have)
    new: list[Decoded] = []
    try:
        with (
            (folder / "audio.i16").open("ab") as audio,
            (folder / "index.jsonl").open("a", encoding="utf-8") as index,
        ):
            for package, path, result in results:
                row = append(package, path, result, end, audio, index)
                end += row.samples
                new.append(row)
                if progress is not None:
                    progress(row, len(new), total)
    except OSError as error:
        kept = len(have) + sum(not row.dropped for row in new)
        raise DiegeticError(
            f"cannot write {folder}: {error.strerror or error}; {kept} clips are kept: "
            "run again to go on"
        ) from error
    return new


def available(root: Path) -> list[Clip]:
    """Return the clips of `root` fit for training: effects, then the music that was chosen.

    Raises:
        MediaError: nothing was fetched.
    """
    fit = _fit(root)
    if not fit:
        raise MediaError(f"nothing was fetched into {root}: run `diegetic data fetch` first")
    return fit


def _fit(root: Path) -> list[Clip]:
    bad: dict[str, frozenset[str]] = {}
    for package in catalog.packages():
        fetched = read_fetched(root, package)
        if fetched is not None:
            bad[package] = frozenset(fetched.missing + fetched.mismatched)
    order = {package: rank for rank, package in enumerate(catalog.packages())}
    fit = [
        clip
        for clip in catalog.clips()
        if clip.package in bad and clip.path not in bad[clip.package]
    ]
    effects = [clip for clip in fit if clip.sheet == "sfx"]
    effects.sort(key=lambda clip: (order[clip.package], clip.path))
    return effects + choose_music([clip for clip in fit if clip.sheet == "music"])


def choose_music(tracks: Iterable[Clip], hours: float = MUSIC_TOTAL_HOURS) -> list[Clip]:
    """Return about `hours` of `tracks`, calm ones first, every mood and every package in turn.

    Of each four tracks two are the calmest left; the others go round the other moods.
    """
    queues: dict[str, list[Clip]] = {}
    for clip in sorted(
        tracks, key=lambda clip: (-captions.calmness(clip), clip.package, clip.path)
    ):
        queues.setdefault(captions.mood(clip), []).append(clip)
    turns = sorted(queues, key=lambda mood: (mood not in captions.CALM_MOODS, mood))
    chosen: list[Clip] = []
    seconds = 0.0
    while any(queues.values()):
        for mood in turns:
            for clip in queues[mood][: 2 if mood in captions.CALM_MOODS else 1]:
                queues[mood].remove(clip)
                seconds += min(clip.seconds, MUSIC_SECONDS)
                if seconds > hours * 3600:
                    return chosen
                chosen.append(clip)
    return chosen


def write_segments(
    root: Path,
    captioner: Captions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Write segments.jsonl, summary.json and ATTRIBUTION.md from the index; return the summary.

    A `captioner` is asked for the captions of every clip; `progress` is told segments done, in all.

    Raises:
        MediaError: the index and the samples do not match: some other program wrote to them.
        DiegeticError: a file could not be written.
    """
    folder = root / "build"
    if not (folder / "audio.i16").is_file():
        raise MediaError(f"no decoded sounds in {root}: run `diegetic data build` first")
    index = read_index(folder)
    rows = [row for row in index if not row.dropped]
    size = (folder / "audio.i16").stat().st_size
    if size < sum(row.samples for row in rows) * FRAME_BYTES:
        raise MediaError(f"{folder / 'audio.i16'} is shorter than its index says: build anew")
    clips = {(clip.package, clip.path): clip for clip in catalog.clips()}
    heldout = catalog.heldout_packages()
    segments = []
    for done, row in enumerate(rows, 1):
        clip = clips.get((row.package, row.path))
        sound = made.made_sounds().get(row.path) if row.package in made.LICENCES else None
        if clip is not None:
            fields, licence, licence_class = _fields(clip), clip.licence, clip.licence_class
        elif sound is not None:
            fields = sound.fields(row.samples / RATE)
            licence, licence_class = made.LICENCES[sound.package]
        else:  # the catalogue has changed since: the samples stay, unused
            continue
        said = fields.captions
        if captioner is not None:
            said = captioner.of(fields, partial(_sound, folder, row))
        segment = {
            "offset": row.offset,
            "samples": row.samples,
            "package": row.package,
            "path": row.path,
            "licence": licence,
            "licence_class": licence_class,
            "category": fields.category,
            "subject": fields.subject,
            "kind": fields.kind,
            "captions": said,
            "noun": fields.noun,
            "split": "heldout" if row.package in heldout else "train",
            "peak": row.peak,
            "rms": row.rms,
        }
        segments.append(segment)
        if progress is not None:
            progress(done, len(rows))
    lines = [json.dumps(segment, ensure_ascii=False) + "\n" for segment in segments]
    replace_text(folder / "segments.jsonl", "".join(lines))
    packages = {row.package for row in rows if row.package not in made.LICENCES}
    packages |= {str(row["package"]) for row in segments}
    if made.PATCHES in packages or any(row.path.endswith(".mid") for row in rows):
        packages.add(catalog.SOUNDFONT.package)
    replace_text(folder / "ATTRIBUTION.md", attribution(root, packages))
    fates = {(row.package, row.path): row.dropped for row in index}
    wanted = dict.fromkeys((*_fit(root), *(clips[key] for key in fates if key in clips)))
    failed = captioner.failed if captioner is not None else ()
    lost = [Missing(answer.package, answer.path, answer.problem) for answer in failed]
    summary = summarise(root, wanted, fates, lost)
    write_summary(folder, summary)
    return summary


def _fields(clip: Clip) -> Fields:
    return Fields(
        package=clip.package,
        path=clip.path,
        subject=captions.subject(clip),
        kind=captions.kind(clip),
        category=clip.category,
        noun=captions.noun(clip),
        tags=clip.tags,
        captions=captions.sentences(clip),
        seconds=clip.seconds,
    )


def _sound(folder: Path, row: Decoded) -> FloatArray:
    """The samples of `row`, (n, 2) in -1..1."""
    pcm = np.fromfile(
        folder / "audio.i16", np.int16, row.samples * CHANNELS, offset=row.offset * FRAME_BYTES
    )
    return pcm.reshape(-1, CHANNELS).astype(np.float32) / np.float32(32768)


def read_index(folder: Path) -> list[Decoded]:
    """Return the whole rows of the index; a torn last line is left out."""
    index = folder / "index.jsonl"
    if not index.is_file():
        return []
    rows = []
    for line in index.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(Decoded(**json.loads(line)))
        except (json.JSONDecodeError, TypeError):
            break
    return rows


def read_segments(root: Path) -> list[dict[str, Any]]:
    """Return the rows of segments.jsonl.

    Raises:
        MediaError: there is no such file.
    """
    path = root / "build" / "segments.jsonl"
    if not path.is_file():
        raise MediaError(f"no built sounds in {root}: run `diegetic data build` first")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def recover(folder: Path) -> list[Decoded]:
    """Cut index and samples back to the last row that both hold whole; forget what was dropped."""
    rows = read_index(folder)
    audio = folder / "audio.i16"
    size = audio.stat().st_size if audio.is_file() else 0
    end = 0
    whole: list[Decoded] = []
    for row in rows:
        if (row.offset if not row.dropped else end) != end:
            break
        if (end + row.samples) * FRAME_BYTES > size:
            break
        end += row.samples
        whole.append(row)
    if size > end * FRAME_BYTES:
        _log.info("cutting %d bytes of an unfinished clip", size - end * FRAME_BYTES)
        os.truncate(audio, end * FRAME_BYTES)
    kept = [row for row in whole if not row.dropped]
    replace_text(folder / "index.jsonl", "".join(json.dumps(row.__dict__) + "\n" for row in kept))
    return kept


def _decode_all(
    root: Path, clips: list[Clip], workers: int
) -> Iterator[tuple[Clip, Pcm | MediaError]]:
    """Yield each clip with its samples, in order; only a few are in memory at a time."""
    font = package_folder(root, catalog.SOUNDFONT.package) / catalog.SOUNDFONT.path
    jobs = [
        (package_folder(root, clip.package) / clip.path, _longest(clip), font) for clip in clips
    ]
    if workers <= 1:
        yield from zip(clips, map(_job, jobs), strict=True)
        return
    rest = deque(zip(clips, jobs, strict=True))
    while rest:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield from _until_a_crash(pool, rest)
        if rest:  # one of the next few did it: the first of them is tried alone
            clip, job = rest.popleft()
            yield clip, _alone(job)


def _until_a_crash(
    pool: ProcessPoolExecutor, rest: deque[tuple[Clip, _File]]
) -> Iterator[tuple[Clip, Pcm | MediaError]]:
    """Take clips from the front of `rest`, until none is left or a decoder crashed."""
    waiting: deque[Future[Pcm | MediaError]] = deque()
    try:
        while rest:
            while len(waiting) < min(_AHEAD, len(rest)):
                waiting.append(pool.submit(_job, rest[len(waiting)][1]))
            result = waiting.popleft().result()
            yield rest.popleft()[0], result
    except BrokenProcessPool:
        return


def _alone(job: _File) -> Pcm | MediaError:
    """Decode in a process of its own, so that a crash costs one clip."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_job, job).result()
        except BrokenProcessPool:
            return MediaError(f"{job[0].name} took its decoder down: damaged, or too large")


def _longest(clip: Clip) -> float | None:
    return MUSIC_SECONDS if clip.sheet == "music" else None


def _job(job: _File) -> Pcm | MediaError:
    try:
        return decode(*job)
    except MediaError as error:
        return error
    except Exception as error:  # many decoders, many files: whatever it is, it costs one clip
        return MediaError(f"{job[0].name} cannot be decoded: {error!r}")


def append(
    package: str,
    path: str,
    result: Pcm | MediaError,
    end: int,
    audio: IO[bytes],
    index: IO[str],
) -> Decoded:
    """Write a clip's samples after `end` (samples), and its row; or the row that says why not."""
    if isinstance(result, MediaError):
        _log.warning("%s %s is left out: %s", package, path, result)
        row = Decoded(package, path, dropped=str(result))
    else:
        scaled = result.astype(np.float32) / 32768.0
        row = Decoded(
            package,
            path,
            end,
            len(result),
            round(float(np.abs(scaled).max()), 4),
            round(float(np.sqrt(np.mean(scaled**2))), 5),
        )
        audio.write(cast(Any, result.tobytes()))
        audio.flush()
    index.write(json.dumps(row.__dict__) + "\n")
    index.flush()
    return row
