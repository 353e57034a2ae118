"""What each step from the article's network to the recipe `best` is worth.

    python -m benchmarks.ablation           three hours of CPU time

Every row changes one thing more; the last is `best` but for its thirteen epochs. All of them train
for three epochs on the first 50,000 training images, with the same five seeds, and are measured on
the last 10,000. The test set has no part in it. Every run has a core of its own. What is done is
kept: an interrupted call goes on where it was. Writes ``notebooks/measured/ablation.json``, which
chapter 09 shows.
"""

import dataclasses
import hashlib
import json
import os
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import result, worker
from mnist_cnn import recipes
from mnist_cnn.course import files, machine

RESULT = Path(__file__).parents[1] / "notebooks" / "measured" / "ablation.json"
RUNS = Path(__file__).parents[1] / "build" / "ablation"
BEST = recipes.RECIPES["best"]
SEEDS = range(5)
# What a row changes: its name, the fields that it takes from `best`, and the network from here on.
ROWS = [
    ("the article, 3 epochs", (), "recipe"),
    ("+ batches of 64", ("batch_size",), "recipe"),
    ("+ learning rate of 0.003", ("learning_rate",), "recipe"),
    ("+ warm-up and cosine", ("warmup",), "recipe"),
    ("+ label smoothing", ("label_smoothing",), "recipe"),
    ("+ random affine maps", ("max_shift", "max_rotation", "max_zoom", "max_shear"), "recipe"),
    ("+ batch normalisation", (), "normalised"),
    ("+ pooling first, no biases", (), "pooled first"),
    ("+ three convolutions more", (), "five convolutions"),
    ("+ more filters", (), "wider"),
    ("+ no dense layer of 800", (), "without a hidden layer"),
    ("+ dropout", ("network",), "recipe"),
    ("+ weight decay", ("weight_decay",), "recipe"),
]


def steps() -> list[tuple[str, str, recipes.Recipe]]:
    """Return the rows: name, network, recipe."""
    recipe, found = recipes.Recipe(epochs=3), []
    for name, fields, network in ROWS:
        recipe = dataclasses.replace(recipe, **{field: getattr(BEST, field) for field in fields})
        found.append((name, network, recipe))
    return found


def measure(number: int, seed: int) -> dict:
    """Return what one run measured, from the file that an earlier call left or by running it."""
    name, network, recipe = steps()[number]
    what = repr((network, recipe, machine.versions())).encode()
    kept = RUNS / f"{number}-{seed}-{hashlib.sha256(what).hexdigest()[:12]}.json"
    if not kept.exists():
        measured = worker.run(network, recipe, engine="1", seed=seed, held_out=True)
        with files.replacing(kept) as path:
            path.write_text(json.dumps({"seed": seed} | measured), encoding="utf-8")
        print(f"{name}, seed {seed}: {measured['cpu_seconds']} CPU s", file=sys.stderr)
    return json.loads(kept.read_text(encoding="utf-8"))


def main() -> None:
    """Measure every row, seed by seed, and write the table."""
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with ThreadPoolExecutor(machine.usable_cpus()) as pool:
        waiting = [
            [pool.submit(measure, number, seed) for seed in SEEDS] for number in range(len(ROWS))
        ]
        runs = [[future.result() for future in row] for row in waiting]
    print("step                         CPU s  errors of 10,000, a seed each")
    rows = []
    for (name, network, recipe), measured in zip(steps(), runs, strict=True):
        errors = [round(10_000 * (1 - run["accuracy"])) for run in measured]
        seconds = statistics.mean(run["cpu_seconds"] for run in measured)
        rows.append(
            {
                "step": name,
                "network": network,
                "recipe": vars(recipe),
                "cpu_seconds": round(seconds, 1),
                "errors": errors,
            }
        )
        print(f"{name:27} {seconds:6.1f} ", *map("{:4}".format, errors))
    result.write(RESULT, {"made_by": "python -m benchmarks.ablation", "steps": rows})


if __name__ == "__main__":
    main()
