"""Plant faults and count how many the checker notices.

``python -m mnist_cnn.course.faults [NOTEBOOK…] [--rounds 5] [--seed 0]`` plants random
faults in the record of every code cell, and puts a wrong canvas in the place of every figure.
Nothing is run, since an honest run is the record itself. ``--code`` plants faults in the package's
source instead, and runs a chapter until a cell differs from its record.
"""

import argparse
import base64
import copy
import io
import os
import re
import shutil
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from unittest import mock

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_output
from PIL import Image, ImageChops, ImageOps

from mnist_cnn.course import notebooks
from mnist_cnn.course.check.compare import (
    NUMBER,
    SVG,
    Rules,
    Tolerance,
    alt_texts,
    check_cell,
    figures,
    visible,
)

ROOT = Path(__file__).parents[2]
INI = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
RULES = Rules(
    strict=INI["ini_options"]["nbcheck"] == "strict",
    tags=frozenset(INI["ini_options"]["nbcheck_tags"]),
)

# A fault changes the recorded cell or the new outputs; it returns false if it does not fit.
Cell = nbformat.NotebookNode
Fault = Callable[[Cell, list[Cell], Random], bool]


def holders(cell: Cell, mime: str = "text/plain") -> list[tuple[Cell, str]]:
    """Return (dict, key) of each recorded text, or of each figure of a kind."""
    found = []
    for output in cell.outputs:
        if "text" in output and mime == "text/plain":
            found.append((output, "text"))
        elif mime in output.get("data", {}):
            found.append((output.data, mime))
    return found


def change_text(
    pattern: str | re.Pattern[str], replace: Callable[[re.Match[str], Cell, Random], str]
) -> Fault:
    """Make a fault that replaces one random match of a pattern."""

    def plant(cell: Cell, new: list[Cell], draw: Random) -> bool:
        places = [  # a colour's code is no text
            (holder, key, match)
            for holder, key in holders(cell)
            for match in re.finditer(pattern, visible(holder[key]))
        ]
        if not places:
            return False
        holder, key, match = draw.choice(places)
        text = replace(match, cell, draw)
        holder[key] = match.string[: match.start()] + text + match.string[match.end() :]
        return True

    return plant


def move_number(match: re.Match[str], cell: Cell, draw: Random) -> str:
    """Move a number by 1.2 to 3 tolerances, or by one unit in its last place if it has none."""
    text = match[0].replace(",", "").replace("−", "-")
    tolerance = Tolerance.from_tags(cell.metadata.get("tags", []))
    limit = tolerance.approx_abs + tolerance.approx_rel * abs(float(text))
    decimals = len(re.sub(r"[^.eE]*\.?(\d*).*", r"\1", text, count=1))
    step = draw.uniform(1.2, 3) * limit if limit else 10.0**-decimals
    moved = float(text) + step
    return f"{moved:.{max(decimals, 9) if limit else decimals}f}"


def change_figure(alter: Callable[[Image.Image, Random], Image.Image]) -> Fault:
    """Make a fault that alters one random recorded figure."""

    def plant(cell: Cell, new: list[Cell], draw: Random) -> bool:
        if not (found := holders(cell, "image/png")):
            return False
        data, key = draw.choice(found)
        before = Image.open(io.BytesIO(base64.b64decode(data[key]))).convert("RGB")
        after = alter(before.copy(), draw)
        if after.size == before.size and not ImageChops.difference(before, after).getbbox():
            return False
        data[key] = _png(after)
        return True

    return plant


def invert_region(image: Image.Image, draw: Random) -> Image.Image:
    """Invert a random square of 16 by 16 pixels."""
    x, y = (draw.randrange(side - 16) for side in image.size)
    box = (x, y, x + 16, y + 16)
    image.paste(ImageOps.invert(image.crop(box)), box)
    return image


def mirror_title(image: Image.Image, draw: Random) -> Image.Image:
    """Mirror the topmost line of ink: for most figures the title."""
    ink = ImageOps.invert(image.convert("L"))
    rows = [ink.crop((0, y, image.width, y + 1)).getbbox() is not None for y in range(image.height)]
    if True not in rows:
        return image
    top = rows.index(True)
    bottom = min(rows.index(False, top) if False in rows[top:] else top + 20, top + 20)
    left, _, right, _ = ink.crop((0, top, image.width, bottom)).getbbox() or (0, 0, 0, 0)
    box = (left, top, right, bottom)
    image.paste(ImageOps.mirror(image.crop(box)), box)
    return image


def other_colours(image: Image.Image, draw: Random) -> Image.Image:
    """Invert the whole figure."""
    return ImageOps.invert(image)


def other_size(image: Image.Image, draw: Random) -> Image.Image:
    """Cut off the rightmost column of pixels."""
    return image.crop((0, 0, image.width - 1, image.height))


def drop_output(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Drop one recorded output."""
    return bool(cell.outputs) and bool(cell.outputs.pop(draw.randrange(len(cell.outputs))))


def add_output(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Add a recorded output."""
    cell.outputs.append(new_output("display_data", data={"text/plain": "more"}))
    return True


def swap_outputs(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Exchange the first two recorded outputs."""
    if len(cell.outputs) < 2 or cell.outputs[0] == cell.outputs[1]:
        return False
    cell.outputs[:2] = cell.outputs[1::-1]
    return True


def strip(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Make the record that of a cell that was never run."""
    cell.outputs, cell.execution_count = [], None
    return True


def strip_count(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Take the execution count away."""
    cell.execution_count = None
    return True


def record_stderr(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Record a warning."""
    cell.outputs.append(new_output("stream", name="stderr", text="a warning\n"))
    return True


def print_stderr(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Let the run warn."""
    new.append(new_output("stream", name="stderr", text="a warning\n"))
    return True


def print_more(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Let the run print one line more."""
    new.append(new_output("stream", name="stdout", text="one more line\n"))
    return True


def raise_error(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Let the run raise."""
    new.append(new_output("error", ename="ValueError", evalue="no", traceback=[]))
    return True


def change_alt(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Change an alt text in the cell's metadata or in the recorded figure."""
    if not (shown := figures(cell.outputs)):
        return False
    output, mime = draw.choice(shown)
    if draw.random() < 0.5:
        output["metadata"][mime]["alt"] += "s"
    else:
        cell.metadata["alt"] = [f"{alt}s" for alt in alt_texts(cell)]
    return True


def drop_alt(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Take an alt text out of the cell's metadata or out of the recorded figure."""
    if not (shown := figures(cell.outputs)):
        return False
    output, mime = draw.choice(shown)
    del (output["metadata"][mime] if draw.random() < 0.5 else cell.metadata)["alt"]
    return True


def ignore(cell: Cell, new: list[Cell], draw: Random) -> bool:
    """Ignore a cell, by comment or tag, whose record is wrong as well."""
    if draw.random() < 0.5:
        cell.source = f"# NBVAL_IGNORE_OUTPUT\n{cell.source}"
    else:
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "nbval-ignore-output"]
    return drop_output(cell, new, draw) or add_output(cell, new, draw)


FAULTS: dict[str, Fault] = {
    "number changed": change_text(NUMBER, move_number),
    "number became NaN": change_text(NUMBER, lambda match, cell, draw: "nan"),
    "letter changed": change_text("[a-z]", lambda m, cell, draw: chr((ord(m[0]) - 96) % 26 + 97)),
    "line dropped": change_text(r"[^\n]*\S[^\n]*\n", lambda match, cell, draw: ""),
    "line doubled": change_text(r"[^\n]*\S[^\n]*\n", lambda match, cell, draw: match[0] * 2),
    "output dropped": drop_output,
    "output added": add_output,
    "outputs swapped": swap_outputs,
    "outputs stripped": strip,
    "count stripped": strip_count,
    "stderr recorded": record_stderr,
    "stderr new": print_stderr,
    "output new": print_more,
    "error new": raise_error,
    "ignored": ignore,
    "alt text changed": change_alt,
    "alt text dropped": drop_alt,
    "figure: region": change_figure(invert_region),
    "figure: title": change_figure(mirror_title),
    "figure: colours": change_figure(other_colours),
    "figure: size": change_figure(other_size),
}


def plant(cell: Cell, draw: Random) -> tuple[str, Cell, list[Cell]]:
    """Return a random kind of fault that fits a cell, the faulty record and the faulty run."""
    for kind in draw.sample(list(FAULTS), len(FAULTS)):
        faulty, new = copy.deepcopy(cell), copy.deepcopy(cell.outputs)
        if FAULTS[kind](faulty, new, draw):
            return kind, faulty, new
    raise ValueError("no kind of fault fits this cell")


def recorded_cells(path: Path) -> list[Cell]:
    """Return the code cells of a notebook that hold code."""
    cells = notebooks.code_cells(nbformat.read(path, as_version=4))
    return [cell for cell in cells if cell.source.strip()]


def plant_in_records(paths: list[Path], rounds: int, seed: int) -> None:
    """Plant `rounds` faults in each cell; print how many of each kind are noticed."""
    draw = Random(seed)
    planted: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    missed = []
    for path in paths:
        for number, cell in enumerate(recorded_cells(path)):
            if differences := check_cell(cell, cell.outputs, RULES):
                raise ValueError(f"{path.name}, cell {number}: {differences[0].what}")
            for _ in range(rounds):
                kind, faulty, new = plant(cell, draw)
                planted[kind] += 1
                if check_cell(faulty, new, RULES):
                    caught[kind] += 1
                else:
                    missed.append(f"{path.name}, cell {number}: {kind}")
    print("| fault in the record | planted | noticed |\n|---|---:|---:|")
    for kind in filter(planted.get, FAULTS):
        print(f"| {kind} | {planted[kind]} | {caught[kind]} |")
    noticed = caught.total() / max(planted.total(), 1)
    print(f"| **all** | {planted.total()} | **{noticed:.1%}** |")
    print(f"\nMissed: {len(missed)}", *missed, sep="\n- ")


CANVASES = ("blank", "mirrored", "turned", "another")


def wrong_canvases(
    paths: Iterable[Path], all_kinds: bool = True
) -> Iterator[tuple[str, Cell, str, Cell]]:
    """Yield (notebook, cell, what, faulty cell): each recorded figure with a wrong one instead.

    It is blank, mirrored, turned by 180°, or the next figure of the series in the same size: each
    of them, or the four kinds in turn.
    """
    shown = [
        (path, cell, output)
        for path in paths
        for cell in recorded_cells(path)
        for output, _ in figures(cell.outputs)
    ]
    for number, (path, cell, output) in enumerate(shown):
        following = shown[(number + 1) % len(shown)][2]["data"]
        for what in CANVASES if all_kinds else (CANVASES[number % 4],):
            faulty = copy.deepcopy(cell)
            faulty.outputs[cell.outputs.index(output)].data |= _canvas(
                what, output["data"], following
            )
            yield path.name, cell, what, faulty


def accepts(faulty: Cell, cell: Cell) -> bool:
    """Return whether the checker takes a faulty record for that of an honest run."""
    return not check_cell(faulty, cell.outputs, RULES)


def _canvas(what: str, data: Cell, following: Cell) -> dict[str, str]:
    if SVG in data:
        end = data[SVG].index(">", data[SVG].index("<svg")) + 1
        head, body = data[SVG][:end], data[SVG][end:].replace("</svg>", "")
        drawn = {
            "blank": "",
            "mirrored": f'<g transform="scale(-1 1)">{body}</g>',
            "turned": f'<g transform="rotate(180)">{body}</g>',
            "another": following.get(SVG, ""),
        }
        return {SVG: f"{head}{drawn[what]}</svg>"}
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    if what == "mirrored":
        image = ImageOps.mirror(image)
    elif what == "turned":
        image = image.rotate(180)
    elif what == "another" and "image/png" in following:
        foreign = Image.open(io.BytesIO(base64.b64decode(following["image/png"])))
        image = foreign.convert("RGB").resize(image.size)
    else:
        image = Image.new("RGB", image.size, "white")
    return {"image/png": _png(image)}


def _png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "png", compress_level=0)
    return base64.b64encode(file.getvalue()).decode()


# (chapter that should notice, module, source, faulty source): a wrong axis, an off-by-one, …
CODE_FAULTS = [
    ("01", "plots", 'image, cmap="gray_r")', 'image.T, cmap="gray_r")'),
    ("01", "plots", "str(titles[index])", "str(titles[-index])"),
    ("01", "data", '"x_train", "y_train"', '"x_test", "y_test"'),
    ("02", "preprocess", "np.float32(255)", "np.float32(256)"),
    ("02", "preprocess", "[..., np.newaxis]", "[:, np.newaxis]"),
    ("02", "plots", 'f"{value:.0f}", ha="center"', 'f"{1 - value:.0f}", ha="center"'),
    ("03", "model", "kernel_size=(3, 3)", "kernel_size=(5, 5)"),
    ("03", "model", "pool_size=(2, 2)", "pool_size=(2, 2), padding='same'"),
    ("03", "plots", "shape[1] / 35", "shape[1] / 30"),
    ("03", "plots", "window * kernel", "window + kernel"),
    ("04", "model", "layers.Dense(800", "layers.Dense(799"),
    ("04", "preprocess", "[labels]", "[labels - 1]"),
    ("05", "evaluation", "argsort(-scores[wrong].max(axis=1)", "argsort(scores[wrong].min(axis=1)"),
    ("05", "evaluation", "scores = [predict(", "scores = [1 - predict("),
    ("05", "plots", "ax.text(j, i, count", "ax.text(i, j, count"),
    ("05", "plots", "row.max():.3f", "row.min():.3f"),
    ("06", "networks", 'network.card["history"]', 'network.card["held_out"]["history"]'),
    ("06", "networks", 'held_out["confusion_matrix"])', 'held_out["confusion_matrix"]).T'),
    ("07", "plots", "digits, values, strict=True)", "digits, values[::-1], strict=True)"),
    ("07", "plots", "1.1 * np.abs(kernels).max()", "1.1 * kernels.max()"),
    ("08", "recipes", "max_shift=1,", "max_shift=2,"),
    ("09", "augmentation", "ROWS, COLUMNS = np", "COLUMNS, ROWS = np"),
    ("09", "augmentation", "13.5 * (1 -", "14 * (1 -"),
    ("09", "augmentation", "between(corner + 30)", "between(corner + 31)"),
    ("09", "augmentation", "np.radians(random", "(random"),
    ("09", "training", "warmup_target=recipe.learning_rate", "warmup_target=0.001"),
    ("10", "pictures", "round(side * 20 /", "round(side * 22 /"),
    ("10", "pictures", "round(14 - c)", "round(13 - c)"),
    ("10", "pictures", "Resampling.BOX", "Resampling.NEAREST"),
    ("10", "pictures", "sizes.max() / 50", "sizes.max() / 2"),
]


def plant_in_code(paths: list[Path]) -> None:
    """Run a chapter with each faulty package, and print whether some cell differs."""
    chapters = {path.stem[:2]: path for path in paths}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.copytree(ROOT / "mnist_cnn", work / "mnist_cnn")
        shutil.copytree(ROOT / "notebooks", work / "notebooks")
        caught = planted = 0
        with mock.patch.dict(os.environ, PYTHONPATH=folder, PYTHONDONTWRITEBYTECODE="1"):
            print("| fault in the code | chapter | noticed |\n|---|---|---|")
            for chapter, module, old, new in CODE_FAULTS:
                if chapter not in chapters:
                    continue
                source = work / "mnist_cnn" / f"{module}.py"
                text = source.read_text(encoding="utf-8")
                if old not in text:
                    raise ValueError(f"{module}.py does not hold {old!r} any more")
                source.write_text(text.replace(old, new), encoding="utf-8")
                where = first_difference(work / "notebooks" / chapters[chapter].name)
                source.write_text(text, encoding="utf-8")
                planted, caught = planted + 1, caught + (where is not None)
                noticed = "**no**" if where is None else f"in cell {where}"
                print(f"| `{module}`: `{old}` → `{new}` | {chapter} | {noticed} |", flush=True)
        print(f"| **all {planted}** | | **{caught / max(planted, 1):.0%}** |")


def first_difference(path: Path) -> int | None:
    """Run a notebook until a cell differs from its record or raises; return the cell's number."""
    recorded = notebooks.code_cells(nbformat.read(path, as_version=4))
    at = None

    def compare(number: int, run: Cell) -> None:
        nonlocal at
        at = number
        if check_cell(recorded[number], run.outputs, RULES):
            raise EarlyEndError

    try:
        notebooks.execute(path, on_cell=compare)
    except (CellExecutionError, EarlyEndError):
        return at
    return None


class EarlyEndError(Exception):
    """A cell differs: the rest of the notebook need not run."""


def main() -> None:
    """Plant what was asked for and print what was noticed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="faults for each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--code", action="store_true", help="faults in the package's source")
    options = parser.parse_args()
    paths = options.notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    if options.code:
        plant_in_code(paths)
    else:
        plant_in_records(paths, options.rounds, options.seed)
        canvases = list(wrong_canvases(paths))
        found = [f"{name}: {what}" for name, cell, what, bad in canvases if accepts(bad, cell)]
        print(f"\nWrong canvases accepted: {len(found)} of {len(canvases)}", *found, sep="\n- ")


if __name__ == "__main__":
    main()
