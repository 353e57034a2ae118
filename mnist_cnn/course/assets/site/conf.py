"""Sphinx's settings for the site; `mnist_cnn.course.site` puts this file among the pages."""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.search.zh import SearchChinese

import mnist_cnn.course.quick_start  # noqa: F401 (before the extensions load nbformat)

SETTINGS = json.loads(Path(__file__).with_name("settings.json").read_text(encoding="utf-8"))
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "sphinx_book_theme"
html_title, language = SETTINGS["title"], SETTINGS["language"]
templates_path = ["templates"]
html_static_path, html_extra_path, html_css_files = ["static"], ["../more"], ["site.css"]
html_favicon = "static/icon.svg"
html_copy_source = False  # the sources hold what is folded on the pages
html_show_sphinx = html_show_copyright = False
html_show_search_summary = False  # it would be fetched, which a browser forbids to files
html_domain_indices = html_use_index = False
html_context = {"default_mode": "auto", "twins": SETTINGS["twins"]}
# The theme's own search button has another name for a screen reader than for the eye.
html_sidebars = {"**": ["navbar-logo.html", "search-field.html", "sbt-sidebar-nav.html"]}
html_theme_options = {
    "home_page_in_toc": True,
    "repository_branch": "main",
    "navbar_persistent": [],
    "search_bar_text": SETTINGS["search"],
    "article_header_end": ["languages.html", "article-header-buttons.html"],
    "use_download_button": False,  # each chapter links its student edition instead
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
launch = dict(binderhub_url="https://mybinder.org", colab_url="https://colab.research.google.com")
if address := SETTINGS["repository"]:
    html_theme_options |= {"repository_url": address, "launch_buttons": launch}
nb_execution_mode, nb_merge_streams = "off", True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
mathjax_path = "tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}  # the menu would fetch more of MathJax
default_role = "code"  # as the docstrings mean it
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more: shapes and ranges


def describe_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Give each recorded figure its alt text, which MyST-NB does not take from the output."""
    outputs = [n for n in doctree.findall(nodes.container) if "mime_type" in n]
    figures = [image for output in outputs for image in output.findall(nodes.image)]
    for figure, text in zip(figures, SETTINGS["alt"].get(app.env.docname, []), strict=True):
        figure["alt"] = text


class PairSearch(SearchChinese):
    """Chinese writes no spaces between words: each two neighbouring characters are a term."""

    language_name = "English"  # of the stemmer that goes with it, which Sphinx looks up by this
    js_splitter_code = r"""
var splitQuery = (query) =>
    Array.from(query.matchAll(/\w+|(?=([\u4e00-\u9fff]{2}))/g), (found) => found[1] ?? found[0]);
"""

    def split(self, input: str) -> list[str]:  # noqa: D102
        return super().split(input) + re.findall("(?=([\u4e00-\u9fff]{2}))", input)


def setup(app: Sphinx) -> None:  # noqa: D103
    app.add_search_language(PairSearch)
    app.connect("doctree-read", describe_figures)
