"""What each step from the article's network to the recipe `best` is worth.

    python benchmarks/ablation.py           about twenty minutes on two cores

Every row changes one thing more. All of them train for three epochs on the first 50,000 training
images, with two seeds each, and are measured on the last 10,000; only the last row trains as long
as `best` does, with one seed. The test set has no part in it. Every run has a core of its own. What
is done is kept: an interrupted call goes on where it was. Writes
``notebooks/measured/ablation.json``, which chapter 09 shows.
"""

import dataclasses
import hashlib
import json
import os
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import result
import worker

from mnist_cnn import recipes
from mnist_cnn.course import files, machine

RESULT = Path(__file__).parents[1] / "notebooks" / "measured" / "ablation.json"
RUNS = Path(__file__).parents[1] / "build" / "ablation"
ARTICLE = dataclasses.replace(recipes.RECIPES["article"], epochs=3)
BEST = recipes.RECIPES["best"]
SEEDS = range(2)


def steps() -> list[tuple[str, str, recipes.Recipe]]:
    """Return the rows: name, network, recipe."""
    softmax = dataclasses.replace(ARTICLE, output_activation="softmax")
    schedule = dataclasses.replace(
        softmax,
        batch_size=BEST.batch_size,
        learning_rate=BEST.learning_rate,
        warmup=BEST.warmup,
    )
    smooth = dataclasses.replace(schedule, label_smoothing=BEST.label_smoothing)
    moved = dataclasses.replace(smooth, max_shift=1)
    decayed = dataclasses.replace(BEST, epochs=3)
    better = dataclasses.replace(decayed, weight_decay=0)
    warped = dataclasses.replace(better, network="article")
    return [
        ("the article, 3 epochs", "recipe", ARTICLE),
        ("+ softmax", "recipe", softmax),
        ("+ warm-up and cosine", "recipe", schedule),
        ("+ label smoothing", "recipe", smooth),
        ("+ shifts", "recipe", moved),
        ("+ rotation, zoom, slant", "recipe", warped),
        ("+ batch normalisation", "normalised", warped),
        ("+ three convolutions more", "undropped", better),
        ("+ dropout", "recipe", better),
        ("+ weight decay", "recipe", decayed),
        ("+ 13 epochs = best", "recipe", BEST),
    ]


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
    last = len(steps()) - 1
    with ThreadPoolExecutor(machine.usable_cpus()) as pool:
        waiting = {
            (number, seed): pool.submit(measure, number, seed)
            for seed in SEEDS
            for number in range(last, -1, -1)  # the long run first, so that no core waits for it
            if seed == 0 or number < last
        }
    runs = [
        [waiting[number, seed].result() for seed in SEEDS if (number, seed) in waiting]
        for number in range(len(steps()))
    ]
    print("step                       CPU s  held-out accuracy, each seed    mean  averaged")
    rows = []
    for (name, network, recipe), measured in zip(steps(), runs, strict=True):
        accuracies = [run["accuracy"] for run in measured]
        row = {
            "step": name,
            "network": network,
            "recipe": vars(recipe),
            "cpu_seconds": round(statistics.mean(run["cpu_seconds"] for run in measured), 1),
            "accuracies": accuracies,
            "accuracy": round(statistics.mean(accuracies), 5),
            "averaged": round(statistics.mean(run["averaged"] for run in measured), 5),
        }
        rows.append(row)
        each = "  ".join(f"{accuracy:.4f}" for accuracy in accuracies)
        print(
            f"{name:25} {row['cpu_seconds']:6.1f}  {each:28}  {row['accuracy']:.4f}  "
            f"{row['averaged']:.4f}"
        )
    result.write(RESULT, {"made_by": "python benchmarks/ablation.py", "steps": rows})


if __name__ == "__main__":
    main()
