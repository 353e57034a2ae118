"""TEACHING.md: its plans fill the lesson and its sections exist; the table of times is today's."""

import itertools
import re
from pathlib import Path

import nbformat
import pytest

from mnist_cnn.course import lesson_times

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "TEACHING.md").read_text(encoding="utf-8")
CHAPTERS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
PLANS = [*zip((50, 90, 240, 240), re.findall(r"(?ms)^\| minutes .*?\n\n", PAGE), strict=True)]


def headings(path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"^##+ (.+)", prose, re.MULTILINE)


@pytest.mark.parametrize(("minutes", "plan"), PLANS)
def test_a_plan_fills_the_lesson(minutes, plan):
    assert sum(map(int, re.findall(r"^\| (\d+) \|", plan, re.MULTILINE))) == minutes


def test_every_section_that_is_named_exists():
    named = re.findall(
        r"\[(\d\d)\]\(notebooks/(.+?)\) (.+?) \|", "".join(plan for _, plan in PLANS)
    )
    named += [
        (number, "", section) for number, section in re.findall(r"\| ([01]\d), (.+?) \|", PAGE)
    ]
    assert len(named) > 30
    for number, file, section in named:
        assert section in headings(CHAPTERS[number])
        assert file in ("", CHAPTERS[number].name)


@pytest.mark.parametrize("number", CHAPTERS)
def test_the_minutes_to_read_are_those_of_the_words(number):
    cells = nbformat.read(CHAPTERS[number], as_version=4).cells
    lesson = itertools.takewhile(lambda cell: not cell.source.startswith("## Exercises"), cells)
    words = sum(len(cell.source.split()) for cell in lesson if cell.cell_type == "markdown")
    opening = next(cell.source for cell in cells if "**Time**" in cell.source)
    minutes = int(re.search(r"\*\*Time\*\* (\d+) minutes", opening)[1])
    assert abs(minutes - words / 200) <= 1
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"(?m)^\| \[{number} .*\| {minutes} \| \d+ \|$", readme)


def test_writing_the_times_again_changes_nothing():
    written = lesson_times.PAGE.read_text(encoding="utf-8")
    assert written == lesson_times.HEAD + lesson_times.table(), "mnist_cnn.course.lesson_times"


def test_sections_are_told_apart():
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    cells = [
        new_markdown_cell("# A lesson\n\nand why"),
        new_code_cell("setup()"),
        new_markdown_cell("so much for this\n\n## Next\n\none two"),
        new_code_cell("run()"),
        new_code_cell("secret()", metadata={"tags": ["solution"]}),
    ]
    sections = lesson_times.sections(new_notebook(cells=cells), [0.5, 2.0, 40.0])
    assert sections == {"Opening": [9, 0.5], "Next": [4, 2.0]}
