"""Measure how far outputs move between CPU variants, against what the cells' tags allow.

``python -m tests.measure_tolerances [NOTEBOOK…]`` runs each notebook once per variant. Every
variant has a folder of its own, without trained models: a model trained under another variant
would hide the very spread that is to be measured.
"""

import argparse
import base64
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from mnist_cnn import recording
from mnist_cnn.compare import (
    Tolerance,
    compare_outputs,
    figure_distance,
    normalise,
    split_numbers,
)
from tests.plant_faults import holders

ROOT = Path(__file__).parents[1]
VARIANTS = {
    "oneDNN off": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "one CPU": {"PIN_TO_ONE_CPU": "1"},
    "SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "repeat": {},
}


def run_variant(notebook, out):
    """Run one notebook in this process's environment (the child's side)."""
    if os.environ.pop("PIN_TO_ONE_CPU", None):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    nbformat.write(recording.execute(notebook), out)


def spread(recorded, new):
    """Return the greatest absolute and relative move of a number, and of a figure."""
    absolute = relative = figure = 0.0
    recorded, new = (nbformat.from_dict({"outputs": normalise(c.outputs)}) for c in (recorded, new))
    for (old, key), (out, other) in zip(holders(recorded), holders(new), strict=False):
        numbers = zip(split_numbers(old[key])[1], split_numbers(out[other])[1], strict=False)
        for a, b in numbers:
            absolute = max(absolute, abs(a - b))
            relative = max(relative, abs(a - b) / abs(a) if a else 0.0)
    pairs = zip(holders(recorded, "image/png"), holders(new, "image/png"), strict=False)
    for (old, key), (out, _) in pairs:
        figure = max(figure, figure_distance(*map(base64.b64decode, (old[key], out[key]))))
    return absolute, relative, figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument(
        "--folder", type=Path, help="where the variants' trained models stay for the next call"
    )
    parser.add_argument("--run", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_variant(*options.run)
        return
    paths = options.notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    results = {path: [] for path in paths}
    with tempfile.TemporaryDirectory() as temporary:
        for name, variables in VARIANTS.items():
            folder = (options.folder or Path(temporary)).absolute() / name.replace(" ", "-")
            shutil.copytree(ROOT / "notebooks", folder / "notebooks", dirs_exist_ok=True)
            shutil.copy(ROOT / "pyproject.toml", folder)
            for path in paths:
                out = folder / path.name
                copy = folder / "notebooks" / path.name
                command = [sys.executable, "-m", "tests.measure_tolerances", "--run", copy, out]
                done = subprocess.run(command, cwd=ROOT, env=os.environ | variables)
                if done.returncode:
                    print(f"{path.name} failed under {name}; it is missing from the table")
                else:
                    results[path].append((name, nbformat.read(out, as_version=4)))
    print("| cell | tag | widest spread | under | tag / spread |\n|---|---|---|---|---|")
    untagged = [line for path in paths for line in report(path, results[path])]
    print(
        "\nCells that differ without a tag, or by more than their tag:",
        len(untagged),
        *untagged,
        sep="\n- ",
    )


def report(path, runs):
    """Print a row for each tag of a notebook; return the cells that moved further than allowed."""
    untagged = []
    cells = recording.code_cells(nbformat.read(path, as_version=4))
    for number, cell in enumerate(cells):
        tags = cell.metadata.get("tags", [])
        new = {name: recording.code_cells(run)[number] for name, run in runs}
        spreads = {name: spread(cell, other) for name, other in new.items()}
        for column, kind in enumerate(("approx-abs", "approx-rel", "figure-rms")):
            for tag in (t for t in tags if t.startswith(kind) and spreads):
                name = max(spreads, key=lambda variant: spreads[variant][column])
                widest = spreads[name][column]
                margin = f"{float(tag.partition('=')[2]) / widest:.1f}" if widest else "no spread"
                print(f"| {path.stem} {number} | {tag} | {widest:.3g} | {name} | {margin} |")
        tolerance = Tolerance.from_tags(tags)
        for name, other in new.items():
            if differs := compare_outputs(cell.outputs, other.outputs, tolerance):
                untagged.append(f"{path.stem}, cell {number}, {name}: {differs[0].what}")
    return untagged


if __name__ == "__main__":
    main()
