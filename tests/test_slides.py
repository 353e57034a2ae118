"""The slides: how a chapter is cut, and what a browser without a network makes of them."""

import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mnist_cnn.course import cli, slides
from tests.chromium import needs_chromium, open_page

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsmYVUQAAAABJRU5ErkJggg=="
)


def shown(slide_type, **more):
    return {"slideshow": {"slide_type": slide_type, **more}}


def printed(text):
    return new_output("stream", text=text)


def figure(alt="a grey pixel"):
    data = {"image/png": PIXEL, "text/plain": alt}
    return new_output("display_data", data, metadata={"image/png": {"alt": alt}})


def vector_figure(alt):
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="400pt" height="300pt"><text>x</text></svg>'
    )
    data = {"image/svg+xml": svg, "text/plain": alt}
    return new_output("display_data", data, metadata={"image/svg+xml": {"alt": alt}})


def cut(*cells):
    """Return what is shown: (slide type, text), a figure being its alt text."""
    deck = slides.cut(new_notebook(cells=cells))
    nbformat.validate(deck)
    return [(cell.metadata.slideshow.get("slide_type", "-"), text_of(cell)) for cell in deck.cells]


def text_of(cell):
    outputs = cell.get("outputs", [])
    return cell.source + "".join(o.get("text") or o.data["text/plain"] for o in outputs).strip()


def test_the_text_for_the_slide_takes_the_place_of_the_prose():
    cell = new_markdown_cell(
        "It was so.\n\n## Next\n\nAt length.",
        metadata=shown("slide", slide="## Next", notes="Ask them."),
    )
    assert cut(new_markdown_cell("# First", metadata=shown("slide")), cell) == [
        ("slide", "# First"),
        ("notes", "It was so.\n\n"),
        ("slide", "## Next"),
        ("notes", "Ask them.\n\n## Next\n\nAt length."),
    ]


def test_prose_without_a_heading_is_said_to_its_own_slide():
    cell = new_markdown_cell("At length.", metadata=shown("subslide", slide="Short."))
    assert cut(cell) == [("subslide", "Short."), ("notes", "At length.")]


def test_output_is_uncovered_after_its_code():
    cell = new_code_cell("1 + 1", outputs=[printed("2\n")], metadata=shown("subslide", notes="!"))
    assert cut(cell) == [("subslide", "1 + 1"), ("notes", "!"), ("fragment", "2")]


def test_a_figure_and_a_long_output_have_slides_of_their_own():
    long = "line\n" * (slides.LINES - 1)
    cell = new_code_cell(
        "code()", outputs=[printed("a\n"), figure(), printed(long)], metadata=shown("slide")
    )
    kinds = [kind for kind, _ in cut(cell)]
    assert kinds == ["slide", "fragment", "subslide", "subslide"]


def test_the_output_alone_stays_together():
    outputs = [printed("a\n"), figure()]
    cell = new_code_cell("code()", outputs=outputs, metadata=shown("fragment", slide="output"))
    assert cut(cell) == [("fragment", "a"), ("-", "a grey pixel")]


def test_of_an_output_that_was_stripped_nothing_is_shown():
    first = new_markdown_cell("# First", metadata=shown("slide"))
    cell = new_code_cell("code()", metadata=shown("subslide", slide="output"))
    assert cut(first, cell) == [("slide", "# First")]


def test_solutions_and_skipped_cells_are_left_out():
    cells = [
        new_markdown_cell("# First", metadata=shown("slide")),
        new_code_cell("secret", metadata=shown("subslide") | {"tags": ["solution"]}),
        new_code_cell("import this", metadata=shown("skip", notes="unsaid")),
    ]
    assert cut(*cells) == [("slide", "# First")]


def test_the_heading_goes_on_and_links_lead_to_slides():
    deck = slides.cut(
        new_notebook(
            cells=[
                new_markdown_cell("## Load & go", metadata=shown("slide")),
                new_markdown_cell("See [there](03_x.ipynb).", metadata=shown("subslide")),
                new_markdown_cell("[Draw](../build/playground.html#best).", metadata=shown("-")),
            ]
        )
    )
    assert [cell.metadata.slides.heading for cell in deck.cells] == ["", *["Load & go"] * 2]
    assert deck.cells[1].source == "See [there](03_x.html)."
    assert deck.cells[2].source == "[Draw](../playground.html#best)."


def test_a_heading_below_a_last_sentence_holds_from_the_next_slide_on():
    cells = [
        new_markdown_cell("## Old", metadata=shown("slide")),
        new_markdown_cell("So much for this.\n\n## New", metadata=shown("slide")),
        new_markdown_cell("More.", metadata=shown("subslide")),
    ]
    deck = slides.cut(new_notebook(cells=cells))
    assert [cell.metadata.slides.heading for cell in deck.cells] == ["", "Old", "New"]


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return request.param


def test_every_cell_says_where_it_is_shown(chapter):
    cells = nbformat.read(chapter, as_version=4).cells
    kinds = {"slide", "subslide", "fragment", "skip", "notes", "-"}
    uncut = [c.id for c in cells if c.metadata.get("slideshow", {}).get("slide_type") not in kinds]
    assert uncut == []


def test_the_libraries_are_those_that_are_named():
    assert {*slides.libraries()} == {
        Path(file).name for _, _, _, files in slides.LIBRARIES for file in files
    }


def test_another_wheel_than_the_one_meant_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "ASSETS", tmp_path / "assets")
    monkeypatch.setattr(subprocess, "run", lambda call, check: None)
    (tmp_path / slides.LIBRARIES[0][0]).write_bytes(b"something else")
    with pytest.raises(RuntimeError, match="is not the file that is meant"):
        slides.renew(tmp_path)
    assert list((tmp_path / "assets").iterdir()) == []


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cli.main(["slides", "01", "--out", str(tmp_path / "out")]) == 0
    (page,) = (tmp_path / "out").iterdir()
    assert capsys.readouterr().out == f"{page}\n"
    assert page.name == f"{CHAPTERS[0].stem}.html"


@pytest.mark.parametrize(("language", "place"), [("en", "slides"), ("zh", "zh/slides")])
def test_all_slides_have_a_page_that_leads_to_them(language, place, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "project_root", lambda: tmp_path)
    monkeypatch.setattr(cli, "find_chapters", lambda names: CHAPTERS)
    monkeypatch.setattr(slides, "export", lambda *_: "")
    assert cli.main(["slides", "--language", language]) == 0
    index = tmp_path / "build" / place / "index.html"
    assert capsys.readouterr().out.endswith(f"{index}\n")
    links = re.findall('<a href="(.+)">(.+)</a>', index.read_text(encoding="utf-8"))
    assert [file for file, _ in links] == [f"{path.stem}.html" for path in CHAPTERS]
    assert all((index.parent / file).exists() for file, _ in links)
    assert [title[:5] for _, title in links] == [f"{n:02} · " for n in range(1, len(links) + 1)]
    assert ("探索" in links[0][1]) == (language == "zh")


@pytest.fixture
def show(browser, tmp_path):
    """Open a chapter's slides from a file."""

    def show(path, query="", language="en"):
        url = slides.write(path, tmp_path, language).as_uri()
        page = open_page(browser, url + query)
        page.wait_for_function("window.Reveal && Reveal.isReady()")
        assert page.asked == {url + query}
        assert page.complaints == []
        return page

    return show


MEASURE = """
Reveal.getSlides().map((slide, number) => {
  const { h, v } = Reveal.getIndices(slide);
  Reveal.slide(h, v, 99);
  const faults = [];
  const seen = [...slide.querySelectorAll("*")].filter((e) => !e.closest("aside"));
  for (const part of seen.filter((e) => !e.closest("mjx-assistive-mml"))) {
    const { left, top, right, bottom, height } = part.getBoundingClientRect();
    const name = `slide ${number + 1}, ${part.tagName}`;
    if (left < 0 || top < 0 || right > 1280.5 || bottom > 720.5)
      faults.push(`${name} reaches ${Math.round(right)}, ${Math.round(bottom)}`);
    if (part.scrollWidth > part.clientWidth + 1 && part.tagName == "PRE")
      faults.push(`${name}: a line is ${part.scrollWidth} pixels long`);
    if (part.tagName == "PRE" && parseFloat(getComputedStyle(part).fontSize) < 17)
      faults.push(`${name}: ${getComputedStyle(part).fontSize} is too small to read`);
    if (part.tagName == "IMG" && (height < 240 || !part.alt))
      faults.push(`${name}: ${Math.round(height)} pixels high, alt text "${part.alt}"`);
  }
  if (!seen.some((e) => e.innerText || e.tagName == "IMG"))
    faults.push(`slide ${number + 1} is empty`);
  return faults;
}).flat()
"""
UNSET = """
[...document.querySelectorAll("p, li, td, th, h1, h2, h3")]
  .filter((e) => !e.closest("aside") && /\\$/.test(e.innerText)).map((e) => e.innerText)
  .concat([...document.querySelectorAll("[data-mml-node=merror]")].map((e) => e.textContent))
"""


def is_shown(page):
    assert page.evaluate(MEASURE) == []
    assert page.evaluate(UNSET) == []


@needs_chromium
@pytest.mark.parametrize("chapter", CHAPTERS[1:3], ids=lambda path: path.stem)
def test_a_chapters_chinese_slides(chapter, show):
    page = show(chapter, language="zh")
    is_shown(page)
    assert page.evaluate("document.fonts.check('20px \"Noto Sans SC\"', '卷')")


@needs_chromium
def test_a_chapters_slides(chapter, show):
    page = show(chapter)
    is_shown(page)
    deck = slides.cut(nbformat.read(chapter, as_version=4))
    prose = "\n".join(cell.source for cell in deck.cells if cell.cell_type == "markdown")
    equations = re.findall(r"\$\$.+?\$\$|\$[^$]+\$", prose)
    assert page.evaluate("document.querySelectorAll('mjx-container').length") >= len(equations)
    count = page.evaluate("Reveal.getSlides().length")
    assert page.evaluate("document.querySelectorAll('aside.notes').length") >= count / 4
    assert page.asked == {page.evaluate("location.href.split('#')[0]")}
    assert page.complaints == []


@pytest.fixture
def lesson(tmp_path):
    """A small chapter with all that could go wrong in a page."""
    cells = [
        new_markdown_cell("# A <b>&</b> lesson", metadata=shown("slide", notes="Say $x^2$ aloud.")),
        new_markdown_cell("## Set it\n\nHere $a_b$ and $c_d$.", metadata=shown("slide")),
        new_code_cell(outputs=[figure('"<">')], metadata=shown("subslide", slide="output")),
        new_code_cell(
            "print('</script><!--')",
            outputs=[printed("</script><!--\n")],
            metadata=shown("subslide"),
        ),
        new_markdown_cell("It is printed.\n\n## End", metadata=shown("slide", slide="## End")),
    ]
    path = tmp_path / "99_lesson.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


@needs_chromium
def test_the_look_of_a_page(lesson, show):
    page = show(lesson)
    assert page.evaluate("document.title") == "A <b>&</b> lesson"
    assert page.evaluate("document.querySelector('h1').innerText") == "A & lesson"
    assert page.evaluate("document.querySelectorAll('section > p mjx-container svg').length") == 2
    assert (
        page.evaluate("document.querySelector('.code pre').innerText") == "print('</script><!--')\n"
    )
    assert page.evaluate("document.querySelector('.code .s1') != null")  # highlighted
    assert page.evaluate("document.querySelector('pre.output').textContent") == "</script><!--\n"
    assert page.evaluate("document.querySelector('img').alt") == '"<">'
    page.evaluate("Reveal.slide(1, 2)")  # a font is read where it is first seen
    page.wait_for_function("document.fonts.check('20px \"DejaVu Sans Mono\"')")
    loaded = "[...document.fonts].filter((f) => f.status == 'loaded').map((f) => f.family)"
    assert {f.strip('"') for f in page.evaluate(loaded)} == {"DejaVu Sans Mono", "Source Sans Pro"}
    assert page.evaluate("document.querySelectorAll('[data-heading=\"Set it\"]').length") == 2


@needs_chromium
def test_a_vector_figure_is_shown_with_its_alt_text(tmp_path, show):
    cells = [
        new_markdown_cell("# A figure", metadata=shown("slide")),
        new_code_cell(outputs=[vector_figure("two <lines>")], metadata=shown("slide")),
    ]
    path = tmp_path / "98_figure.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    image = show(path).evaluate(
        "(({alt, naturalWidth}) => [alt, naturalWidth > 0])(document.querySelector('img'))"
    )
    assert image == ["two <lines>", True]


@needs_chromium
def test_the_speakers_window(lesson, show):
    page = show(lesson)
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    notes = "document.querySelector('.speaker-controls-notes .value')"
    speaker.wait_for_function(f"{notes}?.querySelector('svg') != null")
    assert speaker.evaluate(f"{notes}.innerText.trim()") == "Say  aloud."
    assert speaker.evaluate("document.querySelector('.timer').innerText").startswith("00")
    page.evaluate("Reveal.slide(1, 2, 0)")  # the output, uncovered
    speaker.wait_for_function(f"{notes}.innerText.trim() == 'It is printed.'")
    frames = "[...document.querySelectorAll('iframe')].map((f) => f.src)"
    assert all(page.evaluate("location.pathname") in frame for frame in speaker.evaluate(frames))
    assert page.complaints == speaker.complaints == []


@needs_chromium
def test_the_print(lesson, show):
    page = show(lesson, "?print-pdf")
    page.wait_for_function("document.querySelectorAll('.pdf-page').length == 5")
    figure = page.evaluate("document.querySelector('img').getBoundingClientRect().toJSON()")
    assert (figure["left"], figure["height"]) == (60, 720 - 56 - 44)
    pdf = page.pdf(print_background=True, prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 5
    boxes = {tuple(map(float, b.split())) for b in re.findall(rb"/MediaBox\s*\[(.*?)\]", pdf)}
    assert boxes == {(0, 0, 960, 540)}  # points: 1280 by 720 pixels
