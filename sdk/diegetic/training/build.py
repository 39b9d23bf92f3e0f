"""Turn fetched packages into one long file of samples and one line of JSON a segment.

    root/build/audio.i16       raw int16, interleaved stereo, 48 kHz; segments one after another
    root/build/index.jsonl     one row a clip as it is decoded: where, or why it was dropped
    root/build/segments.jsonl  the index with kind, captions, licence and split: what training reads
    root/build/ATTRIBUTION.md  whom the sounds come from

Only ever appended to: a run that was stopped goes on after the last whole row. Captions are applied
last and take a second, so better words need no new decoding.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from diegetic.config import CHANNELS
from diegetic.errors import MediaError
from diegetic.training import captions, catalog
from diegetic.training.catalog import Clip
from diegetic.training.decode import Pcm, decode
from diegetic.training.fetch import package_folder, read_fetched

_log = logging.getLogger(__name__)

FRAME_BYTES = 2 * CHANNELS
MUSIC_SECONDS = 90.0
MUSIC_TOTAL_HOURS = 4.0


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


def build(root: Path, *, workers: int = 2, progress: Progress | None = None) -> list[Decoded]:
    """Decode what has been fetched below `root` and is not in the index yet; return the new rows.

    Clips whose md5 differed, or that are missing, are never decoded. Then `captions` are applied.
    """
    folder = root / "build"
    folder.mkdir(parents=True, exist_ok=True)
    have = _recover(folder)
    known = {(row.package, row.path) for row in have}
    todo = [clip for clip in available(root) if (clip.package, clip.path) not in known]
    end = sum(row.samples for row in have)
    new: list[Decoded] = []
    with (folder / "audio.i16").open("ab") as audio, (folder / "index.jsonl").open("a") as index:
        for clip, result in _decode_all(root, todo, workers):
            row = _append(clip, result, end, audio, index)
            end += row.samples
            new.append(row)
            if progress is not None:
                progress(row, len(new), len(todo))
    write_segments(root)
    return new


def available(root: Path) -> list[Clip]:
    """Return the clips of `root` fit for training: effects, then the music that was chosen."""
    bad: dict[str, frozenset[str]] = {}
    for package in catalog.packages():
        fetched = read_fetched(root, package)
        if fetched is not None:
            bad[package] = frozenset(fetched.missing + fetched.mismatched)
    if not bad:
        raise MediaError(f"nothing was fetched into {root}: run `diegetic data fetch` first")
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


def write_segments(root: Path) -> int:
    """Write segments.jsonl and ATTRIBUTION.md from the index; return how many segments there are.

    Raises:
        MediaError: the index and the samples do not match: some other program wrote to them.
    """
    folder = root / "build"
    if not (folder / "audio.i16").is_file():
        raise MediaError(f"no decoded sounds in {root}: run `diegetic data build` first")
    rows = [row for row in read_index(folder) if not row.dropped]
    size = (folder / "audio.i16").stat().st_size
    if size < sum(row.samples for row in rows) * FRAME_BYTES:
        raise MediaError(f"{folder / 'audio.i16'} is shorter than its index says: build anew")
    clips = {(clip.package, clip.path): clip for clip in catalog.clips()}
    heldout = catalog.heldout_packages()
    lines = []
    for row in rows:
        clip = clips.get((row.package, row.path))
        if clip is None:  # the catalogue has changed since: the samples stay, unused
            continue
        subject = captions.subject(clip)
        segment = {
            "offset": row.offset,
            "samples": row.samples,
            "package": row.package,
            "path": row.path,
            "licence": clip.licence,
            "licence_class": clip.licence_class,
            "category": clip.category,
            "subject": subject,
            "kind": captions.kind(clip),
            "captions": captions.sentences(clip),
            "noun": captions.noun(clip),
            "split": "heldout" if row.package in heldout else "train",
            "peak": row.peak,
            "rms": row.rms,
        }
        lines.append(json.dumps(segment, ensure_ascii=False))
    _replace(folder / "segments.jsonl", "".join(line + "\n" for line in lines))
    _replace(folder / "ATTRIBUTION.md", attribution(root, {row.package for row in rows}))
    return len(lines)


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


def attribution(root: Path, packages: Iterable[str]) -> str:
    """Return the list that BY and BY-SA licences ask for, as Markdown."""
    parts = [
        "# Attribution\n\nThe sounds were taken from these packages, unchanged but resampled.\n"
    ]
    for package in sorted(packages):
        licences = sorted({clip.licence for clip in catalog.clips() if clip.package == package})
        fetched = read_fetched(root, package)
        version = (fetched.version if fetched else "") or "version unknown"
        parts.append(f"\n## {package} ({version})\n\nLicences: {'; '.join(licences)}\n")
        parts.extend(f"- {name}\n" for name in _holders(package_folder(root, package)))
    return "".join(parts)


def _holders(folder: Path) -> list[str]:
    """Return the copyright holders that the package's own copyright file names."""
    file = folder / "copyright"
    if not file.is_file():
        return []
    names: list[str] = []
    open_field = False
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        open_field = line.startswith("Copyright:") or (open_field and line.startswith((" ", "\t")))
        name = line.removeprefix("Copyright:").strip()
        if open_field and name and name not in names:
            names.append(name)
    return names


def _recover(folder: Path) -> list[Decoded]:
    """Cut index and samples back to the last row that both hold whole."""
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
    text = "".join(json.dumps(row.__dict__) + "\n" for row in whole)
    _replace(folder / "index.jsonl", text)
    return whole


def _decode_all(
    root: Path, clips: list[Clip], workers: int
) -> Iterator[tuple[Clip, Pcm | MediaError]]:
    """Yield each clip with its samples, in order; only a few are in memory at a time."""
    jobs = [(package_folder(root, clip.package) / clip.path, _longest(clip)) for clip in clips]
    if workers <= 1:
        yield from zip(clips, map(_job, jobs), strict=True)
        return
    batch = 64
    with ProcessPoolExecutor(workers) as pool:
        rest = iter(zip(clips, jobs, strict=True))
        while part := list(islice(rest, batch)):
            results = pool.map(_job, [job for _, job in part], chunksize=4)
            yield from zip([clip for clip, _ in part], results, strict=True)


def _longest(clip: Clip) -> float | None:
    return MUSIC_SECONDS if clip.sheet == "music" else None


def _job(job: tuple[Path, float | None]) -> Pcm | MediaError:
    try:
        return decode(*job)
    except MediaError as error:
        return error


def _append(
    clip: Clip, result: Pcm | MediaError, end: int, audio: IO[bytes], index: IO[str]
) -> Decoded:
    if isinstance(result, MediaError):
        _log.warning("%s %s is left out: %s", clip.package, clip.path, result)
        row = Decoded(clip.package, clip.path, dropped=str(result))
    else:
        scaled = result.astype(np.float32) / 32768.0
        row = Decoded(
            clip.package,
            clip.path,
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


def _replace(path: Path, text: str) -> None:
    """Write in one move, so that a reader never sees half a file."""
    scratch = path.with_suffix(path.suffix + ".new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
