"""Slides from the chapters: one HTML file each that needs no network, for a browser and for print.

How a chapter is cut is said in the metadata of its cells, under ``slideshow``:

``slide_type``
    nbconvert's own: ``slide``, ``subslide``, ``fragment``, ``skip``, ``notes``, or none to go on.
``slide``
    What is projected instead of a Markdown cell's text, which becomes the speaker notes.
``notes``
    More speaker notes.
"""

import base64
import copy
import functools
import html
import json
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import matplotlib
import nbformat
from nbconvert import SlidesExporter, TemplateExporter
from nbconvert.filters import Highlight2HTML
from nbformat import NotebookNode
from nbformat.v4 import new_output
from pygments.formatters import HtmlFormatter

from mnist_cnn.course import fonts
from mnist_cnn.course.editions import is_solution, notes_cell
from mnist_cnn.course.files import download_wheel, replacing
from mnist_cnn.course.translations import LOCALES, translate
from mnist_cnn.language import translator

ASSETS = Path(__file__).parent / "assets" / "slides"
FONTS = {
    "source-sans-pro-regular.woff": (400, "normal"),
    "source-sans-pro-italic.woff": (400, "italic"),
    "source-sans-pro-semibold.woff": (600, "normal"),
    "source-sans-pro-semibolditalic.woff": (600, "italic"),
}
# Wheels that carry reveal.js 5.2 and MathJax 3.2: SHA-256, folder inside, files. The packages
# around them (Sphinx, Django) are of no use here, so `renew` keeps these files alone, as a zip.
LIBRARIES = [
    (
        "sphinx_revealjs-3.2.1-py3-none-any.whl",
        "805bed3ca459346e0f01967d5ed1c40d6b7b917de1541e1e4566c8341fe7017b",
        "sphinx_revealjs/_static/revealjs",
        [
            "LICENSE",
            "dist/reveal.css",
            "dist/reveal.js",
            "plugin/notes/notes.js",
            *(f"dist/theme/fonts/source-sans-pro/{file}" for file in ("LICENSE", *FONTS)),
        ],
    ),
    (
        "django_static_mathjax-3.2.2.1-py3-none-any.whl",
        "05ad109fd9e5d9d380c76389689b7f523e9ccb7f7a85c1eb962c7564eac7601d",
        "mathjax/static/mathjax",
        ["LICENSE", "es5/tex-svg.js"],
    ),
]
# Code and what it prints share a slide up to so many lines; more would be too small to read, and
# longer lines are broken.
LINES, COLUMNS = 20, 100
FIGURE_LINES = 12
INDEX = """<!doctype html>
<html lang="{0}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>{1}</title>
<style>:root {{ color-scheme: light dark; font: 1.5rem system-ui, sans-serif; }}</style>
<h1>{1}</h1>
"""


def cut(notebook: NotebookNode) -> NotebookNode:
    """Return the chapter as it is projected: one cell for each thing that appears by itself.

    What a cell prints is uncovered after its code, so that the class can predict it; a figure has
    a slide of its own. Solutions are left out.
    """
    deck = copy.deepcopy(notebook)
    cells, deck.cells = deck.cells, []
    heading = ""
    for cell in cells:
        show = cell.metadata.setdefault("slideshow", NotebookNode())
        if is_solution(cell) or show.get("slide_type") == "skip":
            continue
        notes = show.pop("notes", "")
        if cell.cell_type == "markdown":
            if "slide" in show:
                before, text = _at_first_heading(cell.source)
                if before and deck.cells:  # it is said to what was shown before
                    deck.cells.append(notes_cell(f"{cell.id}-before", before))
                # What to ask comes first: the rest may lie below the edge of the window.
                cell.source, notes = show.slide, f"{notes}\n\n{text}".lstrip("\n")
            # A link to another chapter leads to its slides; the playground lies above them.
            cell.source = re.sub(r"\]\((\d\d_\w+)\.ipynb\)", r"](\1.html)", cell.source)
            cell.source = cell.source.replace("](../build/playground.html", "](../playground.html")
        source = cell.source if cell.cell_type == "markdown" else ""
        own = re.search("^#{1,2} (.+)", source, re.MULTILINE)
        shown_above = "" if own and own.start() == 0 else heading
        cell.metadata.slides = NotebookNode(heading=shown_above)
        heading = own[1] if own else heading
        pieces = [cell] if cell.cell_type == "markdown" else _pieces(cell)
        if notes.strip():
            pieces.insert(1, notes_cell(f"{cell.id}-notes", notes))  # to what is shown at once
        deck.cells += pieces
    return deck


def _at_first_heading(text: str) -> tuple[str, str]:
    """Return what stands before a text's first heading, and the rest; all of it without one."""
    found = re.search("^#", text, re.MULTILINE)
    return (text[: found.start()], text[found.start() :]) if found else ("", text)


def _pieces(cell: NotebookNode) -> list[NotebookNode]:
    """Return a code cell's source, printed outputs and figures as cells that say where they go."""
    shown_parts: list[dict] = [
        {"source": "", "outputs": [_displayed(output)]} for output in cell.outputs
    ]
    if cell.metadata.slideshow.get("slide") != "output":
        shown_parts.insert(0, {"outputs": []})
    slides: list[list[NotebookNode]] = [[]]
    for number, change in enumerate(shown_parts):
        part = copy.deepcopy(NotebookNode(cell | change | {"id": f"{cell.id}-{number}"}))
        shown = slides[-1]
        after_code = bool(shown and shown[0].source)
        full = sum(map(_lines, [*shown, part])) > LINES
        if shown and (full or (after_code and _is_figure(part))):
            part.metadata.slideshow.slide_type = "subslide"
            slides.append([])
        elif shown:
            part.metadata.slideshow.slide_type = "fragment" if after_code else "-"
        slides[-1].append(part)
    for parts in filter(None, slides):
        size = {
            "columns": min(COLUMNS, max(len(line) for p in parts for line in _text(p).split("\n"))),
            "rows": sum(map(_lines, parts)),
        }
        for part in parts:
            part.metadata.slides |= size
    return [part for parts in slides for part in parts]


def _displayed(output: NotebookNode) -> NotebookNode:
    """Return what a cell ends with as if it had been displayed: nbconvert's base drops it."""
    if output.output_type != "execute_result":
        return output
    return new_output("display_data", output.data, metadata=output.metadata)


def _is_figure(part: NotebookNode) -> bool:
    kinds = {mime for output in part.outputs for mime in output.get("data", {})}
    return not kinds.isdisjoint({"image/png", "image/svg+xml"})


def _text(part: NotebookNode) -> str:
    if part.outputs and not _is_figure(part):
        (output,) = part.outputs
        text = output.get("text") or output.data.get("text/plain", "")
        return re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip("\n")  # colours take no room
    return part.source


def _lines(part: NotebookNode) -> int:
    return FIGURE_LINES if _is_figure(part) else _text(part).count("\n") + 1


def export(notebook: NotebookNode, folder: Path, language: str = "en") -> str:
    """Return the chapter's slides as one HTML page.

    Parameters
    ----------
    notebook : NotebookNode
        The chapter, with its recorded outputs.
    folder : Path
        Where its pictures are.
    language : str
        The language that the chapter is in.

    Returns
    -------
    str
        A page that asks nothing of the network.
    """
    files = libraries()
    deck = cut(notebook)
    chinese = fonts.part(json.dumps(deck, ensure_ascii=False))
    styles = [files["reveal.css"].decode(), *_fonts(files, chinese)]
    styles += [HtmlFormatter().get_style_defs(".highlight"), _asset("slides.css")]
    names = ("reveal.js", "notes.js", "tex-svg.js")
    scripts = [_asset("start.js"), *(files[name].decode() for name in names)]
    # A page's script ends at the first of these, even inside a string of it.
    script = re.sub("<(?=/script|!--)", r"\\x3c", "\n;".join(scripts), flags=re.IGNORECASE)
    title = _title(deck.cells[0].source)
    # SlidesExporter's own method would parse the page again, to look for figures without a text.
    page, _ = TemplateExporter.from_notebook_node(
        _exporter(),
        deck,
        {
            "metadata": {"path": str(folder)},
            "slides": {
                "lang": LOCALES[language],
                "title": title,
                "css": "\n".join(styles),
                "javascript": script,
            },
        },
    )
    return page


@functools.cache
def _exporter() -> SlidesExporter:
    """Return what makes pages; to read its templates takes as long as to make one."""
    exporter = SlidesExporter(
        template_name=ASSETS.name,
        extra_template_basedirs=[str(ASSETS.parent)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        embed_images=True,
        optimistic_validation=True,  # once, not after each step
    )
    exporter.register_filter("highlight_code", Highlight2HTML(parent=exporter))
    return exporter


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _fonts(files: dict[str, bytes], chinese: bytes) -> Iterator[str]:
    """Give the style rules that hold the fonts themselves."""
    mono = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf").read_bytes()
    faces = [("DejaVu Sans Mono", 400, "normal", mono)]
    faces += [("Source Sans Pro", *face, files[font]) for font, face in FONTS.items()]
    if chinese:
        faces.append(("Noto Sans SC", 400, "normal", chinese))
    for family, weight, style, content in faces:
        data = base64.b64encode(content).decode()
        yield (
            f'@font-face {{ font-family: "{family}"; font-weight: {weight}; font-style: {style}; '
            f"src: url(data:font/opentype;base64,{data}); }}"
        )


def libraries() -> dict[str, bytes]:
    """Return reveal.js, its notes plugin, MathJax and fonts, each file under its own name."""
    with zipfile.ZipFile(ASSETS / "libraries.zip") as archive:
        return {Path(name).name: archive.read(name) for name in archive.namelist()}


def write(path: Path, out: Path, language: str = "en") -> Path:
    """Write a chapter's slides into the folder `out`, and return the file."""
    notebook = translate(nbformat.read(path, as_version=4), translator(language, path.stem))
    page = export(notebook, path.parent, language)
    target = out / f"{path.stem}.html"
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return target


def write_index(chapters: Iterable[Path], out: Path, language: str = "en") -> Path:
    """Write a page that leads to the slides of the chapters in the folder `out`, and return it."""
    page = INDEX.format(LOCALES[language], translator(language, "course")("Chapters"))
    for path in chapters:
        opening = nbformat.read(path, as_version=4).cells[0].source
        title = html.escape(_title(translator(language, path.stem)(opening)))
        page += f'<p><a href="{path.stem}.html">{title}</a></p>\n'
    target = out / "index.html"
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return target


def renew(wheels: Path) -> None:
    """Take the libraries anew from the wheels that carry them; errors: as `download_wheel`."""
    with (
        replacing(ASSETS / "libraries.zip") as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for wheel, digest, folder, files in LIBRARIES:
            with zipfile.ZipFile(download_wheel(wheel, digest, wheels)) as source:
                for file in files:
                    entry = source.getinfo(f"{folder}/{file}")
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    target.writestr(entry, source.read(entry))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as downloads:
        renew(Path(downloads))
