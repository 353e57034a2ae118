"""The site: how chapters become pages, and what a browser without a network makes of them."""

import functools
import html.parser
import http.server
import re
import threading
import urllib.parse
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import mnist_cnn
from mnist_cnn import language
from mnist_cnn.course import cli, playground, site
from tests.chromium import needs_chromium, open_page

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTION = {"tags": ["solution"]}
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsmYVUQAAAABJRU5ErkJggg=="
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><circle r="2"/></svg>'


def figure(kind="image/png", **metadata):
    data = {"image/png": PIXEL, "image/svg+xml": SVG}[kind]
    return new_output("display_data", {kind: data, "text/plain": "x"}, metadata={kind: metadata})


def lesson(title, link):
    """A small chapter with all that a page must treat by itself."""
    return new_notebook(
        metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}},
        cells=[
            new_markdown_cell(f"# {title}\n\nRead $a^2$ and [on]({link}), [how](../CODE.md)."),
            new_markdown_cell("[Draw](../build/playground.html#best/8).\n\n$$b_1 + c$$"),
            new_code_cell(
                "draw()",
                outputs=[figure(alt="first"), figure("image/svg+xml")],
                metadata={"alt": ["first", "second <b>"]},
            ),
            new_markdown_cell("## Exercise"),
            new_code_cell("answer = ..."),
            new_markdown_cell("#### Solution", metadata=SOLUTION),
            new_code_cell("answer = 42", outputs=[figure(alt="third")], metadata=SOLUTION),
        ],
    )


FOLD = site.FOLD.format("Solution")
ONE_MODULE = "``runtime``"  # with all of the lesson package Sphinx takes five seconds more


def test_a_solution_is_folded_and_keeps_its_outputs():
    cells = site.page(lesson("One", "02_two.ipynb"), "01_one").cells
    texts = [cell.source for cell in cells]
    fold = texts.index(FOLD)
    assert texts[fold - 1 :] == ["answer = ...", FOLD, "answer = 42", "</details>", ""]
    assert "../slides/01_one.html" in texts[1] and "../student/01_one.ipynb" in texts[1]


def test_text_after_a_solution_is_outside_of_it():
    cells = [
        new_markdown_cell("# One"),
        new_markdown_cell("#### Solution", metadata=SOLUTION),
        new_markdown_cell("It is so.", metadata=SOLUTION),
        new_markdown_cell("## End"),
    ]
    texts = [cell.source for cell in site.page(new_notebook(cells=cells), "01").cells]
    assert texts[2:] == [FOLD, "It is so.", "</details>", "## End", ""]


def test_alt_texts_come_from_the_cell_or_the_output():
    assert site.alt_texts(lesson("One", "x")) == ["first", "second <b>", "third"]


@pytest.mark.parametrize(
    ("text", "address", "expected"),
    [
        ("[on](02_two.ipynb#part)", None, "[on](02_two.ipynb#part)"),
        ("[plan](../TEACHING.md)", None, "[plan](../TEACHING.md)"),
        ("[code](../a/b.py)", None, "code"),
        (
            "[code](../a/b.py#L1)",
            "https://x.org/o/r",
            "[code](https://x.org/o/r/blob/HEAD/a/b.py#L1)",
        ),
        ("[far](https://x.org), ![see](a.png)", None, "[far](https://x.org), ![see](a.png)"),
        ("[draw](../build/playground.html)", None, '<a href="../playground.html">draw</a>'),
        ("[here](#part), $[0, 1]$", None, "[here](#part), $[0, 1]$"),
    ],
)
def test_links_lead_to_pages_or_to_the_repository(text, address, expected):
    pages = {"notebooks/02_two.ipynb", "TEACHING.md"}
    assert site.lead_links(text, "notebooks/01_one.ipynb", pages, address) == expected


def test_another_folder_is_not_overwritten(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sphinx_book_theme")
    (tmp_path / "letter.txt").write_text("Dear")
    monkeypatch.chdir(ROOT)
    assert cli.main(["site", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"mnist-cnn: {tmp_path} holds something else than a site\n"


def test_without_sphinx_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(site, "find_spec", lambda name: None)
    assert cli.main(["site"]) == 2
    assert (
        "the site needs Sphinx and its theme: pip install 'mnist-cnn[site]'"
        in capsys.readouterr().err
    )


@pytest.fixture(scope="module")
def sphinx():
    pytest.importorskip("sphinx_book_theme", reason="the site needs pip install -e '.[site]'")


@pytest.fixture
def small_site(sphinx, tmp_path, monkeypatch):
    """A site of two small chapters, whose project has an address, in the place of an older one."""
    monkeypatch.setattr(mnist_cnn, "__doc__", ONE_MODULE)
    (tmp_path / "notebooks").mkdir()
    for name, next_one in [("01_one", "02_two.ipynb"), ("02_two", "01_one.ipynb")]:
        nbformat.write(lesson(name, next_one), tmp_path / "notebooks" / f"{name}.ipynb")
    for name in site.PAGES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# How\n\nSo.")
    table = "| chapter | minutes |\n|---|---:|\n| [One](notebooks/01_one.ipynb) | 5 |\n"
    (tmp_path / "README.md").write_text(f"# A course\n\nIt is short.\n\n## Start\n\n{table}\nEnd.")

    address = 'urls.Repository = "https://github.com/some/course"'
    (tmp_path / "pyproject.toml").write_text(f"[project]\n{address}")
    out = tmp_path / "site"
    out.mkdir()
    for name in ("searchindex.js", "old.html"):
        (out / name).write_text("old")
    assert site.build(tmp_path, out) == ""
    return out


def test_a_small_site(small_site):
    out = small_site
    page = (out / "notebooks" / "01_one.html").read_text(encoding="utf-8")
    alts = re.findall(r'<img alt="([^"]*)"[^>]*/_images/', page)
    assert alts == ["first", "second &lt;b&gt;", "third"]
    assert re.search(r"<details class=\"solution\">\s*<summary>Solution</summary>", page)
    assert '<a href="../playground.html#best/8">Draw</a>' in page
    assert "right-next" in page and ">42<" in page
    assert broken_links(out) == []
    student = (out / "student" / "01_one.ipynb").read_text(encoding="utf-8")
    assert "answer = ..." in student and "answer = 42" not in student
    index = (out / "index.html").read_text(encoding="utf-8")
    assert "It is short." in index and "End." not in index
    assert 'id="mnist_cnn.runtime.set_seed"' in (out / "reference.html").read_text(encoding="utf-8")
    assert not (out / "old.html").exists()
    # Launch buttons come with the repository's address.
    links = set(re.findall(r'href="(https:[^"]*)"', page))
    notebook = "notebooks/01_one.ipynb"
    assert any(
        x.startswith("https://mybinder.org/v2/gh/some/course") and notebook in x for x in links
    )
    assert f"https://colab.research.google.com/github/some/course/blob/main/{notebook}" in links
    assert "https://github.com/some/course/blob/HEAD/CODE.md" in links


class Links(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.targets, self.names, self.undescribed = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.names.update(filter(None, (found.get("id"), found.get("name"))))
        self.targets += [found[key] for key in ("href", "src") if found.get(key)]
        if tag == "img" and not found.get("alt"):
            self.undescribed.append(found["src"])


def pages_of(out):
    return sorted(
        p for p in out.rglob("*.html") if "slides" not in p.parts and "_static" not in p.parts
    )


def broken_links(out):
    pages = {path: Links(path) for path in pages_of(out)}
    faults = [
        f"{path.name}: no alt text: {x}" for path, page in pages.items() for x in page.undescribed
    ]
    for path, page in pages.items():
        for target in page.targets:
            address, _, anchor = urllib.parse.unquote(target).partition("#")
            if re.match(r"[a-z]+:", address):
                continue
            to = (path.parent / address.partition("?")[0]).resolve() if address else path
            known = pages[to].names if to in pages else {anchor}
            if not to.exists() or (anchor and anchor not in known and to.name != "playground.html"):
                faults.append(f"{path.name}: {target}")
    return faults


@pytest.fixture(scope="module")
def whole(sphinx, tmp_path_factory):
    """The site of this project in all its languages, and what Sphinx warned of.

    The lesson package's docstrings are English in each language, so one has them all.
    """
    out = tmp_path_factory.mktemp("site") / "out"
    write_source, modules = site.write_source, mnist_cnn.__doc__

    def write(root, chapters, source, language, speaking):
        patch.setattr(mnist_cnn, "__doc__", modules if language == "en" else ONE_MODULE)
        write_source(root, chapters, source, language, speaking)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "write_source", write)
        return out, site.build(ROOT, out, language.languages())


def test_the_whole_site_has_no_warning_and_no_broken_link(whole):
    out, warnings = whole
    assert warnings == ""
    assert broken_links(out) == []
    reference = (out / "reference.html").read_text(encoding="utf-8")
    assert 'id="mnist_cnn.training.train"' in reference
    page = (out / "notebooks" / f"{CHAPTERS[0].stem}.html").read_text(encoding="utf-8")
    has_address = "Repository" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert ("mybinder" in page, "colab" in page) == (has_address, has_address)
    for path in CHAPTERS:
        assert (out / "notebooks" / f"{path.stem}.html").exists()
        assert (out / "slides" / f"{path.stem}.html").exists()
        assert (out / "student" / path.name).exists()
        assert (out / "zh" / "notebooks" / f"{path.stem}.html").exists()
    for place in ("notebooks", "slides", "zh/notebooks", "zh/slides"):
        for name in ("03_conv_pool_model", "07_inside_the_network"):
            page = (out / place / f"{name}.html").read_text(encoding="utf-8")
            assert "../playground.html#article/" in page


UNSET = "[...document.querySelectorAll('.math')].filter((e) => !e.querySelector('mjx-container'))"


@needs_chromium
def test_every_page(whole, browser, axe):
    """No error, no request to elsewhere, formulas set, no fault of access, readable on a phone.

    Faults of access are looked for in one page of each kind: the markup is that of Sphinx and the
    theme, and `broken_links` asks every figure for its alt text.
    """
    out, _ = whole
    kinds = ["index", CHAPTERS[1].stem, "TEACHING", "reference", "search"]
    faults = []
    pages = [path for path in pages_of(out) if not path.is_relative_to(out / "zh")]
    for path in [
        *pages,
        out / "zh" / "index.html",
        out / "zh" / "notebooks" / f"{CHAPTERS[2].stem}.html",
    ]:
        page = open_page(browser, path.as_uri())
        page.wait_for_function("!window.MathJax || MathJax.startup.promise.then(() => true)")
        found = axe(page) if path.stem in kinds else []
        faults += [f"{path.name}: {fault}" for fault in [*found, *page.complaints]]
        faults += [f"{path.name} asks {url}" for url in page.asked if not url.startswith("file:")]
        if page.evaluate(f"{UNSET}.length + document.querySelectorAll('merror').length"):
            faults.append(f"{path.name}: formulas")
        page.set_viewport_size({"width": 375, "height": 800})
        if page.evaluate("document.documentElement.scrollWidth") > 375:
            faults.append(f"{path.name} is wider than a phone")
        page.context.close()
    assert faults == []


@needs_chromium
def test_in_the_dark(whole, browser, axe):
    out, _ = whole
    for name in ("index", f"notebooks/{CHAPTERS[0].stem}"):
        page = open_page(browser, (out / f"{name}.html").as_uri(), color_scheme="dark")
        assert page.get_attribute("html", "data-theme") == "dark"
        assert axe(page) == []


@needs_chromium
def test_from_a_server_a_visitor_reads_searches_and_opens_a_solution(whole, browser):
    out, _ = whole
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=out)
    handler.func.log_message = lambda *arguments: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/"
        page = open_page(browser, base)
        page.click(f"text={title(CHAPTERS[0])} >> visible=true")
        solution = page.locator("details.solution").first
        assert not solution.locator("pre").first.is_visible()
        solution.locator("summary").focus()
        page.keyboard.press("Enter")
        assert solution.locator("pre").first.is_visible()
        page.click("a.right-next")
        assert title(CHAPTERS[1]) in page.title()
        page.goto(f"{base}search.html?q=pooling")
        page.wait_for_selector("#search-results li a")
        page.goto(f"{base}notebooks/{CHAPTERS[2].stem}.html")
        page.click("text=中文 >> visible=true")
        assert page.url == f"{base}zh/notebooks/{CHAPTERS[2].stem}.html"
        assert page.get_attribute("html", "lang") == "zh-CN"
        page.wait_for_function("document.fonts.check('20px \"Noto Sans SC\"', '卷')")
        page.goto(f"{base}zh/search.html?q=卷积核")
        page.wait_for_selector("#search-results li a")
        page.click("text=English >> visible=true")
        assert page.url == f"{base}search.html"
        page.goto(f"{base}playground.html")
        page.evaluate("ready")
        page.click("text=Back to the course")
        assert page.url == f"{base}index.html"
        page.goto(f"{base}zh/playground.html")
        page.evaluate("ready")
        page.click("text=返回课程")
        assert page.url == f"{base}zh/index.html"
        assert all(url.startswith(base) for url in page.asked)
        assert page.complaints == []
        server.shutdown()


def title(path):
    return nbformat.read(path, as_version=4).cells[0].source.partition("\n")[0].removeprefix("# ")


def test_the_generator_stays_small():
    files = [site.__file__, playground.__file__, site.ASSETS / "conf.py"]
    assert sum(Path(file).read_text(encoding="utf-8").count("\n") for file in files) < 375
