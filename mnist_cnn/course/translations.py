"""The course in another language: one source, and beside it a translation of each of its texts.

A unit is a whole Markdown cell, what is projected in its place, what is said to it, or the
description of a figure; on the pages beside the chapters, a section. ``translations/LANGUAGE``
holds a gettext file for each chapter and page, keyed by the English text: a unit whose English
changed has no translation until somebody makes a new one, and is shown in English.
"""

import copy
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import nbformat
from babel.messages import Catalog, pofile
from babel.messages.extract import extract_from_file
from nbformat import NotebookNode

from mnist_cnn.answers import EXERCISES
from mnist_cnn.course.chinese import faults, glossary, strange_terms
from mnist_cnn.course.files import replacing
from mnist_cnn.course.models import WAYS
from mnist_cnn.language import FOLDER, is_done, read, translator

PAGES = ("README.md", "TEACHING.md", "INSTALL.md")
PACKAGE = FOLDER.parent
LOCALES = {"en": "en", "zh": "zh-CN"}  # as HTML names them
# Which sentences of the code stand in which file: those given to `translated`, or marked.
SENTENCES = {
    "answers": ["exercises.py"],
    "command": [
        "pictures.py",
        *(f"course/{name}.py" for name in ("cli", "models", "reading", "results")),
    ],
    "course": [
        *(f"course/{name}.py" for name in ("editions", "site", "translations")),
        "course/assets/site/index.md",
    ],
    "playground": [
        "course/assets/playground/index.html",
        "course/assets/playground/page.js",
        "course/playground.py",
    ],
}
README = "[中文](README.zh.md)\n\n"  # above its heading, where other languages have another line
HEADER = 'msgid ""\nmsgstr ""\n"Language: {}\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n'


def translate(notebook: NotebookNode, change: Callable[[str], str]) -> NotebookNode:
    """Return a copy of a chapter whose texts went through `change`; code stays as it is."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        show, metadata = cell.metadata.get("slideshow", {}), cell.metadata
        if cell.cell_type == "markdown":
            cell.source = change(cell.source)
        for key in ("slide", "notes"):
            if show.get(key, "output") != "output":
                show[key] = change(show[key])
        if "alt" in metadata:
            alone = isinstance(metadata.alt, str)
            metadata.alt = change(metadata.alt) if alone else list(map(change, metadata.alt))
        for output in cell.get("outputs", []):
            for about in output.get("metadata", {}).values():
                if "alt" in about:
                    about["alt"] = change(about["alt"])
    return notebook


def unmarked(text: str, change: Callable[[str], str]) -> str:
    """Return HTML or JavaScript whose texts between ⟦ and ⟧ went through `change`.

    A text is on one line there, and what a script fills in is {name}, as in Python's sentences.
    """

    def unmark(marked: re.Match[str]) -> str:
        unit = re.sub(r"\s+", " ", marked[1]).replace("${", "{")
        return change(unit).replace("{", "${")

    return re.sub("(?s)⟦(.*?)⟧", unmark, text)


def page(path: Path, language: str, name: str = "") -> str:
    """Return a page in a language, section by section; `name` is its gettext file's if not its."""
    translated = translator(language, name or path.stem)
    return "".join(
        translated(part.rstrip("\n")) + part[len(part.rstrip("\n")) :] for part in sections(path)
    )


def sections(path: Path) -> list[str]:
    """Return a page's sections, each with its heading; joined they are the page."""
    parts, fenced = [""], False
    text = path.read_text(encoding="utf-8").removeprefix(README)
    for line in text.splitlines(keepends=True):
        fenced ^= line.startswith("```")
        if line.startswith("#") and not fenced and parts[-1]:
            parts.append("")
        parts[-1] += line
    return parts


def units(path: Path) -> list[str]:
    """Return the texts of a chapter or page, or the sentences of a file of code, each once."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    if path.suffix == ".ipynb":
        translate(nbformat.read(path, as_version=4), note)
    elif path.suffix == ".md":
        found = [part.rstrip("\n") for part in sections(path)]
    elif path.suffix in (".html", ".js"):
        unmarked(path.read_text(encoding="utf-8"), note)
    else:
        sentences = extract_from_file("python", path, keywords={"translated": None})
        found = [str(sentence) for _, sentence, *_ in sentences]
    return list(dict.fromkeys(text for text in found if re.search("[A-Za-z]{2}", text)))


def sources(root: Path) -> dict[str, list[str]]:
    """Return the texts of the whole course, by the name of the gettext file for them."""
    found = {path.stem: units(path) for path in sorted((root / "notebooks").glob("*.ipynb"))}
    found |= {Path(name).stem: units(root / name) for name in PAGES}
    for name, files in SENTENCES.items():
        found[name] = [unit for file in files for unit in units(PACKAGE / file)]
    found["command"] += WAYS
    for exercise in EXERCISES.values():
        hints = [hint for _, hint in exercise.hints]
        found["answers"] += filter(None, [exercise.why, *hints, exercise.otherwise])
    return found


def readme(root: Path, language: str) -> str:
    """Return what stands in README.LANGUAGE.md."""
    translated = translator(language, "course")
    lab = translated("Chapters and hints in this language: `mnist-cnn lab --language {language}`")
    start = f"[English](README.md) · {lab.format(language=language)}\n\n"
    return start + page(root / "README.md", language)


def update(file: Path, wanted: Iterable[str], language: str) -> list[str]:
    """Make a gettext file hold the units that are wanted now, and return those to translate.

    A unit like one that went comes marked ``fuzzy``, with the old translation as a beginning.
    """
    template = Catalog()
    for unit in wanted:
        template.add(unit)
    catalog = read(file)
    catalog.update(template)
    with replacing(file) as temporary, temporary.open("wb") as stream:
        stream.write(HEADER.format(language).encode())
        pofile.write_po(stream, catalog, width=0, omit_header=True, ignore_obsolete=True)
    return [str(message.id) for message in catalog if message.id and not is_done(message)]


def renew(root: Path, language: str) -> None:
    """Bring a language's gettext files up to the course, and its README up to them."""
    for name, wanted in sources(root).items():
        update(FOLDER / language / f"{name}.po", wanted, language)
    with replacing(root / f"README.{language}.md") as temporary:
        temporary.write_text(readme(root, language), encoding="utf-8", newline="\n")


def to_do(root: Path, language: str) -> Iterator[str]:
    """Give what is to do for a language, a line each: missing and fuzzy units, and faults."""
    terms = glossary(language)
    for name, wanted in sources(root).items():
        file = FOLDER / language / f"{name}.po"
        made = {str(m.id): m for m in read(file)}
        old = sum(unit in made and made[unit].fuzzy for unit in wanted)
        done = {
            unit: str(made[unit].string) for unit in wanted if unit in made and is_done(made[unit])
        }
        if missing := len(set(wanted)) - len(done) - old:
            yield f"{file.name}: {missing} missing"
        if old:
            yield f"{file.name}: {old} fuzzy: their English changed"
        for unit, translation in done.items():
            for fault in faults(unit, translation) + strange_terms(unit, translation, terms):
                yield f"{file.name}: {unit[:40]!r}: {fault}"
    file = root / f"README.{language}.md"
    if not file.exists() or file.read_text(encoding="utf-8") != readme(root, language):
        yield f"{file.name}: not as its translation: mnist-cnn translations --update"
