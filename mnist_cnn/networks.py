"""The reference networks: trained once, part of the package, the same for every reader.

Training amplifies the last bit of an addition, so each kind of processor trains another network.
The numbers of the chapters are those of three networks whose weights lie beside this module, each
with a card that says how it was made. `train` makes one again.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn import data, evaluation, forward, preprocess, runtime, training

if TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).parent / "assets" / "networks"
NAMES = ("article", "fast", "best")
SEED = 0


@dataclasses.dataclass(frozen=True)
class Network:
    """A trained network without Keras.

    Attributes
    ----------
    card : dict
        How it was made and what it reaches: "recipe", "seed", "command", "versions", "machine",
        "sha256" of the weights, "train_accuracy", "test_accuracy", "history", "layers"; for the
        article's also "held_out".
    weights : tuple of float32 arrays
        As Keras's ``model.get_weights()`` gives them.
    """

    card: dict
    weights: tuple[np.ndarray, ...]

    def predict(self, images: np.ndarray, batch_size: int = 100) -> np.ndarray:
        """Return the ten scores of each image, computed with NumPy.

        Parameters
        ----------
        images : (n, 28, 28, 1) float32, 0 to 1
        batch_size : int
            Images at a time.

        Returns
        -------
        (n, 10) float32
            Equal to Keras's to 1e-5.

        Raises
        ------
        ValueError
            If `images` does not have that shape or is not float32.
        """
        pass_on = functools.partial(forward.predict, self.card["layers"], self.weights)
        return evaluation.in_batches(pass_on, images, batch_size)


def load(name: str) -> tuple[keras.Model, training.History]:
    """Return a reference network and the history of its training.

    Parameters
    ----------
    name : {"article", "fast", "best"}
        The recipe that it was trained by.

    Returns
    -------
    model : keras.Model
        Not compiled.
    history : dict of str to list of float
        As Keras's ``History.history``, a value per epoch.

    Raises
    ------
    ValueError
        If there is no such network.
    RuntimeError
        If its files are missing or damaged.
    """
    network = read(name)
    model = training.build_network(training.RECIPES[name])
    model.set_weights(network.weights)
    return model, network.card["history"]


def load_held_out() -> tuple[training.History, np.ndarray]:
    """Return how the article's recipe fared with the last 10,000 training images held out.

    Returns
    -------
    history : dict of str to list of float
        With "val_accuracy" and "val_loss", measured on the held-out images after each epoch.
    confusion_matrix : (10, 10) int64
        Of the held-out images, after the last epoch; rows are the true digits.

    Raises
    ------
    RuntimeError
        If the files of the article's network are missing or damaged.
    """
    held_out = read("article").card["held_out"]
    return held_out["history"], np.array(held_out["confusion_matrix"])


def read(name: str) -> Network:
    """Read a reference network from the package, without loading TensorFlow.

    Raises
    ------
    ValueError, RuntimeError
        As `load`.
    """
    if name not in NAMES:
        raise ValueError(f"the reference networks are {', '.join(NAMES)}, not {name!r}")
    path = FOLDER / f"{name}.npz"
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with np.load(path) as archive:
            weights = tuple(archive[key] for key in archive.files)
        whole = data.checksum(*weights) == card["sha256"]
    except Exception as error:  # a damaged archive raises nearly anything
        raise _damaged(path) from error
    if not whole:
        raise _damaged(path)
    return Network(card, weights)


def _damaged(path: Path) -> RuntimeError:
    return RuntimeError(
        f"the network {path} is missing or damaged (its weights are not those of its card): "
        "install the package again with 'pip install --force-reinstall --no-deps .'"
    )


def train(name: str, progress: bool = True) -> Network:
    """Train a reference network anew, by its recipe, with seed 0, on all 60,000 images.

    The article's is trained a second time on the first 50,000, for what `load_held_out` returns.

    Parameters
    ----------
    name : {"article", "fast", "best"}
    progress : bool
        Whether to show a live bar.

    Returns
    -------
    Network
        With the card of this run.
    """
    recipe = training.get_recipe(name)
    (images, labels), (x_test, y_test) = data.load_mnist()
    x, y = preprocess.add_channel(images), preprocess.one_hot(labels)
    started = time.perf_counter()
    model, history = training.train(recipe, x, y, seed=SEED, progress=progress)
    seconds = time.perf_counter() - started

    def accuracy(images: np.ndarray, labels: np.ndarray) -> float:
        scores = evaluation.predict_scores(model, preprocess.prepare(images))
        return float(np.mean(scores.argmax(axis=1) == labels))

    weights = model.get_weights()
    card = {
        "name": name,
        "recipe": dataclasses.asdict(recipe),
        "seed": SEED,
        "command": f"mnist-cnn networks {name} --update",
        "versions": runtime.versions(),
        "machine": runtime.machine(),
        "train_seconds": round(seconds),
        "sha256": data.checksum(*weights),
        "parameters": model.count_params(),
        "train_accuracy": accuracy(images, labels),
        "test_accuracy": accuracy(x_test, y_test),
        "history": history,
        "layers": [_settings(layer) for layer in model.layers],
    }
    if name == "article":
        card["held_out"] = _train_held_out(recipe, x, y, progress)
    return Network(card, tuple(weights))


def _train_held_out(recipe: training.Recipe, x: np.ndarray, y: np.ndarray, progress: bool) -> dict:
    from sklearn.metrics import confusion_matrix

    split = len(x) * 5 // 6
    held_out = preprocess.normalize(x[split:]), y[split:]
    model, history = training.train(
        recipe, x[:split], y[:split], seed=SEED, validation_data=held_out, progress=progress
    )
    predicted = evaluation.predict_scores(model, held_out[0]).argmax(axis=1)
    matrix = confusion_matrix(held_out[1].argmax(axis=1), predicted)
    return {"history": history, "confusion_matrix": matrix.tolist()}


def _settings(layer: keras.Layer) -> dict:
    """Return what `forward.predict` must know of a layer."""
    wanted = ("activation", "use_bias", "padding", "pool_size")
    settings = {key: value for key, value in layer.get_config().items() if key in wanted}
    activation = "relu" if type(layer).__name__ == "ReLU" else "linear"
    return {"class": type(layer).__name__, "activation": activation} | settings


def write(network: Network, folder: Path = FOLDER) -> None:
    """Write a network's weights and card, each file whole or not at all."""
    path = folder / f"{network.card['name']}.npz"
    text = json.dumps(network.card, indent=1, ensure_ascii=False) + "\n"
    with runtime.replacing(path) as temporary:
        np.savez(temporary, **{f"{i:02}": array for i, array in enumerate(network.weights)})
    with runtime.replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def verdict(card: dict, again: dict) -> tuple[bool, str]:
    """Hold a new training of a network against its card.

    Parameters
    ----------
    card, again : dict
        The cards of the package's network and of the new one.

    Returns
    -------
    agrees : bool
        Whether the weights are equal, or the new test accuracy lies within the 95 % interval of
        the card's.
    sentence : str
    """
    if again["sha256"] == card["sha256"]:
        return True, "the same weights, bit for bit"
    old, new = card["test_accuracy"], again["test_accuracy"]
    low, high = evaluation.wilson_interval(round(old * 10_000), 10_000)
    inside = low <= new <= high
    other = [
        f"{key} ({card[group][key]}, now {again[group][key]})"
        for group in ("versions", "machine")
        for key in card[group]
        if card[group][key] != again[group].get(key)
    ]
    why = f"made with another {', '.join(other)}" if other else "with the same versions and machine"
    return inside, (
        f"other weights, {why}; test accuracy {new:.4f}, the card's {old:.4f}: "
        f"{'within' if inside else 'OUTSIDE'} its 95 % interval, {low:.4f} to {high:.4f}"
    )
