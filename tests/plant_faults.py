"""Plant one random fault in every code cell and count which checkers notice.

``python -m tests.plant_faults [NOTEBOOK…] [--rounds 5] [--seed 0] [--code]`` runs each notebook
once, then compares the outputs with faulty copies of the record: for the checker with its own
`check_cell`, for nbval with its own cell class. nbmake empties the record before it runs a
notebook, so of these faults it can see only those that raise. ``--code`` plants faults in
the package's source instead, and compares a run on small data with an honest one.
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
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_output
from nbval import plugin as nbval
from PIL import Image, ImageChops, ImageOps

from mnist_cnn import recording
from mnist_cnn.compare import NUMBER, Tolerance, check_cell

ROOT = Path(__file__).parents[1]
TOOLS = ("nbval", "nbval --lax", "nbmake", "this checker")


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
    return ImageOps.invert(image)


def other_size(image, draw):
    return image.crop((0, 0, image.width - 1, image.height))


def drop_output(cell, new, draw):
    return bool(cell.outputs) and bool(cell.outputs.pop(draw.randrange(len(cell.outputs))))


def add_output(cell, new, draw):
    cell.outputs.append(new_output("display_data", data={"text/plain": "more"}))
    return True


def swap_outputs(cell, new, draw):
    if len(cell.outputs) < 2 or cell.outputs[0] == cell.outputs[1]:
        return False
    cell.outputs[:2] = cell.outputs[1::-1]
    return True


def strip(cell, new, draw):
    cell.outputs, cell.execution_count = [], None
    return True


def strip_count(cell, new, draw):
    cell.execution_count = None
    return True


def record_stderr(cell, new, draw):
    cell.outputs.append(new_output("stream", name="stderr", text="a warning\n"))
    return True


def print_stderr(cell, new, draw):
    new.append(new_output("stream", name="stderr", text="a warning\n"))
    return True


def print_more(cell, new, draw):
    new.append(new_output("stream", name="stdout", text="one more line\n"))
    return True


def raise_error(cell, new, draw):
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


def nbval_catches(cell, new, lax):
    """Return whether nbval fails the cell: its own markers, its own comparison."""
    options = dict(nbval.find_metadata_tags(cell.metadata))
    options |= dict(nbval.find_comment_markers(cell.source))
    if options.get("skip"):
        return False
    if any(output["output_type"] == "error" for output in new):
        return not options.get("check_exception")
    if cell.execution_count is None:
        return bool(cell.outputs)
    if not options.get("check", not lax):
        return False
    item = nbval.IPyNbCell.__new__(nbval.IPyNbCell)
    skip = ("metadata", "traceback", "prompt_number", "output_type", "name", "execution_count")
    skip += ("application/vnd.jupyter.widget-view+json", "image/png", "image/jpeg")
    item.parent = SimpleNamespace(skip_compare=skip, sanitize_patterns={})
    item.colors = nbval.nocolors
    item.format_output_compare = lambda *values: None
    streams = (nbval.coalesce_streams(copy.deepcopy(outputs)) for outputs in (new, cell.outputs))
    return item.compare_outputs(*streams) is False


def verdicts(cell, new):
    """Return, tool by tool, whether the fault is caught."""
    raised = any(output["output_type"] == "error" for output in new)
    ours = bool(check_cell(cell, new))
    return (nbval_catches(cell, new, lax=False), nbval_catches(cell, new, lax=True), raised, ours)


def plant(cell, outputs, kinds, draw):
    """Return a random kind of fault that fits a cell, the faulty record and the faulty run."""
    for kind in draw.sample(kinds, len(kinds)):
        faulty, new = copy.deepcopy(cell), copy.deepcopy(outputs)
        if FAULTS[kind](faulty, new, draw):
            return kind, faulty, new
    raise ValueError("no kind of fault fits this cell")


def plant_in_records(paths, rounds, seed):
    draw = random.Random(seed)
    planted, caught, alarms, missed = Counter(), defaultdict(Counter), Counter(), []
    for path in paths:
        recorded = recording.code_cells(nbformat.read(path, as_version=4))
        executed = recording.code_cells(recording.execute(path))
        for number, (cell, run) in enumerate(zip(recorded, executed, strict=True)):
            if not cell.source.strip():
                continue
            alarms.update(dict(zip(TOOLS, verdicts(cell, run.outputs), strict=True)))
            for _ in range(rounds):
                kind, faulty, new = plant(cell, run.outputs, list(FAULTS), draw)
                result = dict(zip(TOOLS, verdicts(faulty, new), strict=True))
                planted[kind] += 1
                caught[kind].update(result)
                if not result["this checker"]:
                    missed.append(f"{path.name}, cell {number}: {kind}")
    print("| fault | planted |", " | ".join(TOOLS), "|")
    print("|---|---|" + "---|" * len(TOOLS))
    for kind in filter(planted.get, FAULTS):
        print(f"| {kind} | {planted[kind]} |", *(f"{caught[kind][t]} |" for t in TOOLS))
    total = sum(planted.values())
    shares = [sum(c[t] for c in caught.values()) / max(total, 1) for t in TOOLS]
    print(f"| **all** | {total} |", *(f"**{share:.1%}** |" for share in shares))
    print("| cells failed with no fault planted | |", *(f"{alarms[t]} |" for t in TOOLS))
    print(f"\nMissed by this checker: {len(missed)}", *missed, sep="\n- ")


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
    ("04", "training", "warmup_target=recipe.learning_rate", "warmup_target=1.0"),
    ("04", "training", "strict=True), start=1)", "strict=True), start=0)"),
    ("05", "evaluation", "argsort(-scores[wrong].max(axis=1)", "argsort(scores[wrong].min(axis=1)"),
    ("05", "evaluation", "correct = scores.argmax(axis=1) == labels", "correct = labels > 0"),
    ("05", "evaluation", "scores = [model", "scores = [1 - model"),
    ("05", "evaluation", "(1 + confidence) / 2", "confidence"),
    ("05", "evaluation", "np.fill_diagonal(mistakes, 0)", "pass"),
    ("05", "plots", "ax.text(j, i, matrix[i, j]", "ax.text(i, j, matrix[i, j]"),
    ("06", "plots", 'f"val_{name}"],', "name],"),
    ("06", "plots", "ylabel=name", "ylabel='epoch'"),
    ("07", "plots", "digits, values, strict=True)", "digits, values[::-1], strict=True)"),
    ("07", "plots", "x, y = places", "y, x = places"),
    ("08", "augmentation", "ROWS, COLUMNS = np", "COLUMNS, ROWS = np"),
    ("08", "augmentation", "13.5 * (1 -", "14 * (1 -"),
    ("08", "augmentation", "between(corner + 30)", "between(corner + 31)"),
    ("08", "augmentation", "np.radians(random", "(random"),
    ("09", "pictures", "round(side * 20 /", "round(side * 22 /"),
    ("09", "pictures", "round(14 - c)", "round(13 - c)"),
    ("09", "pictures", "Resampling.BOX", "Resampling.NEAREST"),
    ("09", "pictures", "sizes.max() / 50", "sizes.max() / 2"),
    ("09", "pictures", "weights[0] + weights[1] * y + weights[2] * x", "weights[0] + 0 * (x + y)"),
    ("09", "pictures", "missing / 2 + 0.5", "missing + 0.5"),
]


def plant_in_code(paths):
    """Run a chapter with each faulty package, on small data, and compare with an honest run."""
    chapters = {path.stem[:2]: path for path in paths}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.copytree(ROOT / "mnist_cnn", work / "mnist_cnn")
        shutil.copy(ROOT / "pyproject.toml", work)
        shutil.copytree(ROOT / "notebooks", work / "notebooks")
        honest, caught, planted = {}, Counter(), 0
        with mock.patch.dict(os.environ, PYTHONPATH=folder, PYTHONDONTWRITEBYTECODE="1"):
            print("| fault in the code | chapter |", " | ".join(TOOLS), "|")
            print("|---|---|" + "---|" * len(TOOLS))
            for chapter, module, old, new in CODE_FAULTS:
                if chapter not in chapters:
                    continue
                path = work / "notebooks" / chapters[chapter].name
                if chapter not in honest:
                    # Once to train what is missing: nbval would see the progress display of that.
                    recording.execute(path, quick=True)
                    honest[chapter] = recording.execute(path, quick=True)
                source = work / "mnist_cnn" / f"{module}.py"
                text = source.read_text(encoding="utf-8")
                if old not in text:
                    raise ValueError(f"{module}.py does not hold {old!r} any more")
                source.write_text(text.replace(old, new), encoding="utf-8")
                noticed = who_notices(path, honest[chapter])
                source.write_text(text, encoding="utf-8")
                planted += 1
                caught.update(dict(zip(TOOLS, noticed, strict=True)))
                marks = ("yes |" if yes else "no |" for yes in noticed)
                print(f"| `{module}`: `{old}` → `{new}` | {chapter} |", *marks, flush=True)
        shares = (f"**{caught[tool] / max(planted, 1):.0%}** |" for tool in TOOLS)
        print(f"| **all {planted}** | |", *shares)


def who_notices(path, honest):
    """Return, tool by tool, whether some cell of the run fails against an honest run's record."""
    try:
        run = recording.execute(path, quick=True)
    except CellExecutionError:
        return (True,) * len(TOOLS)
    pairs = zip(*map(recording.code_cells, (honest, run)), strict=True)
    return tuple(map(any, zip(*(verdicts(old, new.outputs) for old, new in pairs), strict=True)))


def main():
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


if __name__ == "__main__":
    main()
