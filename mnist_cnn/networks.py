"""The reference networks: trained once, part of the package, the same for every reader.

Training amplifies the last bit of an addition, so each kind of processor trains another network.
The numbers of the chapters are those of three networks whose weights lie beside this module, each
with a card that says how it was made; `mnist-cnn networks` makes them again.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn import data, recipes, training
from mnist_cnn.progress import History

if TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).parent / "assets" / "networks"
NAMES = ("article", "fast", "best")


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


def load(name: str) -> tuple[keras.Model, History]:
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

    Examples
    --------
    >>> model, history = load("article")
    >>> model.count_params(), len(history["accuracy"])
    (658378, 10)
    """
    network = read(name)
    model = training.build_network(recipes.RECIPES[name])
    model.set_weights(network.weights)
    return model, network.card["history"]


def load_held_out() -> tuple[History, np.ndarray]:
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

    Examples
    --------
    >>> history, matrix = load_held_out()
    >>> int(matrix.sum()), int(matrix.trace())
    (10000, 9886)
    """
    held_out = read("article").card["held_out"]
    return held_out["history"], np.array(held_out["confusion_matrix"])


def read(name: str) -> Network:
    """Read a reference network from the package, without loading TensorFlow.

    Parameters, errors: as `load`.

    Examples
    --------
    >>> network = read("best")
    >>> network.card["parameters"], network.weights[0].shape
    (437162, (5, 5, 1, 32))
    """
    if name not in NAMES:
        raise ValueError(f"the reference networks are {', '.join(NAMES)}, not {name!r}")
    path = FOLDER / f"{name}.npz"
    with data.intact(f"the network {path}", "its weights are not those of its card"):
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with np.load(path) as archive:
            weights = tuple(archive[key] for key in archive.files)
        if data.checksum(*weights) != card["sha256"]:
            raise ValueError
    return Network(card, weights)
