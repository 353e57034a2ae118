"""One wheel is the whole course: what it does in an empty folder, without clone or network."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[1]
CHAPTERS = [path.name for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
QUICK = """
import sys
from pathlib import Path
import mnist_cnn
from mnist_cnn.course import cli, editions, files, kit, site

assert Path(cli.__file__).is_relative_to(sys.argv[1]), "not the wheel's"
for call in (
    "edition student student",
    "edition nbgrader course",
    "slides 03",
    "playground",
    "notebooks 01",
    "grade returned",
):
    assert cli.main(call.split()) == 0, call
root = files.source_root()
chapters = files.find_chapters()
site.write_source(root, chapters, Path("source"))
editions.chapters_of = lambda folder: chapters[:1]  # with all of them it would take a minute,
mnist_cnn.__doc__ = "``runtime``"  # and with every module of the lesson package
site.build(root, Path("site"))
assert (root / "requirements.lock").exists()  # what a kit downloads; besides, it holds the wheel
kit._pack(Path("wheels"))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel, and return it."""
    folder = tmp_path_factory.mktemp("dist")
    call = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(call, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def folder(wheel, tmp_path_factory):
    """Return a folder in which the installed wheel has done what is quick."""
    installed, folder = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("empty")
    call = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*call, "--target", installed, wheel], check=True)
    chapters = installed / "mnist_cnn" / "course" / "project" / "notebooks"
    # In the place of a chapter, which takes longer: like those, it writes to the folder beside.
    cell = new_code_cell("from pathlib import Path\nPath('../artifacts').mkdir()\nprint(6 * 7)")
    nbformat.write(new_notebook(cells=[cell]), chapters / CHAPTERS[0])
    (folder / "returned").mkdir()
    (folder / "returned" / "ann.ipynb").write_bytes((chapters / CHAPTERS[0]).read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", QUICK, installed],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed), "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (chapters.parent / "artifacts").exists()
    return folder


def test_the_wheel_makes_editions_slides_playground_and_marks(folder):
    assert [path.name for path in sorted((folder / "student").glob("*.ipynb"))] == CHAPTERS
    assert len([*(folder / "course" / "source").glob("*/*.ipynb")]) == len(CHAPTERS)
    assert '"solution"' not in (folder / "student" / CHAPTERS[2]).read_text(encoding="utf-8")
    (slides,) = (folder / "build" / "slides").iterdir()
    assert "Reveal.initialize" in slides.read_text(encoding="utf-8")
    assert (folder / "build" / "playground.html").stat().st_size > 1e6
    marks = (folder / "returned" / "marks.csv").read_text(encoding="utf-8")
    assert marks.splitlines()[1:] == ["ann,,no exercise"]


def test_a_chapter_runs_in_a_copy_beside_the_one_that_calls(folder):
    run = nbformat.read(folder / "build" / "notebooks" / CHAPTERS[0], as_version=4)
    assert run.cells[0].outputs[0].text == "42\n"
    assert (folder / "build" / "artifacts").is_dir()


def test_the_wheel_carries_every_page_of_the_site(folder):
    source = folder / "source"
    assert {path.name for path in (source / "notebooks").glob("*.ipynb")} == {*CHAPTERS}
    assert "| chapter |" in (source / "index.md").read_text(encoding="utf-8")
    for page in ("INSTALL.md", "TEACHING.md", "benchmarks/lesson_times.md"):
        assert (source / page).exists()
    assert json.loads((source / "settings.json").read_text(encoding="utf-8"))["alt"]


def test_the_wheel_builds_the_site(folder):
    site, name = folder / "site", Path(CHAPTERS[0]).stem
    for page in ("index", "INSTALL", "reference", "playground", f"slides/{name}"):
        assert (site / f"{page}.html").exists()
    assert "mkdir" in (site / "notebooks" / f"{name}.html").read_text(encoding="utf-8")


def test_a_kit_holds_the_wheel_that_was_installed(folder, wheel):
    (again,) = (folder / "wheels").iterdir()
    assert again.name == wheel.name
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert {*one.namelist()} == {*other.namelist()}
        for name in one.namelist():
            if not name.endswith((f"notebooks/{CHAPTERS[0]}", "RECORD")):
                assert one.read(name) == other.read(name), name
