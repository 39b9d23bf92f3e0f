"""Make the sounds that are made here (`made`) and append them to the build as other sounds are."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from diegetic.errors import DiegeticError, MediaError
from diegetic.training import catalog, made
from diegetic.training.build import Decoded, Progress, extend, recover
from diegetic.training.decode import Pcm
from diegetic.training.fetch import package_folder
from diegetic.training.made import Made
from diegetic.training.patches import Patch, play
from diegetic.training.synthesis import render


def synthesize(root: Path, *, workers: int = 2, progress: Progress | None = None) -> list[Decoded]:
    """Make what the build below `root` does not hold yet; return the new rows of its index.

    A run that was stopped goes on after the last whole sound, to the same samples. A patch that
    cannot be played is left out with its reason, and tried again by the next run.
    `build.write_segments` comes next.

    Raises:
        MediaError: nothing was built that these sounds could stand beside.
        DiegeticError: `workers` is not positive; or the disk is full: what was made is kept.
    """
    if workers < 1:
        raise DiegeticError(f"workers must be 1 or more, got {workers}")
    folder = root / "build"
    if not (folder / "audio.i16").is_file():
        raise MediaError(f"no decoded sounds in {root}: run `diegetic data build` first")
    have = recover(folder)
    known = {row.path for row in have if row.package in made.LICENCES}
    todo = [sound for sound in made.made_sounds().values() if sound.path not in known]
    rendered = zip(todo, _rendered(root, todo, workers), strict=True)
    results = ((sound.package, sound.path, pcm) for sound, pcm in rendered)
    return extend(folder, have, results, len(todo), progress)


def _rendered(root: Path, todo: Sequence[Made], workers: int) -> Iterator[Pcm | MediaError]:
    """Yield the samples of each sound, in order, or why there are none."""
    font = package_folder(root, catalog.SOUNDFONT.package) / catalog.SOUNDFONT.path
    jobs = [(sound.path, font) for sound in todo]
    if workers == 1 or len(jobs) < 2:
        yield from map(_render, jobs)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield from pool.map(_render, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _render(job: tuple[str, Path]) -> Pcm | MediaError:
    path, soundfont = job
    sound = made.made_sounds()[path]
    if isinstance(sound.what, Patch):
        try:
            samples = play(sound.what, sound.number, soundfont)
        except MediaError as error:
            return error
    else:
        samples = render(sound.what, sound.number)
    return np.round(samples * 32767.0).astype(np.int16)
