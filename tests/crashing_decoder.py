"""Decodes as the build does, but for `broken.wav`, which takes its process down."""

import os
from pathlib import Path

from diegetic.errors import MediaError
from diegetic.training.decode import Pcm, decode


def job(work: tuple[Path, float | None, Path]) -> Pcm | MediaError:
    if work[0].name == "broken.wav":
        os._exit(1)
    try:
        return decode(*work)
    except MediaError as error:
        return error
