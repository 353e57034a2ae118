"""A folder for a USB stick: what a room without internet needs."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from mnist_cnn.course import editions, slides
from mnist_cnn.course.files import replacing


class Platform(NamedTuple):
    """A kind of computer: the names its wheels bear, and what the lock file's markers ask for."""

    tags: list[str]
    markers: dict[str, str]


PLATFORMS = {
    "windows": Platform(
        ["win_amd64"],
        {"sys_platform": "win32", "os_name": "nt", "platform_machine": "AMD64"},
    ),
    "macos": Platform(
        ["macosx_12_0_arm64"],
        {"sys_platform": "darwin", "os_name": "posix", "platform_machine": "arm64"},
    ),
    # pip takes the name of one manylinux for that one only.
    "linux": Platform(
        [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
        + [f"manylinux{year}_x86_64" for year in ("2014", "2010", "1")],
        {"sys_platform": "linux", "os_name": "posix", "platform_machine": "x86_64"},
    ),
}


# What an installation adds to the files of a wheel: notes of pip, compiled modules, the command.
NOT_OF_THE_WHEEL = {"INSTALLER", "REQUESTED", "direct_url.json", "__pycache__", ".."}


def pins(lock: str, platform: str, python: str) -> list[str]:
    """Return what the lock file pins for a platform, whatever this machine is.

    pip itself would judge the markers (``sys_platform == 'win32'``) by the machine it runs on.

    Parameters
    ----------
    lock : str
        The text of ``requirements.lock``.
    platform : {"windows", "macos", "linux"}
    python : str
        Such as "3.11".

    Returns
    -------
    list of str
        Such as "numpy==2.4.0".
    """
    system = {"win32": "Windows", "darwin": "Darwin", "linux": "Linux"}
    markers = PLATFORMS[platform].markers
    environment = markers | {
        "platform_system": system[markers["sys_platform"]],
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    lines = [
        line for line in lock.splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    return [
        f"{pin.name}{pin.specifier}"
        for pin in map(Requirement, lines)
        if not pin.marker or pin.marker.evaluate(environment)
    ]


def write(root: Path, out: Path, platforms: Sequence[str], python: str) -> None:
    """Write the kit; what is there already is not fetched again.

    Parameters
    ----------
    root : Path
        The project's folder, or the wheel's copy of it.
    out : Path
        The folder to write to; it is made when missing.
    platforms : sequence of {"windows", "macos", "linux"}
    python : str
        The Python of the room's computers, such as "3.11".

    Raises
    ------
    RuntimeError
        If pip cannot bring a wheel. All else is there then: the course, and its own wheel.
    """
    chapters = editions.chapters_of(root / "notebooks")
    for path in chapters:
        slides.write(path, out / "slides")
    slides.write_index(chapters, out / "slides")
    # A class gets no solutions; the instructor's edition is made apart.
    for _ in editions.write("student", root / "notebooks", out / "notebooks"):
        pass
    text = (Path(__file__).parent / "assets" / "INSTALL.txt").read_text(encoding="utf-8")
    with replacing(out / "INSTALL.txt") as temporary:
        temporary.write_text(
            text.format(python=python, platforms=", ".join(platforms)),
            encoding="utf-8",
            newline="\r\n",  # old editors of Windows know no other
        )
    wheels = out / "wheels"
    if (root / "mnist_cnn").is_dir():
        _python("pip", "wheel", "--no-deps", "--wheel-dir", wheels, root)
    else:
        _pack(wheels)
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    for platform in platforms:
        call: list[str | Path] = ["pip", "download", "--no-deps", "--only-binary=:all:"]
        call += ["--dest", wheels, "--implementation", "cp", "--python-version", python]
        for tag in PLATFORMS[platform].tags:
            call += ["--platform", tag]
        _python(*call, *pins(lock, platform, python))


def _pack(wheels: Path) -> None:
    """Make the wheel that this installation came from once more, from the files it brought."""
    wheels.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for file in metadata.files("mnist-cnn") or ():
            if NOT_OF_THE_WHEEL.isdisjoint(file.parts):
                copy = Path(folder, file)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), copy)
        _python("wheel", "pack", folder, "--dest-dir", wheels)


def _python(*call: str | Path) -> None:
    if subprocess.run([sys.executable, "-m", *map(str, call)]).returncode:
        raise RuntimeError(f"{' '.join(map(str, call[:2]))} failed; its own message is above")
