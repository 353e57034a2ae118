"""How long each section of a chapter takes: ``benchmarks/lesson_times.md``, for instructors.

    python -m benchmarks.costs                   measures the cells' seconds, about ten minutes
    python -m mnist_cnn.course.lesson_times      counts the words, and writes the page

Words are those of the prose, solutions left out.
"""

import json
import re
from pathlib import Path

import nbformat

from mnist_cnn.course import editions
from mnist_cnn.course.files import replacing

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "benchmarks" / "lesson_times.md"
COSTS = ROOT / "benchmarks" / "results" / "chapters.json"
WORDS_PER_MINUTE = 200
HEAD = """# How long each section takes

Prose at 200 words per minute, solutions left out; cells run on two cores of a server. Made by

    python -m benchmarks.costs
    python -m mnist_cnn.course.lesson_times

"""


def sections(notebook: nbformat.NotebookNode, seconds: list[float]) -> dict[str, list[float]]:
    """Return the words of each section's prose and the seconds of its cells, by its heading.

    Parameters
    ----------
    notebook : NotebookNode
        The chapter.
    seconds : list of float
        How long each of its code cells takes, solutions included.

    Returns
    -------
    dict of str to list
        What comes before the first heading is called "Opening".
    """
    found = {"Opening": [0, 0.0]}
    spent = iter(seconds)
    for cell in notebook.cells:
        cost = next(spent) if cell.cell_type == "code" else 0.0
        if editions.is_solution(cell):
            continue
        found[[*found][-1]][1] += cost
        parts = re.split("(?m)^(?=## )", cell.source) if cell.cell_type == "markdown" else []
        for part in parts:
            if part.startswith("## "):
                found[part.partition("\n")[0].removeprefix("## ")] = [0, 0.0]
            found[[*found][-1]][0] += len(part.split())
    return found


def table() -> str:
    """Return the table in Markdown, from the chapters as they are and the last measurement."""
    measured = json.loads(COSTS.read_text(encoding="utf-8"))["chapters"] if COSTS.exists() else {}
    lines = ["| chapter | section | words | minutes to read | seconds to run |"]
    lines += ["|---|---|---:|---:|---:|"]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        code = sum(cell.cell_type == "code" for cell in notebook.cells)
        seconds = [cell["seconds"] for cell in measured.get(path.stem, [])]
        known = len(seconds) == code  # a chapter that changed since is measured anew first
        rows = sections(notebook, seconds if known else [0.0] * code)
        rows |= {"**all**": [sum(column) for column in zip(*rows.values(), strict=True)]}
        for name, (words, spent) in rows.items():
            run = f"{spent:.0f}" if known else "–"
            minutes = words / WORDS_PER_MINUTE
            lines.append(f"| {path.stem[:2]} | {name} | {words:,} | {minutes:.1f} | {run} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    with replacing(PAGE) as temporary:
        temporary.write_text(HEAD + table(), encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
