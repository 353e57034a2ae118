"""One training run in a process of its own, measured: what the benchmarks compare.

The process reads a job from standard input and prints one line of JSON. Its engine settings come
from its environment, its peak memory is its own, and its clock stands still while the digits that
it is measured on are read.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn import data, evaluation, preprocess, recipes, runtime, training

if TYPE_CHECKING:
    import keras

WIDTHS = 32, 64, 64, 128, 256  # the better network's


def run(network: str, recipe: recipes.Recipe, *, engine: str, seed: int, held_out: bool) -> dict:
    """Train in a new process and return what was measured.

    Parameters
    ----------
    network : {"recipe", "keras.io", "torch", …}
        "recipe" is the recipe's own, "torch" the article's in PyTorch; `train_keras` lists those
        between the article's and the better one.
    recipe : recipes.Recipe
    engine : {"default", "0", "1"}
        ``TF_ENABLE_ONEDNN_OPTS``; "default" leaves the choice to TensorFlow.
    seed : int
    held_out : bool
        Whether to train on the first five sixths of the training set and measure on the rest,
        instead of training on all of it and measuring on the test set.

    Returns
    -------
    dict
        "seconds", "cpu_seconds", "accuracy", "peak_mb", and "path": (seconds, accuracy) per epoch.
    """
    job = {"network": network, "recipe": vars(recipe), "seed": seed, "held_out": held_out}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker"],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"BENCHMARK_ENGINE": engine},
        input=json.dumps(job),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the run of {network} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


class Clock:
    """Counts seconds while it runs, and keeps the accuracy after each epoch."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0
        self.path: list[list[float]] = []

    def start(self) -> None:
        """Start to count."""
        self.started = time.perf_counter(), time.process_time()

    def stop(self, accuracy: Callable[[], float]) -> None:
        """Stop, ask for the accuracy off the clock, and start again."""
        self.seconds += time.perf_counter() - self.started[0]
        self.cpu_seconds += time.process_time() - self.started[1]
        self.path.append([round(self.seconds, 2), round(float(accuracy()), 5)])
        self.start()


def keras_io_network() -> keras.Sequential:
    """Build the network of keras.io's "Simple MNIST convnet" (F. Chollet)."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            layers.Input(shape=(28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def normalised_network(
    filters: Sequence[int] = (32, 32), *, pool_first: bool = True, hidden: bool = True
) -> keras.Sequential:
    """Build a network between the article's and the better one: batch normalisation everywhere.

    Two convolutions are the article's; five are placed as in the better network. `pool_first`
    also drops the biases, and `hidden` keeps the article's dense layer of 800.
    """
    import keras
    from keras import layers

    def normalised(layer: keras.Layer, pool: Sequence[keras.Layer] = ()) -> list:
        before, after = (pool, ()) if pool_first else ((), pool)
        return [layer, *before, layers.BatchNormalization(), layers.ReLU(), *after]

    def convolution(filters: int, size: int, padding: str = "valid") -> keras.Layer:
        return layers.Conv2D(filters, size, padding=padding, use_bias=not pool_first)

    sizes = [3, 3] if len(filters) == 2 else [5, 3, 3, 3, 3]
    pooled = (0, 1) if len(filters) == 2 else (0, 2)
    stack = [layers.Input(shape=(28, 28, 1))]
    for place, (count, size) in enumerate(zip(filters, sizes, strict=True)):
        padding = "same" if place == 3 else "valid"
        pool = [layers.MaxPooling2D()] if place in pooled else []
        stack += normalised(convolution(count, size, padding), pool)
    stack.append(layers.Flatten())
    if hidden:
        stack += normalised(layers.Dense(800, use_bias=not pool_first))
    return keras.Sequential([*stack, layers.Dense(10, activation="softmax")])


def train_keras(
    job: dict,
    recipe: recipes.Recipe,
    x: np.ndarray,
    y: np.ndarray,
    x_check: np.ndarray,
    labels: np.ndarray,
    clock: Clock,
) -> None:
    """Train with Keras as `training.train` does, with a clock beside it."""
    runtime.set_seed(job["seed"])
    import keras

    build = {
        "recipe": lambda: training.build_network(recipe),
        "keras.io": keras_io_network,
        "normalised": lambda: normalised_network(pool_first=False),
        "pooled first": normalised_network,
        "five convolutions": lambda: normalised_network((32,) * 5),
        "wider": lambda: normalised_network(WIDTHS),
        "without a hidden layer": lambda: normalised_network(WIDTHS, hidden=False),
    }
    network = build[job["network"]]()
    training.compile_model(network, recipe, len(x))

    def accuracy() -> float:
        return np.mean(evaluation.predict_scores(network, x_check).argmax(axis=1) == labels)

    ticks = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: clock.start(),
        on_epoch_end=lambda epoch, logs: clock.stop(accuracy),
    )
    training.fit(network, recipe, x, y, job["seed"], [ticks])


def train_torch(
    job: dict,
    recipe: recipes.Recipe,
    x: np.ndarray,
    y: np.ndarray,
    x_check: np.ndarray,
    labels: np.ndarray,
    clock: Clock,
) -> None:
    """Train the article's network with a plain PyTorch loop: constant rate, cross-entropy."""
    import torch
    from torch import nn

    torch.manual_seed(job["seed"])
    network = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 800),
        nn.ReLU(),
        nn.Linear(800, 10),
    )
    optimizer = torch.optim.Adam(network.parameters(), recipe.learning_rate, eps=1e-7)
    images, targets = (torch.from_numpy(a) for a in (x.transpose(0, 3, 1, 2), y.argmax(axis=1)))
    check = torch.from_numpy(x_check.transpose(0, 3, 1, 2))

    def accuracy() -> float:
        with torch.no_grad():
            scores = torch.cat([network(part) for part in check.split(500)])
        return np.mean(scores.argmax(dim=1).numpy() == labels)

    clock.start()
    for _ in range(int(recipe.epochs)):
        for chosen in torch.randperm(len(images)).split(recipe.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[chosen]), targets[chosen]).backward()
            optimizer.step()
        clock.stop(accuracy)


def main() -> None:
    """Do the job that stands on standard input."""
    job = json.load(sys.stdin)
    if os.environ["BENCHMARK_ENGINE"] == "default":
        os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
    else:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = os.environ["BENCHMARK_ENGINE"]
    recipe = recipes.Recipe(**job["recipe"])
    (x_train, y_train), (x_check, labels) = data.load_mnist()
    if job["held_out"]:
        split = len(x_train) * 5 // 6
        x_check, labels = x_train[split:], y_train[split:]
        x_train, y_train = x_train[:split], y_train[:split]
    arrays = preprocess.prepare(x_train), preprocess.one_hot(y_train), preprocess.prepare(x_check)
    clock = Clock()
    train = train_torch if job["network"] == "torch" else train_keras
    train(job, recipe, *arrays, labels, clock)
    measured = {
        "seconds": round(clock.seconds, 2),
        "cpu_seconds": round(clock.cpu_seconds, 2),
        "accuracy": clock.path[-1][1],
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "path": clock.path,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
