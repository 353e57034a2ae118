"""The editions for students and instructors: what they leave out, show, and keep as it was."""

import copy
import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mnist_cnn import language
from mnist_cnn.course import cli, editions, files, notebooks

SOURCE = Path(__file__).parents[1] / "notebooks"
SECRETS = ("secret source", "secret output", "secret metadata", "secret words", "secret note")


@pytest.fixture
def chapter():
    """A chapter with every kind of cell that an edition treats."""
    shown = new_output("stream", text="a lesson's output\n")
    hidden = new_output("stream", text="secret output\n")
    solution = {"tags": ["solution"], "jp-MarkdownHeadingCollapsed": True, "why": "secret metadata"}
    cells = [
        new_markdown_cell("# A lesson", metadata={"slideshow": {"slide_type": "slide"}}),
        new_code_cell(
            "print('lesson')",
            outputs=[shown],
            execution_count=1,
            metadata={"slideshow": {"slide_type": "slide", "notes": "secret note"}},
        ),
        new_code_cell("answer = ...", metadata={"tags": ["exercise"]}, execution_count=2),
        new_code_cell(
            "print('secret source')", outputs=[hidden], execution_count=3, metadata=solution
        ),
        new_markdown_cell("secret words", metadata=copy.deepcopy(solution)),
        new_markdown_cell("The end."),
    ]
    return new_notebook(cells=cells, metadata={"title": "A lesson"})


def test_the_students_edition_only_leaves_out(chapter):
    source = copy.deepcopy(chapter)
    edition = editions.student(chapter)
    assert chapter == source
    kept = [source.cells[place] for place in (0, 1, 2, 5)]
    del kept[1].metadata.slideshow["notes"]
    assert edition == source | {"cells": kept}
    assert not any(secret in nbformat.writes(edition) for secret in SECRETS)


def test_the_instructors_edition_only_shows(chapter):
    source = copy.deepcopy(chapter)
    edition = editions.instructor(chapter)
    assert chapter == source
    note = edition.cells.pop(2)
    assert note.cell_type == "markdown" and "\n\nsecret note\n\n" in note.source
    assert note.source.startswith("<details>"), "it would spoil the question when projected"
    assert note.metadata.slideshow.slide_type == "notes"
    del source.cells[1].metadata.slideshow["notes"]
    for place in (3, 4):
        del source.cells[place].metadata["jp-MarkdownHeadingCollapsed"]
    assert edition == source
    nbformat.validate(editions.instructor(chapter))


@pytest.fixture
def project(chapter, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks" / "images").mkdir(parents=True)
    (tmp_path / "notebooks" / "images" / "digit.png").write_bytes(b"a picture")
    (tmp_path / "notebooks" / ".ipynb_checkpoints").mkdir()
    nbformat.write(chapter, tmp_path / "notebooks" / "01_lesson.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_edition_is_written_with_its_pictures(project, capsys):
    for _ in range(2):  # the second time over the first
        assert cli.main(["edition", "student", "out/student"]) == 0
    written = project / "out" / "student"
    assert str(Path("out", "student", "01_lesson.ipynb")) in capsys.readouterr().out
    files = {path.relative_to(written).as_posix() for path in written.rglob("*")}
    assert files == {"01_lesson.ipynb", "images", "images/digit.png"}
    source = nbformat.read(project / "notebooks" / "01_lesson.ipynb", 4)
    assert nbformat.read(written / "01_lesson.ipynb", 4) == editions.student(source)


@pytest.mark.parametrize("edition", editions.EDITIONS)
def test_outputs_are_stripped_on_demand(project, edition):
    assert cli.main(["edition", edition, "out", "--strip"]) == 0
    stripped = nbformat.read(project / "out" / "01_lesson.ipynb", 4)
    source = nbformat.read(project / "notebooks" / "01_lesson.ipynb", 4)
    whole = editions.EDITIONS[edition](source)
    for cell in notebooks.code_cells(whole):
        cell.outputs, cell.execution_count = [], None
    assert stripped == whole


@pytest.mark.parametrize("out", ["notebooks", "notebooks/student", "elsewhere/../notebooks"])
def test_the_source_is_never_written_over(project, out, capsys):
    before = (project / "notebooks" / "01_lesson.ipynb").read_bytes()
    assert cli.main(["edition", "student", out]) == 2
    assert "must not be written into its source" in capsys.readouterr().err
    assert (project / "notebooks" / "01_lesson.ipynb").read_bytes() == before


def test_a_folder_without_chapters_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["edition", "student", "out"]) == 2
    assert "holds no chapters" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_students_chapter_holds_no_solution(path):
    """No line of a solution, of its outputs or of a speaker note, in any cell of the edition."""
    source = nbformat.read(path, as_version=4)
    edition = editions.student(source)
    kept = [cell for cell in source.cells if not editions.is_solution(cell)]
    assert [cell.id for cell in edition.cells] == [cell.id for cell in kept]
    nbformat.validate(edition)
    lesson = strings([cell | {"metadata": {}} for cell in kept])
    text = json.dumps(edition, ensure_ascii=False)
    hidden = [cell for cell in source.cells if editions.is_solution(cell)]
    hidden += [cell.metadata.get("slideshow", {}).get("notes") for cell in kept]
    for line in strings(hidden) - lesson:
        assert json.dumps(line, ensure_ascii=False)[1:-1] not in text, line


def strings(value):
    """Return every line of text in a cell that is long enough to give something away."""
    if isinstance(value, str):
        return {line.strip() for line in value.splitlines() if len(line.strip()) > 20}
    parts = value.values() if isinstance(value, dict) else value or ()
    return (
        set().union(*map(strings, parts)) if isinstance(parts, list | type({}.values())) else set()
    )


def test_lab_opens_a_copy_and_leaves_what_is_in_it(project, monkeypatch):
    calls = []
    monkeypatch.setattr("jupyterlab.labapp.main", calls.append)  # it takes two seconds to load
    monkeypatch.setenv(language.VARIABLE, "en")  # the command sets it; it ends with the test
    assert cli.main(["lab", "mine"]) == 0
    mine = project / "mine" / "01_lesson.ipynb"
    assert "secret" not in mine.read_text(encoding="utf-8")
    mine.write_text("changed", encoding="utf-8")
    assert cli.main(["lab", "mine"]) == 0
    assert mine.read_text(encoding="utf-8") == "changed"
    assert cli.main(["lab", "--language", "zh"]) == 0  # not into the folder of the English ones
    assert calls == [["mine"], ["mine"], ["mnist-notebooks-zh"]]


def test_without_a_project_the_wheels_own_chapters_are_taken(chapter, tmp_path, monkeypatch):
    wheel, empty = tmp_path / "course", tmp_path / "empty"
    (wheel / "project" / "notebooks").mkdir(parents=True)
    empty.mkdir()
    nbformat.write(chapter, wheel / "project" / "notebooks" / "01_lesson.ipynb")
    monkeypatch.setattr(files, "__file__", str(wheel / "files.py"))
    monkeypatch.chdir(empty)
    assert cli.main(["edition", "student", "mine"]) == 0
    assert (empty / "mine" / "01_lesson.ipynb").exists()
