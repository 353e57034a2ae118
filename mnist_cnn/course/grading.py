"""Marks: a course folder for nbgrader, and a table of verdicts for those who do without it."""

import copy
import csv
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from mnist_cnn.answers import EXERCISES
from mnist_cnn.course import editions
from mnist_cnn.course.files import replacing
from mnist_cnn.course.notebooks import ThisPython
from mnist_cnn.course.translations import translate
from mnist_cnn.language import VARIABLE, translator

POINTS = {"Easy": 1, "Medium": 2, "Hard": 3}
CHECK = re.compile(r"""^check\(["']([\d.]+)["'], answer\)""", re.MULTILINE)
OUTPUT = 10_000_000  # characters that a returned notebook may show: an endless loop may print
CONFIG = """\
import os

os.environ[{variable!r}] = {language!r}  # kernels inherit it, and `check` speaks it
c = get_config()
c.CourseDirectory.course_id = "digits"
c.ClearSolutions.code_stub = {{"python": "answer = ..."}}
c.ClearSolutions.text_stub = {stub!r}
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
        stub = editions.placeholder(language)
        config = CONFIG.format(variable=VARIABLE, language=language, stub=stub)
        temporary.write_text(config, encoding="utf-8")


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
        Seconds that the whole notebook may take.

    Returns
    -------
    list of Verdict
        One for each exercise of the chapter: "right", "wrong", "not answered", "not found" (its
        line with `check` is gone), the name of the error that the cell raised, or what ended the
        run here or before: "took too long", "showed too much", "the kernel died". One alone,
        without an exercise, for a file in which there is nothing to judge.
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
            asked.setdefault(found[1], (cell, question))
    trouble = "not run"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(support, folder, ignore=editions.NOT_NOTEBOOKS, dirs_exist_ok=True)
        end = time.monotonic() + limit
        client = _Client(
            notebook,
            timeout_func=lambda _: max(0.001, end - time.monotonic()),  # 0 would be no limit
            allow_errors=True,
            kernel_manager_class=ThisPython,
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute(stderr=subprocess.DEVNULL)
        except DeadKernelError:
            trouble = "the kernel died" if client.shown <= OUTPUT else "showed too much"
        except CellTimeoutError:
            trouble = "took too long"
    verdicts = {number: _verdict(*cells) or trouble for number, cells in asked.items()}
    chapters = {number[:2] for number in asked}
    return [
        Verdict(path.stem, number, verdicts.get(number, "not found"))
        for number in EXERCISES
        if number[:2] in chapters
    ] or [Verdict(path.stem, "", "no exercise")]


class _Client(NotebookClient):
    """Ends the run of a notebook that shows more than `OUTPUT`."""

    shown = 0

    def process_message(self, msg: dict[str, Any], *place: Any) -> NotebookNode | None:
        self.shown += len(str(msg["content"]))
        if self.shown <= OUTPUT:
            return super().process_message(msg, *place)
        assert self.task_poll_for_reply is not None  # for mypy: a cell is running
        self.task_poll_for_reply.cancel()  # as nbclient does when the kernel died
        return None


def _verdict(exercise: NotebookNode, question: NotebookNode) -> str:
    """Return what the question said, or the error that the student's own cell ended in."""
    printed = [output.text for output in question.outputs if output.get("name") == "stdout"]
    said = "".join(printed).rstrip().rpartition("\n")[2]  # an answer may print when it is read
    errors = [output.ename for output in exercise.outputs if output.output_type == "error"]
    return errors[-1] if said == "not answered" and errors else said


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
