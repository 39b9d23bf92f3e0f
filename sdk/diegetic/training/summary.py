"""What a build lacks and why, in one file: root/build/summary.json.

Nothing is left out in silence: what the catalogue promises and the build does not hold is listed
here, whoever dropped it: the registry, a checksum, the decoder, a captioner.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from diegetic.errors import MediaError
from diegetic.training import catalog
from diegetic.training.atomic import replace_text
from diegetic.training.fetch import package_folder, read_fetched, read_problem
from diegetic.training.vizdoom_capture import TAKES

log = logging.getLogger(__name__)

GONE = "the package no longer holds it"
CHANGED = "its md5 differs from the catalogue's"
WAITING = "not decoded yet"
UNFETCHED = "not fetched, or no longer in its package"
UNCROPPED = "not cropped yet"


@dataclass(frozen=True)
class Missing:
    """One thing that the build lacks: where it was looked for, and why it is not there."""

    package: str
    path: str
    why: str


@dataclass(frozen=True)
class Summary:
    """What a build holds and lacks.

    Attributes:
        packages: how many the catalogue has.
        clips: how many of them were wanted; music beyond the hours that are taken is not.
        decoded: how many of these the build holds.
        packages_missing: name and reason of those that could not be had at all.
        clips_missing: clips of the others, that are not there.
        pictures_missing: textures that are not there.
        takes_missing: recordings of the game that are not there.
        captions_failed: clips that a captioner failed on; they keep the captions of the rules.
    """

    packages: int
    clips: int
    decoded: int
    packages_missing: dict[str, str]
    clips_missing: tuple[Missing, ...] = ()
    pictures_missing: tuple[Missing, ...] = ()
    takes_missing: tuple[str, ...] = ()
    captions_failed: tuple[Missing, ...] = ()

    def holes(self) -> str:
        """What is missing, counted, in words; empty if nothing is."""
        counts = {
            f"of {self.packages} packages": len(self.packages_missing),
            f"of {self.clips} clips": len(self.clips_missing),
            "textures": len(self.pictures_missing),
            "recordings of the game": len(self.takes_missing),
            "captions of the captioner": len(self.captions_failed),
        }
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def summarise(
    root: Path,
    wanted: Iterable[catalog.Clip],
    fates: dict[tuple[str, str], str],
    captions_failed: Iterable[Missing] = (),
) -> Summary:
    """Compare the catalogue with what lies below `root`.

    Args:
        root: the data folder.
        wanted: the clips that were there to be decoded.
        fates: why each clip that was decoded was dropped, empty if it was not.
        captions_failed: clips that a captioner failed on.
    """
    absent: dict[str, str] = {}
    missing: list[Missing] = []
    built = {package for package, _ in fates}
    for package in catalog.packages():
        fetched = read_fetched(root, package)
        if fetched is None and package not in built:
            absent[package] = read_problem(root, package) or "not fetched"
        if fetched is None:
            continue
        missing += [Missing(package, path, GONE) for path in fetched.missing]
        missing += [Missing(package, path, CHANGED) for path in fetched.mismatched]
    chosen = list(wanted)
    lost = len(missing)
    for clip in chosen:
        why = fates.get((clip.package, clip.path), WAITING)
        if why:
            missing.append(Missing(clip.package, clip.path, why))
    return Summary(
        packages=len(catalog.packages()),
        clips=len(chosen) + lost,
        decoded=len(chosen) + lost - len(missing),
        packages_missing=absent,
        clips_missing=tuple(missing),
        pictures_missing=_pictures_missing(root),
        takes_missing=_takes_missing(root),
        captions_failed=tuple(captions_failed),
    )


def _pictures_missing(root: Path) -> tuple[Missing, ...]:
    cropped = (root / "build" / "textures.npz").is_file()
    missing = []
    for row in catalog.textures():
        there = (package_folder(root, row.package) / row.path).is_file()
        if not there or not cropped:
            missing.append(Missing(row.package, row.path, UNCROPPED if there else UNFETCHED))
    return tuple(missing)


def _takes_missing(root: Path) -> tuple[str, ...]:
    tapes = root / "build" / "vizdoom"
    return tuple(take.name for take in TAKES if not (tapes / f"{take.name}.npz").is_file())


def refresh_summary(root: Path) -> None:
    """Look again for textures and recordings, if there is a summary.

    Raises:
        DiegeticError: it is damaged, or could not be written.
    """
    summary = read_summary(root / "build")
    if summary is not None:
        summary = replace(
            summary, pictures_missing=_pictures_missing(root), takes_missing=_takes_missing(root)
        )
        write_summary(root / "build", summary)


def write_summary(folder: Path, summary: Summary) -> None:
    """Write `summary` to folder/summary.json.

    Raises:
        DiegeticError: it could not be written.
    """
    text = json.dumps(asdict(summary), indent=1, ensure_ascii=False)
    replace_text(folder / "summary.json", text + "\n")


def read_summary(folder: Path) -> Summary | None:
    """Return what `write_summary` wrote, None if it was not.

    Raises:
        MediaError: the file is damaged.
    """
    path = folder / "summary.json"
    if not path.is_file():
        return None
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        for name in ("clips_missing", "pictures_missing", "captions_failed"):
            row[name] = tuple(Missing(**item) for item in row[name])
        row["takes_missing"] = tuple(row["takes_missing"])
        return Summary(**row)
    except (ValueError, TypeError, KeyError) as error:
        raise MediaError(f"{path} is damaged: {error!r}") from error


def warn_of_holes(folder: Path) -> None:
    """Log what the build in `folder` lacks, in one line, before something is trained on it."""
    summary = read_summary(folder)
    if summary is None:
        log.warning("%s has no summary.json: `diegetic data captions` writes what it lacks", folder)
    elif holes := summary.holes():
        log.warning(
            "the build is not whole: %s are missing; see %s", holes, folder / "summary.json"
        )
