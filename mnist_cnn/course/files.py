"""Where files go, and how they are written: whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def project_root() -> Path:
    """Return the nearest folder, from the working directory upwards, that is a project's root.

    It holds ``pyproject.toml`` and ``notebooks``; without one it is the working directory.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").exists() and (folder / "notebooks").is_dir():
            return folder
    return here


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to, and rename it to `path` once all is written.

    Whatever interrupts the writing, `path` holds either the old content or the new.

    Parameters
    ----------
    path : Path
        The file to write or replace; its folder is made when missing.

    Yields
    ------
    Path
        A new name in the same folder, with the same ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        os.replace(temporary, path)
