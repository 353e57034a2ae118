"""TEACHING.md: its plans fill the lesson, its sections exist, its table holds for the chapters."""

import re
from pathlib import Path

import nbformat
import pytest

from mnist_cnn.course import lesson_times

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "TEACHING.md").read_text(encoding="utf-8")
CHAPTERS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
PLANS = dict(zip((50, 90, 240), re.findall(r"(?ms)^\| minutes .*?\n\n", PAGE), strict=True))


def headings(path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"^##+ (.+)", prose, re.MULTILINE)


@pytest.mark.parametrize("minutes", PLANS)
def test_a_plan_fills_the_lesson(minutes):
    assert sum(map(int, re.findall(r"^\| (\d+) \|", PLANS[minutes], re.MULTILINE))) == minutes


def test_every_section_that_is_named_exists():
    named = re.findall(r"\[(\d\d)\]\(notebooks/(.+?)\) (.+?) \|", "".join(PLANS.values()))
    named += [(number, "", section) for number, section in re.findall(r"\| (0\d), (.+?) \|", PAGE)]
    assert len(named) > 30
    for number, file, section in named:
        assert section in headings(CHAPTERS[number])
        assert file in ("", CHAPTERS[number].name)


def test_the_table_holds_for_the_chapters():
    sums = r"^\| (\d\d) \| \*\*all\*\* \| ([\d,]+) \|"
    written, now = (
        {number: int(words.replace(",", "")) for number, words in re.findall(sums, text, re.M)}
        for text in (PAGE, lesson_times.table())
    )
    assert written.keys() == now.keys() == CHAPTERS.keys()
    for number, words in now.items():
        assert written[number] == pytest.approx(words, rel=0.25), (
            "run mnist_cnn.course.lesson_times"
        )


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
