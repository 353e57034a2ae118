"""The course as a site: the recorded chapters as pages that ask nothing of any network.

Sphinx, MyST-NB and the book theme make the pages; their settings are ``assets/site/conf.py``. What
they cannot know is prepared here: solutions are folded, figures described, links led inside.
"""

import copy
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib.util import find_spec
from pathlib import Path
from posixpath import dirname, join, normpath

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

import mnist_cnn
from mnist_cnn.course import editions, playground, slides

ASSETS = Path(__file__).parent / "assets" / "site"
PAGES = ["INSTALL.md", "TEACHING.md", "benchmarks/lesson_times.md"]
FOLD = '<details class="solution">\n<summary>Solution</summary>'
LINKS = (
    '<p><a href="../slides/{0}.html">Slides of this chapter</a> · '
    '<a href="../student/{0}.ipynb" download>Notebook to work in, without solutions</a></p>'
)
REFERENCE = "The lesson package\n==================\n\n``mnist_cnn``, in the order to read it in."
MODULE = "\n\n{0}\n-------------\n\n.. automodule:: mnist_cnn.{0}\n   :members:\n"


def page(chapter: NotebookNode, name: str) -> NotebookNode:
    """Return a chapter as its page shows it: each solution folded, slides and notebook linked."""
    shown = copy.deepcopy(chapter)
    cells, shown.cells, inside = shown.cells, [], False
    for cell in [*cells, new_markdown_cell()]:  # a solution may be the last thing
        if editions.is_solution(cell) != inside:
            inside = not inside
            shown.cells.append(new_markdown_cell(FOLD if inside else "</details>"))
        if not cell.source.startswith("#### Solution"):  # that is the text to click on
            shown.cells.append(cell)
    shown.cells.insert(1, new_markdown_cell(LINKS.format(name)))
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


def build(root: Path, out: Path) -> str:
    """Build the site.

    Parameters
    ----------
    root : Path
        The project's folder.
    out : Path
        The folder to write to; what an older site left there is removed.

    Returns
    -------
    str
        What Sphinx warned of.

    Raises
    ------
    RuntimeError
        If Sphinx or its extensions are not installed; or as `slides.fetch`.
    ValueError
        If `root` holds no chapters, or `out` holds something else than a site.
    """
    if find_spec("sphinx_book_theme") is None:
        raise RuntimeError("the site needs Sphinx and its theme: pip install -e '.[site]'")
    chapters = editions.chapters_of(root / "notebooks")
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        raise ValueError(f"{out} holds something else than a site")
    libraries = slides.fetch(root / "build" / "libraries")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_source(root, chapters, folder / "source")
        (folder / "source" / "static" / "tex-svg.js").write_bytes(libraries["tex-svg.js"])
        for path in chapters:
            slides.write(path, folder / "more" / "slides", libraries)
        list(editions.write("student", root / "notebooks", folder / "more" / "student"))
        playground.write(folder / "more" / "playground.html", home="index.html")
        # A process of its own: a second site in the same one would be warned of the first.
        call = [sys.executable, "-m", "sphinx", "--quiet", "--no-color", "source", "site"]
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            raise RuntimeError(f"Sphinx could not build the site: {done.stderr}")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(folder / "site", out, ignore=shutil.ignore_patterns("_sources", ".*"))
    return done.stderr


def write_source(root: Path, chapters: list[Path], source: Path) -> None:
    """Write what Sphinx reads into the folder `source`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository = project.get("urls", {}).get("Repository")
    pages = {f"notebooks/{path.name}" for path in chapters}
    pages |= {name for name in PAGES if (root / name).exists()}

    def put(name: str, text: str) -> None:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lead_links(text, name, pages, repository), encoding="utf-8")

    shutil.copytree(ASSETS, source)
    shutil.copytree(root / "notebooks", source / "notebooks", ignore=editions.NOT_NOTEBOOKS)
    alts = {}
    for path in chapters:
        shown = page(nbformat.read(path, as_version=4), path.stem)
        for cell in shown.cells:
            if cell.cell_type == "markdown":
                cell.source = lead_links(cell.source, f"notebooks/{path.name}", pages, repository)
        nbformat.write(shown, source / "notebooks" / path.name)
        alts[f"notebooks/{path.stem}"] = alt_texts(shown)
    for name in pages.intersection(PAGES):
        put(name, (root / name).read_text(encoding="utf-8"))
    # The first page is the README's beginning and its table of the chapters.
    readme = (root / "README.md").read_text(encoding="utf-8")
    table = re.search(r"(?ms)^\| chapter .*?\n\n", readme)
    parts = {"{head}": readme.partition("\n## ")[0], "{table}": table[0] if table else ""}
    index = (ASSETS / "index.md").read_text(encoding="utf-8")
    put("index.md", re.sub("{head}|{table}", lambda part: parts[part[0]], index))
    modules = re.findall(r"(?m)^``(\w+)``", mnist_cnn.__doc__ or "")
    put("reference.rst", REFERENCE + "".join(MODULE.format(name) for name in modules))
    put("settings.json", json.dumps({"alt": alts, "repository": repository}))
