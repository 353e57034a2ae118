"""Plant faults and count how many the checker notices.

``python -m mnist_cnn.course.check.faults [NOTEBOOK…] [--rounds 5] [--seed 0]`` plants random
faults in the record of every code cell, and puts a wrong canvas in the place of every figure.
Nothing is run, since an honest run is the record itself. ``--code`` plants faults in the package's
source instead, and runs a chapter until a cell differs from its record.
"""

import argparse
import base64
import copy
import io
import os
import random
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from unittest import mock

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_output
from PIL import Image, ImageChops, ImageOps

from mnist_cnn.course import notebooks
from mnist_cnn.course.check.compare import NUMBER, SVG, Tolerance, check_cell

ROOT = Path(__file__).parents[3]


def holders(cell, mime="text/plain"):
    """Return (dict, key) of each recorded text, alt texts included, or of each figure."""
    found = []
    for output in cell.outputs:
        if "text" in output and mime == "text/plain":
            found.append((output, "text"))
        elif mime in output.get("data", {}):
            found.append((output.data, mime))
    return found


def change_text(pattern, replace):
    """Make a fault that replaces one random match of a pattern; false if there is none."""

    def plant(cell, new, draw):
        places = [
            (holder, key, match)
            for holder, key in holders(cell)
            for match in re.finditer(pattern, holder[key])
        ]
        if not places:
            return False
        holder, key, match = draw.choice(places)
        text = replace(match, cell, draw)
        holder[key] = holder[key][: match.start()] + text + holder[key][match.end() :]
        return True

    return plant


def move_number(match, cell, draw):
    """Move a number by 1.2 to 3 tolerances, or by one unit in its last place if it has none."""
    text = match[0].replace(",", "").replace("−", "-")
    tolerance = Tolerance.from_tags(cell.metadata.get("tags", []))
    limit = tolerance.approx_abs + tolerance.approx_rel * abs(float(text))
    decimals = len(re.match(r"[^.eE]*\.?(\d*)", text)[1])
    step = draw.uniform(1.2, 3) * limit if limit else 10.0**-decimals
    moved = float(text) + step
    return f"{moved:.{max(decimals, 9) if limit else decimals}f}"


def change_figure(alter):
    """Make a fault that alters one random recorded figure; false if there is none."""

    def plant(cell, new, draw):
        if not (figures := holders(cell, "image/png")):
            return False
        data, key = draw.choice(figures)
        before = Image.open(io.BytesIO(base64.b64decode(data[key]))).convert("RGB")
        after, png = alter(before.copy(), draw), io.BytesIO()
        if after.size == before.size and not ImageChops.difference(before, after).getbbox():
            return False
        after.save(png, "png")
        data[key] = base64.b64encode(png.getvalue()).decode()
        return True

    return plant


def invert_region(image, draw):
    """Invert a random square of 16 by 16 pixels."""
    x, y = (draw.randrange(side - 16) for side in image.size)
    box = (x, y, x + 16, y + 16)
    image.paste(ImageOps.invert(image.crop(box)), box)
    return image


def mirror_title(image, draw):
    """Mirror the topmost line of ink: for most figures the title."""
    ink = ImageOps.invert(image.convert("L"))
    rows = [ink.crop((0, y, image.width, y + 1)).getbbox() is not None for y in range(image.height)]
    if True not in rows:
        return image
    top = rows.index(True)
    bottom = min(rows.index(False, top) if False in rows[top:] else top + 20, top + 20)
    left, _, right, _ = ink.crop((0, top, image.width, bottom)).getbbox()
    box = (left, top, right, bottom)
    image.paste(ImageOps.mirror(image.crop(box)), box)
    return image


def other_colours(image, draw):
    """Invert the whole figure."""
    return ImageOps.invert(image)


def other_size(image, draw):
    """Cut off the rightmost column of pixels."""
    return image.crop((0, 0, image.width - 1, image.height))


def drop_output(cell, new, draw):
    """Drop one recorded output."""
    return bool(cell.outputs) and bool(cell.outputs.pop(draw.randrange(len(cell.outputs))))


def add_output(cell, new, draw):
    """Add a recorded output."""
    cell.outputs.append(new_output("display_data", data={"text/plain": "more"}))
    return True


def swap_outputs(cell, new, draw):
    """Exchange the first two recorded outputs."""
    if len(cell.outputs) < 2 or cell.outputs[0] == cell.outputs[1]:
        return False
    cell.outputs[:2] = cell.outputs[1::-1]
    return True


def strip(cell, new, draw):
    """Make the record that of a cell that was never run."""
    cell.outputs, cell.execution_count = [], None
    return True


def strip_count(cell, new, draw):
    """Take the execution count away."""
    cell.execution_count = None
    return True


def record_stderr(cell, new, draw):
    """Record a warning."""
    cell.outputs.append(new_output("stream", name="stderr", text="a warning\n"))
    return True


def print_stderr(cell, new, draw):
    """Let the run warn."""
    new.append(new_output("stream", name="stderr", text="a warning\n"))
    return True


def print_more(cell, new, draw):
    """Let the run print one line more."""
    new.append(new_output("stream", name="stdout", text="one more line\n"))
    return True


def raise_error(cell, new, draw):
    """Let the run raise."""
    new.append(new_output("error", ename="ValueError", evalue="no", traceback=[]))
    return True


def ignore(cell, new, draw):
    """Ignore a cell, by comment or tag, whose record is wrong as well."""
    if draw.random() < 0.5:
        cell.source = f"# NBVAL_IGNORE_OUTPUT\n{cell.source}"
    else:
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "nbval-ignore-output"]
    return drop_output(cell, new, draw) or add_output(cell, new, draw)


FAULTS = {
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
    "figure: region": change_figure(invert_region),
    "figure: title": change_figure(mirror_title),
    "figure: colours": change_figure(other_colours),
    "figure: size": change_figure(other_size),
}


# Those that lie in the record; the others need a run that goes wrong.
RECORD_FAULTS = [kind for kind in FAULTS if kind not in ("stderr new", "output new", "error new")]


def plant(cell, outputs, kinds, draw):
    """Return a random kind of fault that fits a cell, the faulty record and the faulty run."""
    for kind in draw.sample(kinds, len(kinds)):
        faulty, new = copy.deepcopy(cell), copy.deepcopy(outputs)
        if FAULTS[kind](faulty, new, draw):
            return kind, faulty, new
    raise ValueError("no kind of fault fits this cell")


def recorded_cells(path):
    """Return the code cells of a notebook that hold code."""
    cells = notebooks.code_cells(nbformat.read(path, as_version=4))
    return [cell for cell in cells if cell.source.strip()]


def plant_in_records(paths, rounds, seed):
    """Plant `rounds` faults in each cell; print how many of each kind are noticed."""
    draw = random.Random(seed)
    planted, caught, missed = Counter(), Counter(), []
    for path in paths:
        for number, cell in enumerate(recorded_cells(path)):
            if differences := check_cell(cell, cell.outputs):
                raise ValueError(f"{path.name}, cell {number}: {differences[0].what}")
            for _ in range(rounds):
                kind, faulty, new = plant(cell, cell.outputs, list(FAULTS), draw)
                planted[kind] += 1
                caught[kind] += bool(check_cell(faulty, new))
                if not check_cell(faulty, new):
                    missed.append(f"{path.name}, cell {number}: {kind}")
    print("| fault in the record | planted | noticed |\n|---|---:|---:|")
    for kind in filter(planted.get, FAULTS):
        print(f"| {kind} | {planted[kind]} | {caught[kind]} |")
    noticed = caught.total() / max(planted.total(), 1)
    print(f"| **all** | {planted.total()} | **{noticed:.1%}** |")
    print(f"\nMissed: {len(missed)}", *missed, sep="\n- ")


def wrong_canvases(paths):
    """Yield (notebook, cell, what, faulty cell): each recorded figure with a wrong one instead.

    It is blank, mirrored, turned by 180°, or the next figure of the series in the same size.
    """
    cells = [(path, cell) for path in paths for cell in recorded_cells(path)]
    figures = [
        (path, cell, number)
        for path, cell in cells
        for number, output in enumerate(cell.outputs)
        if any(mime.startswith("image/") for mime in output.get("data", {}))
    ]
    for (path, cell, number), (_, other, other_number) in zip(
        figures, figures[1:] + figures[:1], strict=True
    ):
        next_figure = other.outputs[other_number].data
        for what, canvas in _canvases(cell.outputs[number].data, next_figure):
            faulty = copy.deepcopy(cell)
            faulty.outputs[number].data |= canvas
            yield path.name, cell, what, faulty


def accepts(faulty, cell):
    """Return whether the checker takes a faulty record for that of an honest run."""
    return not check_cell(faulty, cell.outputs)


def _canvases(data, other):
    if SVG in data:
        head, body = re.match(r"(<svg[^>]*>)(.*)</svg>", data[SVG], re.DOTALL).groups()
        yield "blank", {SVG: f"{head}</svg>"}
        for what, turn in (("mirrored", "scale(-1 1)"), ("turned", "rotate(180)")):
            yield what, {SVG: f'{head}<g transform="{turn}">{body}</g></svg>'}
        yield "another", {SVG: other.get(SVG, f"{head}{other['text/plain']}</svg>")}
        return
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    yield "blank", _png(Image.new("RGB", image.size, "white"))
    yield "mirrored", _png(ImageOps.mirror(image))
    yield "turned", _png(image.rotate(180))
    if "image/png" in other:
        foreign = Image.open(io.BytesIO(base64.b64decode(other["image/png"]))).convert("RGB")
        yield "another", _png(foreign.resize(image.size))


def _png(image):
    file = io.BytesIO()
    image.save(file, "png")
    return {"image/png": base64.b64encode(file.getvalue()).decode()}


# (chapter that should notice, module, source, faulty source): a wrong axis, an off-by-one, …
CODE_FAULTS = [
    ("01", "plots", 'image, cmap="gray_r")', 'image.T, cmap="gray_r")'),
    ("02", "preprocess", "np.float32(255)", "np.float32(256)"),
    ("02", "preprocess", "axis=3", "axis=1"),
    ("02", "preprocess", "[labels]", "[labels - 1]"),
    ("03", "model", "// stride + 1", "// stride"),
    ("03", "model", "-(-size // stride)", "size // stride"),
    ("03", "model", "kernel_size * channels + 1", "kernel_size * channels"),
    ("03", "model", "pool_size=(2, 2)", "pool_size=(2, 2), padding='same'"),
    ("04", "model", "layers.Dense(800", "layers.Dense(799"),
    ("04", "training", "[0, recipe.learning_rate, 0]", "[0, 1.0, 0]"),
    ("04", "progress", "strict=True), start=1)", "strict=True), start=0)"),
    ("05", "evaluation", "argsort(-scores[wrong].max(axis=1)", "argsort(scores[wrong].min(axis=1)"),
    ("05", "evaluation", "correct = scores.argmax(axis=1) == labels", "correct = labels > 0"),
    ("05", "evaluation", "scores = [predict(", "scores = [1 - predict("),
    ("05", "evaluation", "(1 + confidence) / 2", "confidence"),
    ("05", "evaluation", "np.fill_diagonal(mistakes, 0)", "pass"),
    ("05", "plots", "ax.text(j, i, matrix[i, j]", "ax.text(i, j, matrix[i, j]"),
    ("06", "plots", 'f"val_{name}"],', "name],"),
    ("06", "plots", "ylabel=name", "ylabel='epoch'"),
    ("07", "plots", "digits, values, strict=True)", "digits, values[::-1], strict=True)"),
    ("07", "plots", "x, y = places", "y, x = places"),
    ("09", "augmentation", "ROWS, COLUMNS = np", "COLUMNS, ROWS = np"),
    ("09", "augmentation", "13.5 * (1 -", "14 * (1 -"),
    ("09", "augmentation", "between(corner + 30)", "between(corner + 31)"),
    ("09", "augmentation", "np.radians(random", "(random"),
    ("10", "pictures", "round(side * 20 /", "round(side * 22 /"),
    ("10", "pictures", "round(14 - c)", "round(13 - c)"),
    ("10", "pictures", "Resampling.BOX", "Resampling.NEAREST"),
    ("10", "pictures", "sizes.max() / 50", "sizes.max() / 2"),
    ("10", "pictures", "weights[0] + weights[1] * y + weights[2] * x", "weights[0] + 0 * (x + y)"),
    ("10", "pictures", "missing / 2 + 0.5", "missing + 0.5"),
]


def plant_in_code(paths):
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


def first_difference(path):
    """Run a notebook until a cell differs from its record or raises; return the cell's number."""
    recorded = notebooks.code_cells(nbformat.read(path, as_version=4))
    at = None

    def compare(number, run):
        nonlocal at
        at = number
        if check_cell(recorded[number], run.outputs):
            raise EarlyEndError

    try:
        notebooks.execute(path, on_cell=compare)
    except (CellExecutionError, EarlyEndError):
        return at
    return None


class EarlyEndError(Exception):
    """A cell differs: the rest of the notebook need not run."""


def main():
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
