"""The rules by which a new output equals the recorded one: words, numbers, figures, alt texts.

Shared by the pytest plugin and by ``notebooks.update``; ``tests/README.md`` explains the rules.
"""

import base64
import copy
import io
import itertools
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

# Digits inside words (conv2d_1, 3x3, 0x7f, 3.15.1) are words; 60,000 and 1e-05 are numbers.
NUMBER = re.compile(
    r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w|\.\d)"
)
MARKER = re.compile(r"#\s*(NBVAL_\w+|PYTEST_VALIDATE_IGNORE_OUTPUT)")
PLAIN_TAGS = ("exercise", "solution")
# The largest value that a tag may take: beyond it nothing would be checked.
TAG_LIMITS = {"approx-abs": math.inf, "approx-rel": 1.0}
FIGURE_RMS, TILE, TILE_FACTOR = 2.0, 16, 4
SVG = "image/svg+xml"


@dataclass(frozen=True)
class Tolerance:
    """How far a cell's outputs may lie from the recorded ones; the cell's tags say it.

    No tag concerns a PNG: `figure_rms`, in grey levels of 255, holds for all of them.
    """

    approx_abs: float = 0.0
    approx_rel: float = 0.0
    figure_rms: float = FIGURE_RMS

    @classmethod
    def from_tags(cls, tags: Iterable[str]) -> "Tolerance":
        """Read ``approx-abs=…`` and ``approx-rel=…``; ValueError if a tag is unknown."""
        values = {}
        for tag in tags:
            name, _, value = tag.partition("=")
            if tag in PLAIN_TAGS:
                continue
            try:
                if not 0 < float(value) <= TAG_LIMITS[name] or float(value) == math.inf:
                    raise ValueError
            except (KeyError, ValueError):
                limits = ", ".join(f"{n}=… (at most {v:g})" for n, v in TAG_LIMITS.items())
                raise ValueError(
                    f"tag {tag!r} is not allowed; allowed: {', '.join(PLAIN_TAGS)}, {limits}"
                ) from None
            values[name.replace("-", "_")] = float(value)
        return cls(**values)


EXACT = Tolerance(figure_rms=0.0)


@dataclass(frozen=True)
class Difference:
    """What is wrong, the recorded and the new text, and both PNGs where it is a figure."""

    what: str
    expected: str = ""
    got: str = ""
    figures: tuple[bytes, bytes] | None = None


def split_numbers(text: str) -> tuple[list[str], list[float]]:
    """Return the words around the numbers, blanks collapsed, and the numbers."""
    words = [" ".join(re.split("[ \t]+", piece)).strip(" ") for piece in NUMBER.split(text)]
    return words, [float(n.replace(",", "").replace("−", "-")) for n in NUMBER.findall(text)]


def line_distance(expected: str | None, got: str | None, tolerance: Tolerance) -> float:
    """Return the greatest distance of two numbers in tolerances; inf if a word differs."""
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
            ratio = abs(number - new) / limit if limit else math.inf
            distance = max(distance, math.inf if math.isnan(ratio) else ratio)
    return distance


def figure_distance(expected: bytes, got: bytes) -> float:
    """Return how far two PNGs differ, in grey levels of 255; inf if their sizes differ.

    It is the root mean square over all pixels, or a quarter of that over the worst tile of
    16 by 16 pixels if that is more: a changed word must not drown in a large white canvas.
    """
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
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"), dtype=float)


def normalise(outputs: Iterable[dict]) -> list[dict]:
    """Drop emptied display handles and merge consecutive pieces of one stream."""
    kept: list[dict] = []
    for output in copy.deepcopy(list(outputs)):
        if output["output_type"] == "display_data" and not any(output["data"].values()):
            continue
        if kept and output["output_type"] == "stream" and _kind(kept[-1]) == output["name"]:
            kept[-1]["text"] += output["text"]
        else:
            kept.append(output)
    return kept


def _kind(output: dict) -> str:
    return output.get("name") or output["output_type"]


def _label(output: dict) -> str:
    text = output.get("text") or output.get("data", {}).get("text/plain") or output.get("evalue")
    line = str(text or "").strip().partition("\n")[0]
    return f"{_kind(output)} “{line[:40]}{'…' * (len(line) > 40)}”"


def compare_outputs(
    recorded: Iterable[dict], new: Iterable[dict], tolerance: Tolerance
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
    found = []
    for number, (old, out) in enumerate(zip(recorded, new, strict=True), start=1):
        where = f"output {number} ({_kind(old)})"
        if old["output_type"] == "stream":
            found.append(_compare_text(where, old["text"], out["text"], tolerance))
        elif old["output_type"] != "error":
            found += _compare_data(where, old, out, tolerance)
    return [difference for difference in found if difference]


def _compare_data(where: str, old: dict, new: dict, tolerance: Tolerance) -> list:
    found = []
    if sorted(old["data"]) != sorted(new["data"]):
        kinds = (", ".join(sorted(side["data"])) for side in (old, new))
        return [*found, Difference(f"{where}: other MIME types", *kinds)]
    for mime, value in old["data"].items():
        if mime == SVG:
            found += _compare_svg(where, value, new["data"][mime], tolerance)
        elif mime.startswith("image/"):
            pair = base64.b64decode(value), base64.b64decode(new["data"][mime])
            found.append(_compare_figure(where, *pair, tolerance.figure_rms))
        else:
            texts = (_as_text(side["data"][mime]) for side in (old, new))
            found.append(_compare_text(f"{where} {mime}", *texts, tolerance))
    rest = [json.dumps(_without_alt(side["metadata"]), sort_keys=True) for side in (old, new)]
    return [*found, Difference(f"{where}: metadata differ", *rest) if rest[0] != rest[1] else None]


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True)


def _without_alt(metadata: dict) -> dict:
    return {
        key: {k: v for k, v in value.items() if k != "alt"} if key.startswith("image/") else value
        for key, value in metadata.items()
    }


def alt_texts(cell: dict) -> list[str]:
    """Return the alt texts that a cell's metadata give for its figures, in order."""
    alt = cell["metadata"].get("alt", [])
    return [alt] if isinstance(alt, str) else list(alt)


def figures(outputs: Iterable[dict]) -> list[tuple[dict, str]]:
    """Return each output that is a figure, with the MIME type of its picture."""
    found = []
    for output in outputs:
        images = [mime for mime in output.get("data", {}) if mime.startswith("image/")]
        if images:
            found.append((output, images[0]))
    return found


def _check_alt_texts(cell: dict) -> list[Difference]:
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


def _compare_svg(where: str, old: str, new: str, tolerance: Tolerance) -> list:
    """Compare what two SVGs draw: their words exactly, their coordinates within the tolerance."""
    (words, shapes), (new_words, new_shapes) = map(_svg_parts, (old, new))
    return [
        _compare_text(f"{where}: words of the figure", words, new_words, Tolerance()),
        _compare_text(f"{where}: shapes of the figure", shapes, new_shapes, tolerance),
    ]


def _svg_parts(svg: str) -> tuple[str, str]:
    """Return the texts that an SVG shows, a line each, and all else of it, names made neutral."""
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
    shown = ("(no such line)" if side is None else side[cut] for side in (expected, got))
    return Difference(f"{where}, line {line + 1}: {what}", *shown)


def check_cell(cell: dict, new: Iterable[dict]) -> list[Difference]:
    """Return all that is wrong with a recorded code cell, given the outputs of a new run.

    Parameters
    ----------
    cell : dict
        A code cell as nbformat 4 has it, with its recorded outputs.
    new : iterable of dict
        The outputs of running it.

    Returns
    -------
    list of Difference
        Empty if the record is complete, free of ignore markers, and agrees with the run.
    """
    new = list(new)
    found = []
    if marker := MARKER.search(cell["source"]):
        found.append(Difference(f"ignore marker {marker[0]!r} in the source: remove it"))
    if cell["source"].strip() and cell["execution_count"] is None:
        found.append(Difference("the recorded cell was not executed (no execution count)"))
    for side, outputs in (("recorded", cell["outputs"]), ("new", new)):
        stderr = "".join(output["text"] for output in outputs if _kind(output) == "stderr").strip()
        if stderr:
            found.append(Difference(f"{side} output on stderr", "nothing", stderr[-120:]))
        if any(output["output_type"] == "error" for output in outputs):
            found.append(Difference(f"{side} output is an error", "none", _label(outputs[-1])))
    try:
        tolerance = Tolerance.from_tags(cell["metadata"].get("tags", []))
    except ValueError as error:
        return [*found, Difference(str(error))]
    return found + _check_alt_texts(cell) + compare_outputs(cell["outputs"], new, tolerance)
