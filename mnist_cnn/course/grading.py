"""Marks: a course folder for nbgrader, and a table of verdicts for those who do without it."""

import copy
import csv
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from mnist_cnn.course import editions
from mnist_cnn.course.files import replacing
from mnist_cnn.course.notebooks import ThisPython
from mnist_cnn.course.translations import translate
from mnist_cnn.language import translator

POINTS = {"Easy": 1, "Medium": 2, "Hard": 3}
CHECK = re.compile(r"""^check\(["']([\d.]+)["'], answer\)""", re.MULTILINE)
CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "digits"
c.ClearSolutions.code_stub = {"python": "answer = ..."}
c.ClearSolutions.text_stub = "Write your answer here."
c.ExecutePreprocessor.timeout = 600  # seconds for a cell: chapter 04 trains for minutes
"""


def nbgrader(notebook: NotebookNode, translated: Callable[[str], str] = str) -> NotebookNode:
    """Return a chapter as nbgrader's source: answers to write, and checks that give points.

    Points follow the difficulty that a question opens with: easy 1, medium 2, hard 3. `check`
    stands before the student's eyes, with its hints; what gives the points is a hidden test. A
    model answer in words makes a cell that is graded by hand.
    """
    edition = copy.deepcopy(notebook)
    cells, edition.cells = edition.cells, []
    for place, cell in enumerate(cells):
        cell.metadata.pop("slideshow", None)
        tags = cell.metadata.pop("tags", [])
        if "exercise" in tags:
            continue  # its solution, which follows, takes its place
        if "solution" not in tags:
            edition.cells.append(cell)
        elif found := CHECK.search(cell.source):
            number = found[1]
            points = _points(cells, place)
            answer, check = cell.source[: found.start()].rstrip(), found[0]
            cell.source = f"### BEGIN SOLUTION\n{answer}\n### END SOLUTION"
            cell.outputs, cell.execution_count = [], None
            _grade(cell, f"answer-{number}", solution=True)
            hidden = f'assert is_right("{number}", answer)'
            test = nbformat.v4.new_code_cell(
                f"{check}\n### BEGIN HIDDEN TESTS\nfrom mnist_cnn.exercises import is_right\n\n"
                f"{hidden}\n### END HIDDEN TESTS",
                id=f"{cell.id}-test",
            )
            _grade(test, f"check-{number}", points=points)
            edition.cells += [cell, test]
        elif not cell.source.startswith("#### Solution"):
            _grade(cell, f"words-{cell.id}", solution=True, points=_points(cells, place))
            edition.cells.append(cell)
    return translate(edition, translated)


def _points(cells: list[NotebookNode], place: int) -> int:
    """Return the points of the exercise whose solution stands at `place`."""
    text = "\n".join(cell.source for cell in cells[:place] if cell.cell_type == "markdown")
    found = re.findall(rf"^\*({'|'.join(POINTS)})\b", text, re.MULTILINE)
    return POINTS[found[-1]] if found else 1


def _grade(cell: NotebookNode, name: str, *, solution: bool = False, points: int = 0) -> None:
    """Mark a cell as nbgrader's schema 3 has it."""
    cell.metadata.nbgrader = {
        "schema_version": 3,
        "grade_id": name.replace(".", "-"),
        "grade": bool(points),
        "solution": solution,
        "locked": not solution,
        "task": False,
    }
    if points:
        cell.metadata.nbgrader["points"] = points


def write_course(source: Path, out: Path, language: str = "en") -> Iterator[Path]:
    """Write a course folder for nbgrader: an assignment for each chapter.

    Parameters
    ----------
    source : Path
        The folder with the chapters.
    out : Path
        The course folder; it is made when missing.
    language : str
        One of `mnist_cnn.language.languages`.

    Yields
    ------
    Path
        Each notebook, as soon as it is written.

    Raises
    ------
    ValueError
        If `source` holds no chapters, `out` is that folder or lies in it, or there is no such
        language.
    """
    chapters = editions.chapters_of(source)
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"a course must not be written into its source, {source}")
    for path in chapters:
        assignment = out / "source" / path.stem
        shutil.copytree(source, assignment, ignore=editions.NOT_NOTEBOOKS, dirs_exist_ok=True)
        translated = translator(language, path.stem)
        with replacing(assignment / path.name) as temporary:
            nbformat.write(nbgrader(nbformat.read(path, as_version=4), translated), temporary)
        yield assignment / path.name
    with replacing(out / "nbgrader_config.py") as temporary:
        temporary.write_text(CONFIG, encoding="utf-8")


class Verdict(NamedTuple):
    """What one exercise of one returned notebook is worth."""

    name: str
    exercise: str
    verdict: str


def grade(path: Path, support: Path, limit: int = 120) -> list[Verdict]:
    """Run a returned notebook in a kernel of its own and judge every exercise in it.

    Parameters
    ----------
    path : Path
        The notebook; it is not changed.
    support : Path
        The folder with the chapters: what they read beside themselves is copied from there.
    limit : int
        Seconds that a cell may take.

    Returns
    -------
    list of Verdict
        "right", "wrong", "not answered", "took too long", the name of the error that the cell
        raised, or why the notebook could not be run.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception:  # a damaged file raises nearly anything
        return [Verdict(path.stem, "", "not a notebook")]
    asked: dict[str, tuple[NotebookNode, NotebookNode]] = {}
    for place in reversed(range(len(notebook.cells))):
        cell = notebook.cells[place]
        if cell.cell_type == "code" and (found := CHECK.search(cell.source)):
            # In the student's own kernel: who tampers with the package there can fool it.
            question = nbformat.v4.new_code_cell(_QUESTION.format(number=found[1]))
            notebook.cells.insert(place + 1, question)
            asked = {found[1]: (cell, question)} | asked
    trouble = "not run"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(support, folder, ignore=editions.NOT_NOTEBOOKS, dirs_exist_ok=True)
        client = NotebookClient(
            notebook,
            timeout=limit,
            interrupt_on_timeout=True,
            allow_errors=True,
            kernel_manager_class=ThisPython,
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute(stderr=subprocess.DEVNULL)
        except DeadKernelError:
            trouble = "the kernel died"
    if not asked:
        return [Verdict(path.stem, "", "no exercise")]
    return [
        Verdict(path.stem, number, _verdict(*cells) or trouble) for number, cells in asked.items()
    ]


def _verdict(exercise: NotebookNode, question: NotebookNode) -> str:
    """Return what the question said, or the error that the student's own cell ended in."""
    said = "".join(output.get("text", "") for output in question.outputs).strip()
    errors = [output.ename for output in exercise.outputs if output.output_type == "error"]
    if said == "not answered" and errors:
        return "took too long" if errors == ["KeyboardInterrupt"] else errors[-1]
    return said


_QUESTION = """\
from mnist_cnn.exercises import is_right as _is_right

try:
    _given = answer
except NameError:
    _given = ...
_verdict = "right" if _is_right("{number}", _given) else "wrong"
_verdict = "not answered" if _given is ... else _verdict
print(_verdict)
answer = ..."""


def write_marks(verdicts: list[Verdict], path: Path) -> None:
    """Write verdicts as CSV: name, exercise, verdict."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Verdict._fields)
        writer.writerows(verdicts)
