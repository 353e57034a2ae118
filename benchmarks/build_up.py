"""Where the factor between the recipes `article` and `fast` comes from, one change at a time.

    python -m benchmarks.build_up           about half an hour

Every row changes one thing more. All of them train on the first 50,000 training images and are
measured on the last 10,000: this is how the recipe was chosen, and the test set had no part in it.
Long runs are done once, short ones with three seeds, in turns. Writes
``notebooks/measured/build_up.json``, which chapter 08 shows.
"""

import dataclasses
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks import result, worker
from mnist_cnn import recipes

RESULT = Path(__file__).parents[1] / "notebooks" / "measured" / "build_up.json"
SHORT = {"batch_size": 128, "epochs": 1.4}
COSINE = SHORT | {"learning_rate": 8e-3, "warmup": 0.2}
LINEAR = COSINE | {"decay": "linear"}
MEMORY = LINEAR | {"beta_2": 0.95}
SMOOTH = MEMORY | {"label_smoothing": 0.1}
# Name, what differs from the article's recipe, oneDNN, seeds.
STEPS: list[tuple[str, dict[str, Any], str, int]] = [
    ("the article, oneDNN off", {}, "0", 1),
    ("+ oneDNN", {}, "1", 1),
    ("+ batches of 128", {"batch_size": 128}, "1", 1),
    ("+ 1.4 epochs", SHORT, "1", 3),
    ("+ warm-up and cosine", COSINE, "1", 3),
    ("+ straight fall instead", LINEAR, "1", 3),
    ("+ shorter memory", MEMORY, "1", 3),
    ("+ label smoothing", SMOOTH, "1", 3),
    ("+ shifts = fast", SMOOTH | {"max_shift": 1}, "1", 3),
]


def main() -> None:
    """Measure every step and write the table."""
    article = recipes.Recipe()  # with a softmax, which trains the same (chapter 04)
    if dataclasses.replace(article, **STEPS[-1][1]) != recipes.RECIPES["fast"]:
        raise RuntimeError("the last step is not the recipe 'fast'")
    runs: dict[str, list[dict]] = {name: [] for name, *_ in STEPS}
    for seed in range(3):
        for name, changes, engine, seeds in STEPS:
            if seed < seeds:
                recipe = dataclasses.replace(article, **changes)
                measured = worker.run("recipe", recipe, engine=engine, seed=seed, held_out=True)
                runs[name].append({"seed": seed} | measured)
                print(f"{name}, seed {seed}: {measured['seconds']} s", file=sys.stderr)
    print("step                      seconds  CPU s  held-out accuracy")
    rows = []
    for name, *_ in STEPS:
        row = {"step": name, "runs": len(runs[name])}
        for key in ("seconds", "cpu_seconds", "accuracy"):
            row[key] = round(statistics.mean(run[key] for run in runs[name]), 4)
        rows.append(row)
        print(f"{name:24} {row['seconds']:8.1f} {row['cpu_seconds']:6.1f} {row['accuracy']:18.4f}")
    result.write(RESULT, {"steps": rows, "runs": runs})


if __name__ == "__main__":
    main()
