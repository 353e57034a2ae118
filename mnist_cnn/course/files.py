"""Where files go, and how they are written: whole or not at all."""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
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


def source_root() -> Path:
    """Return what is read: the project, or outside of one the copy that the wheel carries."""
    root, packaged = project_root(), Path(__file__).parent / "project"
    return packaged if packaged.is_dir() and not (root / "notebooks").is_dir() else root


def chapters_folder() -> Path:
    """Return where the chapters are: here (a student edition), or under `source_root`."""
    here = Path.cwd()
    return here if any(here.glob("[0-9][0-9]_*.ipynb")) else source_root() / "notebooks"


def find_chapters(names: Sequence[str] = ()) -> list[Path]:
    """Return chapters of `chapters_folder`.

    Parameters
    ----------
    names : sequence of str
        "03", "03_conv_pool_model" or the path of a notebook; none are all chapters.

    Raises
    ------
    ValueError
        If there are no chapters, or none of that name.
    """
    folder = chapters_folder()
    chapters = sorted(folder.glob("*.ipynb"))
    if not chapters and not names:
        raise ValueError(
            f"{Path.cwd()} holds no chapters: run this in the project's folder or beside them"
        )
    found = []
    for name in names:
        named = [p for p in chapters if name in (p.stem, p.stem.partition("_")[0])]
        if name.endswith(".ipynb") and Path(name).is_file():
            named = [Path(name)]
        if not named:
            known = ", ".join(p.stem for p in chapters) or "no chapters"
            raise ValueError(f"no chapter is called {name}; {folder} holds {known}")
        found += named
    return found or chapters


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


def download_wheel(name: str, digest: str, folder: Path) -> Path:
    """Have pip bring a wheel to a folder, and return its path.

    Raises
    ------
    RuntimeError
        If it is another wheel than that of the SHA-256 `digest`.
    subprocess.CalledProcessError
        If pip brings none.
    """
    project, version, *_ = name.split("-")
    call = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*call, "--dest", folder, f"{project}=={version}"], check=True)
    if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
        raise RuntimeError(f"{name} is not the file that is meant: its SHA-256 is another")
    return folder / name
