"""Speed and accuracy of the recipes against the article's own, side by side in one run.

    python -m benchmarks.compare            each contestant whole, about half an hour
    python -m benchmarks.compare --short    the long ones for two epochs only, under five minutes
    python -m benchmarks.compare --fast     ten seeds of fast against the article, ten minutes

The article's recipe and keras.io's run with TensorFlow's own defaults, ours with the package's;
PyTorch takes part where it is installed. The contestants take turns, so that a machine that slows
down slows all of them. Prints a table and writes ``benchmarks/results/compare.json`` and ``.png``,
or ``notebooks/measured/fast.json``, which chapter 08 shows.
"""

import argparse
import dataclasses
import importlib.util
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks import result, worker
from mnist_cnn import plots, recipes
from mnist_cnn.course import files

RESULTS = Path(__file__).parent / "results"
MEASURED = Path(__file__).parents[1] / "notebooks" / "measured"
GOALS = (0.99, 0.9927)
# To train the article's network on one image once; chapter 04, "See where the work goes".
OPERATIONS_AN_IMAGE = 11.36e6
ARTICLE = recipes.RECIPES["article"]
# Name: network, recipe, engine. The first is what the others are measured against.
CONTESTANTS = {
    "article": ("recipe", ARTICLE, "default"),
    "fast": ("recipe", recipes.RECIPES["fast"], "1"),
    "best": ("recipe", recipes.RECIPES["best"], "1"),
    "keras.io": ("keras.io", recipes.Recipe(epochs=15, batch_size=128), "default"),
    "torch": ("torch", dataclasses.replace(ARTICLE, output_activation="softmax"), "default"),
}
# fmt: off
TURNS = [
    "article", "fast", "best", "fast", "torch", "fast",
    "best", "keras.io", "fast", "article", "best", "fast",
]
# fmt: on
FAST_TURNS = [*["fast"] * 5, "article", *["fast"] * 5]
SHORT_TURNS = ["article", "fast", "torch", "best", "fast", "keras.io", "fast"]


def matrix_product_rate() -> float:
    """Return this machine's float32 matrix product rate in operations a second, best of five."""
    a = np.random.default_rng(0).random((2048, 2048), dtype="float32")
    times = []
    for _ in range(5):
        started = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - started)
    return 2 * 2048**3 / min(times)


def summary(runs: list[dict], rate: float) -> list[dict]:
    """Return a row a contestant: medians over its runs, and ratios to the article and the floor."""
    rows = []
    for name in dict.fromkeys(run["name"] for run in runs):
        own = [run for run in runs if run["name"] == name]
        row = {"name": name, "runs": len(own), "epochs": own[0]["epochs"]}
        for key in ("seconds", "cpu_seconds", "accuracy", "peak_mb"):
            row[key] = statistics.median(run[key] for run in own)
        row["lowest_accuracy"] = min(run["accuracy"] for run in own)
        for goal in GOALS:
            reached = [[s for s, accuracy in run["path"] if accuracy >= goal] for run in own]
            row[f"seconds_to_{goal}"] = (
                statistics.median(seconds[0] for seconds in reached) if all(reached) else None
            )
        rows.append(row)
    article = next(row for row in rows if row["name"] == "article")
    for row in rows:
        row["article_over_this"] = article["seconds"] / row["seconds"]
        row["article_over_this_cpu"] = article["cpu_seconds"] / row["cpu_seconds"]
        network, recipe, _ = CONTESTANTS[row["name"]]
        if network != "keras.io" and recipe.network == "article":  # the operations are known
            floor = row["epochs"] * 60_000 * OPERATIONS_AN_IMAGE / rate
            row["over_floor"] = row["seconds"] / floor
    return rows


def print_table(rows: list[dict], rate: float) -> None:
    """Print the summary; seconds are this machine's, ratios are what to quote."""
    print(f"matrix product: {rate / 1e9:.0f} thousand million operations a second")
    print(
        "recipe      epochs  runs  seconds  CPU s  accuracy  lowest  peak MB  "
        "to 0.99  to 0.9927  article/this  CPU  over floor"
    )
    for row in rows:
        goals = [row[f"seconds_to_{goal}"] for goal in GOALS]
        to_99, to_9927 = ("never" if seconds is None else f"{seconds:.1f} s" for seconds in goals)
        floor = f"{row['over_floor']:.1f}" if "over_floor" in row else "-"
        print(
            f"{row['name']:10} {row['epochs']:7} {row['runs']:5} {row['seconds']:8.1f} "
            f"{row['cpu_seconds']:6.1f} {row['accuracy']:9.4f} {row['lowest_accuracy']:7.4f} "
            f"{row['peak_mb']:8.0f} {to_99:>8} {to_9927:>10} {row['article_over_this']:13.1f} "
            f"{row['article_over_this_cpu']:4.1f} {floor:>11}"
        )


def draw(runs: list[dict]) -> Figure:
    """Draw the test accuracy of every run against its training seconds."""
    figure = Figure(figsize=(8.5, 4), layout="constrained")
    ax = figure.subplots()
    for number, name in enumerate(dict.fromkeys(run["name"] for run in runs)):
        for turn, run in enumerate(run for run in runs if run["name"] == name):
            ax.plot(
                *zip(*run["path"], strict=True),
                color=plots.COLORS[number],
                marker="os^Dv"[number],
                ms=5,
                label=name if turn == 0 else None,
            )
    ax.axhline(0.9927, color="black", ls=":", label="the article's headline, 0.9927")
    ax.set(
        title="Test accuracy against training time",
        xlabel="training time in seconds (log scale)",
        ylabel="test accuracy",
        xscale="log",
        ylim=(0.975, 0.998),
    )
    figure.legend(loc="outside right center")
    ax.grid(alpha=0.3)
    return figure


def main() -> None:
    """Let the contestants take turns, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="under five minutes")
    parser.add_argument("--fast", action="store_true", help="ten seeds of fast, ten minutes")
    options = parser.parse_args()

    rate = matrix_product_rate()
    turns = SHORT_TURNS if options.short else FAST_TURNS if options.fast else TURNS
    if not importlib.util.find_spec("torch"):
        turns = [name for name in turns if name != "torch"]
    runs: list[dict] = []
    for name in turns:
        network, recipe, engine = CONTESTANTS[name]
        if options.short and recipe.epochs > 2:
            recipe = dataclasses.replace(recipe, epochs=2)
        seed = sum(run["name"] == name for run in runs)
        measured = worker.run(network, recipe, engine=engine, seed=seed, held_out=False)
        runs.append({"name": name, "seed": seed, "epochs": recipe.epochs} | measured)
        print(f"{name}, seed {seed}: {measured['seconds']} s", file=sys.stderr)
    rows = summary(runs, rate)
    print_table(rows, rate)
    name = "short" if options.short else "fast" if options.fast else "compare"
    if name == "compare":
        with files.replacing(RESULTS / f"{name}.png") as path:
            draw(runs).savefig(path, dpi=100, metadata={"Software": None})
    measured = {"matrix_product_rate": round(rate), "summary": rows, "runs": runs}
    result.write((MEASURED if name == "fast" else RESULTS) / f"{name}.json", measured)


if __name__ == "__main__":
    main()
