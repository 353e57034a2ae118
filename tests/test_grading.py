"""Marks: nbgrader itself takes the course folder, and returned notebooks are judged without it."""

import csv
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mnist_cnn import exercises
from mnist_cnn.course import cli, grading
from mnist_cnn.language import translator

QUESTION = "### 03.{} · Count\n\n*{}, 5 minutes.* How many?"
RIGHT = {"03.1": None, "03.2": None, "03.3": None}


@pytest.fixture(scope="module", autouse=True)
def right_answers():
    for number in RIGHT:
        right = exercises.EXERCISES[number].right
        RIGHT[number] = np.asarray(right() if callable(right) else right).tolist()


def chapter(answers):
    """Return a chapter of three exercises and a question in words, with these answers given."""
    cells = [
        new_markdown_cell("# A chapter"),
        new_code_cell("from mnist_cnn.exercises import check"),
    ]
    for k, difficulty in ((1, "Easy"), (2, "Hard"), (3, "Medium")):
        number = f"03.{k}"
        check = f'check("{number}", answer)'
        solution = {"tags": ["solution"]}
        cells += [
            new_markdown_cell(QUESTION.format(k, difficulty)),
            new_code_cell(
                f"{answers.get(number, 'answer = ...')}\n\n{check}", metadata={"tags": ["exercise"]}
            ),
            new_markdown_cell("#### Solution", metadata=solution),
            new_code_cell(f"answer = {RIGHT[number]!r}\n\n{check}", metadata=solution),
        ]
    cells += [
        new_markdown_cell("### Explain\n\n*Medium, 5 minutes.* Why?"),
        new_markdown_cell("#### Solution", metadata={"tags": ["solution"]}),
        new_markdown_cell("Because of this.", metadata={"tags": ["solution"]}),
    ]
    return new_notebook(cells=cells)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "notebooks"
    (folder / "measured").mkdir(parents=True)
    (folder / "measured" / "some.json").write_text("{}")
    nbformat.write(chapter({}), folder / "03_lesson.ipynb")
    return folder


def test_points_follow_the_difficulty_and_no_solution_is_left_over(source):
    edition = grading.nbgrader(nbformat.read(source / "03_lesson.ipynb", as_version=4))
    nbformat.validate(edition)
    graded = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader
        for cell in edition.cells
        if "nbgrader" in cell.metadata
    }
    points = [cell["points"] for cell in graded.values() if cell["grade"]]
    assert points == [1, 3, 2, 2]
    assert [*graded][:4] == ["answer-03-1", "check-03-1", "answer-03-2", "check-03-2"]
    for cell in edition.cells:
        if cell.source.startswith("answer"):
            assert "BEGIN SOLUTION" in cell.source


NBGRADER = """
import sys
import mnist_cnn.course.quick_start
from nbgrader.apps import NbGraderApp
from traitlets.config import Application

for command in sys.argv[1:]:
    NbGraderApp.launch_instance(command.split())
    type(Application.instance()).clear_instance()
"""


def nbgrader(folder, *commands):
    """Run commands in one new process, since each spends seconds on its imports."""
    done = subprocess.run(
        [sys.executable, "-c", NBGRADER, *commands],
        cwd=folder,
        env=os.environ | {"JUPYTER_PLATFORM_DIRS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_nbgrader_releases_collects_and_marks(source, tmp_path):
    pytest.importorskip("nbgrader")
    course = tmp_path / "course"
    assert len([*grading.write_course(source, course, "zh")]) == 1
    assert (course / "source" / "03_lesson" / "measured" / "some.json").exists()
    nbgrader(course, "generate_assignment 03_lesson --create")
    released = nbformat.read(course / "release" / "03_lesson" / "03_lesson.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in released.cells)
    assert text.count("answer = ...") == 3 and 'check("03.1", answer)' in text
    assert not {"HIDDEN", "is_right", "Because of this", "SOLUTION"} & set(text.split())
    assert text.endswith("在这里写下你的答案。")
    right = {number: f"answer = {answer!r}" for number, answer in RIGHT.items()}
    half = {"03.1": right["03.1"], "03.2": "answer = -1"}  # one right, one wrong, one not at all
    for name, answers in {"able": right, "half": half, "silent": {}}.items():
        handed_in = nbformat.from_dict(released)
        for cell in handed_in.cells:
            number = cell.metadata.get("nbgrader", {}).get("grade_id", "")[-4:].replace("-", ".")
            if cell.source == "answer = ...":
                cell.source = answers.get(number, cell.source)
        folder = course / "submitted" / name / "03_lesson"
        folder.mkdir(parents=True)
        nbformat.write(handed_in, folder / "03_lesson.ipynb")
    marking = "autograde 03_lesson --create", "generate_feedback 03_lesson"
    nbgrader(course, *marking, "export --to marks.csv")
    with open(course / "marks.csv", newline="", encoding="utf-8") as file:
        marks = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert marks == {"able": 6, "half": 1, "silent": 0}  # of 8: two points are given by hand
    page = course / "feedback" / "half" / "03_lesson" / "03_lesson.html"
    said = translator("zh", "answers")("correct. {why}").removesuffix("{why}")
    assert f"03.1: {said}" in page.read_text(encoding="utf-8")


LOUD = """
class Number:
    def __float__(self):
        import sys
        print("right")
        print("a warning", file=sys.stderr)
        return 0.0

answer = Number()
"""


def test_returned_notebooks_are_judged_and_a_bad_one_costs_its_own_rows(source, tmp_path):
    returned = tmp_path / "returned"
    returned.mkdir()
    right, slow = f"answer = {RIGHT['03.1']!r}", "import time; time.sleep(13)"
    handed_in = {
        "ann": chapter({"03.1": right, "03.2": "answer = -1", "03.3": LOUD}),
        "bob": chapter({"03.1": "1 / 0"}),
        "dan": chapter({"03.1": right, "03.2": "answer = -1"}),
        "eve": chapter({"03.1": right, "03.2": slow, "03.3": slow}),
        "flo": chapter({"03.1": right, "03.2": "while True: print('x' * 10_000)"}),
        "joe": chapter({"03.1": "import os; os._exit(1)"}),
        "kim": new_notebook(cells=[new_code_cell("print('verdict on 03.1: right')")]),
    }
    for cell in handed_in["dan"].cells:
        cell.source = cell.source.replace('check("03.1", answer)', "")
        cell.source = cell.source.replace('check("03.2", answer)', 'check("03.2", 1)')
    for name, notebook in handed_in.items():
        for cell in [*notebook.cells]:
            if "solution" in cell.metadata.get("tags", []):
                notebook.cells.remove(cell)
        nbformat.write(notebook, returned / f"{name}.ipynb")
    (returned / "liz.ipynb").write_text("{")
    before = {path: path.read_bytes() for path in returned.iterdir()}

    def grade(path):
        return grading.grade(path, source, limit=24 if path.stem == "eve" else 120)

    with ThreadPoolExecutor(2) as pool:  # while one waits
        verdicts = list(chain.from_iterable(pool.map(grade, sorted(returned.iterdir()))))
    rows = {
        "ann": ["right", "wrong", "wrong", "not found"],
        "bob": ["ZeroDivisionError", "not answered", "not answered", "not found"],
        "dan": ["not found", "not found", "not answered", "not found"],
        "eve": ["right", "not answered", "took too long", "not found"],
        "flo": ["right", "showed too much", "showed too much", "not found"],
        "joe": ["the kernel died", "the kernel died", "the kernel died", "not found"],
    }
    assert [tuple(verdict) for verdict in verdicts] == [
        *((name, f"03.{k}", row[k - 1]) for name, row in rows.items() for k in range(1, 5)),
        ("kim", "", "no exercise"),
        ("liz", "", "not a notebook"),
    ]
    assert {path: path.read_bytes() for path in returned.iterdir()} == before
    grading.write_marks(verdicts, tmp_path / "marks.csv")
    with open(tmp_path / "marks.csv", newline="", encoding="utf-8") as file:
        assert [*csv.reader(file)][:2] == [
            ["name", "exercise", "verdict"],
            ["ann", "03.1", "right"],
        ]


@pytest.mark.parametrize("inside", [".", "course"])
def test_a_course_is_not_written_into_its_source(source, inside):
    before = sorted(source.rglob("*"))
    with pytest.raises(ValueError, match="must not be written into its source"):
        [*grading.write_course(source, source / inside)]
    assert sorted(source.rglob("*")) == before


def test_the_commands(source, tmp_path, monkeypatch, capsys):
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["edition", "nbgrader", "course"]) == 0
    assert (tmp_path / "course" / "nbgrader_config.py").exists()
    (tmp_path / "returned").mkdir()
    assert cli.main(["grade", "returned"]) == 2
    assert "returned holds no notebooks" in capsys.readouterr().err
    (tmp_path / "returned" / "liz.ipynb").write_text("{")
    assert cli.main(["grade", "returned"]) == 0
    marks = (tmp_path / "returned" / "marks.csv").read_text().splitlines()
    assert marks == ["name,exercise,verdict", "liz,,not a notebook"]
