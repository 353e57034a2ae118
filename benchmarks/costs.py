"""What the series costs: seconds and memory of each chapter and cell, and of the small steps.

    python -m benchmarks.costs              all chapters, about ten minutes
    python -m benchmarks.costs 01 02        these only
    python -m benchmarks.costs --small      the small steps only, half a minute

``--cells`` prints every cell. The small steps go to
``benchmarks/results/costs.json``, the chapters, when all of them were run whole, to
``chapters.json``. Memory is that of the kernel's process and is measured on Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient

from benchmarks import fresh, result
from mnist_cnn import runtime
from mnist_cnn.course import notebooks

if TYPE_CHECKING:
    import numpy as np

RESULTS = Path(__file__).parent / "results"
CHAPTERS = Path(__file__).parents[1] / "notebooks"
# What is measured, the unit, and the most it may be.
TARGETS = {
    "import mnist_cnn": ("s", 0.3),
    "load_mnist()": ("s", 1.0),
    "predict 10,000 images: predict_scores / model.predict": ("ratio", 0.4),
    "one image through a loaded model": ("ms", 5.0),
}
IMPORT = """
import sys, time
started = time.perf_counter()
import mnist_cnn
print(time.perf_counter() - started)
sys.exit("tensorflow" in sys.modules)
"""


def seconds(function: Callable, *arguments: object) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def import_seconds() -> float:
    """Return how long ``import mnist_cnn`` takes in a new process; TensorFlow must not load."""
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"importing mnist_cnn failed or loaded TensorFlow {done.stderr[-500:]}")
    return float(done.stdout)


def load_seconds() -> float:
    """Return how long the first ``load_mnist()`` of a process takes."""
    from mnist_cnn import data

    return seconds(data.load_mnist)


def predict_seconds() -> dict[str, list[float]]:
    """Return how long predictions take, in turns: 10,000 images in both ways, and one image."""
    runtime.set_seed(0)
    from mnist_cnn import data, evaluation, model, preprocess

    x = preprocess.prepare(data.load_mnist()[1][0])
    network = model.build_model()  # how fast it is does not depend on what it has learnt

    def predict(images: np.ndarray) -> None:
        network.predict(images, verbose=0)  # as the article calls it: 32 images at a time

    def predict_scores(images: np.ndarray) -> None:
        evaluation.predict_scores(network, images)

    for warm_up in (x[:32], x[: len(x) % 32], x[:500], x[:1]):
        predict(warm_up)
        predict_scores(warm_up)
    found: dict[str, list[float]] = {
        name: [] for name in ("predict", "predict_scores", "one image", "one image, predict")
    }
    for _ in range(5):
        found["predict"].append(seconds(predict, x))
        found["predict_scores"].append(seconds(predict_scores, x))
        for i in range(10):
            found["one image"].append(seconds(predict_scores, x[i : i + 1]))
            found["one image, predict"].append(seconds(predict, x[i : i + 1]))
    return found


def small_steps() -> tuple[dict[str, float], dict[str, list[float]]]:
    """Measure the small steps: the figures that have a target, and the raw seconds."""
    raw = {
        "import": [import_seconds() for _ in range(5)],
        "load": [fresh.call(load_seconds) for _ in range(3)],
    } | fresh.call(predict_seconds)
    best = {name: min(values) for name, values in raw.items()}
    figures = (
        best["import"],
        best["load"],
        best["predict_scores"] / best["predict"],
        statistics.median(raw["one image"]) * 1000,
    )
    return dict(zip(TARGETS, figures, strict=True)), raw


def run_chapter(path: Path) -> list[dict]:
    """Execute a chapter in a fresh kernel and return what each code cell cost."""
    notebook = nbformat.read(path, as_version=4)
    cells: list[dict] = []
    started = 0.0

    def start(**_: object) -> None:
        nonlocal started
        started = time.perf_counter()

    def stop(cell: nbformat.NotebookNode, **_: object) -> None:
        spent = time.perf_counter() - started
        kernel: Any = client.km
        memory = fresh.memory(kernel.provisioner.pid)
        first = next((line for line in cell.source.splitlines() if line.strip()), "")
        cells.append(
            {"cell": len(cells), "source": first, "seconds": round(spent, 3)}
            | (memory._asdict() if memory else {})
        )

    client = NotebookClient(
        notebook,
        kernel_manager_class=notebooks.ThisPython,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_execute=start,
        on_cell_executed=stop,
    )
    client.execute(stderr=subprocess.DEVNULL)
    return cells


def print_small_steps(figures: dict[str, float]) -> None:
    """Print what was measured beside what it may be."""
    print(f"{'':54} target  measured")
    for name, figure in figures.items():
        unit, most = TARGETS[name]
        unit = "" if unit == "ratio" else unit
        note = "" if figure <= most else "  too much"
        print(f"{name:54} {f'≤ {most} {unit}':8} {figure:6.2f} {unit}{note}")


def print_chapters(chapters: dict[str, list[dict]], all_cells: bool) -> None:
    """Print the totals of each chapter, and its cells or the ten slowest of all."""
    print("\nchapter                     seconds  slowest cell  peak MB")
    for name, cells in chapters.items():
        spent = [cell["seconds"] for cell in cells]
        peak = cells[-1].get("peak", "not measured")
        print(f"{name:26} {sum(spent):8.1f} {max(spent):13.1f} {peak:>8}")
    shown = [(name, cell) for name, cells in chapters.items() for cell in cells]
    if not all_cells:
        shown = sorted(shown, key=lambda pair: -pair[1]["seconds"])[:10]
    print("\nchapter  cell  seconds  MB after  peak MB  starts with")
    for name, cell in shown:
        now, peak = cell.get("now", "-"), cell.get("peak", "-")
        print(
            f"{name[:7]:7} {cell['cell']:5} {cell['seconds']:8.2f} {now:>9} {peak:>8}  "
            f"{cell['source'][:60]}"
        )


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a chapter, such as 01")
    parser.add_argument("--cells", action="store_true", help="print every cell")
    parser.add_argument("--small", action="store_true", help="no chapters, only the small steps")
    options = parser.parse_args()
    paths = sorted(CHAPTERS.glob("*.ipynb"))
    for name in options.names:
        if not any(path.name.startswith(name) for path in paths):
            parser.error(f"no chapter starts with {name!r}")
    if options.names:
        paths = [path for path in paths if path.name.startswith(tuple(options.names))]

    figures, raw = small_steps()
    print_small_steps(figures)
    result.write(RESULTS / "costs.json", {"figures": figures, "seconds": raw})
    if options.small:
        return
    chapters = {path.stem: run_chapter(path) for path in paths}
    print_chapters(chapters, options.cells)
    if not options.names:
        result.write(RESULTS / "chapters.json", {"chapters": chapters})


if __name__ == "__main__":
    main()
