"""The course as a site: the recorded chapters as pages that ask nothing of any network.

Sphinx, MyST-NB and the book theme make the pages; their settings are ``assets/site/conf.py``. What
they cannot know is prepared here: solutions are folded, figures described, links led inside.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

import nbformat
from babel import Locale
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

import mnist_cnn
from mnist_cnn.course import editions, playground, slides, translations
from mnist_cnn.language import translator

ASSETS = Path(__file__).parent / "assets" / "site"
PAGES = ["INSTALL.md", "TEACHING.md", "benchmarks/lesson_times.md"]
FOLD = '<details class="solution">\n<summary>{}</summary>'
LINKS = (
    '<p><a href="../slides/{name}.html">{slides}</a> · '
    '<a href="../student/{name}.ipynb" download>{notebook}</a></p>'
)
TREE = "\n```{{toctree}}\n:hidden:\n:caption: {}\n:glob:\n\n{}\n```\n"
MODULE = "\n\n{0}\n-------------\n\n.. automodule:: mnist_cnn.{0}\n   :members:\n"


def page(chapter: NotebookNode, name: str, translated: Callable[[str], str] = str) -> NotebookNode:
    """Return a chapter as its page shows it: each solution folded, slides and notebook linked."""
    fold = FOLD.format(translated("Solution"))
    links = LINKS.format(
        name=name,
        slides=translated("Slides of this chapter"),
        notebook=translated("Notebook to work in, without solutions"),
    )
    shown = translations.translate(chapter, translated)
    cells, shown.cells, inside = shown.cells, [], False
    for cell in [*cells, new_markdown_cell()]:  # a solution may be the last thing
        if editions.is_solution(cell) != inside:
            inside = not inside
            shown.cells.append(new_markdown_cell(fold if inside else "</details>"))
        if not (inside and cell.source.startswith("#### ")):  # its heading is the text to click on
            shown.cells.append(cell)
    shown.cells.insert(1, new_markdown_cell(links))
    return shown


def alt_texts(chapter: NotebookNode) -> list[str]:
    """Return the alt text of each figure, from the output that was recorded or from its cell."""
    texts = []
    for cell in chapter.cells:
        own = cell.metadata.get("alt", [])
        own = [own] if isinstance(own, str) else list(own)
        for output in cell.get("outputs", []):
            for kind in {"image/png", "image/svg+xml"}.intersection(output.get("data", {})):
                texts.append(own.pop(0) if own else output.metadata.get(kind, {}).get("alt", ""))
    return texts


def lead_links(text: str, name: str, pages: set[str], repository: str | None) -> str:
    """Lead the links of a page's Markdown to pages of the site.

    What the site has not is linked in the repository, or not at all when there is no address.
    """
    dots = "../" * name.count("/")

    def lead(link: re.Match[str]) -> str:
        label, target, anchor = link[1], link[2], link[3] or ""
        path = normpath(join(dirname(name), target))
        if path == "build/playground.html":  # where `mnist-cnn playground` writes it
            return f'<a href="{dots}playground.html{anchor}">{label}</a>'
        if path in pages:
            return link[0]
        return f"[{label}]({repository}/blob/HEAD/{path}{anchor})" if repository else label

    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)", lead, text)


def build(root: Path, out: Path, speaking: Sequence[str] = ("en",)) -> str:
    """Build the site.

    Parameters
    ----------
    root : Path
        The project's folder, or the wheel's copy of it.
    out : Path
        The folder to write to; what an older site left there is removed.
    speaking : sequence of str
        Languages: the first one's pages lie in `out`, the others' in folders of that name, and
        each page links the same page in the others.

    Returns
    -------
    str
        What Sphinx warned of.

    Raises
    ------
    RuntimeError
        If Sphinx or its extensions are not installed, or Sphinx fails.
    ValueError
        If `root` holds no chapters, or `out` holds something else than a site.
    """
    if find_spec("sphinx_book_theme") is None:
        raise RuntimeError("the site needs Sphinx and its theme: pip install 'mnist-cnn[site]'")
    chapters = editions.chapters_of(root / "notebooks")
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        raise ValueError(f"{out} holds something else than a site")
    warnings = ""
    with tempfile.TemporaryDirectory() as temporary:
        for language in speaking:
            folder = Path(temporary, language)
            write_source(root, chapters, folder / "source", language, speaking)
            for path in chapters:
                slides.write(path, folder / "more" / "slides", language)
            student = folder / "more" / "student"
            list(editions.write("student", root / "notebooks", student, language=language))
            playground.write(folder / "more" / "playground.html", "index.html", language)
            # A process of its own: a second site in the same one would be warned of the first.
            call = [sys.executable, "-m", "sphinx", "--quiet", "--no-color", "source", "site"]
            done = subprocess.run(call, cwd=folder, capture_output=True, encoding="utf-8")
            if done.returncode:
                raise RuntimeError(f"Sphinx could not build the site: {done.stderr}")
            warnings += done.stderr
        shutil.rmtree(out, ignore_errors=True)
        unseen = shutil.ignore_patterns("_sources", ".*")
        for language, place in _places(speaking).items():
            shutil.copytree(Path(temporary, language, "site"), out / place, ignore=unseen)
    return warnings


def _places(speaking: Sequence[str]) -> dict[str, str]:
    """Return where in the site each language lies."""
    return {language: language if place else "." for place, language in enumerate(speaking)}


def write_source(
    root: Path,
    chapters: list[Path],
    source: Path,
    language: str = "en",
    speaking: Sequence[str] = ("en",),
) -> None:
    """Write what Sphinx reads into the folder `source`; other parameters as for `build`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository = project.get("urls", {}).get("Repository")
    pages = {f"notebooks/{path.name}" for path in chapters}
    pages |= {name for name in PAGES if (root / name).exists()}

    def put(name: str, text: str) -> None:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lead_links(text, name, pages, repository), encoding="utf-8")

    shutil.copytree(ASSETS, source)
    (source / "static" / "tex-svg.js").write_bytes(slides.libraries()["tex-svg.js"])
    shutil.copytree(root / "notebooks", source / "notebooks", ignore=editions.NOT_NOTEBOOKS)
    alts = {}
    for path in chapters:
        translated = translator(language, path.stem, "course")
        shown = page(nbformat.read(path, as_version=4), path.stem, translated)
        for cell in shown.cells:
            if cell.cell_type == "markdown":
                cell.source = lead_links(cell.source, f"notebooks/{path.name}", pages, repository)
        nbformat.write(shown, source / "notebooks" / path.name)
        alts[f"notebooks/{path.stem}"] = alt_texts(shown)
    for name in pages.intersection(PAGES):
        put(name, translations.page(root / name, language))
    # The first page is the README's beginning and its table of the chapters.
    readme = translations.page(root / "README.md", language)
    table = re.search(r"(?ms)^\|.*?\n\n", readme)
    parts = {"{head}": readme.partition("\n## ")[0], "{table}": table[0] if table else ""}
    index = translations.page(ASSETS / "index.md", language, "course")
    translated = translator(language, "course")
    trees = TREE.format(translated("Chapters"), "notebooks/*")
    trees += TREE.format(translated("More"), "\n".join([*PAGES, "reference"]).replace(".md", ""))
    put("index.md", re.sub("{head}|{table}", lambda part: parts[part[0]], index) + trees)
    modules = re.findall(r"(?m)^``(\w+)``", mnist_cnn.__doc__ or "")
    head = translated("The lesson package"), 60 * "="
    order = translated("``mnist_cnn``, in the order to read it in.")
    put("reference.rst", "\n".join([*head, "", order, *map(MODULE.format, modules)]))
    settings = {
        "alt": alts,
        "language": translations.LOCALES[language].replace("-", "_"),
        "repository": repository,
        "search": translated("Search"),
        "title": readme.partition("\n")[0].removeprefix("# "),
        "twins": [
            {
                "language": translations.LOCALES[other],
                "name": Locale.parse(other).get_language_name(),
                "folder": relpath(place, _places(speaking)[language]),
            }
            for other, place in _places(speaking).items()
            if other != language
        ],
    }
    put("settings.json", json.dumps(settings))
