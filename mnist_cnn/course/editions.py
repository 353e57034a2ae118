"""The editions made from the one source: the student's without solutions, the instructor's whole.

A cell tagged ``solution``, under a folded heading, is for instructors, and so are speaker notes:
the text under ``slideshow.notes`` in the metadata of the cell that is shown while they are spoken.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from mnist_cnn.course.files import replacing
from mnist_cnn.course.translations import translate
from mnist_cnn.language import translator


def student(notebook: NotebookNode, translated: Callable[[str], str] = str) -> NotebookNode:
    """Return a copy without solutions, their outputs and speaker notes; texts are translated."""
    edition = translate(notebook, translated)
    edition.cells = [cell for cell in edition.cells if not is_solution(cell)]
    for cell in edition.cells:
        cell.metadata.get("slideshow", {}).pop("notes", None)
    return edition


def instructor(notebook: NotebookNode, translated: Callable[[str], str] = str) -> NotebookNode:
    """Return a copy that shows the solutions, and each speaker note in a cell of its own."""
    edition = translate(notebook, translated)
    summary = translated("For the instructor")
    cells, edition.cells = edition.cells, []
    for cell in cells:
        if is_solution(cell):
            cell.metadata.pop("jp-MarkdownHeadingCollapsed", None)  # it folds what follows
        edition.cells.append(cell)
        if notes := cell.metadata.get("slideshow", {}).pop("notes", None):
            # Folded: an instructor who projects the chapter does not give the answer away.
            folded = f"<details><summary>{summary}</summary>\n\n{notes}\n\n</details>"
            edition.cells.append(notes_cell(f"{cell.id}-notes", folded))
    return edition


# What lies beside the chapters and belongs to them: pictures and measurements.
NOT_NOTEBOOKS = shutil.ignore_patterns("*.ipynb", "*.py", ".*")
EDITIONS = {"student": student, "instructor": instructor}


def is_solution(cell: NotebookNode) -> bool:
    """Whether the cell holds the solution of an exercise."""
    return "solution" in cell.metadata.get("tags", [])


def notes_cell(identifier: str, notes: str) -> NotebookNode:
    """Return a cell with speaker notes, as nbconvert's slides know it."""
    return nbformat.v4.new_markdown_cell(
        notes, id=identifier, metadata={"slideshow": {"slide_type": "notes"}}
    )


def placeholder(language: str) -> str:
    """Return what nbgrader puts in the place of an answer in words."""
    translated = translator(language, "course")
    return translated("Write your answer here.")


def chapters_of(source: Path) -> list[Path]:
    """Return the chapters of a folder, or say that it holds none."""
    if found := sorted(source.glob("*.ipynb")):
        return found
    raise ValueError(f"{source} holds no chapters: run this in the project's folder")


def write(
    edition: str, source: Path, out: Path, *, strip: bool = False, language: str = "en"
) -> Iterator[Path]:
    """Write an edition of every chapter, and the pictures and files that chapters refer to.

    Parameters
    ----------
    edition : {"student", "instructor"}
    source : Path
        The folder with the chapters.
    out : Path
        The folder to write to; it is made when missing.
    strip : bool
        Whether to leave the recorded outputs out.
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
    translators = {path: translator(language, path.stem, "course") for path in chapters_of(source)}
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"an edition must not be written into its source, {source}")
    shutil.copytree(source, out, ignore=NOT_NOTEBOOKS, dirs_exist_ok=True)
    for path, translated in translators.items():
        notebook = EDITIONS[edition](nbformat.read(path, as_version=4), translated)
        if strip:
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
        with replacing(out / path.name) as temporary:
            nbformat.write(notebook, temporary)
        yield out / path.name
