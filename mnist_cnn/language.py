"""The language that `check` and the command speak: English, or that of MNIST_CNN_LANGUAGE."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from babel.messages import Catalog, Message, pofile

FOLDER = Path(__file__).parent / "translations"  # a folder for each language, of gettext files
VARIABLE = "MNIST_CNN_LANGUAGE"


def languages() -> list[str]:
    """Return the codes of the languages there are, "en" first."""
    return ["en", *sorted(path.name for path in FOLDER.iterdir() if path.is_dir())]


def chosen() -> str:
    """Return the language that the environment asks for; without a wish it is "en"."""
    return _known(os.environ.get(VARIABLE) or "en", VARIABLE)


def translated(text: str) -> str:
    """Return a sentence of the package in the chosen language."""
    return translator(chosen(), "answers", "command")(text)


def translator(language: str, *files: str) -> Callable[[str], str]:
    """Return what gives a text in a language, and the text as it is where nobody translated it.

    Parameters
    ----------
    language : str
        One of `languages`.
    *files : str
        Names of the gettext files in which to look.

    Raises
    ------
    ValueError
        If there is no such language.

    Examples
    --------
    >>> translator("zh", "course")("Solution")
    '参考答案'
    """
    folder = FOLDER / _known(language, "language")
    texts = {english: text for file in files for english, text in _texts(folder / f"{file}.po")}
    return lambda text: texts.get(text, text)


def read(file: Path) -> Catalog:
    """Return a gettext file's catalogue, an empty one when there is no file."""
    if not file.exists():
        return Catalog()
    with file.open("rb") as stream:
        return pofile.read_po(stream, charset="utf-8", abort_invalid=True)


def is_done(message: Message) -> bool:
    """Whether a text has a translation that was made for it as it is now."""
    return bool(message.string) and not message.fuzzy


@cache
def _texts(file: Path) -> list[tuple[str, str]]:
    return [(str(m.id), str(m.string)) for m in read(file) if m.id and is_done(m)]


def _known(language: str, name: str) -> str:
    if language in languages():
        return language
    raise ValueError(f"{name} must be one of {', '.join(map(repr, languages()))}, not {language!r}")
