"""Measure how far outputs move between CPU variants, against what the cells' tags allow.

``python -m mnist_cnn.course.tolerances [NOTEBOOK…]`` runs each notebook once per variant and
prints the widest move under every tag. ``--update`` writes them to ``tests/tolerances.json``, to
which a test holds the tags. ``--variant NAME`` runs one variant only, ``--out`` keeps the executed
copies.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from numpy._core._multiarray_umath import __cpu_features__

from mnist_cnn.course import notebooks
from mnist_cnn.course.check.compare import (
    SVG,
    Tolerance,
    check_cell,
    normalise,
    split_numbers,
    visible,
)
from mnist_cnn.course.faults import RULES, holders
from mnist_cnn.course.files import replacing

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests" / "tolerances.json"
# Beyond the baseline that NumPy is compiled for, by what this processor has.
BEYOND_SSE = [
    name for name in ("X86_V3", "X86_V4", "AVX512_ICL", "AVX512_SPR") if __cpu_features__.get(name)
]
BEYOND_AVX2 = [name for name in BEYOND_SSE if name != "X86_V3"]
VARIANTS = {
    "oneDNN off": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "one CPU": {"PIN_TO_ONE_CPU": "1"},
    "AVX2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": " ".join(BEYOND_AVX2),
    },
    "SSE4.1": {
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": " ".join(BEYOND_SSE),
    },
    "repeat": {},
}


def run_variant(notebook: Path, out: Path) -> None:
    """Run one notebook in this process's environment (the child's side)."""
    if os.environ.pop("PIN_TO_ONE_CPU", None):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    nbformat.write(notebooks.execute(notebook), out)


def spread(recorded: nbformat.NotebookNode, new: nbformat.NotebookNode) -> tuple[float, float]:
    """Return the greatest absolute and relative move of a number, in texts and vector figures."""
    varies = Tolerance.from_tags(recorded.metadata.get("tags", [])).varies
    absolute = relative = 0.0
    recorded, new = (nbformat.from_dict({"outputs": normalise(c.outputs)}) for c in (recorded, new))
    for mime in ("text/plain", SVG):
        for (old, key), (out, other) in zip(
            holders(recorded, mime), holders(new, mime), strict=False
        ):
            texts = [visible(old[key]), visible(out[other])]
            for pattern in varies:
                texts = [re.sub(pattern, "", text) for text in texts]
            for a, b in zip(*(split_numbers(text)[1] for text in texts), strict=False):
                absolute = max(absolute, abs(a - b))
                relative = max(relative, abs(a - b) / abs(a) if a else 0.0)
    return absolute, relative


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--variant", choices=VARIANTS, nargs="+", default=list(VARIANTS))
    parser.add_argument("--out", type=Path, help="where executed copies are kept, and found again")
    parser.add_argument("--update", action="store_true", help=f"write {TABLE.name}")
    parser.add_argument("--run", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_variant(*options.run)
        return
    paths = options.notebooks or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        runs = {p: {name: execute(p, name, folder) for name in options.variant} for p in paths}
        reports = [report(path, runs[path]) for path in paths]
    rows = [row for found, _ in reports for row in found]
    beyond = [line for _, found in reports for line in found]
    print("| cell | tag | widest spread | under | tag / spread |\n|---|---|---:|---|---:|")
    for row in rows:
        print(table_row(row))
    print(f"\nCells that differ by more than their tags allow: {len(beyond)}", *beyond, sep="\n- ")
    if options.update:
        with replacing(TABLE) as temporary:
            temporary.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")


def table_row(row: dict[str, Any]) -> str:
    """Return a row of the table of tolerances in Markdown."""
    margin = f"{float(row['tag'].partition('=')[2]) / row['spread']:.1f}" if row["spread"] else "–"
    return (
        f"| {row['chapter'][:2]}, {row['cell']} | `{row['tag']}` | {row['spread']:.3g} "
        f"| {row['under']} | {margin} |"
    )


def execute(path: Path, variant: str, folder: Path) -> list[nbformat.NotebookNode] | None:
    """Return the code cells of a notebook run under a variant; None if it failed."""
    out = folder.absolute() / variant.replace(" ", "-") / path.name
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "mnist_cnn.course.tolerances",
            "--run",
            str(path.absolute()),
            str(out),
        ]
        if subprocess.run(command, cwd=ROOT, env=os.environ | VARIANTS[variant]).returncode:
            print(f"{path.name} failed under {variant}; it is missing from the table")
            return None
    return notebooks.code_cells(nbformat.read(out, as_version=4))


def report(
    path: Path, runs: dict[str, list[nbformat.NotebookNode] | None]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row for each tag of a notebook, and what moved further than allowed."""
    rows, beyond = [], []
    ran = {name: cells for name, cells in runs.items() if cells}
    for number, cell in enumerate(notebooks.code_cells(nbformat.read(path, as_version=4))):
        tags = cell.metadata.get("tags", [])
        spreads = {name: spread(cell, cells[number]) for name, cells in ran.items()}
        for column, kind in enumerate(("approx-abs", "approx-rel")):
            for tag in (t for t in tags if t.startswith(kind) and spreads):
                name = max(spreads, key=lambda variant: spreads[variant][column])
                row = {"chapter": path.stem, "cell": number, "tag": tag}
                rows.append(row | {"spread": spreads[name][column], "under": name})
        for name, cells in ran.items():
            if differs := check_cell(cell, cells[number].outputs, RULES):
                beyond.append(f"{path.stem}, cell {number}, {name}: {differs[0].what}")
    return rows, beyond


if __name__ == "__main__":
    main()
