"""The rules by which a new output equals the recorded one: words, numbers, figures, alt texts.

Functions of cells and outputs as nbformat 4 has them, without a kernel: the pytest plugin asks them
about a run, a recorder before it writes. ``README.md`` in this folder explains the rules.
"""

import base64
import copy
import io
import itertools
import json
import math
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

# A figure, its alt text and all else come as nbformat's dictionaries.
Node = dict[str, Any]

NUMBER = re.compile(
    r"""(?<![\w.])                              # conv2d_1, 3x3, 0x7f and 3.15.1 are words
    (?: (?: (?<![\[({]) | (?![-+−]?\d[\d,.]*+[\])}]) )     # (1,100) is a pair,
        (?<!\d,) [-+−]?\d{1,3}(?:,\d{3})+(?:\.\d*)? (?!,?\d) # 60,000 is one number,
      | [-+−]? (?: \d+\.?\d* | \.\d+ ) )
    (?: [eE][-+]?\d+ )?                         # 1e-05 too, and 206ms is one with its unit
    (?: (?= (?: [nuµμm]?s | min | h | [kMGT]?i?B | [kMG]?Hz | it | px | pt )\b ) | (?!\w|\.\d) )
    """,
    re.VERBOSE,
)
MARKER = re.compile(r"#\s*(NBVAL_\w+|PYTEST_VALIDATE_IGNORE_OUTPUT)")
# The largest value that a tag may take: beyond it nothing would be checked.
TAG_LIMITS = {"approx-abs": math.inf, "approx-rel": 1.0}
RAISES = "raises-exception"
FIGURE_RMS, TILE, TILE_FACTOR = 2.0, 16, 4
SVG, WIDGET = "image/svg+xml", "application/vnd.jupyter.widget-view+json"
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
CELL_FILE = re.compile(r"[^\s\"']*ipykernel_\d+[/\\]\d+\.py")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")
# Random names: those that pandas' Styler and plotly give to parts of a page, a widget's model.
RANDOM_NAME = re.compile(
    r"""(?:\bid=["']?[\w-]*?|"model_id":\ ")
    (T_[0-9a-f]{5} | [0-9a-f]{32} | [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Rules:
    """What a course demands of every notebook.

    Strict means: an alt text for each figure, nothing on stderr, and no tag that is unknown here
    and not among `tags`.
    """

    strict: bool = False
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Tolerance:
    """How far a cell's outputs may lie from the recorded ones; the cell's tags say it.

    No tag concerns a PNG: `figure_rms`, in grey levels of 255, holds for all of them.
    """

    approx_abs: float = 0.0
    approx_rel: float = 0.0
    figure_rms: float = FIGURE_RMS
    varies: tuple[str, ...] = ()

    @classmethod
    def from_tags(cls, tags: Iterable[str]) -> "Tolerance":
        """Read ``approx-abs=…``, ``approx-rel=…``, ``varies=…``; ValueError if one is wrong.

        >>> Tolerance.from_tags(["exercise", "approx-abs=0.003"]).approx_abs
        0.003
        """
        numbers, patterns = {}, []
        for tag in tags:
            name, _, value = tag.partition("=")
            try:
                if name == "varies":
                    if re.search(value, ""):
                        raise ValueError("the pattern matches an empty text")
                    patterns.append(value)
                elif name in TAG_LIMITS:
                    number = numbers[name.replace("-", "_")] = float(value)
                    if not 0 < number <= TAG_LIMITS[name] or number == math.inf:
                        raise ValueError(f"more than 0, at most {TAG_LIMITS[name]:g}")
            except (ValueError, re.error) as error:
                raise ValueError(f"tag {tag!r} is not allowed: {error}") from None
        return cls(varies=tuple(patterns), **numbers)


EXACT = Tolerance(figure_rms=0.0)


@dataclass(frozen=True)
class Difference:
    """What is wrong, the recorded and the new text, and both PNGs where it is a figure."""

    what: str
    expected: str = ""
    got: str = ""
    figures: tuple[bytes, bytes] | None = None


def split_numbers(text: str) -> tuple[list[str], list[float]]:
    """Return the words around the numbers, blanks collapsed, and the numbers.

    >>> split_numbers("epoch  3: 1,200 images of (28,28), 5ms")
    (['epoch', ':', 'images of (', ',', '),', 'ms'], [3.0, 1200.0, 28.0, 28.0, 5.0])
    """
    words = [" ".join(re.split("[ \t]+", piece)).strip(" ") for piece in NUMBER.split(text)]
    return words, [float(n.replace(",", "").replace("−", "-")) for n in NUMBER.findall(text)]


def line_distance(expected: str | None, got: str | None, tolerance: Tolerance) -> float:
    """Return the greatest distance of two numbers in tolerances; inf if a word differs.

    >>> round(line_distance("loss 0.50", "loss 0.58", Tolerance(approx_abs=0.05)), 2)
    1.6
    >>> line_distance("loss 0.50", "error 0.50", Tolerance(approx_abs=0.05))
    inf
    """
    if expected == got:
        return 0.0
    if expected is None or got is None or not (tolerance.approx_abs or tolerance.approx_rel):
        return math.inf
    (words, numbers), (new_words, new_numbers) = split_numbers(expected), split_numbers(got)
    if words != new_words:
        return math.inf
    distance = 0.0
    for number, new in zip(numbers, new_numbers, strict=True):
        limit = tolerance.approx_abs + tolerance.approx_rel * abs(number)
        if number != new or math.isinf(number):
            # 99.14 - 99.13 is 0.01 and a rounding error, which must not decide.
            gap = abs(number - new) - sys.float_info.epsilon * (abs(number) + abs(new))
            ratio = gap / limit if limit else math.inf
            distance = max(distance, math.inf if math.isnan(ratio) else ratio)
    return distance


def figure_distance(expected: bytes, got: bytes) -> float:
    """Return how far two PNGs differ, in grey levels of 255; inf if their sizes differ.

    It is the root mean square over all pixels, or a quarter of that over the worst tile of
    16 by 16 pixels if that is more: a changed word must not drown in a large white canvas.
    """
    if expected == got:
        return 0.0
    old, new = (_pixels(png) for png in (expected, got))
    if old.shape != new.shape:
        return math.inf
    squares = ((old - new) ** 2).mean(axis=2)
    height, width = (-side % TILE for side in squares.shape)
    tiles = np.pad(squares, ((0, height), (0, width)))
    tiles = tiles.reshape(tiles.shape[0] // TILE, TILE, -1, TILE).mean(axis=(1, 3))
    return max(float(squares.mean()) ** 0.5, float(tiles.max()) ** 0.5 / TILE_FACTOR)


def _pixels(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=image)
    return np.asarray(canvas, dtype="float32")


def normalise(outputs: Iterable[Node]) -> list[Node]:
    """Drop emptied display handles; join the pieces of each stream, stdout before stderr.

    Of a widget that brings a figure along only the figure is kept: its model ends with the kernel.
    """
    kept: list[Node] = []
    shown = [
        output
        for output in copy.deepcopy(list(outputs))
        if output["output_type"] != "display_data" or any(output["data"].values())
    ]
    for output, _ in figures(shown):
        output["data"].pop(WIDGET, None)
    for streams, group in itertools.groupby(
        shown, lambda output: output["output_type"] == "stream"
    ):
        pieces = list(group)
        for name in ("stdout", "stderr") if streams else ():
            if same := [piece for piece in pieces if piece["name"] == name]:
                same[0]["text"] = "".join(piece["text"] for piece in same)
                kept.append(same[0])
        kept += [] if streams else pieces
    return kept


def visible(text: str) -> str:
    r"""Return what of a text a notebook shows: without colours, after each ``\b`` and ``\r``.

    >>> visible("epoch 1\b2\r\x1b[1mE\x1b[0m")
    'Epoch 2'
    """
    text, backspaces = ANSI.sub("", text), 1
    while backspaces:
        text, backspaces = re.subn("[^\n\b]\b", "", text)
    return "\n".join(map(_after_returns, re.sub("\r+\n", "\n", text.replace("\b", "")).split("\n")))


def _after_returns(line: str) -> str:
    shown = ""
    for piece in line.split("\r"):
        shown = piece + shown[len(piece) :]
    return shown


def _texts(output: Node) -> dict[str, str]:
    """Return the texts of an output by MIME type, random names made neutral."""
    if output["output_type"] == "error":
        texts = {"": f"{output['ename']}: {output['evalue']}"}
    elif output["output_type"] == "stream":
        texts = {"": output["text"]}
    else:
        texts = {
            mime: value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True)
            for mime, value in output["data"].items()
            if mime == SVG or not mime.startswith("image/")
        }
    for mime, text in texts.items():
        text = text if mime == SVG else CELL_FILE.sub("<cell>", visible(text))
        if mime == "text/html" or mime.endswith("json"):
            for number, name in enumerate(dict.fromkeys(RANDOM_NAME.findall(text))):
                text = text.replace(name, f"name{number}")
        if mime == "text/plain" and len(output["data"]) > 1:
            text = ADDRESS.sub(">", text)  # a page shows the richer kind instead
        texts[mime] = text
    return texts


def _kind(output: Node) -> str:
    return output.get("name") or output["output_type"]


def _label(output: Node) -> str:
    text = output.get("text") or output.get("data", {}).get("text/plain") or output.get("evalue")
    line = visible(str(text or "")).strip().partition("\n")[0]
    return f"{_kind(output)} “{line[:40]}{'…' * (len(line) > 40)}”"


def compare_outputs(
    recorded: Iterable[Node], new: Iterable[Node], tolerance: Tolerance
) -> list[Difference]:
    """Return all that differs between a cell's recorded and new outputs.

    Parameters
    ----------
    recorded, new : iterable of dict
        Outputs as nbformat 4 has them, in order; both are normalised first.
    tolerance : Tolerance
        What the cell's tags allow.

    Returns
    -------
    list of Difference
        Empty if the outputs agree.
    """
    recorded, new = normalise(recorded), normalise(new)
    if [_kind(output) for output in recorded] != [_kind(output) for output in new]:
        expected, got = (", ".join(map(_label, side)) or "none" for side in (recorded, new))
        return [Difference("outputs: number, kinds or order differ", expected, got)]
    found: list[Difference | None] = []
    for number, (old, out) in enumerate(zip(recorded, new, strict=True), start=1):
        found += _compare_output(f"output {number} ({_kind(old)})", old, out, tolerance)
    return [difference for difference in found if difference]


def _compare_output(
    where: str, old: Node, new: Node, tolerance: Tolerance
) -> list[Difference | None]:
    found: list[Difference | None] = []
    data, new_data = old.get("data", {}), new.get("data", {})
    if sorted(data) != sorted(new_data):
        expected, got = (", ".join(sorted(side)) for side in (data, new_data))
        return [Difference(f"{where}: other MIME types", expected, got)]
    texts, new_texts = _texts(old), _texts(new)
    for mime in texts:
        pair = texts[mime], new_texts[mime]
        for pattern in tolerance.varies:
            pair = re.sub(pattern, "<varies>", pair[0]), re.sub(pattern, "<varies>", pair[1])
        if mime == SVG:
            found += _compare_svg(where, *pair, tolerance)
        else:
            found.append(_compare_text(f"{where} {mime}".strip(), *pair, tolerance))
    for mime in data.keys() - texts.keys():
        pngs = base64.b64decode(data[mime]), base64.b64decode(new_data[mime])
        found.append(_compare_figure(where, *pngs, tolerance.figure_rms))
    expected, got = (json.dumps(_without_alt(side), sort_keys=True) for side in (old, new))
    if expected != got:
        found.append(Difference(f"{where}: metadata differ", expected, got))
    return found


def _without_alt(output: Node) -> Node:
    metadata = copy.deepcopy(output.get("metadata", {}))
    for mime in [key for key in metadata if key.startswith("image/")]:
        metadata[mime].pop("alt", None)
        if not metadata[mime]:
            del metadata[mime]
    return metadata


def alt_texts(cell: Node) -> list[str]:
    """Return the alt texts that a cell's metadata give for its figures, in order.

    >>> alt_texts({"metadata": {"alt": "A line that falls"}})
    ['A line that falls']
    """
    alt = cell["metadata"].get("alt", [])
    return [alt] if isinstance(alt, str) else list(alt)


def figures(outputs: Iterable[Node]) -> list[tuple[Node, str]]:
    """Return each output that is a figure, with the MIME type of its picture."""
    found = []
    for output in outputs:
        images = [mime for mime in output.get("data", {}) if mime.startswith("image/")]
        if images:
            found.append((output, max(images)))  # SVG before PNG before JPEG
    return found


def _check_alt_texts(cell: Node) -> list[Difference]:
    """Compare a cell's alt texts with those that its recorded figures show to a reader."""
    alts, shown = alt_texts(cell), figures(cell["outputs"])
    if len(alts) != len(shown) or not all(alt.strip() for alt in alts):
        return [
            Difference(
                f"{len(shown)} figures and {len(alts)} alt texts: the cell's metadata must say "
                'what each figure shows, as in {"alt": "…"}'
            )
        ]
    recorded = [output["metadata"].get(mime, {}).get("alt", "") for output, mime in shown]
    return [
        Difference("alt text: the cell's metadata and its recorded figure differ", alt, old)
        for alt, old in zip(alts, recorded, strict=True)
        if alt != old
    ]


def _compare_figure(where: str, old: bytes, new: bytes, limit: float) -> Difference | None:
    distance = figure_distance(old, new)
    if distance <= limit:
        return None
    sizes = ["{}×{} pixels".format(*Image.open(io.BytesIO(png)).size) for png in (old, new)]
    times = f", {distance / limit:.1f} times the tolerance {limit:g}" if limit else ""
    got = f"differs by an RMS of {distance:.1f} grey levels{times}"
    return Difference(
        f"{where}: figures differ", sizes[0], sizes[1] if math.isinf(distance) else got, (old, new)
    )


def _compare_svg(where: str, old: str, new: str, tolerance: Tolerance) -> list[Difference | None]:
    """Compare what two SVGs draw: their words exactly, their coordinates within the tolerance."""
    (words, shapes), (new_words, new_shapes) = map(_svg_parts, (old, new))
    return [
        _compare_text(f"{where}: words of the figure", words, new_words, Tolerance()),
        _compare_text(f"{where}: shapes of the figure", shapes, new_shapes, tolerance),
    ]


def _svg_parts(svg: str) -> tuple[str, str]:
    """Return the texts that an SVG shows, a line each, and all else of it, names made neutral."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)  # when and by what drawn
    texts = re.findall(r"<text\b[^>]*>([^<]*)</text>", svg)
    shapes = re.sub(r"(<text\b[^>]*>)[^<]*(?=</text>)", r"\1", svg)
    # Matplotlib names a clip path or marker after its coordinates.
    for number, name in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', shapes))):
        shapes = re.sub(rf'(id="|#){re.escape(name)}(?=["\)])', rf"\1name{number}", shapes)
    return "\n".join(texts), shapes


def _compare_text(where: str, old: str, new: str, tolerance: Tolerance) -> Difference | None:
    lines = list(itertools.zip_longest(old.split("\n"), new.split("\n")))
    distances = [line_distance(*pair, tolerance) for pair in lines]
    worst = max(distances)
    if worst <= 1:
        return None
    line = distances.index(worst)
    expected, got = lines[line]
    what = "text differs" if math.isinf(worst) else f"number off by {worst:.1f} tolerances"
    # A long line is cut to what surrounds its first difference.
    same = next(
        (i for i, (a, b) in enumerate(zip(expected or "", got or "", strict=False)) if a != b), 0
    )
    cut = slice(max(0, same - 60), same + 60)
    old, new = ("(no such line)" if side is None else side[cut] for side in (expected, got))
    return Difference(f"{where}, line {line + 1}: {what}", old, new)


def check_cell(cell: Node, new: Iterable[Node], rules: Rules) -> list[Difference]:
    """Return all that is wrong with a recorded code cell, given the outputs of a new run.

    Parameters
    ----------
    cell : dict
        A code cell as nbformat 4 has it, with its recorded outputs.
    new : iterable of dict
        The outputs of running it.
    rules : Rules
        What the course demands.

    Returns
    -------
    list of Difference
        Empty if the record is complete, nothing switches a check off, and the run agrees.
    """
    new, tags = list(new), cell["metadata"].get("tags", [])
    ignored = [marker[0] for marker in MARKER.finditer(cell["source"])]
    found = [
        Difference(f"{mark!r} is no marker here: remove it; what must vary has a tag 'varies=…'")
        for mark in ignored + [tag for tag in tags if tag.startswith("nbval-")]
    ]
    if cell["source"].strip() and cell["execution_count"] is None:
        found.append(Difference("the recorded cell was not executed (no execution count)"))
    try:
        tolerance = Tolerance.from_tags(tags)
    except ValueError as error:
        return [*found, Difference(str(error))]
    for pattern in tolerance.varies:
        if not any(re.search(pattern, t) for o in cell["outputs"] for t in _texts(o).values()):
            found.append(Difference(f"tag 'varies={pattern}' matches nothing in the record"))
    if rules.strict:
        found += _check_strictly(cell, new, rules)
    raised = [[o for o in side if o["output_type"] == "error"] for side in (cell["outputs"], new)]
    if RAISES in tags and not raised[0]:
        found.append(Difference(f"tag {RAISES!r}, but no error is recorded"))
    if RAISES not in tags and raised[0]:
        found.append(Difference("recorded output is an error", "none", _label(raised[0][0])))
    if RAISES not in tags and raised[1]:
        new_error = raised[1][0]
        lines = [visible(line) for text in new_error["traceback"] for line in text.split("\n")]
        what = f"the cell raises {new_error['ename']}: {new_error['evalue']}"
        return [*found, Difference("\n".join([what, *lines[-7:]]))]
    return found + compare_outputs(cell["outputs"], new, tolerance)


def _check_strictly(cell: Node, new: list[Node], rules: Rules) -> list[Difference]:
    found = []
    known = {RAISES, *rules.tags}
    for tag in cell["metadata"].get("tags", []):
        if tag not in known and tag.partition("=")[0] not in ("varies", *TAG_LIMITS):
            names = ", ".join([*sorted(known), *(f"{name}=…" for name in ("varies", *TAG_LIMITS))])
            found.append(Difference(f"tag {tag!r} is not allowed; allowed: {names}"))
    for side, outputs in (("recorded", cell["outputs"]), ("new", new)):
        stderr = "".join(output["text"] for output in outputs if _kind(output) == "stderr").strip()
        if stderr:
            found.append(Difference(f"{side} output on stderr", "nothing", visible(stderr)[-120:]))
    return found + _check_alt_texts(cell)
