"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from diegetic.errors import DiegeticError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new version of `path`, which takes the old one's place once it is written whole.

    Raises:
        DiegeticError: it could not be written, say because the disk is full; what was there
            before is kept.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        kept = "; what was there before is kept" if path.exists() else ""
        raise DiegeticError(f"cannot write {path}: {error.strerror or error}{kept}") from error
    finally:
        part.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write `text` to `path` as `replacing` does.

    Raises:
        DiegeticError: as `replacing`.
    """
    with replacing(path) as file:
        file.write(text.encode("utf-8"))
