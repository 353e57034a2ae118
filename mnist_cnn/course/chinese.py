"""What a machine can see of a Chinese translation: its structure, its punctuation, its terms."""

import csv
import re
from collections import Counter, defaultdict
from typing import Any

from mnist_cnn.language import FOLDER


def faults(source: str, translation: str) -> list[str]:
    """Return what is wrong with a Chinese translation, as far as a machine can see it.

    Markdown structure, code, formulas, links and numbers must be those of the source; no English
    sentence may be left over, except a title in italics; punctuation and spaces follow the usual
    rules for Chinese text.
    """
    before, after = _parts(source), _parts(translation)
    texts = before.pop("text"), after.pop("text")
    before["number"], after["number"] = (
        Counter(map(_value, _NUMBER.finditer(text))) for text in texts
    )
    # "two" may become "2"; no other number may come.
    small = Counter({str(n): 99 for n, word in enumerate(_WORDS) if word in source.lower()})
    after["number"] -= (after["number"] - before["number"]) & small
    found = [
        f"{kind}: {_shown(went)} went, {_shown(came)} came"
        for kind in sorted({*before, *after})
        if (went := before[kind] - after[kind]) | (came := after[kind] - before[kind])
    ]
    text = re.sub(
        r"\(\d+(?:, \d+)+\)", _OBJECT, _without_titles(texts[1], source, translation)
    )  # no shapes
    for rule, pattern in _RULES.items():
        found += [
            f"{rule}: {text[max(0, m.start() - 8) : m.end() + 8]!r}"
            for m in re.finditer(pattern, text)
        ]
    return found


Terms = list[tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]]


def glossary(language: str) -> Terms:
    """Return patterns, term by term: the English, the translations of it, and what never stands."""
    with (FOLDER / language / "glossary.csv").open(encoding="utf-8", newline="") as file:
        return [
            (
                re.compile(rf"\b(?:{row['English']})(?:s|es)?\b", re.IGNORECASE),
                re.compile(row["Chinese"]),
                re.compile(row["never"] or "(?!)"),
            )
            for row in csv.DictReader(file)
        ]


def strange_terms(source: str, translation: str, terms: Terms) -> list[str]:
    """Return where a translation has not the terms of the glossary."""
    before, after = (
        _without_titles(_parts(text)["text"], source, translation) for text in (source, translation)
    )
    found = [
        f"term: {chinese.pattern} is missing"
        for english, chinese, _ in terms
        if english.search(before) and not chinese.search(after)
    ]
    return found + [f"term: {m[0]} stands" for *_, never in terms for m in never.finditer(after)]


_HAN = "[\u4e00-\u9fff]"
_NUMBER = re.compile(
    r"(?<![\w.])(\d+(?:[,\u202f ]\d{3})*(?:\.\d+)?)(?: ?(thousand|million|billion|万|亿))?"
)
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "万": 1e4, "亿": 1e8}
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_PLACEHOLDER = re.compile(r"\{[\w.]+(?::[\w.,%]+)?\}")  # in sentences of the code
_OBJECT = "\ufffc"  # stands for code, a formula or a placeholder in a text
_CODE = ("code_inline", "code_block", "fence", "math_inline", "math_inline_double", "math_block")
_RULES = {
    "broken emphasis": r"\*\*|(?<!\w)_\w",
    "English left over": r"(?:[A-Za-z][a-z'’]+[ ,;]+){5}[A-Za-z]+",
    "no space between Chinese and Latin": rf"{_HAN}[A-Za-z0-9]|[A-Za-z0-9%]{_HAN}",
    "half-width punctuation": rf"{_HAN} ?[,;:?!()]|[,;:?!]{_HAN}|{_HAN}\.(?!\w)",
    "space beside full-width punctuation": r" [，。；：？！、）]|[，。；：？！、（] ",
    "line break within a paragraph": r"\n",
    "formal address": "您",
}


def _without_titles(text: str, *both: str) -> str:
    """Leave out of a text what stands in the same italics in source and translation."""
    source, translation = (re.findall(r"(?<!\*)\*([^*.?!]+)\*(?!\*)", one) for one in both)
    for title in set(source) & set(translation):
        text = text.replace(title, _OBJECT)
    return text


def _value(number: re.Match[str]) -> str:
    """Return a number's value, so that 1.3 million and 130 万 are the same."""
    plain = re.sub("[,\u202f ]", "", number[1])
    return f"{float(plain) * _SCALES[number[2]]:.12g}" if number[2] else plain


def _shown(parts: Counter[str]) -> str:
    return ", ".join(map(repr, parts)) or "nothing"


def _parts(text: str) -> dict[str, Any]:
    """Return a text's structure, code, formulas and links, each counted, and its plain text."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    markdown = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin)
    parts: dict[str, Any] = defaultdict(Counter, text=[])
    for block in markdown.parse(text):
        for token in block.children or [block]:
            if token.type == "softbreak":
                parts["text"].append("\n")
            elif token.type == "text":
                parts["placeholder"].update(_PLACEHOLDER.findall(token.content))
                parts["text"].append(_PLACEHOLDER.sub(_OBJECT, token.content))
            elif token.type.startswith("html"):
                parts["tag"].update(re.findall("<[^>]*>", token.content))
                text = re.sub("<[^>]*>", _OBJECT, token.content)
                parts["text"].append(text.replace("\n", "\u2029"))
            elif token.type == "link_open":
                parts["link"][str(token.attrs["href"])] += 1
            elif token.type == "image":
                parts["link"][str(token.attrs["src"])] += 1
                parts["text"].append(token.content)
            elif token.type in _CODE:
                parts[token.type][token.content] += 1
                parts["text"].append(_OBJECT)
            elif token.type != "inline":
                parts["structure"][token.type + token.tag] += 1
        if block.type.endswith("_close"):
            parts["text"].append("\u2029")
    return parts | {"text": "".join(parts["text"])}
