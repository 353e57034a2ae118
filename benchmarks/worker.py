"""One training run in a process of its own, measured: what the benchmarks compare.

The process reads a job from standard input and prints one line of JSON. Its engine settings come
from its environment, its peak memory is its own, and its clock stands still while the digits that
it is measured on are read.
"""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

from mnist_cnn import data, evaluation, model, preprocess, recipes, runtime, training


def run(network: str, recipe: recipes.Recipe, *, engine: str, seed: int, held_out: bool) -> dict:
    """Train in a new process and return what was measured.

    Parameters
    ----------
    network : {"recipe", "keras.io", "torch", "normalised", "undropped"}
        "recipe" is the recipe's own; "torch" is the article's in PyTorch, "normalised" the same
        with batch normalisation; "undropped" is the recipe's better network without dropout.
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
        "seconds", "cpu_seconds", "accuracy", "peak_mb", and "path": (seconds, accuracy) an epoch;
        on held-out images also "averaged", the accuracy of the last two epochs' mean weights.
    """
    job = {"network": network, "recipe": vars(recipe), "seed": seed, "held_out": held_out}
    done = subprocess.run(
        [sys.executable, __file__],
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
        self.path = []

    def start(self) -> None:
        """Start to count."""
        self.started = time.perf_counter(), time.process_time()

    def stop(self, accuracy) -> None:
        """Stop, ask for the accuracy off the clock, and start again."""
        self.seconds += time.perf_counter() - self.started[0]
        self.cpu_seconds += time.process_time() - self.started[1]
        self.path.append([round(self.seconds, 2), round(float(accuracy()), 5)])
        self.start()


def keras_io_network():
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


def normalised_network():
    """Build the article's network with batch normalisation before each ReLU."""
    import keras
    from keras import layers

    def normalised(layer, *pool):
        return [layer, *pool, layers.BatchNormalization(), layers.ReLU()]

    return keras.Sequential(
        [
            layers.Input(shape=(28, 28, 1)),
            *normalised(layers.Conv2D(32, 3, use_bias=False), layers.MaxPooling2D()),
            *normalised(layers.Conv2D(32, 3, use_bias=False), layers.MaxPooling2D()),
            layers.Flatten(),
            *normalised(layers.Dense(800, use_bias=False)),
            layers.Dense(10, activation="softmax"),
        ]
    )


def train_keras(job: dict, recipe: recipes.Recipe, x, y, x_check, labels, clock: Clock) -> dict:
    """Train with Keras as `training.train` does, with a clock beside it."""
    runtime.set_seed(job["seed"])
    import keras

    build = {
        "recipe": lambda: training.build_network(recipe),
        "keras.io": keras_io_network,
        "normalised": normalised_network,
        "undropped": lambda: model.build_better_model(dropout=0),
    }
    network = build[job["network"]]()
    training.compile_model(network, recipe, len(x))

    def accuracy():
        return np.mean(evaluation.predict_scores(network, x_check).argmax(axis=1) == labels)

    def epoch_ends(epoch, logs):
        clock.stop(accuracy)
        weights.append(network.get_weights())
        del weights[:-2]

    weights = []
    ticks = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: clock.start(), on_epoch_end=epoch_ends
    )
    training.fit(network, recipe, x, y, job["seed"], [ticks])
    if not job["held_out"]:
        return {}
    network.set_weights([np.mean(part, axis=0) for part in zip(*weights, strict=True)])
    return {"averaged": round(float(accuracy()), 5)}


def train_torch(job: dict, recipe: recipes.Recipe, x, y, x_check, labels, clock: Clock) -> dict:
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

    def accuracy():
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
    return {}


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
    more = train(job, recipe, *arrays, labels, clock)
    measured = more | {
        "seconds": round(clock.seconds, 2),
        "cpu_seconds": round(clock.cpu_seconds, 2),
        "accuracy": clock.path[-1][1],
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "path": clock.path,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
